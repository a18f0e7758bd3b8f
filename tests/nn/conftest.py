"""Parity with torch: the same weights and inputs must give the same outputs and gradients."""

import numpy as np
import pytest

import tinygrad_lessons as tg


def _train_once(library, module, inputs, seed):
    """Output and all gradients of sum(output · fixed weights), as arrays."""
    tensors = [library.tensor(value) for value in inputs]
    for tensor in tensors:
        if tensor.is_floating_point():
            tensor.requires_grad_(True)
    output = module(*tensors)
    weights = np.random.default_rng(seed).normal(size=tuple(output.shape))
    (output * library.tensor(weights)).sum().backward()
    parameters = module.parameters() if hasattr(module, "parameters") else ()
    leaves = [t for t in tensors if t.requires_grad] + list(parameters)
    return [output.detach().numpy()] + [
        np.zeros(tuple(leaf.shape)) if leaf.grad is None else leaf.grad.numpy() for leaf in leaves
    ]


@pytest.fixture
def assert_parity():
    """Compare a module or function of ours with torch's, in float64 unless told otherwise."""

    def check(ours, theirs, *inputs, rtol=1e-11, atol=1e-13, seed=0):
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)  # tiny tensors: threads only get in each other's way
        mine = _train_once(tg, ours, inputs, seed)
        other = _train_once(torch, theirs, inputs, seed)
        assert len(mine) == len(other)
        for a, b in zip(mine, other, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)

    return check


@pytest.fixture
def rng():
    return np.random.default_rng(7)
