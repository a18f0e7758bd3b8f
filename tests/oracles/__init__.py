"""One record per op: how to call it, what NumPy says in float64, inputs, dtypes, what must fail.

A new op gets one record in the table it belongs to, and test_ops, test_autograd_ops and
test_torch_parity run on it.
"""

from dataclasses import replace

from oracles.convolution import CONVOLUTION
from oracles.elementwise import ELEMENTWISE
from oracles.moving import CHOOSING, MOVING
from oracles.networks import NETWORKS, PRODUCTS
from oracles.record import Oracle
from oracles.reductions import REDUCTIONS, SCANS, SORTING
from oracles.views import VIEWS

__all__ = ["ELEMENTWISE", "ERRORS", "ORACLES", "Oracle"]

# Other names of an op.
ALIASES = {
    "absolute": "abs",
    "negative": "neg",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "arctan2": "atan2",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "moveaxis": "movedim",
}


def alias(oracle, name):
    """The same record under another name, with arguments by position: their names differ."""
    return replace(
        oracle,
        name=name,
        op=lambda lib, *xs, **kwargs: getattr(lib, name)(*xs, *kwargs.values()),
        inplace=False,
        errors=[],
    )


NAMED = [
    *ELEMENTWISE,
    *CHOOSING,
    *REDUCTIONS,
    *SCANS,
    *SORTING,
    *MOVING,
    *VIEWS,
    *PRODUCTS,
    *NETWORKS,
    *CONVOLUTION,
]

# Errors of no op alone: (call, exception, words in its message).
# fmt: off
MORE_ERRORS = [
    (lambda lib: lib.ones(2, 3) + lib.ones(2), RuntimeError, "3"),
    (lambda lib: lib.ones(2, 3).add_(lib.ones(2, 2, 3)), RuntimeError, ""),
    (lambda lib: lib.ones(2, dtype=lib.int64).add_(0.5), RuntimeError, ""),
    (lambda lib: lib.ones(2, dtype=lib.int64).sqrt_(), RuntimeError, ""),
    (lambda lib: lib.bitwise_and(lib.ones(2), lib.ones(2)), RuntimeError, ""),
    (lambda lib: -lib.tensor([True]), RuntimeError, ""),
    (lambda lib: lib.ones(2) + "a", TypeError, ""),
    (lambda lib: lib.add(lib.ones(2), None), TypeError, ""),
    (lambda lib: lib.sin("a"), TypeError, ""),
    (lambda lib: lib.sin(), TypeError, ""),
    (lambda lib: lib.sin(lib.ones(2), 3), TypeError, ""),
    (lambda lib: lib.ones(2).item(), (RuntimeError, ValueError), ""),
    (lambda lib: bool(lib.ones(2)), RuntimeError, ""),
    (lambda lib: bool(lib.ones(0)), RuntimeError, ""),
    (lambda lib: len(lib.tensor(1.0)), TypeError, "0-d"),
    (lambda lib: iter(lib.tensor(1.0)), TypeError, "0-d"),
    (lambda lib: lib.ones(2, 3)[2], IndexError, ""),
    (lambda lib: lib.ones(2, 3)[0, 0, 0], IndexError, ""),
    (lambda lib: lib.tensor([[1], [1, 2]]), ValueError, ""),
    (lambda lib: lib.tensor("a"), (TypeError, ValueError), ""),
    (lambda lib: lib.zeros(-1), RuntimeError, ""),
    (lambda lib: lib.ones(2, requires_grad=True).numpy(), RuntimeError, ""),
]
# fmt: on

ORACLES = NAMED + [alias(o, n) for n, old in ALIASES.items() for o in NAMED if o.name == old]
ERRORS = [(o.name, *e) for o in ORACLES for e in o.errors] + [("tensor", *e) for e in MORE_ERRORS]
