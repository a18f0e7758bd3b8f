"""Prodigy: one estimate for all groups, which outlives gradients that are missing, saving and loading."""

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import optim

SHAPES = [(3,), (4, 5), (), (70_000,)]
CENTRES = [np.random.default_rng(k).normal(size=shape) for k, shape in enumerate(SHAPES)]


def parameters():
    return [tg.zeros(shape, dtype=tg.float64, requires_grad=True) for shape in SHAPES]


def gradients(params, present=lambda i: True):
    """Of Σ |p - centre|, as Prodigy's theory has it: convex and of bounded slope."""
    for i, (p, centre) in enumerate(zip(params, CENTRES, strict=True)):
        p.grad = tg.tensor(np.sign(p.detach().numpy() - centre)) if present(i) else None


def values(params):
    return [p.detach().numpy().copy() for p in params]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def run(optimizer, params, steps):
    for _ in range(steps):
        gradients(params)
        optimizer.step()


def test_groups_share_the_estimate():
    one, two = parameters(), parameters()
    single = optim.Prodigy(one)
    double = optim.Prodigy([{"params": two[:1]}, {"params": two[1:]}])
    for _ in range(40):
        run(single, one, 1)
        run(double, two, 1)
        assert len({group["d"] for group in single.param_groups + double.param_groups}) == 1
    assert_same(values(one), values(two))
    assert single.param_groups[0]["d"] > 1e-3


def test_the_estimate_finds_the_distance():
    """d is a lower bound of the distance to the solution in the maximum norm; the mean is as far off."""
    params = parameters()
    prodigy = optim.Prodigy(params)
    run(prodigy, params, 200)
    farthest, mean = (getattr(np.abs(CENTRES[-1]), kind)() for kind in ("max", "mean"))
    assert 0.2 * mean < prodigy.param_groups[0]["d"] <= farthest
    assert max(np.median(np.abs(p - c)) for p, c in zip(values(params), CENTRES, strict=True)) < 0.2


def test_gradients_missing_at_times_do_not_raise_the_estimate():
    params = parameters()
    prodigy = optim.Prodigy(params)
    for t in range(300):
        gradients(params, lambda i, t=t: (t // 10 + i) % 3 == 0)
        prodigy.step()
    assert 1e-3 < prodigy.param_groups[0]["d"] <= max(np.abs(centre).max() for centre in CENTRES)


def test_a_step_without_any_gradient():
    params = parameters()
    prodigy = optim.Prodigy(params)
    prodigy.step()
    for p in params:
        p.grad = tg.zeros_like(p)
    prodigy.step()
    assert prodigy.param_groups[0]["d"] == 1e-6
    assert all((p == 0).all() for p in values(params))


def test_a_frozen_group_and_different_rates():
    params = parameters()
    prodigy = optim.Prodigy([{"params": params[:2], "lr": 0.0}, {"params": params[2:]}])
    run(prodigy, params, 60)
    assert all((p == 0).all() for p in values(params[:2]))
    assert prodigy.param_groups[0]["d"] == prodigy.param_groups[1]["d"] > 1e-3
    prodigy.param_groups[0]["lr"] = 0.5
    before = values(params)
    with pytest.raises(RuntimeError, match=r"Prodigy: step with learning rates \[0.5, 1.0\]"):
        prodigy.step()
    assert_same(values(params), before)


def test_a_group_added_later_takes_over_the_estimate():
    params = parameters()
    prodigy = optim.Prodigy(params[:2])
    for _ in range(50):
        gradients(params)
        prodigy.step()
    prodigy.add_param_group({"params": params[2:]})
    assert prodigy.param_groups[1]["d"] == prodigy.param_groups[0]["d"] > 1e-6


def test_state_survives_saving_and_loading(tmp_path):
    params = parameters()
    prodigy = optim.Prodigy(params, use_bias_correction=True, weight_decay=0.01)
    run(prodigy, params, 30)
    tg.save(prodigy.state_dict(), tmp_path / "state")
    others = [p.detach().clone().requires_grad_() for p in params]
    other = optim.Prodigy(others)
    other.load_state_dict(tg.load(tmp_path / "state"))
    assert other.param_groups[0]["d"] == prodigy.param_groups[0]["d"] > 1e-6
    run(prodigy, params, 30)
    run(other, others, 30)
    assert_same(values(params), values(others))


def test_trace():
    params = parameters()[:1]
    prodigy = optim.Prodigy(params)
    estimates = []
    with prodigy.trace() as trace:
        for _ in range(30):
            estimates.append(prodigy.param_groups[0]["d"])
            params[0].grad = tg.tensor(np.sign(params[0].detach().numpy() - CENTRES[0]))
            prodigy.step()
    found = trace[params[0]]
    np.testing.assert_allclose(found["step_size"], estimates, rtol=1e-12)
    expected = -found["exp_avg"] * found["step_size"][:, None]
    expected /= np.sqrt(found["exp_avg_sq"]) + found["small"][:, None]
    np.testing.assert_allclose(found["change"], expected, rtol=1e-9)
    r, s = found["d_numerator"], found["s"]
    rises = [max(d, a / np.abs(b).sum()) for d, a, b in zip(estimates, r, s, strict=True)]
    np.testing.assert_allclose(estimates[1:], rises[:-1], rtol=1e-6)


@pytest.mark.parametrize("options", [{"d0": 0}, {"d0": -1}, {"d_coef": 0}, {"lr": -1}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="Invalid"):
        optim.Prodigy(parameters(), **options)


def test_the_learning_rate_as_a_tensor_stays_one():
    lr = tg.tensor(1.0)
    prodigy = optim.Prodigy(parameters(), lr=lr)
    run(prodigy, prodigy.param_groups[0]["params"], 20)
    assert prodigy.param_groups[0]["lr"] is lr and lr.item() == 1
