"""datasets: the shipped digits."""

import io
from collections import Counter

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.datasets import DatasetError, Digits, digits
from tinygrad_lessons.utils.data.dataset import tensor_rows

# as the UCI repository states them for its test set
CLASS_COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
# the first line of that set
FIRST_IMAGE = """
    0 0 5 13 9 1 0 0  0 0 13 15 10 15 5 0  0 3 15 2 0 11 8 0  0 4 12 0 0 8 8 0
    0 5 8 0 0 9 8 0  0 4 11 0 1 12 7 0  0 2 14 5 10 12 0 0  0 0 6 13 10 0 0 0
"""
SPLITS = {"train": 0.70, "val": 0.15, "test": 0.15}


def rows(split, seed=0):
    """Each sample of a split, label and pixels, as a multiset."""
    data = Digits(split, seed)
    images, labels = data.images.numpy(), data.labels.numpy()
    return Counter((int(y), x.tobytes()) for x, y in zip(images, labels, strict=True))


def test_images_and_labels():
    data = Digits("all")
    assert tuple(data.images.shape) == (1797, 1, 8, 8)
    assert (data.images.dtype, data.labels.dtype) == (tg.float32, tg.int64)
    assert (data.images.min().item(), data.images.max().item()) == (0, 1)
    assert np.bincount(data.labels.numpy()).tolist() == CLASS_COUNTS
    image, label = data[0]
    assert (16 * image).flatten().tolist() == [int(v) for v in FIRST_IMAGE.split()]
    assert label.item() == 0
    assert data.classes == tuple("0123456789")


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_are_a_partition(seed):
    assert sum((rows(split, seed) for split in SPLITS), Counter()) == rows("all")


@pytest.mark.parametrize("split", SPLITS)
def test_splits_keep_the_share_of_each_class(split):
    counts = np.bincount(Digits(split).labels.numpy(), minlength=10)
    assert (abs(counts - SPLITS[split] * np.array(CLASS_COUNTS)) <= 1).all()


def test_splits_follow_the_seed_alone():
    before = rows("test", 5)
    tg.manual_seed(123)
    assert rows("test", 5) == before
    assert rows("test", 6) != before


def test_reading_leaves_the_default_generator_alone():
    tg.manual_seed(0)
    expected = tg.rand(3).tolist()
    tg.manual_seed(0)
    Digits("train")
    assert tg.rand(3).tolist() == expected


def test_transforms():
    data = Digits("val", transform=lambda image: image + tg.rand(()), target_transform=float)
    plain = Digits("val")
    (x, y), (_, label) = data[3], plain[3]
    assert y == label.item() and isinstance(y, float)
    assert ((x - plain.images[3]) > 0).all()
    assert tg.equal(data.images, plain.images)


def test_batches_are_gathered_without_transforms():
    assert tensor_rows(Digits("val")) is not None
    assert tensor_rows(Digits("val", transform=abs)) is None
    assert tensor_rows(Digits("val", target_transform=abs)) is None


def test_unknown_split():
    with pytest.raises(ValueError, match="got split 'training'"):
        Digits("training")


def truncated(data):
    return data[: len(data) // 2]


def flipped(data):
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


def replaced(data):
    file = io.BytesIO()
    np.savez(file, images=np.zeros((2, 8, 8), np.uint8), labels=np.zeros(2, np.uint8))
    return file.getvalue()


@pytest.mark.parametrize("damage", [truncated, flipped, replaced, lambda data: b""])
def test_damaged_file(damage, monkeypatch, tmp_path):
    path = tmp_path / "digits.npz"
    path.write_bytes(damage(digits.PATH.read_bytes()))
    monkeypatch.setattr(digits, "PATH", path)
    with pytest.raises(DatasetError, match=r"digits\.npz is damaged .*reinstall"):
        Digits()


def test_missing_file(monkeypatch, tmp_path):
    monkeypatch.setattr(digits, "PATH", tmp_path / "digits.npz")
    with pytest.raises(DatasetError, match=r"digits\.npz cannot be read \(No such file"):
        Digits()
