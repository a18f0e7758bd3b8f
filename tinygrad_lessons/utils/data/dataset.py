"""Where samples come from: anything with `__getitem__` and `__len__`."""

import math
import warnings
from bisect import bisect_right
from itertools import accumulate
from types import GenericAlias

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data.sampler import index_tensor


class Dataset:
    """Samples by index: a subclass defines `__getitem__(index)` and `__len__()`.

    Example:
        >>> from tinygrad_lessons.utils.data import Dataset
        >>> class Squares(Dataset):
        ...     def __getitem__(self, index):
        ...         return index * index
        ...     def __len__(self):
        ...         return 5
        >>> Squares()[3]
        9
    """

    __class_getitem__ = classmethod(GenericAlias)  # Dataset[type of a sample], for annotations

    def __getitem__(self, index):
        raise NotImplementedError(
            f"{type(self).__name__}: __getitem__ is not defined: "
            "a Dataset must say what its sample at an index is"
        )

    def __add__(self, other):
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Sample i is the tuple of row i of each tensor.

    Args:
        *tensors: tensors of any dtype, each of shape (n, ...) with the same n.

    Raises:
        TypeError: what was given is not a tensor.
        AssertionError: the tensors differ in their first dimension.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.utils.data import TensorDataset
        >>> data = TensorDataset(tg.tensor([[1.0], [2.0]]), tg.tensor([0, 1]))
        >>> data[1]
        (tensor([2.]), tensor(1))
    """

    def __init__(self, *tensors):
        for tensor in tensors:
            if not isinstance(tensor, tg.Tensor):
                raise TypeError(
                    f"TensorDataset: expected tensors, got {type(tensor).__name__}: "
                    "convert it with tensor(...) or from_numpy(...)"
                )
        if not tensors or any(tensor.size(0) != tensors[0].size(0) for tensor in tensors):
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise AssertionError(
                f"TensorDataset: got shapes {shapes or '()'}: "
                "expected one or more tensors with the same first dimension"
            )
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self):
        return self.tensors[0].size(0)

    def rows(self):
        """(tensors, None) where the samples are their rows in order; None where they are not."""
        plain = type(self).__getitem__ is TensorDataset.__getitem__
        return (self.tensors, None) if plain else None


class IterableDataset(Dataset):
    """Samples from a stream: a subclass defines `__iter__()`.

    With workers, each has a copy of its own, and `get_worker_info()` says which part to yield.

    Example:
        >>> from tinygrad_lessons.utils.data import DataLoader, IterableDataset
        >>> class Countdown(IterableDataset):
        ...     def __iter__(self):
        ...         return iter([3, 2, 1])
        >>> list(DataLoader(Countdown(), batch_size=2))
        [tensor([3, 2]), tensor([1])]
    """

    def __iter__(self):
        raise NotImplementedError(
            f"{type(self).__name__}: __iter__ is not defined: an IterableDataset must yield samples"
        )

    def __add__(self, other):
        return ChainDataset([self, other])


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in that order.

    Example:
        >>> from tinygrad_lessons.utils.data import Subset
        >>> list(Subset("abcdef", [4, 0]))
        ['e', 'a']
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices):
        if loads_in_bulk(self):
            return self.dataset.__getitems__([self.indices[i] for i in indices])
        return [self[i] for i in indices]

    def __len__(self):
        return len(self.indices)

    def rows(self):
        """(tensors, which of their rows) where those are the samples; None where they are not."""
        whole = tensor_rows(self.dataset)
        if whole is None or type(self).__getitem__ is not Subset.__getitem__:
            return None
        tensors, order = whole
        own = index_tensor(self.indices)
        return tensors, own if order is None else order[own]


class ConcatDataset(Dataset):
    """The samples of several datasets, one dataset after the other; also `a + b`.

    Raises:
        AssertionError: there is no dataset, or one has no `__getitem__`.

    Example:
        >>> from tinygrad_lessons.utils.data import ConcatDataset
        >>> list(ConcatDataset(["abc", "de"]))
        ['a', 'b', 'c', 'd', 'e']
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: expected one or more datasets, got none")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError(
                "ConcatDataset: an IterableDataset has no samples by index: use ChainDataset"
            )
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"ConcatDataset: index {index} is out of range for {len(self)} samples"
            )
        index %= len(self)
        part = bisect_right(self.cumulative_sizes, index)
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]

    def __len__(self):
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset):
    """The samples of several streams, one stream after the other.

    Raises:
        AssertionError: while iterating: one is no IterableDataset.

    Example:
        >>> from tinygrad_lessons.utils.data import ChainDataset, IterableDataset
        >>> class Letters(IterableDataset):
        ...     def __iter__(self):
        ...         return iter("ab")
        >>> list(ChainDataset([Letters(), Letters()]))
        ['a', 'b', 'a', 'b']
    """

    def __init__(self, datasets):
        self.datasets = datasets

    def __iter__(self):
        for dataset in self.datasets:
            _check_stream(dataset)
            yield from dataset

    def __len__(self):
        total = 0
        for dataset in self.datasets:
            _check_stream(dataset)
            total += len(dataset)
        return total


