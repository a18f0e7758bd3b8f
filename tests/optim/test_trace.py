"""What a trace records: gradients, state, scalars and effective steps, from the formulas of the rules."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import optim

CURVATURE = np.array([0.5, 2.0, 7.0, 1.0])
START = np.array([1.0, -2.0, 0.5, 3.0])


def quadratic(make, *, dtype=tg.float64):
    """The parameter of ½ Σ c x², its optimizer, and the closure."""
    p = tg.tensor(START, dtype=dtype, requires_grad=True)
    optimizer = make([p])

    def closure():
        optimizer.zero_grad()
        loss = (0.5 * tg.tensor(CURVATURE, dtype=dtype) * p * p).sum()
        loss.backward()
        return loss

    return p, optimizer, closure


def run(optimizer, closure, steps):
    for _ in range(steps):
        closure()
        optimizer.step()


def adam_by_hand(steps, *, lr=0.1, beta1=0.8, beta2=0.95, eps=1e-8):
    """Kingma & Ba 2015, algorithm 1, on the quadratic: a dict of arrays with a row per step."""
    x, m, v, rows = START, 0.0, 0.0, []
    for t in range(1, steps + 1):
        g = CURVATURE * x
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        change = -lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        rows.append(
            {
                "param": x,
                "grad": g,
                "exp_avg": m,
                "exp_avg_sq": v,
                "change": change,
                "step": t,
                "lr": lr,
                "step_size": lr / (1 - beta1**t),
                "unbias": (1 - beta2**t) ** -0.5,
                "fresh": 1 - beta1,
                "fresh_sq": 1 - beta2,
            }
        )
        x = x + change
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def adam(params):
    return optim.Adam(params, lr=0.1, betas=(0.8, 0.95))


def assert_arrays(found, expected, rtol=1e-12):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(("dtype", "rtol"), [(tg.float64, 1e-12), (tg.float32, 2e-5)], ids=str)
def test_adam(dtype, rtol):
    p, optimizer, closure = quadratic(adam, dtype=dtype)
    with optimizer.trace() as trace:
        run(optimizer, closure, 6)
    assert trace.steps == 6
    assert list(trace) == [p]
    assert_arrays(trace[p], adam_by_hand(6), rtol)
    for name in ("param", "grad", "exp_avg", "exp_avg_sq", "change"):
        assert trace[p][name].dtype == ("float64" if dtype is tg.float64 else "float32")
    np.testing.assert_array_equal(
        trace[p]["param"][1:], (trace[p]["param"] + trace[p]["change"])[:-1]
    )


@pytest.mark.parametrize(
    "index", [2, slice(1, 3), [3, 0], ..., tg.tensor([1, 1]), tg.tensor([True, False, True, False])]
)
def test_chosen_elements(index):
    p, optimizer, closure = quadratic(adam)
    trace = optimizer.trace({p: index})
    run(optimizer, closure, 3)
    numpy_index = index.numpy() if isinstance(index, tg.Tensor) else index
    expected = {
        name: array[:, numpy_index] if array.ndim > 1 and index is not ... else array
        for name, array in adam_by_hand(3).items()
    }
    assert_arrays(trace[p], expected)


def test_directions():
    p, optimizer, closure = quadratic(adam)
    d = np.random.default_rng(0).normal(size=(2, 4))
    two, one = optimizer.trace(directions={p: tg.tensor(d)}), optimizer.trace(directions={p: d[0]})
    run(optimizer, closure, 5)
    by_hand = adam_by_hand(5)
    assert_arrays(two[p], {n: a @ d.T if a.ndim > 1 else a for n, a in by_hand.items()})
    assert_arrays(one[p], {n: a @ d[0] if a.ndim > 1 else a for n, a in by_hand.items()})


def test_directions_of_a_matrix():
    w = tg.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    sgd = optim.SGD([w], lr=1.0)
    with sgd.trace(directions={w: [[[1, 0], [0, 0]], [[0, 1], [-1, 0]]]}) as trace:
        w.grad = tg.tensor([[0.5, 1.0], [2.0, 4.0]])
        sgd.step()
    assert trace[w]["grad"].tolist() == [[0.5, -1.0]]
    assert trace[w]["param"].tolist() == [[1.0, -1.0]]
    assert trace[w]["change"].tolist() == [[-0.5, 1.0]]
    assert trace[w]["grad"].dtype == np.float64


def test_parameters_without_gradient_at_times():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    b = tg.tensor(3.0, requires_grad=True)
    sgd = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.25}], lr=0.5, momentum=0.5)
    sgd.add_param_group({"params": [tg.zeros(3, requires_grad=True)]})
    trace = sgd.trace({a: ..., b: ...})
    nan = np.nan
    for ga, gb in ((None, 1.0), ([2.0, 4.0], None), ([2.0, 0.0], 1.0)):
        a.grad = None if ga is None else tg.tensor(ga)
        b.grad = None if gb is None else tg.tensor(gb)
        sgd.step()
    same = np.testing.assert_array_equal
    same(trace[a]["grad"], [[nan, nan], [2, 4], [2, 0]])
    same(trace[a]["momentum_buffer"], [[nan, nan], [2, 4], [3, 2]])
    same(trace[a]["change"], [[0, 0], [-1, -2], [-1.5, -1]])
    same(trace[a]["param"], [[1, 2], [1, 2], [0, 0]])
    same(trace[a]["fresh"], [nan, 1, 1])
    same(trace[b]["grad"], [1, nan, 1])
    same(trace[b]["momentum_buffer"], [1, 1, 1.5])
    same(trace[b]["change"], [-0.25, 0, -0.375])
    same(trace[b]["lr"], [0.25] * 3)
    same(trace[a]["lr"], [0.5] * 3)


def test_closures_and_schedules():
    p, optimizer, closure = quadratic(lambda params: optim.SGD(params, lr=0.1))
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    trace = optimizer.trace()
    x, expected = START, []
    for k in range(4):
        optimizer.step(closure)
        schedule.step()
        expected.append(-0.1 * 0.5**k * CURVATURE * x)
        x = x + expected[-1]
    np.testing.assert_allclose(trace[p]["lr"], 0.1 * 0.5 ** np.arange(4))
    np.testing.assert_allclose(trace[p]["change"], expected, rtol=1e-12)
    np.testing.assert_allclose(trace[p]["grad"], CURVATURE * trace[p]["param"], rtol=1e-12)


def test_inside_of_hooks():
    p, optimizer, closure = quadratic(lambda params: optim.SGD(params, lr=1.0))

    def all_ones(*_):
        p.grad.fill_(1)

    optimizer.register_step_pre_hook(all_ones)
    optimizer.register_step_post_hook(lambda *_: optimizer.zero_grad())
    trace = optimizer.trace()
    run(optimizer, closure, 2)
    assert trace[p]["grad"].tolist() == [[1.0] * 4] * 2
    assert trace[p]["change"].tolist() == [[-1.0] * 4] * 2


def test_numbers_that_a_row_changes():
    """NAdam's product of momenta is a float32 in the state, before and after."""
    p, optimizer, closure = quadratic(lambda params: optim.NAdam(params, lr=0.1))
    trace = optimizer.trace({p: 0})
    run(optimizer, closure, 3)
    mu = 0.9 * (1 - 0.5 * 0.96 ** (np.arange(1, 5) * 4e-3))
    product = np.cumprod(mu[:3])
    np.testing.assert_allclose(trace[p]["mu_product"], product, rtol=1e-6)
    np.testing.assert_allclose(trace[p]["now"], 0.1 * (1 - mu[:3]) / (1 - product), rtol=1e-5)
    np.testing.assert_array_equal(trace[p]["step"], [1, 2, 3])


