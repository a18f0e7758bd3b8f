"""Ops on as many elements as fill the caches."""

import pytest

from bench.bench_ops import find

MILLION = 2**20


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.target(ratio))
        for name, ratio in {"exp": 2.5, "tanh": 1.6, "log": 1.9, "sigmoid": 1.9, "erf": 2.5}.items()
    ],
)
def bench_large(measure, framework, tensor, name):
    op = find(framework, name) or pytest.skip(f"no {name} here")
    measure("op(x)", op=op, x=tensor(MILLION))


@pytest.mark.parametrize("n", [4096, pytest.param(MILLION, marks=pytest.mark.target(1))])
def bench_sum(measure, tensor, n):
    measure("x.sum()", x=tensor(n))


@pytest.mark.parametrize("axis", [0, 1])
def bench_sum_along(measure, tensor, axis):
    measure("x.sum(axis)", x=tensor(1024, 1024), axis=axis)


@pytest.mark.target(4)
def bench_add_transposed(measure, tensor):
    measure("x + y", x=tensor(1024, 1024), y=tensor(1024, 1024).T)
