"""MNIST and the sets made in its image: 70,000 images of 28x28 pixels in ten classes."""

from pathlib import Path

from tinygrad_lessons.datasets.base import DatasetError, ImageDataset, images_and_labels
from tinygrad_lessons.datasets.idx import read_idx
from tinygrad_lessons.datasets.mirrors import download, md5_of

FILES = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class MNIST(ImageDataset):
    """Handwritten digits: 60,000 training and 10,000 test images.

    LeCun, Bottou, Bengio, Haffner, Gradient-Based Learning Applied to Document Recognition, 1998.
    Images are float32 of shape (1, 28, 28) with values from 0 to 1, labels int64.

    The IDX files, with or without .gz, are looked for in `root`/MNIST/raw (where torchvision and
    `download` put them), `root`/MNIST and `root`.

    Args:
        root: a folder.
        train: the training images, or the test images.
        transform: called with the image of a sample.
        target_transform: called with the label of a sample.
        download: get the files that are not there.

    Raises:
        DatasetError: a file is missing, damaged, or cannot be downloaded.

    Example:
        >>> import tempfile
        >>> from tinygrad_lessons.datasets import MNIST, DatasetError
        >>> try:
        ...     MNIST(tempfile.mkdtemp())
        ... except DatasetError as error:
        ...     print(str(error)[:45])
        MNIST: train-images-idx3-ubyte(.gz) is in non
    """

    classes = (
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    )  # fmt: skip
    counts = {True: 60_000, False: 10_000}  # training and test images
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    md5 = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        self.root, self.train = Path(root), train
        if download:
            self.download(root, [train])
        name = type(self).__name__
        image_path, label_path = (self._find(self.root, file) for file in FILES[bool(train)])
        images, labels = read_idx(name, image_path, 3), read_idx(name, label_path, 1)
        if len(images) != len(labels):
            raise DatasetError(
                f"{name}: {image_path} has {len(images)} images, {label_path} {len(labels)} labels: "
                "they do not belong together"
            )
        if len(images) != (count := self.counts[bool(train)]):
            raise DatasetError(
                f"{name}: {image_path} has {len(images)} images: expected {count}; are the training "
                "and the test images exchanged?"
            )
        if images.shape[1:] != (28, 28):
            raise DatasetError(
                f"{name}: {image_path} has images of {images.shape[1:]}: expected (28, 28)"
            )
        if labels.size and labels.max() >= len(self.classes):
            raise DatasetError(
                f"{name}: {label_path} has the label {labels.max()}: expected 0 to "
                f"{len(self.classes) - 1}"
            )
        super().__init__(*images_and_labels(images, labels, 255), transform, target_transform)

    @classmethod
    def download(cls, root, parts=(True, False)):
        """Gets the files of the training (True) and test (False) images that are not there, or
        damaged.

        Raises:
            DatasetError: one could not be downloaded.
        """
        states = cls.check(root)
        for part in parts:
            for file in FILES[bool(part)]:
                if states[file] in ("missing", "damaged"):
                    path = Path(root) / cls.__name__ / "raw" / f"{file}.gz"
                    urls = [f"{mirror}{file}.gz" for mirror in cls.mirrors]
                    download(cls.__name__, urls, path, cls.md5[file])

    @classmethod
    def check(cls, root):
        """{file: "ok", "missing", "damaged" or "unpacked"} of all four; unpacked ones have no
        checksum."""
        found = {}
        for file, md5 in cls.md5.items():
            path = cls._found(Path(root), file)
            if path is None:
                found[file] = "missing"
            elif path.suffix != ".gz":
                found[file] = "unpacked"
            else:
                found[file] = "ok" if md5_of(path) == md5 else "damaged"
        return found

    @classmethod
    def _found(cls, root, file):
        """Where a file is, or None."""
        folders = (root / cls.__name__ / "raw", root / cls.__name__, root)
        paths = [folder / name for folder in folders for name in (file, f"{file}.gz")]
        return next((path for path in paths if path.is_file()), None)

    @classmethod
    def _find(cls, root, file):
        path = cls._found(root, file)
        if path is None:
            raise DatasetError(
                f"{cls.__name__}: {file}(.gz) is in none of {root}/{cls.__name__}/raw, "
                f"{root}/{cls.__name__}, {root}: put it there, or use download=True"
            )
        return path


class FashionMNIST(MNIST):
    """Pictures of clothes: 60,000 training and 10,000 test images.

    Xiao, Rasul, Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms, 2017. Files, arguments and errors are those of `MNIST`, in `root`/FashionMNIST.

    Example:
        >>> from tinygrad_lessons.datasets import FashionMNIST
        >>> FashionMNIST.classes[9]
        'Ankle boot'
    """

    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    md5 = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }


class KMNIST(MNIST):
    """Handwritten Hiragana of ten classes: 60,000 training and 10,000 test images.

    Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha, Deep Learning for Classical Japanese
    Literature, 2018. Files, arguments and errors are those of `MNIST`, in `root`/KMNIST.

    Example:
        >>> from tinygrad_lessons.datasets import KMNIST
        >>> KMNIST.classes[:3]
        ('o', 'ki', 'su')
    """

    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    mirrors = (
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    )
    md5 = {
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    }
