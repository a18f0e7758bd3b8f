"""Where samples come from: anything with `__getitem__` and `__len__`."""

import math
import warnings
from itertools import accumulate

import tinygrad_lessons as tg


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

    def __getitem__(self, index):
        raise NotImplementedError(
            f"{type(self).__name__}: __getitem__ is not defined: "
            "a Dataset must say what its sample at an index is"
        )


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
        if isinstance(index, list):
            index = tg.tensor(index)
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self):
        return self.tensors[0].size(0)


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

    def __len__(self):
        return len(self.indices)


def gathers(dataset):
    """Whether `dataset[list of indices]` is the batch that collating its samples would give."""
    getitem = getattr(type(dataset), "__getitem__", None)
    if getitem is Subset.__getitem__:
        return gathers(dataset.dataset)
    return getitem is TensorDataset.__getitem__


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
