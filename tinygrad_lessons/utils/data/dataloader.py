"""The `DataLoader`: batches of a dataset, loaded in this process or by workers."""

import warnings
from collections import deque
from itertools import islice
from numbers import Real
from types import GenericAlias

from tinygrad_lessons.utils.data.collate import default_collate, default_convert
from tinygrad_lessons.utils.data.dataset import IterableDataset
from tinygrad_lessons.utils.data.epoch import (
    Batches,
    Epoch,
    held_by,
    set_states,
    sources_of,
    states_of,
)
from tinygrad_lessons.utils.data.fetch import Job
from tinygrad_lessons.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler

SETTLED = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last", "persistent_workers")


class DataLoader:
    """Iterates over a dataset in batches; every `iter()` is one epoch.

    Full batch, mini-batch and single-sample descent are one argument apart:
    `batch_size=len(dataset)`, `batch_size=32`, `batch_size=1`.

    A `TensorDataset`, or a `Subset` of one, is batched by one compiled gather per batch.

    What `dataset[i]` and `collate_fn` draw from the default generator comes from a stream of their
    own for each sample of each epoch. So a seed gives the same batches, bit for bit, with any
    number of workers, and the default generator stays where it is. An `IterableDataset` draws from
    one stream per worker. In worker processes, Python's and NumPy's generators are seeded for each
    worker, as in PyTorch.

    Args:
        dataset: anything with `__getitem__` and `__len__`, or an `IterableDataset`. A
            `__getitems__(indices)` that returns a list of samples is used if there is one.
        batch_size: samples in a batch; None: the samples themselves, as tensors, one by one.
        shuffle: visit the samples in a new random order each epoch.
        sampler: yields the indices in its own order, instead of `shuffle`.
        batch_sampler: yields lists of indices, instead of the three above and `drop_last`.
        num_workers: how many processes (or threads) load; 0: this process does.
        collate_fn: makes a batch from a list of samples; `default_collate` if None.
        pin_memory, pin_memory_device: taken for PyTorch's sake; a CPU has nothing to pin memory
            for, and iterating says so.
        drop_last: leave out the last batch when it is not full.
        timeout: seconds to wait for a batch from a worker; 0: for as long as it takes.
        worker_init_fn: called with the number of the worker in each one, before it loads.
        multiprocessing_context: how worker processes start: "fork", "spawn", "forkserver", a
            context of `multiprocessing`, or None for its default; "thread": workers are threads of
            this process, which share its memory and suit datasets that wait or compute outside
            Python.
        generator: where the seed of the epoch and the order are drawn from; the default generator
            if None.
        prefetch_factor: batches that each worker loads in advance; 2 if None.
        persistent_workers: keep the workers from epoch to epoch.
        in_order: False: batches come as the workers finish them.

    Raises:
        ValueError: an argument is out of range, or two exclude each other.
        TypeError: `dataset` has no `__getitem__`, or `multiprocessing_context` is something else.
        RuntimeError: while iterating: a worker was killed, or took longer than `timeout`; dataset or
            `collate_fn` raised StopIteration. What else a worker raises comes out with its type and
            its trace.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.utils.data import DataLoader, TensorDataset
        >>> for x, y in DataLoader(TensorDataset(tg.arange(3), tg.ones(3, 1)), batch_size=2):
        ...     print(x, tuple(y.shape))
        tensor([0, 1]) (2, 1)
        tensor([2]) (1, 1)
    """

    __class_getitem__ = classmethod(GenericAlias)  # DataLoader[type of a sample], for annotations

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        self.streams = isinstance(dataset, IterableDataset)
        if not self.streams and not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"DataLoader: expected a dataset with __getitem__, got {type(dataset).__name__}"
            )
        if self.streams and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset has an order of its own: it excludes shuffle, sampler "
                "and batch_sampler"
            )
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None yields samples: it excludes drop_last")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler excludes shuffle")
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if sampler is None and not self.streams:
            sampler = (
                RandomSampler(dataset, generator=generator)
                if shuffle
                else SequentialSampler(dataset)
            )
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn or (
            default_convert if batch_sampler is None else default_collate
        )
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = _context(multiprocessing_context, num_workers)
        self.generator = generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.pin_memory_device = pin_memory_device
        self.in_order = in_order
        self._epoch = None  # the one that was begun last
        self._loaded = None  # the state that the next one goes on from
        self._workers = None  # those that are kept

    def __setattr__(self, name, value):
        if name in SETTLED and name in self.__dict__:
            raise ValueError(
                f"DataLoader: {name} is settled when the loader is made: make another loader"
            )
        super().__setattr__(name, value)

    def __iter__(self):
        if self.pin_memory:
            warnings.warn(
                "DataLoader: pin_memory=True does nothing: there is no accelerator to pin for",
                stacklevel=2,
            )
        state, self._loaded = self._loaded, None
        self._epoch = epoch = Epoch(self, state)
        batched = self.batch_sampler is not None
        job = Job(
            self.dataset, self.collate_fn, self.streams, batched, self.batch_size, self.drop_last
        )
        if not self.num_workers:
            return _Iterator(self, job, epoch)
        from tinygrad_lessons.utils.data.workers import WorkerIterator

        return WorkerIterator(self, job, epoch)

    def __len__(self):
        if self.streams:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def state_dict(self):
        """Where the loader stands, as plain values and tensors, for `tg.save`.

        In the middle of an epoch (the last `iter()` has not come to its end), that is the epoch's
        seed, how many batches of it were given out, and where the generators of loader and samplers
        stood; else, where they stand. They are found as attributes, and a sampler with `state_dict`
        and `load_state_dict` is asked for its own. Of one among several iterators, its
        `state_dict()` says the same.

        Example:
            >>> import tinygrad_lessons as tg
            >>> from tinygrad_lessons.utils.data import DataLoader
            >>> loader = DataLoader(range(100), batch_size=20, shuffle=True)
            >>> batches = iter(loader)
            >>> _ = next(batches), next(batches)
            >>> state, rest = loader.state_dict(), list(batches)
            >>> loader.load_state_dict(state)
            >>> all(tg.equal(a, b) for a, b in zip(loader, rest, strict=True))
            True
        """
        return self.state_in(self._epoch)

    def next_state(self):
        """What the next `iter()` begins with, whatever iterators are under way: a `state_dict`.

        Example:
            >>> from tinygrad_lessons.utils.data import DataLoader
            >>> loader = DataLoader(range(4), batch_size=2)
            >>> _ = next(iter(loader))
            >>> loader.load_state_dict(loader.next_state())
            >>> len(list(loader))
            2
        """
        return self.state_in(None)

    def state_in(self, epoch):
        """The state in the middle of an epoch, or between two."""
        under_way = epoch is not None and not epoch.finished
        return {
            "built": self._built(),
            "sources": states_of(sources_of(*held_by(self))),
            "epoch": epoch.state_dict() if under_way else self._loaded,
        }

    def load_state_dict(self, state):
        """Goes to where `state_dict()` was taken; the next `iter()` yields what was to come then.

        The order is drawn again without loading samples; of an `IterableDataset`, what was given
        out is loaded again and left out. Another number of workers is fine, but for an
        `IterableDataset`, which may split its samples among them.

        Raises:
            ValueError: it is not such a state, or that of another loader: with another number or
                size of batches, other kinds of samplers, another number of generators, or with
                other workers for an `IterableDataset`.
        """
        try:
            built, states, epoch = state["built"], state["sources"], state["epoch"]
            if epoch is not None:
                names = ("seed", "sources", "drawn", "given", "ahead")
                epoch = {name: epoch[name] for name in names}
        except (KeyError, TypeError):
            raise ValueError(
                "DataLoader: load_state_dict: expected what state_dict() gave, "
                f"got {sorted(state) if isinstance(state, dict) else type(state).__name__}"
            ) from None
        sources = sources_of(*held_by(self))
        if built != self._built() or len(states) != len(sources):
            raise ValueError(
                f"DataLoader: load_state_dict: the state is that of a loader with {built} and "
                f"{len(states)} generators, this one has {self._built()} and {len(sources)}: "
                "build it as it was"
            )
        set_states(sources, states)
        self._epoch, self._loaded = None, epoch

    def _built(self):
        """What a state of this loader is good for."""
        try:
            batches = len(self)
        except (TypeError, NotImplementedError):  # a stream
            batches = None
        samplers = (self.sampler, self.batch_sampler)
        return {
            "batches": batches,
            "batch_size": self.batch_size,
            "samplers": [None if each is None else type(each).__name__ for each in samplers],
            "workers": self.num_workers if self.streams else None,
        }


