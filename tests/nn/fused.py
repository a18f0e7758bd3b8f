"""A layer and the activation after it in one launch: what the tests of it share."""

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU("tanh"),
}
names = pytest.mark.parametrize("name", ACTIVATIONS)


def equal(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and bool((a == b).all())


def tape(y):
    """The names of the steps that lead to y, the last one first."""
    steps, nodes = [], [y.grad_fn]
    while nodes:
        node = nodes.pop()
        steps.append(node.name())
        nodes += [n for n, _ in node.next_functions if n is not None]
    return steps


def assert_as_apart(fused, apart, inputs):
    """The same bits, steps on the tape, gradients and gradients of gradients."""
    assert equal(fused, apart)
    assert tape(fused) == tape(apart)
    first = [tg.autograd.grad((y * y).sum(), inputs, create_graph=True) for y in (fused, apart)]
    assert all(equal(a, b) for a, b in zip(*first, strict=True))
    second = [tg.autograd.grad(sum((g * g).sum() for g in grads), inputs) for grads in first]
    assert all(equal(a, b) for a, b in zip(*second, strict=True))
    if all(x.numel() for x in inputs):
        assert any(bool((g != 0).any()) for g in second[0])
