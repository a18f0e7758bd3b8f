"""The frameworks that are measured. A bench gets one as a module with PyTorch's names."""

from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

OURS = "tinygrad_lessons"
PEERS = ("torch", "numpy")

# What NumPy calls otherwise.
NUMPY_NAMES = {
    "tensor": "array", "neg": "negative", "sub": "subtract", "mul": "multiply", "div": "divide",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "clamp": "clip", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2", "pow": "power",
}  # fmt: skip


def installed():
    """The names of the frameworks found here, ours first."""
    return [name for name in (OURS, *PEERS) if find_spec(name)]


def load(name):
    """The framework as a module with PyTorch's names; NumPy has no `nn`, no `optim`, no tape."""
    module = import_module(name)
    if name == "torch":
        module.set_num_threads(1)
    if name == "numpy":
        renamed = {theirs: getattr(module, own) for theirs, own in NUMPY_NAMES.items()}
        return SimpleNamespace(**(vars(module) | renamed))
    return module
