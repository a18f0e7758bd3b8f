"""Every rule on the surfaces that it should solve, and what long runs leave behind."""

import gc

import numpy as np
import pytest
from optim_runs import OPTIONS, OURS

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons.optim.surfaces import SURFACES

STEPS = 1500
CLOSE = 1e-6

# The class: its options, and by surface the learning rate, which falls to zero on the way.
SOLVED = {
    "SGD": ({"momentum": 0.9}, {"booth": 0.01, "himmelblau": 0.01, "beale": 0.01}),
    "ASGD": ({}, {"booth": 0.01, "himmelblau": 0.001}),
    "Rprop": ({}, {"booth": 0.001, "himmelblau": 0.001, "beale": 0.01}),
    "Adagrad": ({}, {"booth": 10, "himmelblau": 1, "beale": 1}),
    "RMSprop": ({}, {"booth": 0.1, "himmelblau": 0.01, "beale": 0.01}),
    "Adadelta": ({}, {"booth": 10, "himmelblau": 1, "beale": 1}),
    "Adam": ({}, {"booth": 1, "himmelblau": 0.1, "beale": 1, "rosenbrock": 1}),
    "AdamW": ({"weight_decay": 0}, {"booth": 1, "himmelblau": 0.1, "beale": 1, "rosenbrock": 1}),
    "Adamax": ({}, {"booth": 10, "himmelblau": 1, "beale": 1}),
    "NAdam": ({}, {"booth": 10, "himmelblau": 1, "beale": 0.1}),
    "RAdam": ({"betas": (0.9, 0.9)}, {"booth": 0.01, "himmelblau": 0.01, "beale": 0.01}),
    "Yogi": ({}, {"booth": 1, "himmelblau": 1, "beale": 1, "rosenbrock": 1}),
    "AdaBelief": ({"eps": 1e-12}, {"booth": 10, "himmelblau": 0.1, "beale": 1, "rosenbrock": 1}),
    "Adan": ({}, {"booth": 1, "himmelblau": 0.1, "beale": 0.1, "rosenbrock": 0.1}),
    "Lion": ({}, {"booth": 0.1, "himmelblau": 0.01, "beale": 0.01}),
    "SGDScheduleFree": ({}, {"booth": 1, "himmelblau": 0.1}),
    "AdamWScheduleFree": ({}, {"booth": 1, "himmelblau": 10, "beale": 0.1}),
    "LARS": ({"trust_coefficient": 0.1}, {"booth": 0.01, "himmelblau": 0.01, "beale": 0.1}),
    "Prodigy": ({}, {"booth": 1, "himmelblau": 1, "beale": 1}),
    "LAMB": ({}, {"booth": 0.01, "himmelblau": 0.01, "beale": 0.01}),
    "Adafactor": ({}, {"booth": 0.1, "himmelblau": 0.1, "beale": 0.01}),
}


def height_above_minimum(surface, make, steps, scheduled=True):
    x = tg.tensor(surface.starts[0], dtype=tg.float64, requires_grad=True)
    optimizer = make([x])
    lr = optimizer.param_groups[0]["lr"]

    def closure():
        optimizer.zero_grad()
        height = surface(x)
        height.backward()
        return height

    if "Free" in type(optimizer).__name__:
        optimizer.train()
        scheduled = False
    for t in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - t / steps) if scheduled else lr
        optimizer.step(closure)
    if "Free" in type(optimizer).__name__:
        optimizer.eval()
    return surface(x).item() - surface.minimum


PAIRS = [(name, surface) for name, (_, rates) in SOLVED.items() for surface in rates]


@pytest.mark.parametrize(("name", "surface"), PAIRS)
def test_rules_descend_to_the_minimum(name, surface):
    options, rates = SOLVED[name]

    def make(params):
        return getattr(optim, name)(params, lr=rates[surface], **options)

    assert abs(height_above_minimum(SURFACES[surface], make, STEPS)) < CLOSE


@pytest.mark.parametrize("surface", ["booth", "himmelblau", "beale", "rosenbrock"])
@pytest.mark.parametrize(
    "make",
    [
        lambda params: optim.LBFGS(params, line_search_fn="strong_wolfe"),
        lambda params: optim.Lookahead(optim.Adam(params, lr=0.3)),
        lambda params: optim.SAM(optim.Adam(params, lr=0.3), rho=1e-9),
    ],
    ids=["LBFGS", "Lookahead", "SAM"],
)
def test_wrappers_and_lbfgs_descend_to_the_minimum(make, surface):
    bound = 1e-3 if surface == "rosenbrock" else CLOSE
    steps = 10 if "LBFGS" in repr(make([tg.ones(1, requires_grad=True)])) else STEPS
    assert abs(height_above_minimum(SURFACES[surface], make, steps, steps == STEPS)) < bound


@pytest.mark.parametrize("search", ["exact", "backtracking"])
def test_line_searches_descend_to_the_minimum(search):
    def make(params):
        return optim.GradientDescent(params, line_search=search)

    for surface in ("booth", "himmelblau"):
        assert abs(height_above_minimum(SURFACES[surface], make, 200, False)) < CLOSE


def test_every_rule_is_tried():
    assert set(SOLVED) == {*OPTIONS, *OURS, "Adafactor"}


# ---- long runs ----


# What else they keep than by default.
KEPT = {"SGD": {"momentum": 0.9}, "RMSprop": {"momentum": 0.9, "centered": True}}


@pytest.mark.kernel
@pytest.mark.parametrize("name", OPTIONS | OURS)
def test_no_denormals_are_left_where_gradients_vanish(name):
    """Nor on the way: with betas of 0.999, mean squares pass there after 87 000 steps."""
    p = tg.tensor(np.ones(37, np.float32), requires_grad=True)
    optimizer = getattr(optim, name)([p], lr=1e-3, **KEPT.get(name, {}))
    if "Free" in name:
        optimizer.train()
    p.grad = tg.ones(37)
    tiny = np.finfo(np.float32).tiny
    for t in range(100_000):
        if t == 10:
            p.grad = tg.full((37,), 1e-42)  # denormal itself
        optimizer.step()
        if t % 1000 == 999:
            for value in (p, *optimizer.state[p].values()):
                numbers = np.abs(value.detach().numpy())
                assert not ((numbers > 0) & (numbers < tiny)).any()
    assert np.float32(1e-42) * np.float32(2) > 0  # elsewhere they are what they were


@pytest.mark.parametrize("name", OPTIONS | OURS)
def test_steps_allocate_nothing_after_the_first(name):
    params = [tg.tensor(np.ones(shape), requires_grad=True) for shape in ((3, 5), (7,), (2, 2))]
    group = {"params": params, "max_grad_norm": 1.0, "l1": 1e-6, "group_lasso": 1e-6}
    optimizer = getattr(optim, name)([group], lr=1e-3)
    if "Free" in name:
        optimizer.train()
    for p in params:
        p.grad = tg.ones_like(p)
    optimizer.step()
    gc.collect()
    before = tg.memory_stats()
    for _ in range(100):
        optimizer.step()
    after = tg.memory_stats()
    assert {k: v for k, v in after.items() if "alloc" in k} == {
        k: v for k, v in before.items() if "alloc" in k
    }
