"""Datasets, samplers and the in-process `DataLoader`, under PyTorch's names."""

from tinygrad_lessons.utils.data.collate import default_collate
from tinygrad_lessons.utils.data.dataloader import DataLoader
from tinygrad_lessons.utils.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinygrad_lessons.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

__all__ = [
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]
