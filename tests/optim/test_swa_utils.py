"""Averages of weights against their formulas and PyTorch's."""

import inspect

import numpy as np
import pytest
from schedules import RATES, optimizer_of, walk

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.optim import lr_scheduler
from tinygrad_lessons.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
    update_bn,
)


def net(lib):
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 2))


def histories(models=6):
    """Float64 arrays for each entry of the state dict, per model."""
    rng = np.random.default_rng(0)
    shapes = {key: tuple(value.shape) for key, value in net(tg).state_dict().items()}
    return [
        {
            key: np.array(rng.integers(0, 50)) if "num" in key else rng.normal(size=shape) ** 2
            for key, shape in shapes.items()
        }
        for _ in range(models)
    ]


def averaged(lib, **options):
    """The state dict of an AveragedModel that has seen all histories, as arrays."""
    model = net(lib).double()
    average = lib.optim.swa_utils.AveragedModel(model, **options)
    for values in histories():
        model.load_state_dict({key: lib.tensor(value) for key, value in values.items()})
        average.update_parameters(model)
    return {key: value.detach().numpy().copy() for key, value in average.state_dict().items()}


def exponential(values, decay):
    mean = values[0]
    for value in values[1:]:
        mean = decay * mean + (1 - decay) * value
    return mean


KINDS = {
    "swa": (lambda values: sum(values) / len(values),),
    "swa one": ("avg_fn", get_swa_avg_fn, lambda values: sum(values) / len(values)),
    "swa all": ("multi_avg_fn", get_swa_multi_avg_fn, lambda values: sum(values) / len(values)),
    "ema one": ("avg_fn", lambda: get_ema_avg_fn(0.6), lambda values: exponential(values, 0.6)),
    "ema all": (
        "multi_avg_fn",
        lambda: get_ema_multi_avg_fn(0.6),
        lambda values: exponential(values, 0.6),
    ),
}


def kind_of(name):
    """The options of AveragedModel, and the formula."""
    *how, formula = KINDS[name]
    return ({how[0]: how[1]()} if len(how) == 2 else {}), formula


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_average(name, use_buffers):
    options, formula = kind_of(name)
    got = averaged(tg, use_buffers=use_buffers, **options)
    seen = histories()
    assert got.pop("n_averaged") == len(seen)
    assert set(got) == {f"module.{key}" for key in seen[0]}
    for key, last in seen[-1].items():
        value = got[f"module.{key}"]
        if "num" in key:
            if not use_buffers:
                assert value == last
        elif "running" in key and not use_buffers:
            np.testing.assert_array_equal(value, last)
        else:
            np.testing.assert_allclose(value, formula([h[key] for h in seen]), rtol=1e-13)
            assert not np.allclose(value, formula([h[key] for h in seen[:-1]]))


def test_whole_numbers_are_cut():
    model = nn.BatchNorm1d(1)
    average = AveragedModel(model, use_buffers=True)
    for count in (5, 8):
        model.num_batches_tracked.fill_(count)
        average.update_parameters(model)
    assert average.module.num_batches_tracked.item() == 6
    assert average.module.num_batches_tracked.dtype is tg.int64


def test_the_copy_is_its_own():
    model = nn.Linear(2, 1)
    average = AveragedModel(model)
    x = tg.ones(3, 2)
    before = average(x)
    np.testing.assert_array_equal(before.detach().numpy(), model(x).detach().numpy())
    with tg.no_grad():
        model.weight += 1
    np.testing.assert_array_equal(average(x).detach().numpy(), before.detach().numpy())
    weight = average.module.weight
    average.update_parameters(model)
    assert average.module.weight is weight
    np.testing.assert_array_equal(weight.detach().numpy(), model.weight.detach().numpy())


def test_state_goes_on():
    model = nn.Linear(2, 1)
    whole = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    first = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    other = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    for step in range(6):
        nn.init.constant_(model.weight, step)
        whole.update_parameters(model)
        (first if step < 3 else other).update_parameters(model)
        if step == 2:
            other.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(
        other.module.weight.detach().numpy(), whole.module.weight.detach().numpy()
    )
    assert other.n_averaged.item() == 6


def test_errors():
    model = nn.Linear(1, 1)
    with pytest.raises(AssertionError, match="not both"):
        AveragedModel(model, avg_fn=get_swa_avg_fn(), multi_avg_fn=get_swa_multi_avg_fn())
    for make in (get_ema_avg_fn, get_ema_multi_avg_fn):
        for decay in (-0.1, 1.1):
            with pytest.raises(ValueError, match="between 0 and 1"):
                make(decay)
    with pytest.raises(ValueError):
        AveragedModel(model).update_parameters(nn.BatchNorm1d(1))
    optimizer = optimizer_of(tg)
    for options in ({"anneal_strategy": "x"}, {"anneal_epochs": -1}, {"anneal_epochs": 1.5}):
        with pytest.raises(ValueError, match="must be"):
            SWALR(optimizer, 0.1, **options)
    with pytest.raises(ValueError, match="swa_lr has 3 values"):
        SWALR(optimizer, [0.1] * 3)


