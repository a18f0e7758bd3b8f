"""Data sets by name: each a function that returns its splits."""

from dataclasses import dataclass

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons import datasets
from tinygrad_lessons.utils.data import TensorDataset

SPLITS = ("train", "val", "test")


@dataclass
class Splits:
    """Training, validation and test part of a data set.

    The parts are `TensorDataset`s of (x, y) in memory, x float32 (n, *shape). For classification
    `classes` has their names, and y is int64 (n,); for regression it is empty, and y float32 (n, k).
    """

    train: TensorDataset
    val: TensorDataset
    test: TensorDataset
    classes: tuple[str, ...]

    @property
    def shape(self):
        """The shape of one sample."""
        return tuple(self.train.tensors[0].shape[1:])

    @property
    def outputs(self):
        """How many values a model is to give for a sample."""
        return len(self.classes) or self.train.tensors[1].shape[1]


def digits(*, seed: int = 0):
    """Handwritten digits of 8x8 pixels, which come with the package.

    Args:
        seed: which of the possible splits; keep it while comparing models.
    """
    parts = [datasets.Digits(split, seed) for split in SPLITS]
    return Splits(*(TensorDataset(part.images, part.labels) for part in parts), parts[0].classes)


def csv(
    *,
    path: str,
    target: str,
    seed: int = 0,
    types: dict = {},  # noqa: B006
    missing: str = "error",
    delimiter: str = ",",
):
    """A table of your own: a CSV file, whose column `target` is to be predicted.

    Numbers are standardised, categories become columns of zeros and ones. A target of categories
    makes a classification, one of numbers a regression.

    Args:
        path: of the file, whose first line names the columns.
        target: the column to predict.
        seed: which of the possible splits.
        types: {column: "number", "category" or "ignore"} where the file does not tell.
        missing: "error", "drop" or "fill".
        delimiter: between the fields.
    """
    options = {"types": types, "missing": missing, "delimiter": delimiter, "one_hot": True}
    first = datasets.CSVDataset(path, target, "train", seed, **options)
    rest = [datasets.CSVDataset(path, target, split, seed, **options) for split in SPLITS[1:]]
    return Splits(first, *rest, first.classes)


def csv_features(path, options):
    """The rows of another table with the same columns, encoded as a `csv` set was for training.

    Args:
        path: of the file; it may lack the target.
        options: those of the `csv` set, from whose training rows means and categories come.

    Raises:
        DatasetError: a file cannot be read, or the columns are others.
    """
    like = csv(**options).train
    like.target_column = None
    return datasets.CSVDataset(
        path, split="all", like=like, missing=options["missing"], delimiter=options["delimiter"]
    ).features


def _downloaded(name, kind):
    """The function of a set with training and test images in files."""

    def load(*, root: str = "data", download: bool = False, val: float = 0.1, seed: int = 0):
        train, test = (kind(root, train=part, download=download) for part in (True, False))
        held_out = _held_out(train.labels.numpy(), val, seed)
        return Splits(
            *(
                TensorDataset(train.images[tg.from_numpy(rows)], train.labels[tg.from_numpy(rows)])
                for rows in (np.flatnonzero(~held_out), np.flatnonzero(held_out))
            ),
            TensorDataset(test.images, test.labels),
            train.classes,
        )

    return _named(load, name, kind)


def _held_out(labels, share, seed):
    """Which training samples validate: that share of each class, by the seed."""
    if not 0 < share < 1:
        raise ValueError(f"val: got {share}, expected a number above 0 and below 1")
    generator = tg.Generator().manual_seed(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = tg.randperm(len(members), generator=generator).numpy()
        chosen[members[order[: max(1, round(share * len(members)))]]] = True
    return chosen


def _synthetic(name, kind, default_noise):
    """The function of a set that is made from a seed."""

    def load(*, samples: int = 1000, noise: float = default_noise, seed: int = 0):
        parts = [kind(split, samples, noise, seed) for split in SPLITS]
        return Splits(*parts, parts[0].classes)

    return _named(load, name, kind)


def _named(load, name, kind):
    load.__name__, load.__doc__ = name, kind.__doc__
    return load


DATASETS = {
    "digits": digits,
    **{
        name: _downloaded(name, datasets.DATASETS[name])
        for name in ("mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100")
    },
    **{
        name: _synthetic(name, datasets.DATASETS[name], 1.0 if name == "blobs" else 0.1)
        for name in ("moons", "spirals", "blobs", "sines")
    },
    "csv": csv,
}
