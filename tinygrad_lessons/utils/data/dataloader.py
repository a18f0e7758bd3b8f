"""The `DataLoader`: batches of a dataset, loaded in this process."""

from tinygrad_lessons.utils.data.collate import default_collate
from tinygrad_lessons.utils.data.dataset import gathers
from tinygrad_lessons.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler


class DataLoader:
    """Iterates over a dataset in batches; every `iter()` is one epoch.

    A `TensorDataset`, or a `Subset` of one, is batched by one gather per tensor.

    Args:
        dataset: anything with `__getitem__` and `__len__`; a `__getitems__(indices)` that returns
            a list of samples is used if there is one.
        batch_size: samples in a batch.
        shuffle: visit the samples in a new random order each epoch.
        sampler: yields the indices in its own order, instead of `shuffle`.
        batch_sampler: yields lists of indices, instead of the three above and `drop_last`.
        num_workers: 0: loading happens in this process.
        collate_fn: makes a batch from a list of samples.
        drop_last: leave out the last batch when it is not full.
        generator: where the order is drawn from; the default generator if None.

    Raises:
        ValueError: an argument is out of range, or two exclude each other.
        TypeError: `dataset` has no `__getitem__`.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.utils.data import DataLoader, TensorDataset
        >>> for x, y in DataLoader(TensorDataset(tg.arange(3), tg.ones(3, 1)), batch_size=2):
        ...     print(x, tuple(y.shape))
        tensor([0, 1]) (2, 1)
        tensor([2]) (1, 1)
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        drop_last=False,
        *,
        generator=None,
    ):
        if not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"DataLoader: expected a dataset with __getitem__, got {type(dataset).__name__}"
            )
        if num_workers != 0:
            raise ValueError(
                f"DataLoader: got num_workers={num_workers!r}: "
                "batches are loaded in this process; leave it at 0"
            )
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                )
            batch_size = None
        else:
            if sampler is None:
                sampler = (
                    RandomSampler(dataset, generator=generator)
                    if shuffle
                    else SequentialSampler(dataset)
                )
            elif shuffle:
                raise ValueError("DataLoader: sampler excludes shuffle")
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.drop_last = drop_last
        self.generator = generator

    def __iter__(self):
        dataset, collate = self.dataset, self.collate_fn
        if collate is default_collate and gathers(dataset):
            for indices in self.batch_sampler:
                yield list(dataset[indices])
        elif hasattr(dataset, "__getitems__"):
            for indices in self.batch_sampler:
                yield collate(dataset.__getitems__(indices))
        else:
            for indices in self.batch_sampler:
                yield collate([dataset[index] for index in indices])

    def __len__(self):
        return len(self.batch_sampler)
