"""Random numbers, and what drops by them."""

import pytest

COUNT = 2**20


def of_a_million(*names):
    return [pytest.param(name, id=f"{name} of 2^20") for name in names]


@pytest.mark.parametrize("name", of_a_million("rand", "randn", "randperm"))
def bench_drawn(measure, find_op, name):
    size = 8 if name == "randperm" else 4
    measure("draw(n)", draw=find_op(name), n=COUNT, operations=COUNT, moved=size * COUNT)


@pytest.mark.parametrize("name", of_a_million("randint"))
def bench_integers(measure, find_op, name):
    measure(
        "draw(0, 100, shape)", draw=find_op(name), shape=(COUNT,),
        operations=COUNT, moved=8 * COUNT,
    )  # fmt: skip


@pytest.mark.parametrize("name", of_a_million("bernoulli"))
def bench_drawn_each(measure, taped, find_op, tensor, name):
    measure("draw(p)", draw=find_op(name), p=tensor(COUNT), operations=COUNT, moved=8 * COUNT)


@pytest.mark.parametrize("name", of_a_million("exponential_", "normal_", "uniform_", "bernoulli_"))
def bench_drawn_in_place(measure, taped, tensor, name):
    draw = getattr(tensor(COUNT), name)
    measure("draw()", draw=draw, operations=COUNT, moved=4 * COUNT)


@pytest.mark.parametrize("name", of_a_million("dropout"))
def bench_dropout(measure, taped, find_op, tensor, name):
    measure(
        "dropout(x, 0.5, True)", dropout=find_op(name), x=tensor(COUNT),
        operations=COUNT, moved=8 * COUNT,
    )  # fmt: skip
