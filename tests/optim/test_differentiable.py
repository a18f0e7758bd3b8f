"""Gradients through the update: the same steps as compiled ones, and their derivatives."""

import inspect

import numpy as np
import pytest
from optim_runs import CASES, IDS, OPTIONS, assert_same_path

import tinygrad_lessons as tg
from tinygrad_lessons import optim

STEPS = 4
RNG = np.random.default_rng(0)
START = RNG.normal(size=5)
GRADIENTS = RNG.normal(size=(STEPS, 5)) * 10.0 ** RNG.integers(-1, 2, (STEPS, 5))


def steps(lib, name, options, start, gradients, *, differentiable):
    """The parameter after each step; all on the tape if differentiable."""
    p = start.clone() if differentiable else start.detach().clone().requires_grad_()
    optimizer = getattr(lib.optim, name)([p], **options, differentiable=differentiable)
    path = []
    for g in gradients:
        p.grad = g
        optimizer.step()
        path.append(p.clone() if differentiable else p.detach().clone())
    return path


def compiled(name, options, start, gradients):
    gradients = [tg.tensor(g) for g in gradients]
    path = steps(tg, name, options, tg.tensor(start), gradients, differentiable=False)
    return [p.numpy() for p in path]


@pytest.mark.parametrize(("name", "_rule", "_fixed", "options"), CASES, ids=IDS)
def test_the_same_steps(name, _rule, _fixed, options):
    start = tg.tensor(START, requires_grad=True)
    gradients = [tg.tensor(g) for g in GRADIENTS]
    path = steps(tg, name, options, start, gradients, differentiable=True)
    expected = compiled(name, options, START, GRADIENTS)
    assert_same_path([[p.detach().numpy()] for p in path], [[p] for p in expected], "float64")


SMOOTH = [(name, grid[-1]) for name, grid in OPTIONS.items() if name != "Rprop"]
SMOOTH += [("SGD", OPTIONS["SGD"][5]), ("Adam", OPTIONS["Adam"][0])]


@pytest.mark.parametrize(("name", "options"), SMOOTH, ids=str)
def test_gradients_are_those_of_the_compiled_step(name, options):
    """By central differences of a projection of the last point, by start and by gradients."""
    weights = np.cos(np.arange(5.0))
    start = tg.tensor(START, requires_grad=True)
    gradients = [tg.tensor(g, requires_grad=True) for g in GRADIENTS]
    path = steps(tg, name, options, start, gradients, differentiable=True)
    (path[-1] * tg.tensor(weights)).sum().backward()

    def value(start, gradients):
        return compiled(name, options, start, gradients)[-1] @ weights

    for i in range(5):
        h = 1e-5 * np.eye(5)[i]
        slope = (value(START + h, GRADIENTS) - value(START - h, GRADIENTS)) / 2e-5
        assert start.grad[i].item() == pytest.approx(slope, rel=1e-4, abs=1e-8)
        for t in range(STEPS):
            up, down = GRADIENTS.copy(), GRADIENTS.copy()
            up[t] += h
            down[t] -= h
            slope = (value(START, up) - value(START, down)) / 2e-5
            assert gradients[t].grad[i].item() == pytest.approx(slope, rel=1e-3, abs=1e-7)


# PyTorch cuts its first momentum buffer off the tape, counts Adam's steps in float32, and cannot
# differentiate two steps of AMSGrad.
TORCHS = [("SGD", o, 1e-12) for o in OPTIONS["SGD"] if "momentum" not in o]
TORCHS += [("Adam", o, 2e-5) for o in OPTIONS["Adam"] if "amsgrad" not in o]


@pytest.mark.parametrize(("name", "options", "rtol"), TORCHS, ids=str)
def test_gradients_are_torchs(name, options, rtol):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (tg, torch):
        start = lib.tensor(START, requires_grad=True)
        gradients = [lib.tensor(g, requires_grad=True) for g in GRADIENTS]
        path = steps(lib, name, options, start, gradients, differentiable=True)
        (path[-1] ** 3).sum().backward()
        found.append([x.grad.numpy() for x in (start, *gradients)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-3 * rtol)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_learning_the_learning_rate(name):
    """The loss after two steps, by lr: through gradients that are on the tape themselves."""

    def loss_after(lr, differentiable):
        p = tg.tensor(START, requires_grad=True)
        q = p.clone() if differentiable else p
        optimizer = getattr(optim, name)([q], lr=lr, differentiable=differentiable)
        for _ in range(2):
            at = q.clone()
            (q.grad,) = tg.autograd.grad((at**4).sum(), at, create_graph=differentiable)
            optimizer.step()
        return (q**4).sum()

    lr = tg.tensor(0.01, dtype=tg.float64, requires_grad=True)
    loss_after(lr, True).backward()
    slope = (loss_after(0.01 + 1e-6, False) - loss_after(0.01 - 1e-6, False)).item() / 2e-6
    assert lr.grad.item() == pytest.approx(slope, rel=1e-5)


def test_groups_may_differ():
    a = tg.tensor([1.0], requires_grad=True)
    b = tg.tensor([1.0], requires_grad=True)
    moved = a.clone()
    sgd = optim.SGD([{"params": [moved], "differentiable": True}, {"params": [b]}], lr=0.5)
    moved.grad, b.grad = tg.tensor([1.0]), tg.tensor([1.0])
    sgd.step()
    assert moved.tolist() == b.tolist() == [0.5]
    moved.sum().backward()
    assert a.grad.tolist() == [1.0]


def test_a_leaf_is_refused():
    p = tg.tensor([1.0], requires_grad=True)
    sgd = optim.SGD([p], lr=0.5, differentiable=True)
    p.grad = tg.tensor([1.0])
    with pytest.raises(RuntimeError, match="leaf"):
        sgd.step()


def test_every_class_of_torchs_with_the_option_is_tried():
    classes = {name: getattr(optim, name) for name in optim.__all__}
    having = {
        name
        for name, it in classes.items()
        if isinstance(it, type) and "differentiable" in inspect.signature(it).parameters
    }
    assert having == set(OPTIONS)
