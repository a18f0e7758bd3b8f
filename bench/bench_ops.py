"""Every op that is a row of csrc/*.def: a new row is measured unasked. And the element-wise ops written by hand."""

import subprocess
import sys
from ast import literal_eval

import pytest

SMALL, LARGE = 4096, 2**20
LIST_ROWS = "from tinygrad_lessons._core.core import OP_KINDS; print(OP_KINDS)"
# In a process of its own, so that a peer's does not load our engine to learn the names.
ROWS = literal_eval(subprocess.check_output([sys.executable, "-c", LIST_ROWS], text=True))

FLAT = ("BITWISE", "COMPARE", "PREDICATE")  # they have no derivative
INTERVALS = {"acosh": {"low": 1.1, "high": 4}}
INTEGERS = {"low": 1, "high": 100, "dtype": "int64"}
ONE_WEIGHT = {"prelu"}  # the second operand has one element
PARAMETERS = {
    "clamp": (0.3, 0.7),
    "softplus": (1.0, 20.0),
    "elu": (1.0,),
    "celu": (1.0,),
    "leaky_relu": (0.01,),
    "softshrink": (0.5,),
    "huber": (0.5, 1.0),
    "hardshrink": (0.5,),
    "hardtanh": (0.3, 0.7),
    "threshold": (0.5, 0.0),
}


def on(count, names):
    size = "4096" if count == SMALL else f"2^{count.bit_length() - 1}"
    return [pytest.param(name, count, id=f"{name} of {size}") for name in names]


def operands(name, tensor, count):
    """Tensors for the op of a row, without its other parameters."""
    interval = INTEGERS if ROWS[name] == "BITWISE" else INTERVALS.get(name, {})
    one = ROWS[name].startswith("UNARY") or ROWS[name] == "PREDICATE"
    found = [tensor(count, **interval) for _ in range(1 if one else 2)]
    if name in ONE_WEIGHT:
        found[1] = tensor(1)
    return found


@pytest.mark.parametrize(
    "name, count",
    [
        *on(SMALL, ROWS),
        *on(LARGE, ("exp", "tanh", "log", "sigmoid", "erf", "gelu")),
    ],
)
def bench_op(measure, find_op, tensor, name, count):
    op, tensors = find_op(name), operands(name, tensor, count)
    size = 8 if ROWS[name] == "BITWISE" else 4
    moved = count * (size * len(tensors) + (1 if ROWS[name] in FLAT and size == 4 else size))
    measure(
        "op(*args)",
        op=op,
        args=(*tensors, *PARAMETERS.get(name, ())),
        operations=count,
        moved=moved,
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=f"{name}, backward") for name in ROWS if ROWS[name] not in FLAT],
)
def bench_op_and_backward(measure, taped, find_op, tensor, name):
    op, leaves, gradient = find_op(name), operands(name, tensor, SMALL), tensor(SMALL)
    for leaf in leaves:
        leaf.requires_grad_()
    args = (*leaves, *PARAMETERS.get(name, ()))

    def run():
        for leaf in leaves:
            leaf.grad = None
        op(*args).backward(gradient)

    each = 1 + len(leaves)  # arrays that forward moves, and so does each derivative at least
    measure(
        "run()", run=run,
        operations=SMALL * (1 + len(leaves)), moved=4 * SMALL * each * (1 + len(leaves)),
    )  # fmt: skip


def bench_add_of_1024x1024_and_a_transposed(measure, tensor):
    measure(
        "x + y", x=tensor(1024, 1024), y=tensor(1024, 1024).T,
        operations=LARGE, moved=12 * LARGE,
    )  # fmt: skip


def bench_where(measure, framework, tensor):
    x, y = tensor(SMALL), tensor(SMALL)
    measure(
        "where(c, x, y)", where=framework.where, c=x < y, x=x, y=y,
        operations=SMALL, moved=13 * SMALL,
    )  # fmt: skip


def bench_clone(measure, framework, tensor):
    measure("clone(x)", clone=framework.clone, x=tensor(LARGE), operations=LARGE, moved=8 * LARGE)
