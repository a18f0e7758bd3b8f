"""In which order samples are visited, and how they are cut into batches."""

from itertools import islice

import tinygrad_lessons as tg


class Sampler:
    """An order of indices: a subclass defines `__iter__()`, and `__len__()` where it is known."""

    def __iter__(self):
        raise NotImplementedError(
            f"{type(self).__name__}: __iter__ is not defined: a Sampler must yield indices"
        )


class SequentialSampler(Sampler):
    """0, 1, 2, ... n - 1.

    Example:
        >>> from tinygrad_lessons.utils.data import SequentialSampler
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new random permutation of the n indices each time, or draws with replacement.

    Args:
        data_source: anything with a length n.
        replacement: draw each index independently.
        num_samples: how many indices to yield; n if None. Without replacement, more than n
            yields one permutation after the other.
        generator: where the order is drawn from; the default generator if None.

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
        if type(self.num_samples) is not int or self.num_samples <= 0:
            raise ValueError(
                "RandomSampler: num_samples should be a positive integer value, "
                f"got num_samples={self.num_samples!r}"
            )

    @property
    def num_samples(self):
        """How many indices a pass draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        n, left = len(self.data_source), self.num_samples
        if self.replacement:
            yield from tg.randint(n, (left,), generator=self.generator).tolist()
            return
        while left > 0:
            yield from tg.randperm(n, generator=self.generator).tolist()[:left]
            left -= n

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
        if type(batch_size) is not int or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, got batch_size={batch_size!r}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, got drop_last={drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
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
