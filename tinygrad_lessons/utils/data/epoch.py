"""The plan of one pass over a dataset, which can be taken up again in its middle."""

from collections import deque
from itertools import repeat

import tinygrad_lessons as tg
from tinygrad_lessons._core.core import Stream
from tinygrad_lessons.utils.data.collate import default_collate
from tinygrad_lessons.utils.data.dataset import tensor_rows
from tinygrad_lessons.utils.data.sampler import BatchSampler, drawn_order, random_seed


class Epoch:
    """A seed, and the indices of one batch after the other.

    A sampler without a generator of its own draws from the stream of the epoch's seed, a place
    before those of the samples: so the seed says what it yields, whoever draws in between. Those
    with a generator are put back to where it stood. Thus resuming draws the same indices again,
    and loads no sample.

    Attributes:
        seed: from which all that is drawn in the epoch follows.
        given: how many batches the caller has got; with those in `ahead`, out of order.
        finished: whether the caller has been told that there are no more.
    """

    def __init__(self, loader, state=None):
        self._generators = generators_of(loader)
        self._drawn, self._position = 0, 0
        self._batched = loader.batch_sampler is not None
        self._again = deque()
        self.given, self.ahead, self.finished = 0, set(), False
        if state is None:
            self.seed = random_seed(loader.generator)
            self._start = states_of(self._generators)
            self._begin(loader)
            return
        self.seed, self._start = state["seed"], state["generators"]
        now = states_of(self._generators)
        set_states(self._generators, self._start)
        self._begin(loader)
        if not loader.streams:
            self._again.extend(self._draw() for _ in range(state["drawn"]))
            set_states(self._generators, now)
        self.given, self.ahead = state["given"], set(state["ahead"])

    def _begin(self, loader):
        self._stream = Stream(self.seed, -1)
        with self._stream:
            self._batches = iter(index_batches(loader))

    def _draw(self):
        """(number, position of the first sample, indices) of a batch."""
        with self._stream:
            indices = next(self._batches)
        number, position = self._drawn, self._position
        self._drawn += 1
        self._position += len(indices) if self._batched else 1
        return number, position, indices

    def __iter__(self):
        return self

    def __next__(self):
        while self._again:
            task = self._again.popleft()
            if not self.has_given(task[0]):
                return task
        return self._draw()

    def has_given(self, number):
        """Whether the caller has got the batch of this number."""
        return number < self.given or number in self.ahead

    def give(self, number):
        """Notes that the caller gets the batch of this number."""
        if number == self.given:
            self.given += 1
            while self.given in self.ahead:
                self.ahead.remove(self.given)
                self.given += 1
        else:
            self.ahead.add(number)

    def state_dict(self):
        return {
            "seed": self.seed,
            "generators": self._start,
            "drawn": self._drawn,
            "given": self.given,
            "ahead": sorted(self.ahead),
        }


def index_batches(loader):
    """Iterates over the indices of the batches: tensors where the dataset is batched by them."""
    if loader.streams:
        return repeat(())
    if loader.batch_sampler is None:
        return loader.sampler
    batches = loader.batch_sampler
    if (
        type(batches) is BatchSampler
        and loader.collate_fn is default_collate
        and tensor_rows(loader.dataset) is not None
        and (order := drawn_order(batches.sampler)) is not None
    ):
        return cut(order, batches.batch_size, batches.drop_last)
    return batches


def cut(order, size, drop_last):
    """The order in pieces of a size."""
    n = len(order)
    for start in range(0, n - n % size if drop_last else n, size):
        yield order[start : start + size]


def generators_of(loader):
    """The generators that the loader and its samplers draw from, each once."""
    batches, sampler = loader.batch_sampler, loader.sampler
    holders = (loader, sampler, batches, getattr(batches, "sampler", None))
    found = {
        id(g): g for h in holders if isinstance(g := getattr(h, "generator", None), tg.Generator)
    }
    return list(found.values())


def states_of(generators):
    return [generator.get_state() for generator in generators]


def set_states(generators, states):
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