def test_trust_ratios():
    """LARS: the rate of a layer follows from norms over all of it, whichever elements are traced."""
    p, optimizer, closure = quadratic(
        lambda params: optim.LARS(params, lr=0.5, trust_coefficient=0.1, weight_decay=0.01)
    )
    q = tg.tensor(np.linspace(-1, 1, 200_000), requires_grad=True)
    optimizer.add_param_group({"params": [q]})
    q.grad = q.detach().clone()
    trace = optimizer.trace({p: 1, q: 5})
    for _ in range(3):
        before, largest = p.detach().numpy().copy(), q.detach().numpy().copy()
        loss = (0.5 * tg.tensor(CURVATURE) * p * p).sum()
        p.grad = None
        loss.backward()
        optimizer.step()
        for param, x, g in ((p, before, CURVATURE * before), (q, largest, q.grad.numpy())):
            w = np.linalg.norm(x)
            trust = 0.1 * w / (np.linalg.norm(g) + 0.01 * w + 1e-8)
            assert trace[param]["trust"][-1] == pytest.approx(trust, rel=1e-6)
            assert trace[param]["rate"][-1] == pytest.approx(0.5 * trust, rel=1e-6)


def test_optimizers_in_python():
    w = tg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    adafactor = optim.Adafactor([w], lr=0.1)
    trace = adafactor.trace()
    w.grad = tg.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]], dtype=tg.float64)
    adafactor.step()
    rows = np.array([[14 / 3] * 3, [5 / 3] * 3])
    np.testing.assert_allclose(trace[w]["row_var"], [rows])
    np.testing.assert_allclose(trace[w]["col_var"], [[[0.5, 2.5, 6.5]] * 2])
    np.testing.assert_allclose(
        trace[w]["change"], [w.detach().numpy() - np.arange(6.0).reshape(2, 3)]
    )
    assert trace[w]["step"].tolist() == [1]


