"""Sums and other folds, scans, and sorting."""

import pytest

ROWS, COLUMNS = 256, 1024
NEAR_ONE = {"low": 0.99, "high": 1.01}  # products that stay normal numbers
BOOLS = {"low": 0, "high": 2, "dtype": "bool"}
CASES = {
    **dict.fromkeys(("amax", "amin", "argmax", "argmin", "var", "cumsum", "argsort"), {}),
    **dict.fromkeys(("logsumexp", "softmax", "log_softmax"), {}),
    **dict.fromkeys(("prod", "cumprod"), NEAR_ONE),
    **dict.fromkeys(("any", "all"), BOOLS),
}
WHOLE = ("cumsum", "cumprod", "argsort", "softmax", "log_softmax")  # whose result is as large


@pytest.mark.parametrize(
    "count", [pytest.param(n, id=f"sum of {text}") for n, text in ((4096, "4096"), (2**20, "2^20"))]
)
def bench_sum(measure, tensor, count):
    measure("x.sum()", x=tensor(count), operations=count, moved=4 * count)


@pytest.mark.parametrize(
    "axis", [pytest.param(axis, id=f"sum of 1024x1024 along {axis}") for axis in (0, 1)]
)
def bench_sum_along(measure, tensor, axis):
    measure("x.sum(axis)", x=tensor(1024, 1024), axis=axis, operations=2**20, moved=4 * 2**20)


def bench_mean(measure, tensor):
    measure("x.mean()", x=tensor(4096), operations=4096, moved=4 * 4096)


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=f"{name} of {ROWS}x{COLUMNS}") for name in CASES]
)
def bench_fold(measure, find_op, tensor, name):
    count = ROWS * COLUMNS
    item = 1 if CASES[name] is BOOLS else 4
    measure(
        "op(x, 1)", op=find_op(name), x=tensor(ROWS, COLUMNS, **CASES[name]),
        operations=count, moved=count * item * (2 if name in WHOLE else 1),
    )  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param("softmax", id="softmax of 1024x1024")])
def bench_softmax(measure, find_op, tensor, name):
    measure("op(x, 1)", op=find_op(name), x=tensor(1024, 1024), operations=2**20, moved=8 * 2**20)
