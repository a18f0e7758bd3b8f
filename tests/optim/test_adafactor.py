"""Adafactor against its formula in float64, and against PyTorch's."""

import numpy as np
import pytest
from optim_references import adafactor
from optim_runs import assert_same_path, go

import tinygrad_lessons as tg
from tinygrad_lessons import optim

SHAPES = [(), (3,), (5, 7), (2, 3, 4), (1, 6)]
OPTIONS = [
    {"lr": 0.02},
    {"lr": 0.5, "d": 1.5, "weight_decay": 0.1},
    {"lr": 0.02, "beta2_decay": -0.5, "eps": (1e-2, 0.5), "maximize": True},
]


def problem(dtype, steps=60):
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    gradients = [
        [
            None if (i + t) % 5 == 0 else rng.normal(size=s).astype(dtype)
            for i, s in enumerate(SHAPES)
        ]
        for t in range(steps)
    ]
    return starts, gradients


def run(lib, dtype, options):
    starts, gradients = problem(dtype)
    params = [lib.tensor(start, requires_grad=True) for start in starts]
    optimizer = lib.optim.Adafactor(params, **options)
    return go(lib, optimizer, params, gradients), optimizer


def by_reference(dtype, options, rule=adafactor):
    starts, gradients = problem(dtype)
    params, states, path = [s.astype(np.float64) for s in starts], [{} for _ in starts], []
    for t, row in enumerate(gradients):
        now = {**options, "lr": options["lr"] * (1.0 if t < 40 else 0.3)}
        for i, g in enumerate(row):
            if g is not None:
                g = g.astype(np.float64)
                params[i] = rule(params[i], g, states[i], **now, type_eps=np.finfo(dtype).eps)
        path.append(list(params))
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_formula(options, dtype):
    assert_same_path(run(tg, dtype, options)[0], by_reference(dtype, options), dtype)


MISTAKES = {
    "steps are not clipped": {"d": 1e9},
    "no scale of the parameter": {"eps": (None, 10.0)},
    "the decay is fixed": {"beta2_decay": 0.0},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_caught(mistake):
    path = by_reference("float64", {**OPTIONS[0], **MISTAKES[mistake]})
    with pytest.raises(AssertionError):
        assert_same_path(run(tg, "float64", OPTIONS[0])[0], path, "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_torch(options, dtype):
    torch = pytest.importorskip("torch")
    (ours, one), (theirs, other) = (run(lib, dtype, options) for lib in (tg, torch))
    assert_same_path(ours, theirs, dtype)
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
