"""datasets: MNIST's and CIFAR's files, whole and damaged."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lessons as tg
from tinygrad_lessons.datasets import (
    CIFAR10,
    CIFAR100,
    KMNIST,
    MNIST,
    DatasetError,
    FashionMNIST,
    check,
)
from tinygrad_lessons.utils.data import DataLoader

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (6, 28, 28), np.uint8)
LABELS = np.array([3, 0, 9, 1, 1, 4], np.uint8)


@pytest.fixture(scope="module", autouse=True)
def small_files():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MNIST, "counts", {True: 6, False: 6})
        for kind in (CIFAR10, CIFAR100):
            patch.setattr(kind, "counts", {True: 3, False: 3})
        yield


def idx(array, kind=8):
    return (
        bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    )


def plain(data):
    return data, ""


def packed(data):
    return gzip.compress(data, mtime=0), ".gz"


def write(folder, images=IMAGES, labels=LABELS, pack=plain, part="train"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (
        (f"{part}-images-idx3-ubyte", images),
        (f"{part}-labels-idx1-ubyte", labels),
    ):
        data, ending = pack(array if isinstance(array, bytes) else idx(array))
        (folder / (name + ending)).write_bytes(data)


@pytest.mark.parametrize("pack", [plain, packed])
@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, KMNIST])
@pytest.mark.parametrize("folder", ["{}/raw", "{}", "."])
def test_idx_files(tmp_path, pack, kind, folder):
    write(tmp_path / folder.format(kind.__name__), pack=pack, part="t10k")
    data = kind(str(tmp_path), train=False)
    assert (data.images.dtype, data.labels.dtype) == (tg.float32, tg.int64)
    assert tuple(data.images.shape) == (6, 1, 28, 28)
    np.testing.assert_array_equal(data.images.numpy()[:, 0], IMAGES / np.float32(255))
    assert data.labels.tolist() == LABELS.tolist()
    assert len(data.classes) == 10
    image, label = data[2]
    assert (tuple(image.shape), label.item()) == ((1, 28, 28), 9)


def test_packed_as_plain_name(tmp_path):
    """What the bytes are counts, not the name."""
    write(tmp_path, pack=lambda data: (gzip.compress(data), ""))
    assert len(MNIST(tmp_path)) == 6


def test_transforms_are_called_per_sample(tmp_path):
    write(tmp_path)
    data = MNIST(tmp_path, transform=lambda x: x + tg.rand(()), target_transform=lambda y: y + 100)
    assert data[1][1].item() == 100
    tg.manual_seed(0)
    ((x, y),) = DataLoader(data, 6)
    added = (x - data.images).flatten(1)
    assert y.tolist() == (LABELS + 100).tolist()
    assert len({round(v, 4) for v in added[:, 0].tolist()}) == 6
    plain = MNIST(tmp_path)
    ((x, y),) = DataLoader(plain, 6)
    assert tg.equal(x, plain.images) and tg.equal(y, plain.labels)


def test_missing_files(tmp_path):
    with pytest.raises(DatasetError, match=r"KMNIST: train-images-idx3-ubyte\(.gz\) is in none of"):
        KMNIST(tmp_path)
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "train-labels-idx1-ubyte").mkdir()
    with pytest.raises(DatasetError, match="is in none of"):
        MNIST(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (LABELS, LABELS, "exchanged"),
        (IMAGES, IMAGES, "exchanged"),
        (IMAGES, LABELS[:5], "6 images, .* 5 labels"),
        (IMAGES[:5], LABELS[:5], "has 5 images: expected 6; are the training and the test"),
        (IMAGES[:, :27], LABELS, r"images of \(27, 28\): expected \(28, 28\)"),
        (IMAGES, LABELS + 1, "the label 10: expected 0 to 9"),
        (idx(IMAGES, 0x0D), LABELS, "type 0x0d"),
        (
            idx(IMAGES)[:-1],
            LABELS,
            r"header says shape \(6, 28, 28\), 4704 bytes, but it has only 4703",
        ),
        (idx(IMAGES) + b"x", LABELS, "but it has more"),
        (b"", LABELS, "no IDX file"),
        (idx(IMAGES)[:9], LABELS, "ends in its header"),
        (b"<html>not found</html>", LABELS, "no IDX file .it begins with 3c 68 74 6d"),
        (b"\0\0\x08\x03" + b"\xff" * 12, LABELS, "its header says shape"),
    ],
)
@pytest.mark.parametrize("pack", [plain, packed])
def test_idx_files_that_are_wrong(tmp_path, images, labels, message, pack):
    write(tmp_path, images, labels, pack)
    with pytest.raises(DatasetError, match=message):
        MNIST(tmp_path)


def cifar_bytes(kind, count, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, len(kind.classes), (count, 1), np.uint8)
    pixels = draw.integers(0, 256, (count, 3072), np.uint8)
    coarse = np.full((count, kind.label_bytes - 1), 250, np.uint8)
    return np.concatenate([coarse, labels, pixels], 1).tobytes(), labels[:, 0], pixels


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def cifar_files(kind, train):
    made = {name: cifar_bytes(kind, 3, seed) for seed, name in enumerate(kind.files[train])}
    files = {f"{kind.folder}/{name}": data for name, (data, _, _) in made.items()}
    labels = np.concatenate([labels for _, labels, _ in made.values()])
    pixels = np.concatenate([pixels for _, _, pixels in made.values()])
    return files, labels, pixels


@pytest.mark.parametrize("form", ["archive", "folder"])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100])
def test_cifar(tmp_path, kind, train, form):
    files, labels, pixels = cifar_files(kind, train)
    if form == "archive":
        write_archive(tmp_path / kind.archive, {"../evil": b"x", **dict(reversed(files.items()))})
    else:
        (tmp_path / kind.folder).mkdir()
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
    data = kind(tmp_path, train)
    assert data.labels.tolist() == labels.tolist()
    expected = pixels.reshape(-1, 3, 32, 32) / np.float32(255)
    np.testing.assert_array_equal(data.images.numpy(), expected)
    if form == "archive":
        assert [path.name for path in tmp_path.iterdir()] == [kind.archive]  # nothing unpacked
        assert check(kind.__name__.lower(), tmp_path) == {
            kind.archive: "damaged"
        }  # not the real one
    else:
        assert check(kind.__name__.lower(), tmp_path) == {kind.archive: "unpacked"}


def test_cifar_missing(tmp_path):
    with pytest.raises(DatasetError, match=r"No such file.*put cifar-10-binary.tar.gz"):
        CIFAR10(tmp_path)
    (tmp_path / CIFAR10.folder).mkdir()
    with pytest.raises(DatasetError, match=r"data_batch_1.bin cannot be read"):
        CIFAR10(tmp_path)


def test_cifar_of_another_set(tmp_path):
    files, _, _ = cifar_files(CIFAR100, False)
    write_archive(tmp_path / CIFAR10.archive, files)
    with pytest.raises(DatasetError, match="has no cifar-10-batches-bin/test_batch.bin"):
        CIFAR10(tmp_path, train=False)
    files = {"cifar-10-batches-bin/test_batch.bin": next(iter(files.values()))}
    write_archive(tmp_path / CIFAR10.archive, files)
    with pytest.raises(DatasetError, match="expected 3 records of 3073 bytes"):
        CIFAR10(tmp_path, train=False)


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("count", [2, 4])
def test_cifar_cut_between_images(tmp_path, kind, count):
    (tmp_path / kind.folder).mkdir()
    data, _, _ = cifar_bytes(kind, count)
    (tmp_path / kind.folder / kind.files[False][0]).write_bytes(data)
    with pytest.raises(DatasetError, match=rf"{len(data)} bytes.: expected 3 records"):
        kind(tmp_path, train=False)


def test_cifar_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(cifar_bytes(CIFAR10, 1)[0])
    with tarfile.open(tmp_path / CIFAR10.archive, "w:gz") as archive:
        member = tarfile.TarInfo(f"{CIFAR10.folder}/test_batch.bin")
        member.type, member.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(member)
    with pytest.raises(DatasetError, match="has no"):
        CIFAR10(tmp_path, train=False)


# ---- any damage is a DatasetError, or leaves what it means unchanged ----

damage = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("flip"), st.floats(0, 0.999), st.integers(1, 255)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.integers(0, 255)),
    st.tuples(st.just("head"), st.floats(0, 0.02), st.integers(1, 255)),
)


def damaged(data, how):
    kind, place, value = how
    at = int(place * len(data))
    if kind == "cut":
        return data[:at]
    if kind == "insert":
        return data[:at] + bytes([value]) + data[at:]
    return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :]


@pytest.mark.parametrize("pack", [plain, packed])
@given(how=damage)
def test_damaged_idx_files(tmp_path_factory, pack, how):
    folder = tmp_path_factory.mktemp("fuzz")
    write(folder, pack=lambda data: (damaged(pack(data)[0], how), pack(data)[1]))
    try:
        data = MNIST(folder)
    except DatasetError as error:
        assert str(folder) in str(error)
    else:  # a flipped pixel of a file without checksum is a pixel
        assert tuple(data.images.shape[1:]) == (1, 28, 28) and len(data.images) == len(data.labels)
        if pack is packed:
            np.testing.assert_array_equal(data.images.numpy()[:, 0], IMAGES / np.float32(255))


@given(how=damage)
def test_damaged_archives(tmp_path_factory, how):
    folder = tmp_path_factory.mktemp("fuzz")
    files, labels, _ = cifar_files(CIFAR10, False)
    write_archive(folder / CIFAR10.archive, files)
    whole = (folder / CIFAR10.archive).read_bytes()
    (folder / CIFAR10.archive).write_bytes(damaged(whole, how))
    try:
        data = CIFAR10(folder, train=False)
    except DatasetError as error:
        assert str(folder) in str(error)
    else:
        assert data.labels.tolist() == labels.tolist()
