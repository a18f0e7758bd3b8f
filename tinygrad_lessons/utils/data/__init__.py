"""Datasets, samplers and the `DataLoader`, under PyTorch's names."""

from tinygrad_lessons.utils.data.collate import default_collate, default_convert
from tinygrad_lessons.utils.data.dataloader import DataLoader
from tinygrad_lessons.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinygrad_lessons.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def get_worker_info():
    """What worker this runs in (`id`, `num_workers`, `seed`, `dataset`); None outside of workers.

    Example:
        >>> from tinygrad_lessons.utils.data import get_worker_info
        >>> print(get_worker_info())
        None
    """
    from tinygrad_lessons.utils.data import workers  # multiprocessing is imported when it is used

    return workers.worker_info()


__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
