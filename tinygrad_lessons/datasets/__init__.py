"""Data sets: digits that ship with the package, MNIST and CIFAR, tables, synthetic ones."""

from tinygrad_lessons.datasets.base import DatasetError, ImageDataset
from tinygrad_lessons.datasets.cifar import CIFAR10, CIFAR100
from tinygrad_lessons.datasets.digits import Digits
from tinygrad_lessons.datasets.mnist import KMNIST, MNIST, FashionMNIST
from tinygrad_lessons.datasets.registry import DATASETS, check, dataset_class, download
from tinygrad_lessons.datasets.synthetic import (
    Blobs,
    Moons,
    Sines,
    Spirals,
    make_blobs,
    make_moons,
    make_sines,
    make_spirals,
)
from tinygrad_lessons.datasets.table import CSVDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATASETS",
    "KMNIST",
    "MNIST",
    "Blobs",
    "CSVDataset",
    "DatasetError",
    "Digits",
    "FashionMNIST",
    "ImageDataset",
    "Moons",
    "Sines",
    "Spirals",
    "check",
    "dataset_class",
    "download",
    "make_blobs",
    "make_moons",
    "make_sines",
    "make_spirals",
]
