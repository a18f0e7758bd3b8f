"""From indices to a batch, in whichever process or thread that happens."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from itertools import count, islice

from tinygrad_lessons._core.core import Stream, Tensor, take_batch
from tinygrad_lessons.utils.data.collate import default_collate
from tinygrad_lessons.utils.data.dataset import Dataset, loads_in_bulk, tensor_rows
from tinygrad_lessons.utils.data.sampler import index_tensor


@dataclass(frozen=True)
class Job:
    """What a loader's batches are made from, as workers get it.

    Attributes:
        streams: whether the dataset is an `IterableDataset`.
        batched: whether samples are joined to batches.
    """

    dataset: Dataset
    collate_fn: Callable
    streams: bool
    batched: bool
    batch_size: int | None
    drop_last: bool

    def fetcher(self, seed, worker=0):
        """What makes the batches of an epoch with this seed: a function of the position of a
        batch's first sample and of the samples' indices."""
        return StreamFetcher(self, seed + worker) if self.streams else Fetcher(self, seed)


def without_stop(function):
    """The function with a RuntimeError for a StopIteration, which would end the epoch (PEP 479)."""

    @wraps(function)
    def guarded(*args):
        try:
            return function(*args)
        except StopIteration as error:
            name = getattr(function, "__qualname__", type(function).__name__)
            raise RuntimeError(
                f"DataLoader: {name} raised StopIteration: only the iterator of an IterableDataset "
                "or of a sampler may"
            ) from error

    return guarded


class Fetcher:
    """Makes batches from samples by index.

    What is drawn at random for a sample comes from a stream of its own, which depends on the
    epoch's seed and on the sample's position in the epoch alone: even places belong to samples,
    odd ones to the collation of the batch that begins there.
    """

    def __init__(self, job, seed):
        self._dataset, self._batched = job.dataset, job.batched
        self._collate = without_stop(job.collate_fn)
        self._stream = Stream(seed)
        self._bulk = loads_in_bulk(job.dataset)
        whole = job.batched and job.collate_fn is default_collate
        rows = tensor_rows(job.dataset) if whole else None
        self._tensors, self._order = rows or (None, None)

    def __call__(self, position, indices):
        if self._tensors is not None:
            if type(indices) is not Tensor:
                indices = index_tensor(indices)
            if self._order is not None:
                indices = self._order[indices]
            return take_batch(self._tensors, indices)
        with self._stream:
            return self._collate(self._load(position, indices))

    @without_stop
    def _load(self, position, indices):
        seek = self._stream.seek
        seek(2 * position)
        if not self._batched:
            return self._dataset[indices]
        if self._bulk:
            samples = self._dataset.__getitems__(indices)
        else:
            samples = []
            for place, index in zip(count(2 * position, 2), indices, strict=False):
                seek(place)
                samples.append(self._dataset[index])
        seek(2 * position + 1)
        return samples


class StreamFetcher:
    """Makes batches from an IterableDataset, wherever that is; StopIteration behind the last."""

    def __init__(self, job, seed):
        self._collate, self._batched = without_stop(job.collate_fn), job.batched
        self._batch_size, self._drop_last = job.batch_size, job.drop_last
        self._stream = Stream(seed)
        with self._stream:
            self._samples = without_stop(iter)(job.dataset)

    def __call__(self, position, indices):
        with self._stream:
            if not self._batched:
                return self._collate(next(self._samples))
            samples = list(islice(self._samples, self._batch_size))
            if not samples or (self._drop_last and len(samples) < self._batch_size):
                raise StopIteration
            return self._collate(samples)