class StackDataset(Dataset):
    """Sample i has sample i of each dataset: as a tuple, or by name as a dict.

    Raises:
        ValueError: none or both kinds are given, or the lengths differ.

    Example:
        >>> from tinygrad_lessons.utils.data import StackDataset
        >>> StackDataset("ab", [1, 2])[1], StackDataset(name="ab", n=[1, 2])[0]
        (('b', 2), {'name': 'a', 'n': 1})
    """

    def __init__(self, *args, **kwargs):
        if bool(args) == bool(kwargs):
            raise ValueError(
                "StackDataset: expected datasets either by position (samples are tuples) or by "
                f"name (samples are dicts), got {len(args)} and {len(kwargs)}"
            )
        self.datasets = args or kwargs
        lengths = [len(dataset) for dataset in (args or kwargs.values())]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"StackDataset: got datasets of lengths {lengths}: expected one length"
            )
        self._length = lengths[0]

    def __getitem__(self, index):
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self):
        return self._length


def _check_stream(dataset):
    if not isinstance(dataset, IterableDataset):
        raise AssertionError(
            f"ChainDataset: expected IterableDatasets, got {type(dataset).__name__}: "
            "use ConcatDataset"
        )


def tensor_rows(dataset):
    """`dataset.rows()` of a dataset that has it: tensors and the order of their rows, or None."""
    return dataset.rows() if isinstance(dataset, (TensorDataset, Subset)) else None


def loads_in_bulk(dataset):
    """Whether the dataset has a `__getitems__` of its own making for many samples at once."""
    if isinstance(dataset, Subset) and type(dataset).__getitems__ is Subset.__getitems__:
        return type(dataset).__getitem__ is Subset.__getitem__ and loads_in_bulk(dataset.dataset)
    return hasattr(dataset, "__getitems__")


def random_split(dataset, lengths, generator=None):
    """Split `dataset` at random into `Subset`s that do not overlap.

    Args:
        dataset: a dataset of n samples.
        lengths: whole numbers that sum to n, or fractions that sum to 1; what rounding down
            leaves over goes to the first parts, one sample each.
        generator: where the permutation is drawn from; the default generator if None.

    Raises:
        ValueError: the lengths do not sum to n, or one of them is negative.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.utils.data import random_split
        >>> train, test = random_split(range(10), [0.8, 0.2], tg.Generator().manual_seed(0))
        >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
        (8, 2, True)
    """
    n, given = len(dataset), list(lengths)
    if any(length < 0 for length in given):
        raise ValueError(f"random_split: got lengths {given}: expected none below 0")
    if math.isclose(sum(given), 1) and sum(given) <= 1:
        lengths = [math.floor(n * fraction) for fraction in given]
        for i in range(n - sum(lengths)):
            lengths[i % len(lengths)] += 1
        if 0 in lengths:
            warnings.warn(
                f"random_split: lengths {given} of {n} samples leave a part empty", stacklevel=2
            )
    else:
        lengths = given
    if sum(lengths) != n or any(isinstance(length, float) for length in lengths):
        raise ValueError(
            f"random_split: got lengths {given}, which sum to {sum(given)}: "
            f"expected whole numbers that sum to {n}, or fractions that sum to 1"
        )
    order = tg.randperm(n, generator=generator).tolist()
    return [
        Subset(dataset, order[end - length : end])
        for end, length in zip(accumulate(lengths), lengths, strict=True)
    ]