# ---- batch norm ----


def batches():
    rng = np.random.default_rng(1)
    return [rng.normal(2, 3, size=(5, 3)).astype(np.float32) for _ in range(4)]


def test_update_bn():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    model[0](tg.randn(9, 3))
    model.eval()
    update_bn([(tg.tensor(batch), 0) for batch in batches()], model)
    np.testing.assert_allclose(
        model[0].running_mean.numpy(), np.mean([b.mean(0) for b in batches()], 0), rtol=1e-5
    )
    np.testing.assert_allclose(
        model[0].running_var.numpy(), np.mean([b.var(0, ddof=1) for b in batches()], 0), rtol=1e-5
    )
    assert model[0].num_batches_tracked.item() == 4
    assert model[0].momentum == 0.1
    assert not any(module.training for module in model.modules())


def test_update_bn_leaves_all_as_it_was_when_the_data_fail():
    model = nn.BatchNorm1d(3).eval()
    with pytest.raises(ValueError):
        update_bn([tg.zeros(3)], model)
    assert model.momentum == 0.1
    assert not model.training


def test_update_bn_without_any_reads_no_data():
    rest = iter([tg.zeros(1, 1)])
    update_bn(rest, nn.Linear(1, 1))
    assert next(rest).shape == (1, 1)


# ---- the schedule ----

SCHEDULES = [
    {"swa_lr": 0.05},
    {"swa_lr": [0.05, 0.1], "anneal_epochs": 30, "anneal_strategy": "linear"},
    {"swa_lr": 0.3, "anneal_epochs": 1},
    {"swa_lr": 0.3, "anneal_epochs": 0},
    {"swa_lr": 0.01, "anneal_epochs": 50},
]


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_schedule(options):
    n, ends = options.get("anneal_epochs", 10), np.broadcast_to(options["swa_lr"], 2)
    t = np.arange(101)
    x = np.ones(101) if n == 0 else np.minimum(t / n, 1)
    x = x if options.get("anneal_strategy") == "linear" else (1 - np.cos(np.pi * x)) / 2
    expected = np.array(RATES)[:, None] * (1 - x) + ends[:, None] * x
    got = walk(SWALR(optimizer_of(tg), **options), 100)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    if n > 1:
        assert not np.allclose(got[:, 1:], expected[:, :-1], rtol=1e-9)


def test_schedule_after_another():
    optimizer = optimizer_of(tg)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.9)
    swa = SWALR(optimizer, 0.2, anneal_epochs=4, anneal_strategy="linear")
    start = walk(schedule, 5)[0][:, -1]
    expected = start[:, None] + (0.2 - start[:, None]) * np.array([0, 0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(walk(swa, 5)[0], expected, rtol=1e-13)


# ---- PyTorch ----


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_as_torch(name, use_buffers):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        utils = lib.optim.swa_utils
        functions = {
            "swa": {},
            "swa one": {"avg_fn": utils.get_swa_avg_fn()},
            "swa all": {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
            "ema one": {"avg_fn": utils.get_ema_avg_fn(0.6)},
            "ema all": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.6)},
        }
        if name == "swa all" and use_buffers and lib is torch:
            # its function cannot average whole numbers; the one it takes by itself can
            functions[name] = {}
        results.append(averaged(lib, use_buffers=use_buffers, **functions[name]))
    ours, theirs = results
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype
        # PyTorch's function for many divides by the number of models in float32
        np.testing.assert_allclose(ours[key], value, rtol=1e-7 if name == "swa all" else 1e-13)


def test_state_of_torch_loads():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.swa_utils.AveragedModel(net(torch))
    theirs.update_parameters(net(torch))
    ours = AveragedModel(net(tg))
    ours.load_state_dict(
        {key: tg.tensor(value.detach().numpy()) for key, value in theirs.state_dict().items()}
    )
    assert ours.n_averaged.item() == 1


def test_update_bn_as_torch():
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        model = lib.nn.BatchNorm1d(3)
        lib.optim.swa_utils.update_bn([[lib.tensor(batch)] for batch in batches()], model)
        results.append((model.running_mean.numpy(), model.running_var.numpy()))
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_schedule_as_torch(options):
    torch = pytest.importorskip("torch")
    ours, theirs = (lib.optim.swa_utils.SWALR(optimizer_of(lib), **options) for lib in (tg, torch))
    np.testing.assert_allclose(walk(ours, 60), walk(theirs, 60), rtol=1e-12)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    assert ours.state_dict()["_step_count"] == theirs.state_dict()["_step_count"]


def test_signatures_as_torch():
    torch = pytest.importorskip("torch")
    ours, theirs = tg.optim.swa_utils, torch.optim.swa_utils
    assert set(ours.__all__) == set(theirs.__all__)
    for name in theirs.__all__:
        one, two = (inspect.signature(getattr(module, name)) for module in (ours, theirs))
        assert [(p.name, p.default) for p in one.parameters.values()] == [
            (p.name, p.default) for p in two.parameters.values()
        ]
