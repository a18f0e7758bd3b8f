"""Every rule against its paper's formula and closed forms; known mistakes must be caught."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from optim_references import MUTANTS, PYTHON, REFERENCES, mutant
from optim_runs import (
    ALL_CASES,
    ALL_IDS,
    FIXED,
    OPTIONS,
    OURS,
    RULES,
    SPARSE_CASES,
    assert_same_path,
    reference_step,
    run,
    run_reference,
)

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons._core import OPTIM_RULES


def ours(name, options):
    return lambda lib, params: getattr(lib.optim, name)(params, **options)


def test_every_rule_has_a_reference():
    assert set(OPTIM_RULES) == set(REFERENCES)
    assert {rule for _, rule, _, _ in ALL_CASES + SPARSE_CASES} == set(REFERENCES)


@pytest.mark.kernel
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "rule", "fixed", "options"), ALL_CASES, ids=ALL_IDS)
def test_formula(name, rule, fixed, options, dtype, gaps):
    expected = run_reference(REFERENCES[rule], dtype, {**fixed, **options}, gaps)
    assert_same_path(run(tg, ours(name, options), dtype, gaps), expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_groups_have_options_of_their_own(dtype):
    first = {"lr": 0.05, "momentum": 0.9, "nesterov": True}
    second = {"lr": 0.1, "momentum": 0, "weight_decay": 0.3, "maximize": True}

    def make(lib, params):
        groups = [{"params": params[:3], **first}, {"params": params[3:], **second}]
        return lib.optim.SGD(groups, lr=7.0)

    options = [first] * 3 + [second] * 4
    expected = run_reference(REFERENCES["sgd"], dtype, options, gaps=True)
    assert_same_path(run(tg, make, dtype, gaps=True), expected, dtype)


@cache
def our_path(case):
    name, _, _, options = ALL_CASES[case]
    return run(tg, ours(name, options), "float64")


def paths_differ(rule, wrong):
    for case, (_, its_rule, fixed, options) in enumerate(ALL_CASES):
        if its_rule == rule:
            path = run_reference(wrong, "float64", {**fixed, **options})
            try:
                assert_same_path(our_path(case), path, "float64")
            except AssertionError:
                return True
    return False


DENSE = [rule for rule in REFERENCES if rule != "sparse_adam"]  # that one: test_sparse_steps.py


@pytest.mark.parametrize("mistake", [name for name in MUTANTS if MUTANTS[name][0] in DENSE])
def test_mistakes_are_caught(mistake):
    rule, *changes = MUTANTS[mistake]
    assert paths_differ(rule, mutant(rule, *changes))


@pytest.mark.parametrize("rule", DENSE)
def test_what_the_mistakes_are_made_from_is_right(rule):
    assert not paths_differ(rule, mutant(rule))


def test_every_rule_has_mistakes():
    assert {rule for rule, *_ in MUTANTS.values()} == {*REFERENCES, *PYTHON}


# ---- closed forms, with gradients from the tape ----

CURVATURE = np.array([0.1, 0.5, 1.0, 3.0])
START = np.array([1.0, -2.0, 0.5, 4.0])


def descend(make, steps):
    """The path on ½ Σ λ p²."""
    p = tg.tensor(START, requires_grad=True)
    curvature = tg.tensor(CURVATURE)
    optimizer = make([p])
    path = [START]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * curvature * p * p).sum().backward()
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


def second_order(p1, a, b, steps):
    """p[t + 1] = a p[t] + b p[t - 1], solved by the roots of r² = a r + b."""
    root = np.sqrt(a * a + 4 * b + 0j)
    r, s = (a + root) / 2, (a - root) / 2
    c = (p1 - s * START) / (r - s)
    t = np.arange(steps + 1)[:, None]
    return (c * r**t + (START - c) * s**t).real


def test_gradient_descent_on_a_quadratic():
    path = descend(lambda p: optim.SGD(p, lr=0.3), 60)
    expected = START * (1 - 0.3 * CURVATURE) ** np.arange(61)[:, None]
    np.testing.assert_allclose(path, expected, rtol=1e-13)


def test_momentum_on_a_quadratic():
    lr, mu = 0.3, 0.8
    path = descend(lambda p: optim.SGD(p, lr=lr, momentum=mu), 60)
    a = lr * CURVATURE
    expected = second_order((1 - a) * START, 1 + mu - a, -mu, 60)
    np.testing.assert_allclose(path, expected, rtol=1e-11, atol=1e-13)


def test_nesterov_on_a_quadratic():
    """x[t + 1] = (1 - a) y[t],  y[t + 1] = x[t + 1] + mu (x[t + 1] - x[t]); the parameter is y."""
    lr, mu = 0.3, 0.8
    path = descend(lambda p: optim.SGD(p, lr=lr, momentum=mu, nesterov=True), 60)
    left = 1 - lr * CURVATURE
    expected = second_order(left * START + mu * (left - 1) * START, (1 + mu) * left, -mu * left, 60)
    np.testing.assert_allclose(path, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_under_a_constant_gradient(amsgrad):
    """m̂ = g and v̂ = g² at every t, whatever the betas."""
    g = np.array([1e-3, -2.0, 50.0])
    p = tg.tensor(np.zeros(3), requires_grad=True)
    adam = optim.Adam([p], lr=0.01, betas=(0.8, 0.99), eps=1e-3, amsgrad=amsgrad)
    for _ in range(200):
        p.grad = tg.tensor(g)
        adam.step()
    np.testing.assert_allclose(p.detach().numpy(), -200 * 0.01 * g / (np.abs(g) + 1e-3), rtol=1e-12)


def test_adamw_without_gradient_only_decays():
    p = tg.tensor(START, requires_grad=True)
    adamw = optim.AdamW([p], lr=0.1, weight_decay=0.5)
    for _ in range(50):
        p.grad = tg.zeros(4, dtype=tg.float64)
        adamw.step()
    np.testing.assert_allclose(p.detach().numpy(), START * 0.95**50, rtol=1e-13)


OF_PARAMETERS = {"SGDScheduleFree", "AdamWScheduleFree", "LARS", "LAMB", "Prodigy"}


@pytest.mark.kernel
@pytest.mark.parametrize("name", [name for name in OPTIONS | OURS if name not in OF_PARAMETERS])
def test_infinite_parameters_stay_infinite(name):
    """Without decay, and without differences or norms of parameters."""
    p = tg.tensor([-float("inf"), 1.0], requires_grad=True)
    p.grad = tg.tensor([0.0, 1.0])
    options = {"weight_decay": 0} if name == "AdamW" else {}
    getattr(optim, name)([p], lr=0.1, **options).step()
    assert p[0].item() == -float("inf")
    assert p[1].item() < 1


@pytest.mark.kernel
@pytest.mark.parametrize("name", OPTIONS | OURS)
def test_a_nan_gradient_is_seen(name):
    p = tg.tensor([1.0, 1.0], requires_grad=True)
    optimizer = getattr(optim, name)([p], lr=0.1)
    if "Free" in name:
        optimizer.train()
    for g in ([1.0, 1.0], [float("nan"), 1.0], [1.0, 1.0]):
        p.grad = tg.tensor(g)
        optimizer.step()
    assert np.isnan(p[0].item())
    assert np.isfinite(p[1].item())


@pytest.mark.kernel
def test_rprop_sees_tiny_gradients():
    """Their product would be zero."""
    p = tg.tensor([0.0], requires_grad=True)
    rprop = optim.Rprop([p], lr=1.0)
    for _ in range(2):
        p.grad = tg.tensor([-1e-30])
        rprop.step()
    assert p.item() == pytest.approx(1.0 + 1.2)


@pytest.mark.kernel
def test_a_variance_below_zero_counts_as_zero():
    p = tg.tensor([0.0], requires_grad=True)
    rmsprop = optim.RMSprop([p], lr=1.0, alpha=0.5, eps=1.0, centered=True)
    for t in range(60):
        p.grad = tg.tensor([0.1 + 1e-9 * t])
        rmsprop.step()
        assert np.isfinite(p.item())


@pytest.mark.kernel
def test_asgd_averages_from_t0_on():
    p = tg.tensor([0.0], dtype=tg.float64, requires_grad=True)
    asgd = optim.ASGD([p], lr=0.1, lambd=0.0, t0=2)
    path = []
    for g in (1.0, -2.0, 3.0, 0.5, -1.0):
        p.grad = tg.tensor([g], dtype=tg.float64)
        asgd.step()
        path.append(p.item())
        # mu is 1 for as long as t - t0 is at most 1, then 1/2, 1/3, …
        assert asgd.state[p]["ax"].item() == pytest.approx(np.mean(path[3:] or path[-1:]), abs=1e-8)


@pytest.mark.kernel
def test_an_element_does_not_depend_on_where_it_stands():
    """The same numbers in tensors of many sizes, bit for bit."""
    values = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    cuts = [0, 1, 3, 10, 26, 27, 60, 91, 155, 300]

    def result(cuts):
        pieces = [slice(a, b) for a, b in pairwise(cuts)]
        params = [tg.tensor(values[0, piece], requires_grad=True) for piece in pieces]
        adam = optim.AdamW(params, lr=0.01, amsgrad=True, weight_decay=0.1)
        for t in range(5):
            for p, piece in zip(params, pieces, strict=True):
                p.grad = tg.tensor(values[1, piece] * (t - 2))
            adam.step()
        return np.concatenate([p.detach().numpy() for p in params])

    assert result(cuts).tobytes() == result([0, 300]).tobytes()


def schedule_free(name, **options):
    p = tg.tensor([1.0, -2.0], dtype=tg.float64, requires_grad=True)
    return p, getattr(optim, name)([p], lr=0.1, **options)


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["SGDScheduleFree", "AdamWScheduleFree"])
def test_schedule_free_is_the_average_in_eval_mode(name):
    """With weight_lr_power 0, x is the plain mean of all z, and y lies between x and z."""
    p, optimizer = schedule_free(name, weight_lr_power=0.0)
    optimizer.train()
    steps = []
    for t in range(10):
        p.grad = tg.tensor([np.sin(t), np.cos(t)], dtype=tg.float64)
        optimizer.step()
        steps.append(optimizer.state[p]["z"].numpy().copy())
    y = p.detach().numpy().copy()
    optimizer.eval()
    x = p.detach().numpy().copy()
    np.testing.assert_allclose(x, np.mean(steps, 0), rtol=1e-12)
    np.testing.assert_allclose(y, 0.1 * steps[-1] + 0.9 * x, rtol=1e-12)
    optimizer.eval()
    np.testing.assert_array_equal(p.detach().numpy(), x)
    optimizer.train()
    np.testing.assert_allclose(p.detach().numpy(), y, rtol=1e-12)


@pytest.mark.parametrize("name", ["SGDScheduleFree", "AdamWScheduleFree"])
def test_schedule_free_steps_in_train_mode_only(name):
    p, optimizer = schedule_free(name)
    p.grad = tg.ones(2, dtype=tg.float64)
    with pytest.raises(RuntimeError, match=f"{name}: step in eval mode"):
        optimizer.step()
    assert p.tolist() == [1.0, -2.0]
    with pytest.raises(ValueError, match="Schedule-Free needs one"):
        schedule_free(name, **({"momentum": 0} if "SGD" in name else {"betas": (0, 0.9)}))


@pytest.mark.kernel
@pytest.mark.parametrize("name", OPTIONS | OURS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tensor_that_is_cut_for_threads(name, dtype):
    rng = np.random.default_rng(0)
    start, *gradients = rng.normal(size=(4, 3, 50_001)).astype(dtype)
    options = (OPTIONS | OURS)[name][0]
    rule, state, whole = RULES.get(name, name.lower()), {}, {}
    expected = start.astype(np.float64)
    p = tg.tensor(start, requires_grad=True)
    optimizer = getattr(optim, name)([p], **options)
    if "Free" in name:
        optimizer.train()
    for g in gradients:
        p.grad = tg.tensor(g)
        optimizer.step()
        options = {**FIXED.get(name, {}), **options}
        (expected,) = reference_step(REFERENCES[rule], [expected], [g], [state], whole, [options])
    assert_same_path([[p.detach().numpy()]], [[expected]], dtype)
