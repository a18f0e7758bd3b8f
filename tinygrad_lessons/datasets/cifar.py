"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32 pixels, from their binary version."""

import gzip
import tarfile
import zlib
from pathlib import Path

import numpy as np

from tinygrad_lessons.datasets.base import DatasetError, ImageDataset, images_and_labels
from tinygrad_lessons.datasets.mirrors import download, md5_of

PIXELS = 3 * 32 * 32
DAMAGE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, OverflowError)


class CIFAR10(ImageDataset):
    """Colour images of ten classes of things: 50,000 training and 10,000 test images.

    Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Images are float32 of
    shape (3, 32, 32) with values from 0 to 1, labels int64.

    The binary version is read, as the one for Python is a pickle, and no file is ever unpickled
    here: from `root`/cifar-10-binary.tar.gz, without unpacking it, or from the folder
    `root`/cifar-10-batches-bin that it unpacks to.

    Args:
        root: a folder.
        train: the training images, or the test images.
        transform: called with the image of a sample.
        target_transform: called with the label of a sample.
        download: get the archive if it is not there.

    Raises:
        DatasetError: a file is missing, damaged, or cannot be downloaded.

    Example:
        >>> from tinygrad_lessons.datasets import CIFAR10
        >>> CIFAR10.classes[:3]
        ('airplane', 'automobile', 'bird')
    """

    classes = (
        "airplane", "automobile", "bird", "cat", "deer",
        "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    mirrors = (
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
    )
    archive = "cifar-10-binary.tar.gz"
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    folder = "cifar-10-batches-bin"
    files = {
        True: tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        False: ("test_batch.bin",),
    }
    counts = {True: 10_000, False: 10_000}  # images in a file, of training and test images
    label_bytes = 1  # before each image; the last of them is the label

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        self.root, self.train = Path(root), train
        if download:
            self.download(root)
        names = self.files[bool(train)]
        if (self.root / self.folder).is_dir():
            parts = [self._from_file(self.root / self.folder / name) for name in names]
        else:
            parts = self._from_archive(self.root / self.archive, names)
        images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        super().__init__(*images_and_labels(images, labels, 255), transform, target_transform)

    @classmethod
    def download(cls, root):
        """Gets the archive unless it, or its folder, is there whole.

        Raises:
            DatasetError: it could not be downloaded.
        """
        if cls.check(root)[cls.archive] in ("missing", "damaged"):
            urls = [mirror + cls.archive for mirror in cls.mirrors]
            download(cls.__name__, urls, Path(root) / cls.archive, cls.md5)

    @classmethod
    def check(cls, root):
        """{file: "ok", "missing", "damaged" or "unpacked"}."""
        path = Path(root) / cls.archive
        if path.is_file():
            return {cls.archive: "ok" if md5_of(path) == cls.md5 else "damaged"}
        unpacked = (Path(root) / cls.folder).is_dir()
        return {cls.archive: "unpacked" if unpacked else "missing"}

    def _from_file(self, path):
        try:
            return self._parse(path, path.read_bytes())
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _from_archive(self, path, names):
        wanted, found = {f"{self.folder}/{name}" for name in names}, {}
        most = self.counts[bool(self.train)] * (PIXELS + self.label_bytes)
        try:
            with tarfile.open(path, "r|gz") as archive:
                for member in archive:
                    if member.name in wanted and member.isreg():
                        data = archive.extractfile(member).read(min(member.size, most) + 1)
                        found[member.name] = self._parse(f"{path}: {member.name}", data)
                    if len(found) == len(wanted):
                        break
        except DAMAGE as error:
            raise DatasetError(
                f"{type(self).__name__}: {path} is damaged ({error}): get it again"
            ) from error
        except OSError as error:
            raise self._unreadable(path, error) from error
        if lacking := sorted(wanted - set(found)):
            raise DatasetError(
                f"{type(self).__name__}: {path} has no {lacking[0]}: expected the archive of the "
                "binary version; get it again"
            )
        return [found[f"{self.folder}/{name}"] for name in names]

    def _parse(self, where, data):
        """Images (N, 3, 32, 32) and labels (N,) of a file's bytes."""
        record = PIXELS + self.label_bytes
        count = self.counts[bool(self.train)]
        if len(data) != count * record:
            raise DatasetError(
                f"{type(self).__name__}: {where} is damaged ({len(data)} bytes): expected {count} "
                f"records of {record} bytes; get it again"
            )
        records = np.frombuffer(data, np.uint8).reshape(count, record)
        labels = records[:, self.label_bytes - 1]
        if labels.max() >= len(self.classes):
            raise DatasetError(
                f"{type(self).__name__}: {where} is damaged, or another set (label {labels.max()}): "
                f"expected labels below {len(self.classes)}"
            )
        return records[:, self.label_bytes :].reshape(-1, 3, 32, 32), labels

    def _unreadable(self, path, error):
        return DatasetError(
            f"{type(self).__name__}: {path} cannot be read ({error.strerror}): put {self.archive} "
            f"or its folder {self.folder} into {self.root}, or use download=True"
        )


class CIFAR100(CIFAR10):
    """Colour images of a hundred classes of things: 50,000 training and 10,000 test images.

    As `CIFAR10`, from `root`/cifar-100-binary.tar.gz or `root`/cifar-100-binary; the labels are the
    fine ones.

    Example:
        >>> from tinygrad_lessons.datasets import CIFAR100
        >>> len(CIFAR100.classes), CIFAR100.classes[-1]
        (100, 'worm')
    """

    classes = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
        "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
        "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
        "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
        "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower",
        "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
        "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear",
        "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit",
        "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
        "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
        "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train",
        "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    )  # fmt: skip
    archive = "cifar-100-binary.tar.gz"
    md5 = "03b5dce01913d631647c71ecec9e9cb8"
    folder = "cifar-100-binary"
    files = {True: ("train.bin",), False: ("test.bin",)}
    counts = {True: 50_000, False: 10_000}
    label_bytes = 2  # the coarse label, then the fine one
