"""What a group may set for every rule: clipping before the step, shrinking and shortening after it."""

import numpy as np
import pytest
from optim_references import REFERENCES
from optim_runs import (
    OPTIONS,
    OURS,
    RULES,
    SHAPES,
    assert_same_path,
    problem,
    reference_step,
    run,
)

import tinygrad_lessons as tg
from tinygrad_lessons import optim

NAMES = [name for name in OPTIONS | OURS if name != "AdamW"]
AFTER = [
    {"l1": 0.5},
    {"l2": 0.7},
    {"l1": 0.3, "l2": 0.5},
    {"group_lasso": 0.2},
    {"max_norm": 0.8},
    {"l1": 0.1, "l2": 0.2, "group_lasso": 0.1, "max_norm": 1.0},
]


def clipped(gradients, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients if g is not None))
    scale = min(1.0, limit / (norm + 1e-6))
    return [None if g is None else scale * g for g in gradients]


def regularised(p, lr, *, l1=0.0, l2=0.0, group_lasso=0.0, max_norm=np.inf):
    """Parikh and Boyd 2014: sections 6.5.3, then 6.5.4 and 6.3.3 for each row of a matrix."""
    p = np.sign(p) * np.maximum(np.abs(p) - lr * l1, 0) / (1 + lr * l2)
    if p.ndim < 2 or p.size == 0:
        return p
    rows = p.reshape(len(p), -1)
    norm = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    rows = rows * np.maximum(1 - lr * group_lasso * np.sqrt(rows.shape[1]) / norm, 0)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows * np.minimum(1, max_norm / np.maximum(norm, 1e-300))).reshape(p.shape)


def by_reference(name, dtype, options, *, max_grad_norm=None, **after):
    """The path of optim_runs.run() by the rule's reference, clipped before and regularised after each step."""
    rule = REFERENCES[RULES.get(name, name.lower())]
    starts, gradients = problem(dtype, gaps=True)
    params = [start.astype(np.float64) for start in starts]
    states, whole = [{} for _ in params], {}
    path = []
    for t, row in enumerate(gradients):
        row = [None if g is None else g.astype(np.float64) for g in row]
        row = clipped(row, max_grad_norm) if max_grad_norm is not None else row
        lr = options["lr"] * (1.0 if t < 40 else 0.3)
        now = [{**options, "lr": lr}] * len(row)
        params = reference_step(rule, params, row, states, whole, now)
        for i, g in enumerate(row):
            if g is not None and after:
                params[i] = regularised(params[i], lr, **after)
        path.append(params)
    return path


def ours(name, options, **regularisers):
    return lambda lib, params: getattr(lib.optim, name)(
        [{"params": params, **regularisers}], **options
    )


@pytest.mark.kernel
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_max_grad_norm(name, dtype):
    """Clipped in most steps, not in all."""
    options, limit = (OPTIONS | OURS)[name][0], 20.0
    path = run(tg, ours(name, options, max_grad_norm=limit), dtype, gaps=True)
    assert_same_path(path, by_reference(name, dtype, options, max_grad_norm=limit), dtype)


@pytest.mark.kernel
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("after", AFTER, ids=str)
@pytest.mark.parametrize("name", ["SGD", "Prodigy"])
def test_after_the_step(name, after, dtype):
    """Prodigy steps while it adds up, as no other does."""
    options = {"SGD": {"lr": 0.02, "momentum": 0.9}, "Prodigy": {"lr": 0.02, "d0": 0.5}}[name]
    path = run(tg, ours(name, options, **after), dtype, gaps=True)
    assert_same_path(path, by_reference(name, dtype, options, **after), dtype)


def test_they_would_be_missed():
    options = {"lr": 0.02, "momentum": 0.9}
    plain = run(tg, ours("SGD", options), "float64", gaps=True)
    for what in [*AFTER, {"max_grad_norm": 20.0}]:
        with pytest.raises(AssertionError):
            assert_same_path(plain, by_reference("SGD", "float64", options, **what), "float64")


