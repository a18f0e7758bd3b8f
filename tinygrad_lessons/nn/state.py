"""Copying a state dict into a module: everything is checked before anything is written."""

from collections import namedtuple
from collections.abc import Mapping

import numpy as np

from tinygrad_lessons._core import Tensor, no_grad, tensor


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: the names that did not meet, two lists."""

    __slots__ = ()

    def __repr__(self):
        return super().__repr__() if any(self) else "<All keys matched successfully>"


def load(module, state_dict, strict):
    """See `Module.load_state_dict`."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"load_state_dict: expected state_dict to be dict-like, got {type(state_dict).__name__}"
        )
    own = module.state_dict(keep_vars=True)
    missing = [name for name in own if name not in state_dict]
    unexpected = [name for name in state_dict if name not in own]
    errors = []
    if strict and missing:
        errors.append(f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if strict and unexpected:
        errors.append(f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    pairs = []
    for name, target in own.items():
        if name not in state_dict:
            continue
        value = _as_tensor(state_dict[name])
        if value is None:
            errors.append(
                f"{name}: expected a tensor or an array, got {type(state_dict[name]).__name__}."
            )
        elif value.shape != target.shape:
            errors.append(
                f"size mismatch for {name}: copying a param with shape {value.shape} from "
                f"checkpoint, the shape in current model is {target.shape}."
            )
        else:
            pairs.append((target, value))
    if errors:
        raise RuntimeError(
            "\n\t".join([f"Error(s) in loading state_dict for {type(module).__name__}:", *errors])
        )

    with no_grad():
        for target, value in pairs:
            target.copy_(value)
    return IncompatibleKeys(missing, unexpected)


def _quoted(names):
    return ", ".join(f'"{name}"' for name in names)


def _as_tensor(value):
    """`value` as a tensor; None if it is neither a tensor nor an array."""
    if isinstance(value, Tensor):
        return value
    return tensor(np.asarray(value)) if hasattr(value, "__array__") else None
