"""How a list of samples becomes one batch."""

from collections.abc import Mapping, MutableMapping, Sequence
from copy import copy
from numbers import Number

import numpy as np

import tinygrad_lessons as tg


def default_collate(batch):
    """One batch from a list of samples, new first dimension = number of samples.

    Tensors are stacked; NumPy arrays and numbers become tensors (Python floats float64); dicts,
    lists and tuples are collated entry by entry; strings and bytes stay a list. Mappings keep
    their type where it can be made of entries.

    Raises:
        RuntimeError: samples that are sequences differ in length.
        TypeError: a sample is none of the above.

    Example:
        >>> from tinygrad_lessons.utils.data import default_collate
        >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
        {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, tg.Tensor):
        return tg.stack(list(batch))
    if isinstance(first, (str, bytes)):  # before NumPy's, which are both
        return batch
    if isinstance(first, (np.ndarray, np.generic)):
        return tg.stack([tg.as_tensor(sample) for sample in batch])
    if isinstance(first, float):
        return tg.tensor(batch, dtype=tg.float64)
    if isinstance(first, Number):
        return tg.tensor(batch)
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([s[key] for s in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError(
                f"default_collate: samples have lengths {[len(sample) for sample in batch]}: "
                "each must have the same; give the DataLoader a collate_fn that pads them"
            )
        entries = [default_collate(entry) for entry in zip(*batch, strict=True)]
        return type(first)(*entries) if hasattr(first, "_fields") else entries
    raise TypeError(
        f"default_collate: samples are of type {type(first).__name__}: expected tensors, NumPy "
        "arrays, numbers, strings, dicts or sequences of these; give the DataLoader a collate_fn"
    )


def default_convert(data):
    """A sample with its NumPy arrays and numbers as tensors; all else as it is.

    What a `DataLoader` does to each sample when `batch_size` is None.

    Example:
        >>> import numpy as np
        >>> from tinygrad_lessons.utils.data import default_convert
        >>> default_convert({"x": np.array([1, 2]), "name": "a", "n": 3})
        {'x': tensor([1, 2]), 'name': 'a', 'n': 3}
    """
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else tg.as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return [default_convert(entry) for entry in data]
    return data


def _like(mapping, entries):
    """The entries in a mapping of that type; in a dict where it cannot be made so."""
    try:
        if not isinstance(mapping, MutableMapping):
            return type(mapping)(entries)
        made = copy(mapping)  # keeps what else it holds, say the factory of a defaultdict
        for key, entry in entries.items():
            made[key] = entry
        return made
    except TypeError:
        return entries
