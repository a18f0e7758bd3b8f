"""L-BFGS beside PyTorch's, and line searches against what they promise."""

import copy

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import optim

OPTIONS = [
    {},
    {"lr": 0.3, "max_iter": 4},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 7, "lr": 0.5},
    {"line_search_fn": "strong_wolfe", "max_eval": 4, "tolerance_grad": 1e-3},
]


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quartic(x):
    return ((x - 1) ** 4).sum() + 0.5 * (x * x).sum()


def trouble(x):
    """Curved the wrong way in places, so that line searches have work to do."""
    return (1 - (-(x * x) / 4).exp()).sum() + 0.01 * (x * x).sum() + (3 * x).sin().sum() * 0.1


FUNCTIONS = [rosenbrock, quartic, trouble]


def setup(lib, function, options, dtype="float64"):
    """Two parameters of different shapes that make up one point."""
    start = np.array([-1.2, 1.0, 0.7, -0.4, 1.9], dtype=dtype)
    a = lib.tensor(start[:2].reshape(1, 2), requires_grad=True)
    b = lib.tensor(start[2:], requires_grad=True)
    optimizer = lib.optim.LBFGS([a, b], **options)

    def closure():
        optimizer.zero_grad()
        loss = function(lib.cat([a.reshape(-1), b]))
        loss.backward()
        return loss

    return [a, b], optimizer, closure


def point(params):
    return np.concatenate([p.detach().numpy().ravel() for p in params])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_same_path_as_torch(function, options):
    torch = pytest.importorskip("torch")
    if function is rosenbrock and "line_search_fn" not in options:
        options = {**options, "lr": 0.05}  # without a search it runs away on a larger one
    (p, one, f), (q, other, g) = (setup(lib, function, options) for lib in (tg, torch))
    for _ in range(8):
        assert one.step(f).item() == pytest.approx(other.step(g).item(), rel=1e-7, abs=1e-12)
        np.testing.assert_allclose(point(p), point(q), rtol=1e-6, atol=1e-9)
        counts = ("func_evals", "n_iter")
        assert [one.state[p[0]][k] for k in counts] == [other.state[q[0]][k] for k in counts]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_same_loss_in_float32(function):
    torch = pytest.importorskip("torch")
    final = []
    for lib in (tg, torch):
        _, optimizer, closure = setup(
            lib, function, {"line_search_fn": "strong_wolfe", "max_iter": 100}, "float32"
        )
        optimizer.step(closure)
        final.append(closure().item())
    assert final[0] == pytest.approx(final[1], rel=1e-4, abs=1e-7)


def layout(value):
    if isinstance(value, dict):
        return [(key, layout(item)) for key, item in value.items() if key != "t"]
    if isinstance(value, list):
        return [layout(item) for item in value]
    if hasattr(value, "shape"):
        return str(value.dtype).split(".")[-1], tuple(value.shape)
    return type(value)


def test_state_dict_has_torchs_layout():
    torch = pytest.importorskip("torch")
    layouts = []
    for lib in (tg, torch):
        _, optimizer, closure = setup(lib, quartic, {"max_iter": 5, "history_size": 3})
        optimizer.step(closure)
        state = optimizer.state_dict()
        state["state"] = {0: dict(sorted(state["state"][0].items()))}
        layouts.append(layout(state))
    assert layouts[0] == layouts[1]


