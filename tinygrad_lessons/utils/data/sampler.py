"""In which order samples are visited, and how they are cut into batches."""

from itertools import islice
from numbers import Integral
from types import GenericAlias

import tinygrad_lessons as tg


class Sampler:
    """An order of indices: a subclass defines `__iter__()`, and `__len__()` where it is known."""

    __class_getitem__ = classmethod(GenericAlias)  # Sampler[type of an index], for annotations

    def __init__(self, data_source=None):
        pass

    def __iter__(self):
        raise NotImplementedError(
            f"{type(self).__name__}: __iter__ is not defined: a Sampler must yield indices"
        )


class OrderSampler(Sampler):
    """A sampler whose whole order is one int64 tensor, which the `DataLoader` can batch by."""

    def order(self):
        """The indices of one pass, drawn when this is called."""
        raise NotImplementedError(f"{type(self).__name__}: order is not defined")

    def __iter__(self):
        return iter(self.order().tolist())


def drawn_order(sampler):
    """The order of a pass as a tensor, where the sampler has one; else None."""
    whole = isinstance(sampler, OrderSampler) and type(sampler).__iter__ is OrderSampler.__iter__
    return sampler.order() if whole else None


def random_seed(generator=None):
    """A seed of 63 bits, drawn from the generator."""
    return tg.randint(2**63 - 1, (), generator=generator).item()


class SequentialSampler(OrderSampler):
    """0, 1, 2, ... n - 1.

    Example:
        >>> from tinygrad_lessons.utils.data import SequentialSampler
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def order(self):
        return tg.arange(len(self.data_source))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(OrderSampler):
    """A new random permutation of the n indices each time, or draws with replacement.

    Args:
        data_source: anything with a length n.
        replacement: draw each index independently.
        num_samples: how many indices to yield; n if None. Without replacement, more than n
            yields one permutation after the other.
        generator: where the order is drawn from; if None, a seed is drawn from the default
            generator for each pass.

    Raises:
        TypeError: `replacement` is not a bool.
        ValueError: the number of samples is not a positive whole number.

    Example:
        >>> from tinygrad_lessons.utils.data import RandomSampler
        >>> sorted(RandomSampler("abcd"))
        [0, 1, 2, 3]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"RandomSampler: expected replacement to be a bool, got {replacement!r}"
            )
        _check_count("RandomSampler", self.num_samples)

    @property
    def num_samples(self):
        """How many indices a pass draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self):
        n, wanted, generator = len(self.data_source), self.num_samples, self.generator
        if generator is None:
            generator = tg.Generator().manual_seed(random_seed())
        if self.replacement:
            return tg.randint(n, (wanted,), generator=generator)
        passes = [tg.randperm(n, generator=generator) for _ in range(-(-wanted // n))]
        return (passes[0] if len(passes) == 1 else tg.cat(passes))[:wanted]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(OrderSampler):
    """The given indices in a new random order each time.

    Args:
        indices: a sequence of whole numbers.
        generator: where the order is drawn from; the default generator if None.

    Example:
        >>> from tinygrad_lessons.utils.data import SubsetRandomSampler
        >>> sorted(SubsetRandomSampler([7, 3, 5]))
        [3, 5, 7]
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def order(self):
        order = tg.randperm(len(self.indices), generator=self.generator)
        return index_tensor(self.indices)[order]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(OrderSampler):
    """Index i with a probability proportional to `weights[i]`.

    Args:
        weights: one number of at least 0 per sample; they need not sum to 1.
        num_samples: how many indices to draw.
        replacement: draw each index independently; else no index comes twice.
        generator: where they are drawn from; the default generator if None.

    Raises:
        ValueError: `num_samples` is not a positive whole number, `replacement` is not a bool, or
            the weights have more than one dimension.
        RuntimeError: at drawing: a weight is negative, infinite or NaN, all are zero, or fewer
            are positive than are to be drawn without replacement.

    Example:
        >>> from tinygrad_lessons.utils.data import WeightedRandomSampler
        >>> list(WeightedRandomSampler([0.0, 3.0, 0.0], 4))
        [1, 1, 1, 1]
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        _check_count("WeightedRandomSampler", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(
                f"WeightedRandomSampler: expected replacement to be a bool, got {replacement!r}"
            )
        self.weights = tg.as_tensor(weights, dtype=tg.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "WeightedRandomSampler: weights should be a 1d sequence, "
                f"got weights of shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def order(self):
        return tg.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of `batch_size` indices from `sampler`; the last may be shorter, or is dropped.

    Raises:
        ValueError: `batch_size` is not a positive whole number, or `drop_last` is not a bool.

    Example:
        >>> from tinygrad_lessons.utils.data import BatchSampler
        >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
        [[0, 1], [2, 3], [4]]
        >>> list(BatchSampler(range(5), batch_size=2, drop_last=True))
        [[0, 1], [2, 3]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, got batch_size={batch_size!r}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, got drop_last={drop_last!r}")
        self.sampler = sampler
        self.batch_size = int(batch_size)
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self):
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


def index_tensor(indices):
    """Indices of any form as an int64 tensor of one dimension.

    Raises:
        TypeError: they are no whole numbers.
    """
    import numpy as np

    if isinstance(indices, range):
        return tg.arange(indices.start, indices.stop, indices.step)
    array = indices.numpy() if isinstance(indices, tg.Tensor) else np.asarray(indices)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"expected indices to be whole numbers, got {array.dtype}: np.flatnonzero(mask) makes "
            "indices of a mask"
        )
    return tg.as_tensor(np.ascontiguousarray(array, np.int64))


def _check_count(name, count):
    if type(count) is not int or count <= 0:
        raise ValueError(
            f"{name}: num_samples should be a positive integer value, got num_samples={count!r}"
        )
