"""Handwritten digits: 1,797 images of 8x8 pixels.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0; the selection is the one
that scikit-learn bundles. `tools/make_digits.py` makes the file.
"""

import hashlib
import io
from pathlib import Path

import numpy as np

from tinygrad_lessons.datasets.base import (
    DatasetError,
    ImageDataset,
    check_split,
    images_and_labels,
    split_indices,
)

PATH = Path(__file__).with_name("digits.npz")
SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"


class Digits(ImageDataset):
    """Handwritten digits, 1,797 images: sample i is (image, label).

    The images are float32 of shape (1, 8, 8) with values from 0 to 1, the labels int64 from 0 to
    9. The splits keep the share of each digit (stratified), do not overlap, and depend on the
    seed alone.

    Args:
        split: "train" (70 %), "val" (15 %), "test" (15 %) or "all".
        seed: which of the possible splits; keep it while comparing models.
        transform: called with the image of a sample.
        target_transform: called with the label of a sample.

    Raises:
        ValueError: there is no such split.
        DatasetError: the data file is missing, or is not the one that was shipped.

    Example:
        >>> from tinygrad_lessons.datasets import Digits
        >>> digits = Digits("test")
        >>> len(digits), tuple(digits.images.shape), tuple(digits.labels.shape)
        (269, (269, 1, 8, 8), (269,))
        >>> image, label = digits[0]
    """

    classes = tuple("0123456789")

    def __init__(self, split="train", seed=0, transform=None, target_transform=None):
        check_split("Digits", split)
        images, labels = _read()
        if split != "all":
            chosen = split_indices(labels, seed)[split]
            images, labels = images[chosen], labels[chosen]
        super().__init__(*images_and_labels(images, labels, 16), transform, target_transform)


def _read():
    """Images (1797, 8, 8) and labels (1797,), both uint8."""
    try:
        data = PATH.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"digits: {PATH} cannot be read ({error.strerror}): reinstall tinygrad_lessons"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DatasetError(
            f"digits: {PATH} is damaged ({len(data)} bytes, wrong SHA-256): "
            "reinstall tinygrad_lessons"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return file["images"], file["labels"]