def test_sparse_gradients():
    table = tg.nn.Embedding(3, 2, sparse=True)
    with tg.no_grad():
        table.weight.zero_()
    descent = optim.GradientDescent(table.parameters(), lr=0.5)

    def closure():
        descent.zero_grad()
        loss = table(tg.tensor([2, 0, 2])).sum()
        loss.backward()
        return loss

    trace = descent.trace({table.weight: ([0, 1, 2], [0, 0, 1])})
    descent.step(closure)
    assert table.weight.grad.is_sparse
    assert trace[table.weight]["grad"].tolist() == [[1, 0, 2]]
    assert trace[table.weight]["change"].tolist() == [[-0.5, 0, -1]]


def test_line_search():
    p, optimizer, closure = quadratic(
        lambda params: optim.LBFGS(params, max_iter=1, max_eval=20, line_search_fn="strong_wolfe")
    )
    trace = optimizer.trace()
    for _ in range(3):
        before = p.detach().numpy().copy()
        optimizer.step(closure)
        np.testing.assert_array_equal(trace[p]["param"][-1], before)
        np.testing.assert_array_equal(trace[p]["change"][-1], p.detach().numpy() - before)
    assert trace[p]["n_iter"].tolist() == [1, 2, 3]
    assert trace[p]["H_diag"].shape == (3,)
    assert "old_dirs" not in trace[p]


def test_sam():
    p, sam, closure = quadratic(lambda params: optim.SAM(adam(params), rho=0.5))
    trace = sam.trace()
    for t in range(1, 4):
        x = p.detach().numpy().copy()
        sam.step(closure)
        g = CURVATURE * x
        np.testing.assert_allclose(
            trace[p]["grad"][-1], CURVATURE * (x + 0.5 * g / np.linalg.norm(g)), rtol=1e-12
        )
        assert trace[p]["step_size"][-1] == pytest.approx(0.1 / (1 - 0.8**t))


def test_lookahead_and_what_it_wraps():
    sgd = None

    def make(params):
        nonlocal sgd
        sgd = optim.SGD(params, lr=0.1)
        return optim.Lookahead(sgd, k=2, alpha=0.5)

    p, lookahead, closure = quadratic(make)
    outer, inner = lookahead.trace(), sgd.trace()
    run(lookahead, closure, 2)
    shrunk = 1 - 0.1 * CURVATURE
    np.testing.assert_allclose(inner[p]["change"][1], START * (shrunk**2 - shrunk), rtol=1e-12)
    np.testing.assert_allclose(
        outer[p]["change"][1], START * ((1 + shrunk**2) / 2 - shrunk), rtol=1e-9
    )
    np.testing.assert_allclose(outer[p]["slow"][0], START)


def test_trust_ratio_through_a_wrapper():
    p, lookahead, closure = quadratic(lambda params: optim.Lookahead(optim.LAMB(params, lr=0.1)))
    trace = lookahead.trace()
    run(lookahead, closure, 1)
    np.testing.assert_allclose(trace[p]["rate"], 0.1 * np.linalg.norm(START) / 2, rtol=1e-6)


def test_differentiable_steps():
    p = tg.tensor(START, requires_grad=True) * 1
    optimizer = optim.Adam([p], lr=0.1, betas=(0.8, 0.95), differentiable=True)
    trace = optimizer.trace()
    for _ in range(3):
        p.grad = tg.tensor(CURVATURE) * p.detach()
        optimizer.step()
    assert_arrays(trace[p], adam_by_hand(3))


