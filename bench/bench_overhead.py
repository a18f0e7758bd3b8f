"""Ops on four floats: nothing is computed, all is overhead."""

import pytest


@pytest.fixture
def leaves(taped):
    def leaf():
        return taped.tensor([0.9, 0.95, 1.05, 1.1], requires_grad=True)  # whose powers stay normal

    return leaf(), leaf()


def bench_add_of_4(measure, tensor):
    measure("a + b", a=tensor(4), b=tensor(4))


def bench_add_of_4_on_the_tape(measure, leaves):
    a, b = leaves
    measure("a + b", a=a, b=b)


def bench_100_multiplications_of_4_and_backward(measure, leaves):
    a, b = leaves

    def chain():
        y = a
        for _ in range(100):
            y = y * b
        y.sum().backward()

    measure("chain()", chain=chain)


def bench_small_expression_and_backward(measure, taped):
    def expression(tensor):
        x = tensor([0.1, 0.2, 0.3, 0.4], requires_grad=True)
        y = tensor([0.5, 0.6, 0.7, 0.8], requires_grad=True)
        ((x * y + x.tanh()) * (y - x) + x / y).sum().backward()

    measure("expression(tensor)", expression=expression, tensor=taped.tensor)
