"""Every op that is a row of csrc/*.def, on 4096 elements: a new row is measured unasked."""

from functools import partial
from pathlib import Path
from runpy import run_path

import pytest

from bench.frameworks import OURS

ROOT = Path(__file__).resolve().parent.parent

# By path, so that a peer's process does not load our engine to learn the names.
read_rows = run_path(str(ROOT / "tinygrad_lessons/_core/generate.py"))["read_rows"]
OPS = [row for kind in ("unary", "binary") for row in read_rows(ROOT / f"csrc/{kind}.def")]

TARGETS = dict.fromkeys(["exp", "tanh", "log", "sigmoid", "erf"], 1.3)
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
    "hardshrink": (0.5,),
    "hardtanh": (0.3, 0.7),
    "threshold": (0.5, 0.0),
}


def find(framework, name):
    """The function of that name, where PyTorch keeps it; None if the framework has none."""
    functional = getattr(getattr(framework, "nn", None), "functional", None)
    if name == "gelu_tanh":
        return functional and partial(functional.gelu, approximate="tanh")
    return getattr(framework, name, None) or getattr(functional, name, None)


def parameter(row):
    marks = [pytest.mark.target(TARGETS[row.name])] if row.name in TARGETS else []
    return pytest.param(row, id=row.name, marks=marks)


@pytest.mark.parametrize("row", map(parameter, OPS))
def bench_op(measure, request, framework, tensor, row):
    op = find(framework, row.name)
    if op is None and request.config.getoption("--framework") != OURS:
        pytest.skip(f"no {row.name} here")
    interval = INTEGERS if row.kind == "BITWISE" else INTERVALS.get(row.name, {})
    operands = [tensor(4096, **interval) for _ in row.operands]
    if row.name in ONE_WEIGHT:
        operands[1] = tensor(1)
    measure("op(*operands)", op=op, operands=(*operands, *PARAMETERS.get(row.name, ())))
