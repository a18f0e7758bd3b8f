"""What data sets share: the error, images with labels, splits that keep each class's share."""

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data import TensorDataset

SPLITS = {"train": 0.70, "val": 0.15, "test": 0.15}


class DatasetError(RuntimeError):
    """The files of a data set are missing, damaged, or something else."""


class ImageDataset(TensorDataset):
    """Images with labels: sample i is (image, label).

    Args:
        images: (N, C, H, W), float32 with values from 0 to 1.
        labels: (N,), int64.
        transform: called with the image of a sample.
        target_transform: called with the label of a sample.

    Attributes:
        images, labels: all of them, untransformed.
        classes: the names of the classes, by label.
    """

    classes = ()

    def __init__(self, images, labels, transform=None, target_transform=None):
        super().__init__(images, labels)
        self.images, self.labels = images, labels
        self.transform, self.target_transform = transform, target_transform

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def rows(self):
        """(tensors, None) where the samples are their rows; None where they are transformed."""
        as_made = type(self).__getitem__ is ImageDataset.__getitem__
        plain = self.transform is None and self.target_transform is None
        return (self.tensors, None) if as_made and plain else None


def images_and_labels(images, labels, scale):
    """uint8 images (N, H, W) or (N, C, H, W) and labels as tensors, the images divided by the
    scale."""
    if images.ndim == 3:
        images = images[:, None]
    scaled = np.divide(images, scale, dtype=np.float32)
    return tg.from_numpy(scaled), tg.from_numpy(labels.astype(np.int64))


def check_split(name, split):
    if split not in (*SPLITS, "all"):
        raise ValueError(f"{name}: got split {split!r}: expected train, val, test or all")


def split_indices(labels, seed):
    """{split: indices, ascending}; each class is shuffled, then cut at the same fractions."""
    generator = tg.Generator().manual_seed(seed)
    cuts = np.cumsum(list(SPLITS.values()))[:-1]
    parts = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[tg.randperm(len(members), generator=generator).numpy()]
        parts.append(np.split(members, np.round(cuts * len(members)).astype(int)))
    return {
        split: np.sort(np.concatenate(part))
        for split, part in zip(SPLITS, zip(*parts, strict=True), strict=True)
    }
