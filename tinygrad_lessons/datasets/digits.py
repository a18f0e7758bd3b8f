"""Handwritten digits: 1,797 images of 8x8 pixels.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0; the selection is the one
that scikit-learn bundles. `tools/make_digits.py` makes the file.
"""

import hashlib
import io
from pathlib import Path

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data import TensorDataset

PATH = Path(__file__).with_name("digits.npz")
SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"
SPLITS = {"train": 0.70, "val": 0.15, "test": 0.15}


class DatasetError(RuntimeError):
    """The file of a data set is missing or damaged."""


class Digits(TensorDataset):
    """Handwritten digits, 1,797 images: sample i is (image, label).

    The images are float32 of shape (1, 8, 8) with values from 0 to 1, the labels int64 from 0 to
    9. The splits keep the share of each digit (stratified), do not overlap, and depend on the
    seed alone.

    Args:
        split: "train" (70 %), "val" (15 %), "test" (15 %) or "all".
        seed: which of the possible splits; keep it while comparing models.

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

    def __init__(self, split="train", seed=0):
        if split not in (*SPLITS, "all"):
            raise ValueError(f"Digits: got split {split!r}: expected train, val, test or all")
        images, labels = _read()
        if split != "all":
            chosen = _split(labels, seed)[split]
            images, labels = images[chosen], labels[chosen]
        self.images = tg.from_numpy(images.astype(np.float32)[:, None] / 16)
        self.labels = tg.from_numpy(labels.astype(np.int64))
        super().__init__(self.images, self.labels)


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


def _split(labels, seed):
    """{split: indices}; each class is shuffled, then cut at the same fractions."""
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