@pytest.mark.kernel
def test_l1_leaves_exact_zeros():
    """Lasso with an orthogonal design: p = sign(b) max(0, |b| - l1)."""
    b = np.array([3.0, -0.5, 0.05, -2.0, 0.0])
    p = tg.tensor(np.ones(5), requires_grad=True)
    lasso = optim.SGD([{"params": [p], "l1": 1.0}], lr=0.1)
    for _ in range(300):
        lasso.zero_grad()
        (0.5 * (p - tg.tensor(b)) ** 2).sum().backward()
        lasso.step()
    expected = np.sign(b) * np.maximum(np.abs(b) - 1, 0)
    np.testing.assert_allclose(p.detach().numpy(), expected, atol=1e-9)
    assert p.tolist()[1:3] == [0.0, 0.0] and p[4].item() == 0


@pytest.mark.kernel
def test_group_lasso_removes_whole_rows():
    p = tg.tensor([[3.0, 4.0], [0.1, 0.1]], requires_grad=True)
    p.grad = tg.zeros(2, 2)
    optim.SGD([{"params": [p], "group_lasso": 5 / np.sqrt(2)}], lr=0.5).step()
    np.testing.assert_allclose(p.detach().numpy(), [[1.5, 2.0], [0.0, 0.0]], rtol=1e-6)
    assert p[1].tolist() == [0.0, 0.0]


@pytest.mark.kernel
def test_vectors_have_no_rows():
    p = tg.tensor([3.0, -4.0], requires_grad=True)
    p.grad = tg.zeros(2)
    optim.SGD([{"params": [p], "group_lasso": 1.0, "max_norm": 0.5}], lr=0.5).step()
    assert p.tolist() == [3.0, -4.0]


@pytest.mark.kernel
def test_nan_stays():
    p = tg.tensor([[float("nan"), 1.0]], requires_grad=True)
    p.grad = tg.zeros(1, 2)
    optim.SGD([{"params": [p], "l1": 0.1, "l2": 0.1, "max_norm": 9.0}], lr=0.5).step()
    assert np.isnan(p[0, 0].item())


def test_gradients_stay_as_they_are():
    p = tg.tensor([3.0], requires_grad=True)
    p.grad = tg.tensor([100.0])
    optim.SGD([{"params": [p], "max_grad_norm": 1.0}], lr=1.0).step()
    assert p.grad.tolist() == [100.0]
    assert p.item() == pytest.approx(2.0, abs=1e-6)


def test_the_norm_is_of_all_types_together():
    """A group of both float types is two calls, but one norm."""
    params = [tg.tensor([0.0], dtype=t, requires_grad=True) for t in (tg.float32, tg.float64) * 2]
    for p, g in zip(params, (1.0, 2.0, 2.0, 4.0), strict=True):  # of norm 5
        p.grad = tg.tensor([g], dtype=p.dtype)
    optim.SGD([{"params": params, "max_grad_norm": 1.0}], lr=1.0).step()
    np.testing.assert_allclose([p.item() for p in params], [-0.2, -0.4, -0.4, -0.8], rtol=1e-6)


def test_the_norm_does_not_overflow():
    p = tg.tensor([0.0, 0.0], requires_grad=True)
    p.grad = tg.tensor([3e30, -4e30])
    optim.SGD([{"params": [p], "max_grad_norm": 5.0}], lr=1.0).step()
    np.testing.assert_allclose(p.detach().numpy(), [-3.0, 4.0], rtol=1e-6)


@pytest.mark.parametrize("key", ["max_grad_norm", "l1", "l2", "group_lasso", "max_norm"])
def test_negative_ones_are_refused(key):
    with pytest.raises(ValueError, match=f"Invalid {key} value: -1"):
        optim.SGD([{"params": [tg.ones(1, requires_grad=True)], key: -1}])


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["LAMB", "LARS", "SGD", "Prodigy"])
def test_the_number_of_threads_changes_nothing(name):
    rng = np.random.default_rng(0)
    values, gradient = rng.normal(size=(2, 500, 701)).astype(np.float32)

    def moved(threads):
        before = tg.get_num_threads()
        tg.set_num_threads(threads)
        try:
            p = tg.tensor(values, requires_grad=True)
            group = {"params": [p], "max_grad_norm": 1.0, "group_lasso": 1e-3, "max_norm": 26.0}
            optimizer = getattr(optim, name)([group], lr=0.1)
            for _ in range(3):
                p.grad = tg.tensor(gradient)
                optimizer.step()
        finally:
            tg.set_num_threads(before)
        return p.detach().numpy().tobytes()

    assert moved(1) == moved(2) == moved(5)


def test_shapes_with_rows_are_among_the_runs():
    assert any(len(shape) > 1 and np.prod(shape) for shape in SHAPES)
