"""Data sets by name, for the command line."""

from tinygrad_lessons.datasets.cifar import CIFAR10, CIFAR100
from tinygrad_lessons.datasets.digits import Digits
from tinygrad_lessons.datasets.mnist import KMNIST, MNIST, FashionMNIST
from tinygrad_lessons.datasets.synthetic import Blobs, Moons, Sines, Spirals
from tinygrad_lessons.datasets.table import CSVDataset

DATASETS = {
    "digits": Digits,
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
    "kmnist": KMNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "moons": Moons,
    "spirals": Spirals,
    "blobs": Blobs,
    "sines": Sines,
    "csv": CSVDataset,
}


def dataset_class(name):
    """The class of the data set with this name.

    Raises:
        ValueError: there is none.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ValueError(
            f"there is no data set {name!r}: expected one of {', '.join(DATASETS)}"
        ) from None


def check(name, root):
    """How the files of a data set in a folder are.

    Returns:
        {file: "ok", "missing", "damaged" or "unpacked"}; empty where there are none to get.

    Raises:
        ValueError: there is no such data set.

    Example:
        >>> import tempfile
        >>> from tinygrad_lessons import datasets
        >>> datasets.check("cifar10", tempfile.mkdtemp())
        {'cifar-10-binary.tar.gz': 'missing'}
    """
    kind = dataset_class(name)
    return kind.check(root) if hasattr(kind, "check") else {}


def download(name, root):
    """Gets the files of a data set that are not in a folder yet; damaged ones are got again.

    Returns:
        What `check()` says after.

    Raises:
        ValueError: there is no such data set.
        DatasetError: a file could not be downloaded.

    Example:
        >>> from tinygrad_lessons import datasets
        >>> datasets.download("digits", "data")  # comes with the package
        {}
    """
    kind = dataset_class(name)
    if hasattr(kind, "download"):
        kind.download(root)
    return check(name, root)
