"""Adafactor against its formula in float64, and against PyTorch's."""

import numpy as np
import pytest
from optim_references import MUTANTS, adafactor, mutant
from optim_runs import ADAFACTOR, FILLED, assert_same_path, go, problem, run, run_reference

import tinygrad_lessons as tg
from tinygrad_lessons import optim


def make(options):
    return lambda lib, params: lib.optim.Adafactor(params, **options)


def by_reference(dtype, options, gaps=False, rule=adafactor):
    options = {**options, "type_eps": np.finfo(dtype).eps}
    return run_reference(rule, dtype, options, gaps, FILLED)


@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", ADAFACTOR, ids=str)
def test_formula(options, dtype, gaps):
    path = run(tg, make(options), dtype, gaps, FILLED)
    assert_same_path(path, by_reference(dtype, options, gaps), dtype)


@pytest.mark.parametrize("mistake", [name for name in MUTANTS if MUTANTS[name][0] == "adafactor"])
def test_mistakes_are_caught(mistake):
    wrong, caught = mutant(*MUTANTS[mistake]), 0
    for options in ADAFACTOR:
        path = run(tg, make(options), "float64", False, FILLED)
        try:
            assert_same_path(path, by_reference("float64", options, rule=wrong), "float64")
        except AssertionError:
            caught += 1
    assert caught


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", ADAFACTOR, ids=str)
def test_state_is_torchs(options, dtype):
    torch = pytest.importorskip("torch")
    starts, gradients = problem(dtype, gaps=True, shapes=FILLED)
    optimizers = []
    for lib in (tg, torch):
        params = [lib.tensor(start, requires_grad=True) for start in starts]
        optimizers.append(make(options)(lib, params))
        go(lib, optimizers[-1], params, gradients)
    one, other = optimizers
    assert repr(one) == repr(other)
    params = zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True)
    for p, q in params:
        state, theirs = one.state[p], other.state[q]
        assert list(state) == list(theirs)
        for name in state:
            assert state[name].shape == theirs[name].shape
            assert str(state[name].dtype).split(".")[-1] == str(theirs[name].dtype).split(".")[-1]
            np.testing.assert_allclose(state[name].numpy(), theirs[name].numpy(), rtol=1e-4)


BAD = [{"lr": -1}, {"beta2_decay": 0.1}, {"eps": (-1, 1e-3)}, {"eps": (None, -1)}, {"d": 0.5}]
BAD += [{"weight_decay": -1}]


@pytest.mark.parametrize("options", BAD, ids=str)
def test_same_errors(options):
    torch = pytest.importorskip("torch")
    texts = []
    for lib in (tg, torch):
        with pytest.raises(ValueError) as caught:
            lib.optim.Adafactor([lib.ones(1, requires_grad=True)], **options)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_an_empty_parameter():
    p = tg.zeros(0, 2, requires_grad=True)
    p.grad = tg.zeros(0, 2)
    optimizer = optim.Adafactor([p])
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 1
