"""Muon against its formula in float64, and against PyTorch's within the error of bfloat16."""

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import optim

SHAPES = [(3, 3), (4, 9), (17, 5), (1, 6), (6, 1)]
OPTIONS = [
    {"lr": 0.02},
    {"lr": 0.02, "nesterov": False, "momentum": 0.8, "weight_decay": 0.3},
    {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0},
    {"lr": 0.02, "adjust_lr_fn": "original", "ns_steps": 3, "ns_coefficients": (3.0, -3.2, 1.2)},
]


def muon(
    p,
    g,
    state,
    *,
    lr,
    weight_decay=0.1,
    momentum=0.95,
    nesterov=True,
    ns_coefficients=(3.4445, -4.7750, 2.0315),
    eps=1e-7,
    ns_steps=5,
    adjust_lr_fn=None,
):
    """Jordan et al. 2024: the odd polynomial acts on the singular values alone."""
    b = state["b"] = momentum * state.get("b", 0.0) + (1 - momentum) * g
    u = (1 - momentum) * g + momentum * b if nesterov else b
    left, s, right = np.linalg.svd(u, full_matrices=False)
    s = s / max(np.sqrt(np.sum(s**2)), eps)
    for _ in range(ns_steps):
        s = ns_coefficients[0] * s + ns_coefficients[1] * s**3 + ns_coefficients[2] * s**5
    rows, columns = p.shape
    factor = (
        0.2 * max(rows, columns) ** 0.5
        if adjust_lr_fn == "match_rms_adamw"
        else max(1, rows / columns) ** 0.5
    )
    return (1 - lr * weight_decay) * p - lr * factor * (left * s) @ right


def problem(dtype):
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    return starts, [[rng.normal(size=s).astype(dtype) for s in SHAPES] for _ in range(20)]


def path(lib, dtype, options):
    starts, gradients = problem(dtype)
    params = [lib.tensor(start, requires_grad=True) for start in starts]
    optimizer = lib.optim.Muon(params, **options)
    for row in gradients:
        for p, g in zip(params, row, strict=True):
            p.grad = lib.tensor(g)
        optimizer.step()
    return [p.detach().numpy() for p in params], optimizer


def error(a, b):
    return max(np.abs(x - y).max() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_formula(options, dtype, bound):
    starts, gradients = problem(dtype)
    params, states = [s.astype(np.float64) for s in starts], [{} for _ in starts]
    for row in gradients:
        params = [muon(p, g, s, **options) for p, g, s in zip(params, row, states, strict=True)]
    assert error(path(tg, dtype, options)[0], params) < bound
    wrong = [
        muon(p, g, s, **{**options, "nesterov": not options.get("nesterov", True)})
        for p, g, s in zip(params, gradients[0], states, strict=True)
    ]
    assert error(path(tg, dtype, options)[0], wrong) > 100 * bound


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_torch_within_bfloat16(options):
    """20 steps of 0.02 times about 1, each off by a few times 2⁻⁸."""
    torch = pytest.importorskip("torch")
    (ours, one), (theirs, other) = (path(lib, "float32", options) for lib in (tg, torch))
    assert error(ours, theirs) < 20 * 0.02 * 4 * 2.0**-8 * max(s[0] for s in SHAPES) ** 0.5
    assert repr(one) == repr(other)
    for p, q in zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True):
        assert list(one.state[p]) == list(other.state[q]) == ["momentum_buffer"]
        np.testing.assert_allclose(
            one.state[p]["momentum_buffer"].numpy(),
            other.state[q]["momentum_buffer"].numpy(),
            atol=1e-6,
        )


def test_no_gradient_no_step():
    p = tg.ones(2, 2, requires_grad=True)
    muon = optim.Muon([p])
    muon.step()
    assert p.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert p not in muon.state
    assert muon.step(lambda: 7) == 7
