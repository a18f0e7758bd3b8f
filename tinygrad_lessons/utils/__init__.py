"""Helpers around training, under PyTorch's names."""

from tinygrad_lessons.utils import data

__all__ = ["data"]