def test_a_rule_of_the_users():
    class SignDescent(optim.Optimizer):
        @tg.no_grad()
        def step(self):
            (p,) = self.param_groups[0]["params"]
            p.sub_(p.grad.sign())
            self.state[p]["pace"] = 2

    p, optimizer, closure = quadratic(lambda params: SignDescent(params, {}))
    trace = optimizer.trace({p: [0, 1]})
    run(optimizer, closure, 1)
    expected = {"param": START[None, :2], "change": [[-1, 1]], "grad": [[0.5, -4.0]], "pace": [2]}
    assert_arrays(trace[p], {name: np.array(array) for name, array in expected.items()})


def test_scalars_that_python_cannot_divide():
    """RAdam's rho_inf is 4 for beta2 = 0.6, and its rectifier divides by rho_inf - 4; the step goes on."""
    p, optimizer, closure = quadratic(lambda params: optim.RAdam(params, lr=0.1, betas=(0.9, 0.6)))
    trace = optimizer.trace()
    run(optimizer, closure, 2)
    assert trace[p]["step"].tolist() == [1, 2]
    assert (trace[p]["change"] != 0).all()


# ---- beginning and end ----


def test_nothing_when_off():
    p, optimizer, closure = quadratic(adam)
    run(optimizer, closure, 1)
    assert "step" not in vars(optimizer)  # the class's own step, as if there were no traces
    with optimizer.trace() as trace:
        assert trace[p] == {}
        run(optimizer, closure, 2)
    assert "step" not in vars(optimizer)
    run(optimizer, closure, 1)
    trace.remove()
    assert trace.steps == 2
    assert trace[p]["step"].tolist() == [2, 3]


def test_the_path_is_the_same_bit_by_bit():
    plain, optimizer, closure = quadratic(adam)
    run(optimizer, closure, 5)
    traced, optimizer, closure = quadratic(adam)
    with optimizer.trace():
        run(optimizer, closure, 5)
    np.testing.assert_array_equal(plain.detach().numpy(), traced.detach().numpy())


def test_two_traces_end_apart():
    p, optimizer, closure = quadratic(adam)
    first, second = optimizer.trace(), optimizer.trace({p: 0})
    run(optimizer, closure, 1)
    second.remove()
    run(optimizer, closure, 1)
    assert (first.steps, second.steps) == (2, 1)
    handle = optimizer.register_step_post_hook(lambda *_: None)
    first.remove()
    assert "step" in vars(optimizer)  # for the hook
    handle.remove()
    run(optimizer, closure, 1)
    assert (first.steps, second.steps) == (2, 1)


def test_a_step_that_fails_is_not_recorded():
    p, optimizer, closure = quadratic(adam)
    trace = optimizer.trace()

    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        optimizer.step(fails)
    assert trace.steps == 0


@pytest.mark.parametrize("make", [adam, lambda params: optim.Lookahead(adam(params))])
def test_copies_are_not_traced(make):
    p, optimizer, closure = quadratic(make)
    trace = optimizer.trace()
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        q = other.param_groups[0]["params"][0]
        q.grad = tg.ones_like(q)
        other.step()
    assert trace.steps == 0
    run(optimizer, closure, 1)
    assert trace.steps == 1


def test_loading_goes_on():
    p, optimizer, closure = quadratic(adam)
    trace = optimizer.trace()
    run(optimizer, closure, 2)
    optimizer.load_state_dict(optimizer.state_dict())
    run(optimizer, closure, 2)
    assert_arrays(trace[p], adam_by_hand(4))


def test_errors():
    p, optimizer, _ = quadratic(adam)
    with pytest.raises(TypeError, match="elements and directions"):
        optimizer.trace({p: 0}, directions={p: START})
    with pytest.raises(ValueError, match=r"no such parameter, of shape \(2,\)"):
        optimizer.trace({tg.zeros(2): 0})
    with pytest.raises(ValueError, match="no such parameter, 'weight'"):
        optimizer.trace({"weight": 0})
    with pytest.raises(TypeError, match="expected a dict.*but got Tensor"):
        optimizer.trace(p)
    with pytest.raises(IndexError):
        optimizer.trace({p: 4})
    for shape in ((3,), (4, 2), ()):
        with pytest.raises(ValueError, match=r"parameter of shape \(4,\)"):
            optimizer.trace(directions={p: np.ones(shape)})
    assert "step" not in vars(optimizer)
    with pytest.raises(KeyError, match="does not record"):
        optimizer.trace()[tg.zeros(2)]
