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

# The class: its options, and for each surface the learning rate, which falls to zero on the way, or
# None where it is too slow: in Rosenbrock's valley most are.
FOR = (
    "booth", "himmelblau", "beale", "quadratic", "rotated_quadratic", "double_well", "rosenbrock",
)  # fmt: skip
SOLVED = {
    "SGD": ({"momentum": 0.9}, 0.01, 0.01, 0.01, 0.01, 0.001, 0.01, None),
    "ASGD": ({}, 0.01, 0.001, None, 0.01, 0.01, 0.1, None),
    "Rprop": ({}, 0.001, 0.001, 0.01, 0.1, 0.1, 0.1, None),
    "Adagrad": ({}, 10, 1, 1, 1, 10, 0.1, None),
    "RMSprop": ({}, 0.1, 0.01, 0.01, 0.1, 0.1, 0.1, None),
    "Adadelta": ({}, 10, 1, 1, 1, 1, 1, None),
    "Adam": ({}, 1, 0.1, 1, 0.1, 1, 0.1, 1),
    "AdamW": ({"weight_decay": 0}, 1, 0.1, 1, 0.1, 1, 0.1, 1),
    "Adamax": ({}, 10, 1, 1, 1, 1, 0.1, None),
    "NAdam": ({}, 10, 1, 0.1, 0.1, 1, 0.1, None),
    "RAdam": ({"betas": (0.9, 0.9)}, 0.01, 0.01, 0.01, 0.01, 0.01, 0.1, None),
    "Yogi": ({}, 1, 1, 1, 0.1, 1, 0.1, 1),
    "AdaBelief": ({"eps": 1e-12}, 10, 0.1, 1, 0.1, 1, 0.1, 1),
    "Adan": ({}, 1, 0.1, 0.1, 0.1, 1, 0.1, 0.1),
    "Lion": ({}, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, None),
    "SGDScheduleFree": ({}, 1, 0.1, None, 0.1, 0.1, 0.1, None),
    "AdamWScheduleFree": ({}, 1, 10, 0.1, 1, 1, 1, None),
    "LARS": ({"trust_coefficient": 0.1}, 0.01, 0.01, 0.1, 1, 1, 0.01, None),
    "Prodigy": ({}, 1, 1, 1, 0.1, 1, 0.1, None),
    "LAMB": ({}, 0.01, 0.01, 0.01, 0.1, 0.1, 0.1, None),
    "Adafactor": ({}, 0.1, 0.1, 0.01, 1, None, 0.1, None),
}  # fmt: skip


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


@pytest.mark.parametrize("name", SOLVED)
def test_rules_leave_a_saddle(name):
    """From beside the ridge, where the slope along it is a thousandth of that towards it."""
    x = tg.tensor(SURFACES["saddle"].starts[0], dtype=tg.float64, requires_grad=True)
    optimizer = getattr(optim, name)([x], lr=0.1, **SOLVED[name][0])
    if "Free" in name:
        optimizer.train()
    for _ in range(STEPS):
        optimizer.zero_grad()
        height = SURFACES["saddle"](x)
        if height.item() < -10:
            break
        height.backward()
        optimizer.step()
    assert height.item() < -10


ROWS = [
    (name, surface, lr)
    for name, (_, *rates) in SOLVED.items()
    for surface, lr in zip(FOR, rates, strict=True)
    if lr is not None
]


@pytest.mark.parametrize(("name", "surface", "lr"), ROWS)
def test_rules_descend_to_the_minimum(name, surface, lr):
    def make(params):
        return getattr(optim, name)(params, lr=lr, **SOLVED[name][0])

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
