"""Data sets that ship with the package, as `Dataset`s of tensors."""

from tinygrad_lessons.datasets.digits import DatasetError, Digits

__all__ = ["DatasetError", "Digits"]