class _Iterator(Batches):
    """One epoch, loaded by the caller."""

    def __init__(self, loader, job, epoch):
        super().__init__(loader, epoch)
        self._fetch = job.fetcher(epoch.seed)
        if job.streams:  # what was given before a stop is loaded again, and left out
            deque(islice(iter(self._load, None), epoch.given), maxlen=0)

    def _load(self):
        """The number of the next batch, and the batch; None behind the last."""
        try:
            number, position, indices = next(self._epoch)
            return number, self._fetch(position, indices)
        except StopIteration:
            self._epoch.finished = True
            return None

    def __next__(self):
        if (loaded := self._load()) is None:
            raise StopIteration
        number, batch = loaded
        self._epoch.give(number)
        return batch


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    if type(num_workers) is not int or num_workers < 0:
        raise ValueError(
            f"DataLoader: got num_workers={num_workers!r}: expected a whole number of at least 0"
        )
    if not isinstance(timeout, Real) or not timeout >= 0:
        raise ValueError(f"DataLoader: got timeout={timeout!r}: expected seconds, at least 0")
    if prefetch_factor is not None and (type(prefetch_factor) is not int or prefetch_factor < 1):
        raise ValueError(
            f"DataLoader: got prefetch_factor={prefetch_factor!r}: expected a whole number above 0"
        )
    if not num_workers and (prefetch_factor is not None or persistent_workers):
        raise ValueError(
            f"DataLoader: got prefetch_factor={prefetch_factor!r}, "
            f"persistent_workers={persistent_workers!r} with num_workers=0: only workers have them"
        )


def _context(context, num_workers):
    if num_workers:
        from tinygrad_lessons.utils.data.workers import start_method

        return start_method(context)
    if context is not None:
        raise ValueError(
            f"DataLoader: got multiprocessing_context={context!r} with num_workers=0: "
            "only workers have one"
        )
    return None