def as_torch(torch, value):
    if isinstance(value, dict):
        return {key: as_torch(torch, item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_torch(torch, item) for item in value]
    return torch.tensor(value.numpy()) if isinstance(value, tg.Tensor) else value


@pytest.mark.parametrize("to_torch", [False, True], ids=["from", "to"])
def test_state_moves_over(to_torch):
    torch = pytest.importorskip("torch")
    source, target = (tg, torch) if to_torch else (torch, tg)
    options = {"line_search_fn": "strong_wolfe", "max_iter": 3}
    params, old, closure = setup(source, rosenbrock, options)
    for _ in range(3):
        old.step(closure)
    moved, new, there = setup(target, rosenbrock, options)
    for p, q in zip(params, moved, strict=True):
        q.data = target.tensor(p.detach().numpy().copy())
    state = copy.deepcopy(old.state_dict())
    new.load_state_dict(as_torch(torch, state) if to_torch else state)
    for _ in range(3):
        old.step(closure)
        new.step(there)
        np.testing.assert_allclose(point(moved), point(params), rtol=1e-6)


def test_an_unknown_search_is_refused():
    _, optimizer, closure = setup(tg, quartic, {"line_search_fn": "other"})
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        optimizer.step(closure)


def test_a_quadratic_takes_as_many_steps_as_it_has_dimensions():
    """With exact searches L-BFGS would be conjugate gradients; Wolfe's come close."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a = tg.tensor(a @ a.T + np.eye(6))
    p = tg.tensor(rng.normal(size=6), requires_grad=True)
    lbfgs = optim.LBFGS([p], line_search_fn="strong_wolfe", max_iter=40, max_eval=200)

    def closure():
        lbfgs.zero_grad()
        loss = 0.5 * p @ (a @ p)
        loss.backward()
        return loss

    lbfgs.step(closure)
    assert closure().item() < 1e-12


def test_a_parameter_without_gradient_stays():
    p, q = (tg.tensor([2.0], requires_grad=True) for _ in range(2))
    lbfgs = optim.LBFGS([p, q])

    def closure():
        lbfgs.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    lbfgs.step(closure)
    assert abs(p.item()) < 1e-4
    assert q.item() == 2.0


# ---- gradient descent on the whole loss ----


def descent(function, start, **options):
    p = tg.tensor(start, requires_grad=True)
    optimizer = optim.GradientDescent([p], **options)

    def closure():
        optimizer.zero_grad()
        loss = function(p)
        loss.backward()
        return loss

    return p, optimizer, closure


A = np.diag([1.0, 4.0, 25.0])


def quadratic(p):
    return 0.5 * p @ (tg.tensor(A) @ p)


def test_exact_steps_on_a_quadratic():
    """t = gᵀg / gᵀAg, and each gradient is at a right angle to the one before."""
    p, optimizer, closure = descent(quadratic, np.array([1.0, -2.0, 0.5]), line_search="exact")
    old = None
    for _ in range(6):
        g = A @ p.detach().numpy()
        optimizer.step(closure)
        assert optimizer.last_step == pytest.approx(g @ g / (g @ A @ g), rel=1e-7)
        if old is not None:
            assert abs(old @ g) < 1e-6 * np.linalg.norm(old) * np.linalg.norm(g)
        old = g


@pytest.mark.parametrize("start", [[-1.2, 1.0], [2.0, 3.0]])
def test_exact_steps_end_where_the_slope_is_zero(start):
    p, optimizer, closure = descent(rosenbrock, np.array(start), line_search="exact", lr=1e-4)
    for _ in range(5):
        closure()
        g = p.grad.numpy().copy()
        optimizer.step(closure)
        closure()
        assert abs(g @ p.grad.numpy()) <= 1e-7 * (g @ g)


def test_backtracking_keeps_armijos_promise():
    p, optimizer, closure = descent(rosenbrock, np.array([-1.2, 1.0]), line_search="backtracking")
    for _ in range(30):
        before = closure().item()
        slope = -(p.grad.numpy() ** 2).sum()
        assert optimizer.step(closure).item() == before
        t = optimizer.last_step
        assert closure().item() <= before + 1e-4 * t * slope
        assert t == 2.0 ** round(np.log2(t))
    assert closure().item() < 5


def test_plain_descent_takes_lr():
    p, optimizer, closure = descent(quadratic, np.array([1.0, -2.0, 0.5]), lr=0.01)
    optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), (np.eye(3) - 0.01 * A) @ [1.0, -2.0, 0.5])
    with pytest.raises(ValueError, match="line_search is 'other'"):
        optim.GradientDescent([p], line_search="other")


def test_at_a_minimum_nothing_moves():
    for search in (None, "exact", "backtracking"):
        p, optimizer, closure = descent(quadratic, np.zeros(3), line_search=search)
        optimizer.step(closure)
        assert not p.detach().numpy().any()
