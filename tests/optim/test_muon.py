"""Muon against its formula in float64, and against PyTorch's within the error of bfloat16."""

from functools import cache

import numpy as np
import pytest
from optim_references import MUTANTS, muon, mutant
from optim_runs import STEPS, go, problem, run, run_reference

import tinygrad_lessons as tg
from tinygrad_lessons import optim

SHAPES = [(3, 3), (4, 9), (17, 5), (1, 6), (6, 1)]
OPTIONS = [
    {"lr": 0.02},
    {"lr": 0.02, "nesterov": False, "momentum": 0.8, "weight_decay": 0.3},
    {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0},
    {"lr": 0.02, "adjust_lr_fn": "original", "ns_steps": 3, "ns_coefficients": (3.0, -3.2, 1.2)},
]
# PyTorch's steps of 0.02 times up to 2 are each off by a few times 2⁻⁷, to either side.
BFLOAT16 = 0.02 * 2 * 2.0**-7 * STEPS**0.5 * 4


def make(options):
    return lambda lib, params: lib.optim.Muon(params, **options)


@cache
def torch_path(k, dtype):
    torch = pytest.importorskip("torch")
    return run(torch, make(OPTIONS[k]), dtype, True, SHAPES)


def error(a, b):
    """The largest over the path; both start at the same place."""
    return max(
        np.abs(x - y).max()
        for one, other in zip(a, b, strict=True)
        for x, y in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("float64", 1e-12)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_formula(options, dtype, bound, gaps):
    path = run(tg, make(options), dtype, gaps, SHAPES)
    assert error(path, run_reference(muon, dtype, options, gaps, SHAPES)) < bound


@pytest.mark.parametrize("mistake", [name for name in MUTANTS if MUTANTS[name][0] == "muon"])
def test_mistakes_are_caught(mistake):
    wrong = mutant(*MUTANTS[mistake])
    assert any(
        error(
            run(tg, make(options), "float64", False, SHAPES),
            run_reference(wrong, "float64", options, False, SHAPES),
        )
        > 1e-6
        for options in OPTIONS
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", range(len(OPTIONS)))
def test_torch_within_bfloat16(k, dtype):
    ours = run(tg, make(OPTIONS[k]), dtype, True, SHAPES)
    assert error(ours, torch_path(k, dtype)) < BFLOAT16
    assert error(ours[-1:], problem(dtype, shapes=SHAPES)[:1]) > 5 * BFLOAT16


def test_two_groups_as_torch():
    torch = pytest.importorskip("torch")

    def make(lib, params):
        groups = [
            {"params": params[:2], "lr": 0.01, "momentum": 0.5},
            {"params": params[2:], "weight_decay": 0.5, "nesterov": False},
        ]
        return lib.optim.Muon(groups, lr=0.02)

    ours, theirs = (run(lib, make, "float32", True, SHAPES) for lib in (tg, torch))
    assert error(ours, theirs) < BFLOAT16


@pytest.mark.parametrize("ours_first", [False, True], ids=["from", "to"])
@pytest.mark.parametrize("k", range(len(OPTIONS)))
def test_state_moves_over(k, ours_first):
    torch, options = pytest.importorskip("torch"), OPTIONS[k]
    source, target = (tg, torch) if ours_first else (torch, tg)
    starts, gradients = problem("float32", gaps=True, shapes=SHAPES)
    params = [source.tensor(start, requires_grad=True) for start in starts]
    old = make(options)(source, params)
    path = go(source, old, params, gradients[:50])
    moved = [target.tensor(p.detach().numpy(), requires_grad=True) for p in params]
    new = make(options)(target, moved)
    state = old.state_dict()
    for entry in state["state"].values() if ours_first else ():
        entry["momentum_buffer"] = torch.tensor(entry["momentum_buffer"].numpy())
    new.load_state_dict(state)
    path += go(target, new, moved, gradients[50:], first=50)
    assert error(path, torch_path(k, "float32")) < BFLOAT16


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_state_is_torchs(options):
    torch = pytest.importorskip("torch")
    starts, gradients = problem("float32", gaps=True, shapes=SHAPES)
    optimizers = []
    for lib in (tg, torch):
        params = [lib.tensor(start, requires_grad=True) for start in starts]
        optimizers.append(make(options)(lib, params))
        go(lib, optimizers[-1], params, gradients)
    one, other = optimizers
    assert repr(one) == repr(other)
    for p, q in zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True):
        assert list(one.state[p]) == list(other.state[q]) == ["momentum_buffer"]
        np.testing.assert_allclose(
            one.state[p]["momentum_buffer"].numpy(),
            other.state[q]["momentum_buffer"].numpy(),
            rtol=1e-4,
            atol=1e-5,
        )


def test_no_gradient_no_step():
    p = tg.ones(2, 2, requires_grad=True)
    muon = optim.Muon([p])
    muon.step()
    assert p.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert p not in muon.state
    assert muon.step(lambda: 7) == 7
