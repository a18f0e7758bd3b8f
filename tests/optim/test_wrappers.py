"""SAM and Lookahead: their formulas, around several optimizers, and what they pass on."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import optim

CURVATURE = np.array([0.5, 2.0, 7.0])
START = np.array([1.0, -2.0, 0.5])


def quadratic(make):
    """An optimizer of ½ Σ c p², split into two parameters; and the closure."""
    params = [tg.tensor(START[:1], requires_grad=True), tg.tensor(START[1:], requires_grad=True)]
    optimizer = make(params)

    def closure():
        optimizer.zero_grad()
        loss = sum(
            (0.5 * tg.tensor(c) * p * p).sum()
            for c, p in zip((CURVATURE[:1], CURVATURE[1:]), params, strict=True)
        )
        loss.backward()
        return loss

    return params, optimizer, closure


def point(params):
    return np.concatenate([p.detach().numpy() for p in params])


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam(adaptive):
    def make(params):
        return optim.SAM(optim.SGD(params, lr=0.1), rho=0.3, adaptive=adaptive)

    params, sam, closure = quadratic(make)
    x = START
    for _ in range(10):
        loss = sam.step(closure)
        assert loss.item() == pytest.approx(0.5 * np.sum(CURVATURE * x * x))
        g = CURVATURE * x
        size = np.abs(x) if adaptive else 1.0
        e = 0.3 * size**2 * g / np.linalg.norm(size * g)
        x = x - 0.1 * CURVATURE * (x + e)
        np.testing.assert_allclose(point(params), x, rtol=1e-12)


def test_sam_of_a_flat_place():
    p = tg.zeros(2, requires_grad=True)
    sam = optim.SAM(optim.SGD([p], lr=1.0))

    def closure():
        sam.zero_grad()
        loss = (p * 0).sum()
        loss.backward()
        return loss

    sam.step(closure)
    assert p.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("inside", ["SGD", "Adam"])
def test_lookahead(inside):
    k, alpha = 3, 0.4

    def rule(params):
        return getattr(optim, inside)(params, lr=0.05)

    params, lookahead, closure = quadratic(lambda params: optim.Lookahead(rule(params), k, alpha))
    plain, fast, there = quadratic(rule)
    slow = START
    for t in range(1, 11):
        lookahead.step(closure)
        fast.step(there)
        if t % k == 0:
            slow = slow + alpha * (point(plain) - slow)
            for p, part in zip(plain, (slow[:1], slow[1:]), strict=True):
                p.data = tg.tensor(part)
        np.testing.assert_allclose(point(params), point(plain), rtol=1e-12)


MAKERS = [
    lambda params: optim.SAM(optim.SGD(params, lr=0.05, momentum=0.9)),
    lambda params: optim.Lookahead(optim.Adam(params, lr=0.05), k=4),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("through", ["state_dict", "deepcopy", "pickle"])
def test_training_goes_on(make, through):
    params, optimizer, closure = quadratic(make)
    for _ in range(6):
        optimizer.step(closure)
    moved, other, there = quadratic(make)
    if through == "state_dict":
        for p, q in zip(params, moved, strict=True):
            q.data = p.detach().clone()
        other.load_state_dict(optimizer.state_dict())
    else:
        copied = copy.deepcopy if through == "deepcopy" else lambda x: pickle.loads(pickle.dumps(x))
        clone = copied(optimizer)
        moved = clone.param_groups[0]["params"]

        def there():
            clone.zero_grad()
            loss = sum(
                (0.5 * tg.tensor(c) * p * p).sum()
                for c, p in zip((CURVATURE[:1], CURVATURE[1:]), moved, strict=True)
            )
            loss.backward()
            return loss

        other = clone
    for _ in range(6):
        optimizer.step(closure)
        other.step(there)
    np.testing.assert_array_equal(point(params), point(moved))


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_passed_on(make):
    params, optimizer, closure = quadratic(make)
    assert isinstance(optimizer, optim.Optimizer)
    assert optimizer.param_groups is optimizer.optimizer.param_groups
    assert optimizer.defaults["lr"] == 0.05
    extra = tg.tensor([3.0], dtype=tg.float64, requires_grad=True)
    optimizer.add_param_group({"params": [extra], "lr": 0.5})
    assert optimizer.optimizer.param_groups[1]["lr"] == 0.5
    seen = []
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    optimizer.step(closure)
    assert seen == [1]
    assert extra.item() == 3.0
    assert type(optimizer).__name__ in repr(optimizer)


def test_bad_arguments():
    sgd = optim.SGD([tg.ones(1, requires_grad=True)])
    with pytest.raises(TypeError, match="SAM: expected an optimizer, but got list"):
        optim.SAM([tg.ones(1)])
    with pytest.raises(ValueError, match="Invalid rho value: -1"):
        optim.SAM(sgd, rho=-1)
    with pytest.raises(ValueError, match="Invalid k value: 0"):
        optim.Lookahead(sgd, k=0)
    with pytest.raises(ValueError, match="Invalid alpha value: 1.5"):
        optim.Lookahead(sgd, alpha=1.5)


RULES_THAT_LOOK_AROUND = {
    "sam": lambda params: optim.SAM(optim.SGD(params, lr=0.1), rho=0.3),
    "wolfe": lambda params: optim.LBFGS(params, line_search_fn="strong_wolfe"),
    "lbfgs": lambda params: optim.LBFGS(params),
    "exact": lambda params: optim.GradientDescent(params, line_search="exact"),
}


@pytest.mark.parametrize("make", RULES_THAT_LOOK_AROUND.values(), ids=RULES_THAT_LOOK_AROUND)
def test_an_error_while_looking_around_leaves_the_weights_where_they_were(make):
    params, optimizer, closure = quadratic(make)
    calls = []

    def fails_elsewhere():
        calls.append(point(params))
        if len(calls) == 2:
            raise FloatingPointError("the loss is inf")
        return closure()

    with pytest.raises(FloatingPointError):
        optimizer.step(fails_elsewhere)
    assert not np.array_equal(calls[1], START)
    np.testing.assert_array_equal(point(params), START)
