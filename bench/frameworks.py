"""The frameworks that are measured. A bench gets one as a module with PyTorch's names."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

from .targets import OURS, PEERS

# What NumPy calls otherwise.
NUMPY_NAMES = {
    "tensor": "array", "neg": "negative", "sub": "subtract", "mul": "multiply", "div": "divide",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "clamp": "clip", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2", "pow": "power",
    "clone": "copy",
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """What a process measures: a framework with some threads; a build of ours by its folder."""

    framework: str
    threads: int = 1
    build: str = ""


def installed():
    """The names of the frameworks found here, ours first."""
    return [name for name in (OURS, *PEERS) if find_spec(name)]


def cores(threads):
    """The processor cores that a process of so many threads is pinned to: the last of those allowed."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def load(variant):
    """The framework as a module with PyTorch's names; NumPy has no `nn`, no `optim`, no tape."""
    if variant.build:
        sys.path.insert(0, variant.build)
    module = import_module(variant.framework)
    if variant.build and not module.__file__.startswith(variant.build):
        raise ImportError(f"expected the build in {variant.build}, found {module.__file__}")
    if variant.framework == "torch":
        module.set_num_threads(variant.threads)
    if variant.framework == "cv2":
        module.setNumThreads(variant.threads)
    if variant.framework == "numpy":
        return with_pytorchs_names(module)
    if variant.framework == "jax":
        return SimpleNamespace(jax=module)
    return module


def with_pytorchs_names(numpy):
    draw = numpy.random.default_rng(0)
    renamed = {theirs: getattr(numpy, own) for theirs, own in NUMPY_NAMES.items()}
    drawn = {
        "rand": partial(draw.random, dtype="float32"),
        "randn": partial(draw.standard_normal, dtype="float32"),
        "randperm": draw.permutation,
        "randint": draw.integers,
    }
    return SimpleNamespace(**(vars(numpy) | renamed | drawn))


def find(framework, name):
    """The function of that name, where PyTorch keeps it; None if the framework has none."""
    functional = getattr(getattr(framework, "nn", None), "functional", None)
    if name == "gelu_tanh":
        return functional and partial(functional.gelu, approximate="tanh")
    return getattr(framework, name, None) or getattr(functional, name, None)
