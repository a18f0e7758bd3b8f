"""Optimizer state: the dicts that hold it, and copies of it for `load_state_dict`."""

from collections.abc import Mapping

import numpy as np

from tinygrad_lessons._core import Noticed, Tensor, float32, tensor


class State(Noticed):
    """Parameter → its state, a dict that comes to be when first asked for."""

    def __init__(self, state):
        super().__init__(
            (key, Noticed(value) if isinstance(value, dict) else value)
            for key, value in state.items()
        )

    def __missing__(self, param):
        self[param] = Noticed()
        return self[param]


def copied(value, param, numbers, name=None):
    """A copy of saved state, with tensors of the parameter's type, but `numbers` in float32."""
    if isinstance(value, Mapping):
        return {key: copied(item, param, numbers, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(item, param, numbers) for item in value)
    if name in numbers and isinstance(value, (int, float)):
        value = tensor(float(value))
    if getattr(value, "is_sparse", False):
        value = value.to_dense()
    if not isinstance(value, Tensor):
        if not hasattr(value, "__array__"):
            return value
        value = tensor(np.asarray(value))
    dtype = float32 if name in numbers else value.dtype if param is None else param.dtype
    return value.detach().to(dtype).clone().contiguous()
