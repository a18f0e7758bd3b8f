"""What is known of an op, apart from the engine: one record each."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from checks import FLOATS, LAYOUTS, NONZERO


@dataclass
class Oracle:
    name: str
    ref: Callable  # (*arrays, **kwargs) -> array or list of arrays, in float64 or integers
    cases: list  # of (inputs, kwargs)
    dtypes: tuple = FLOATS
    op: Callable | None = None  # (lib, *tensors, **kwargs); by default lib.name(...)
    result: str | tuple = "same"  # "same", "float", "sum", "any" or a dtype; one, or each output's
    domain: tuple = (-3, 3)  # of all inputs, or one for each
    grad: bool = True  # is differentiable
    ulps: float = 4
    magnitude: Callable | None = None  # as ref: the size of the terms where an op cancels
    elementwise: bool = False
    inplace: bool = False  # Tensor.name_ exists
    extremes: bool = True  # defined as in NumPy for infinities, NaN and denormals
    signed_zeros: bool = True
    layouts: tuple = LAYOUTS
    errors: list = field(default_factory=list)  # of (call(lib), exception, words)

    def call(self, lib, *inputs, **kwargs):
        if self.op is not None:
            return self.op(lib, *inputs, **kwargs)
        return getattr(lib, self.name)(*inputs, **kwargs)

    def domain_of(self, i):
        one = self.domain == NONZERO or not isinstance(self.domain[0], tuple | str)
        return self.domain if one else self.domain[i]

    def result_dtypes(self, dtype, outputs=1):
        rules = self.result if isinstance(self.result, tuple) else (self.result,) * outputs
        resolved = {
            "same": dtype,
            "float": dtype if dtype in FLOATS else "float32",
            "sum": dtype if dtype in FLOATS else "int64",
            "any": dtype if dtype == "uint8" else "bool",
        }
        return [resolved.get(rule, rule) for rule in rules]


def case(*inputs, **kwargs):
    return inputs, kwargs


def functional(name, **fixed):
    return lambda lib, *xs, **kwargs: getattr(lib.nn.functional, name)(*xs, **fixed, **kwargs)


def method(name):
    return lambda lib, x, *xs, **kwargs: getattr(x, name)(*xs, **kwargs)


def index(*values):
    return np.array(values, np.int64)


def doubled(ref):
    """The size of the terms of a product of matrices."""
    return lambda *xs, **k: ref(*map(np.abs, xs), **k)
