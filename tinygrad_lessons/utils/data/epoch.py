"""The plan of one pass over a dataset, which can be taken up again in its middle."""

from collections import deque
from copy import deepcopy
from itertools import repeat

import tinygrad_lessons as tg
from tinygrad_lessons._core.core import Stream
from tinygrad_lessons.utils.data.collate import default_collate
from tinygrad_lessons.utils.data.dataset import tensor_rows
from tinygrad_lessons.utils.data.sampler import BatchSampler, Sampler, drawn_order, random_seed


class Epoch:
    """A seed, and the indices of one batch after the other.

    A sampler without a generator of its own draws from the stream of the epoch's seed, a place
    before those of the samples: so the seed says what it yields, whoever draws in between. Those
    with a generator, or a state, are put back to where it stood. Thus resuming draws the same indices again,
    and loads no sample.

    Attributes:
        seed: from which all that is drawn in the epoch follows.
        given: how many batches the caller has got; with those in `ahead`, out of order.
        finished: whether the caller has been told that there are no more.
    """

    def __init__(self, loader, state=None):
        sources = sources_of(*held_by(loader))
        self._drawn, self._position = 0, 0
        self._batched = loader.batch_sampler is not None
        self._again = deque()
        self.given, self.ahead, self.finished = 0, set(), False
        if state is None:
            self.seed = random_seed(loader.generator)
            self._start = states_of(sources)
            self._begin(loader)
            return
        self.seed, self._start = state["seed"], state["sources"]
        now = states_of(sources)
        set_states(sources, self._start)
        self._begin(loader)
        if not loader.streams:
            self._again.extend(self._draw() for _ in range(state["drawn"]))
            set_states(sources, now)
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
            "sources": self._start,
            "drawn": self._drawn,
            "given": self.given,
            "ahead": sorted(self.ahead),
        }


class Batches:
    """An iterator over the batches of one epoch, which says where it stands."""

    def __init__(self, loader, epoch):
        self._loader, self._epoch = loader, epoch

    def __iter__(self):
        return self

    def state_dict(self):
        """What the loader's `load_state_dict` takes, to yield what is still to come of these."""
        return self._loader.state_in(self._epoch)


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


def held_by(holder):
    """The generators and samplers among the attributes of an object."""
    return [
        value
        for name, value in getattr(holder, "__dict__", {}).items()
        if isinstance(value, (tg.Generator, Sampler)) or name in ("sampler", "batch_sampler")
    ]


def sources_of(*things):
    """What is drawn from in these and in what they hold, each once: generators, and all that has
    a state_dict."""
    found, left = {}, list(reversed(things))
    while left:
        thing = left.pop()
        if id(thing) not in found:
            found[id(thing)] = thing
            left += reversed(held_by(thing))
    return [
        thing
        for thing in found.values()
        if isinstance(thing, tg.Generator) or hasattr(thing, "load_state_dict")
    ]


def states_of(sources):
    return [
        source.get_state() if isinstance(source, tg.Generator) else deepcopy(source.state_dict())
        for source in sources
    ]


def set_states(sources, states):
    for source, state in zip(sources, states, strict=True):
        if isinstance(source, tg.Generator):
            source.set_state(state)
        else:
            source.load_state_dict(state)
