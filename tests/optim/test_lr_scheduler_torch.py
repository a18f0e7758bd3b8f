"""The same learning rates as PyTorch's, chained, resumed, and with state that moves over."""

import copy
import inspect
import warnings

import numpy as np
import pytest
from schedules import (
    CASES,
    RATES,
    STEPS,
    assert_same_walk,
    identity,
    made,
    optimizer_of,
    read,
    slow,
    walk,
)

import tinygrad_lessons as tg

torch = pytest.importorskip("torch")
LIBS = (tg, torch)

cases = pytest.mark.parametrize("case", CASES, ids=identity)
quiet = pytest.mark.filterwarnings("ignore::UserWarning")


def lasting(case):
    """How many steps a schedule can make."""
    return min(STEPS, case[1].get("total_steps", STEPS))


def assert_same(make, steps=STEPS):
    ours, theirs = make(tg), make(torch)
    assert_same_walk(walk(ours, steps), walk(theirs, steps))
    return ours, theirs


@cases
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_same_walk(case, name):
    assert_same(lambda lib: made(lib, case, optimizer_of(lib, name)), lasting(case))


@cases
def test_same_state(case):
    """The same keys, and the same values, but for rounding and what only one side keeps inside."""
    states = []
    for schedule in assert_same(lambda lib: made(lib, case), 23):
        states.append(schedule.state_dict())
    ours, theirs = states
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        if isinstance(value, list) and value and isinstance(value[0], float):
            assert ours[key] == pytest.approx(value, rel=1e-12)
        else:
            assert ours[key] == value, key


@cases
@pytest.mark.parametrize(("source", "target"), [(torch, tg), (tg, torch)], ids=["from", "to"])
def test_state_moves_over(case, source, target):
    whole = walk(made(torch, case), lasting(case))
    old, new = made(source, case), made(target, case)
    path = walk(old, 73)
    for group, other in zip(new.optimizer.param_groups, old.optimizer.param_groups, strict=True):
        group.update({key: value for key, value in other.items() if key != "params"})
    new.load_state_dict(copy.deepcopy(old.state_dict()))
    rest = walk(new, lasting(case) - 73)[:, :, 1:]
    assert_same_walk(np.concatenate([path, rest], axis=2), whole)


@quiet
@cases
@pytest.mark.parametrize("last", [0, 1, 6, 29, 30, 79])
def test_last_epoch(case, last):
    """A new schedule on an optimizer that has the options of an old one."""

    def make(lib):
        old = made(lib, case)
        walk(old, last + 1)
        optimizer = optimizer_of(lib)
        for group, other in zip(optimizer.param_groups, old.optimizer.param_groups, strict=True):
            group.update({key: value for key, value in other.items() if key != "params"})
        return made(lib, case, optimizer, last_epoch=last)

    if case[1].get("T_mult", 1) > 1:
        last = min(last, case[1]["T_0"] - 1)  # PyTorch goes wrong after the first restart
    assert_same(make, 100)


@quiet
@cases
def test_steps_to_an_epoch(case):
    """The closed form where there is one, and on from there."""
    for path in ([5, None, None, 80, None, 0, None], [30, 31, None], [1] * 3, [None, 150, 2, None]):
        ours, theirs = made(tg, case), made(torch, case)
        for epoch in path:
            for schedule in (ours, theirs):
                schedule.optimizer.step()
                schedule.step(epoch)
            assert_same_walk(read(ours.optimizer), read(theirs.optimizer))
            assert ours.last_epoch == theirs.last_epoch


@cases
def test_changes_by_others(case):
    def changed(lib):
        schedule = made(lib, case)
        paths = [walk(schedule, 37)]
        for steps, change in ((40, 0.5), (80, 3.0)):
            for group in schedule.optimizer.param_groups:
                group["lr"] = group["lr"] * change + 0.001
            paths.append(walk(schedule, steps))
        return np.concatenate(paths, axis=2)

    assert_same_walk(changed(tg), changed(torch))


CHAINS = [
    [("LinearLR", {"total_iters": 20}), ("ExponentialLR", {"gamma": 0.97})],
    [("ExponentialLR", {"gamma": 0.97}), ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001})],
    [("CosineAnnealingLR", {"T_max": 9}), ("StepLR", {"step_size": 20, "gamma": 0.7})],
    [("PolynomialLR", {"total_iters": 90}), ("MultiStepLR", {"milestones": [0, 30, 60]})],
    [("LambdaLR", {"lr_lambda": slow}), ("ConstantLR", {"factor": 0.2, "total_iters": 50})],
    [("MultiplicativeLR", {"lr_lambda": slow}), ("LinearLR", {}), ("LinearLR", {})],
    [
        ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 11}),
        ("ExponentialLR", {"gamma": 0.97}),
    ],
]


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(name for name, _ in chain))
def test_chained(chain):
    def make(lib):
        optimizer = optimizer_of(lib)
        schedules = [made(lib, case, optimizer) for case in chain]
        return lib.optim.lr_scheduler.ChainedScheduler(schedules)

    ours, theirs = assert_same(make)
    assert set(ours.state_dict()) == set(theirs.state_dict())


@pytest.mark.parametrize("milestones", [[20, 70], [1, 2], [0, 50], [50, 50]])
@pytest.mark.parametrize("first", CASES[::2], ids=identity)
def test_sequence(first, milestones):
    chain = [
        first,
        ("MultiplicativeLR", {"lr_lambda": slow}),
        ("CosineAnnealingWarmRestarts", {"T_0": 7, "T_mult": 2}),
    ]
    for order in (chain, [chain[1], chain[2], chain[0]], [chain[2], chain[0], chain[1]]):

        def make(lib, order=order):
            optimizer = optimizer_of(lib)
            schedules = [made(lib, case, optimizer) for case in order]
            return lib.optim.lr_scheduler.SequentialLR(optimizer, schedules, list(milestones))

        ours, theirs = assert_same(make, min(map(lasting, order)))
        states = ours.state_dict(), theirs.state_dict()
        assert set(states[0]) == set(states[1])
        assert [s["last_epoch"] for s in states[0]["_schedulers"]] == [
            s["last_epoch"] for s in states[1]["_schedulers"]
        ]

        new = make(tg)
        new.load_state_dict(copy.deepcopy(theirs.state_dict()))
        assert new.last_epoch == theirs.last_epoch
        assert new.get_last_lr() == theirs.get_last_lr()


PLATEAUS = [
    {},
    {"patience": 3},
    {"patience": 2, "cooldown": 4},
    {"patience": 0, "factor": 0.7, "min_lr": [0.1, 0.001]},
    {"patience": 1, "mode": "max", "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 1, "mode": "max", "threshold": 0.05},
    {"patience": 4, "threshold": 0.3, "threshold_mode": "abs", "eps": 1e-3},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_plateau(options, seed):
    rng = np.random.default_rng(seed)
    trend = -1 if options.get("mode") == "max" else 1
    metrics = trend * (np.exp(-np.arange(200) / 30) + 0.1 * rng.normal(size=200))
    metrics[rng.integers(0, 200, 3)] = np.nan
    ours, theirs = (
        lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer_of(lib), **options) for lib in LIBS
    )
    for metric in metrics:
        ours.step(metric)
        theirs.step(metric)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)
    assert ours.get_last_lr()[0] < RATES[0]
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours.pop("_last_lr") == pytest.approx(theirs.pop("_last_lr"), rel=1e-12)
    assert ours == theirs


@cases
def test_learning_rates_as_tensors(case):
    def make(lib):
        tensors = [lib.tensor(lr, dtype=lib.float64) for lr in RATES]
        return made(lib, case, optimizer_of(lib, rates=tensors))

    assert_same(make, lasting(case))


def test_same_signatures():
    """Every name of PyTorch's is there, with the same arguments and defaults."""
    ours, theirs = (lib.optim.lr_scheduler for lib in LIBS)
    for name in theirs.__all__:
        for method in ("__init__", "step", "get_lr", "get_last_lr", "state_dict"):
            one, two = (
                inspect.signature(getattr(getattr(module, name), method))
                for module in (ours, theirs)
            )
            described = [
                [(p.name, p.kind, p.default) for p in signature.parameters.values()]
                for signature in (one, two)
            ]
            assert described[0] == described[1], (name, method)


def order(lib, calls):
    """Which calls warn."""
    optimizer = optimizer_of(lib)
    schedule = made(lib, ("StepLR", {"step_size": 3}), optimizer)
    warned = []
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if call == "schedule":
                schedule.step()
            elif call == "epoch":
                schedule.step(4)
            elif call == "get_lr":
                schedule.get_lr()
            elif call == "replace":
                optimizer.step = lambda: None
            elif call == "second":
                schedule = made(lib, ("StepLR", {"step_size": 3}), optimizer)
            elif call == "copy":
                optimizer, schedule = copy.deepcopy((optimizer, schedule))
            else:
                optimizer.step()
        warned.append([w.category for w in caught])
    return warned


@pytest.mark.parametrize(
    "calls",
    [
        "optimizer schedule schedule",
        "schedule schedule optimizer schedule",
        "epoch optimizer epoch get_lr",
        "optimizer second schedule",
        "second schedule",
        "second optimizer schedule",
        "replace optimizer schedule",
    ],
)
def test_same_warnings(calls):
    assert order(tg, calls.split()) == order(torch, calls.split())


def wrong():
    """Calls that raise in both libraries."""
    return {
        "not an optimizer": lambda s, o: s.ExponentialLR(3, 0.5),
        "functions": lambda s, o: s.LambdaLR(o, [slow] * 3),
        "not a function": lambda s, o: s.MultiplicativeLR(o, 0.5),
        "constant": lambda s, o: s.ConstantLR(o, -0.5),
        "start": lambda s, o: s.LinearLR(o, 0),
        "end": lambda s, o: s.LinearLR(o, 0.5, 1.5),
        "T_0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1.5),
        "T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 0),
        "eta_min": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1, 1, "0"),
        "negative epoch": lambda s, o: s.CosineAnnealingWarmRestarts(o, 1).step(-1),
        "mode": lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="x"),
        "too many": lambda s, o: s.CyclicLR(o, 0.1, [0.2] * 3),
        "no size": lambda s, o: s.CyclicLR(o, 0.1, 0.2, step_size_up=0),
        "no steps": lambda s, o: s.OneCycleLR(o, 0.1),
        "steps": lambda s, o: s.OneCycleLR(o, 0.1, -3),
        "epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=3),
        "per epoch": lambda s, o: s.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=0.5),
        "pct_start": lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=1.5),
        "strategy": lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="exp"),
        "factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
        "plateau mode": lambda s, o: s.ReduceLROnPlateau(o, mode="x"),
        "threshold mode": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"),
        "min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
        "plateau's optimizer": lambda s, o: s.ReduceLROnPlateau(3),
        "none": lambda s, o: s.SequentialLR(o, [], []),
        "milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 3)], [3]),
        "sequence of others": lambda s, o: s.SequentialLR(o, [3], []),
        "plateau in sequence": lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
        "empty chain": lambda s, o: s.ChainedScheduler([]),
        "plateau in chain": lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
        "last_epoch": lambda s, o: s.StepLR(o, 3, last_epoch=2),
        "base": lambda s, o: s.LRScheduler(o),
    }


@pytest.mark.parametrize("call", wrong())
def test_same_errors(call, assert_same_error):
    assert_same_error(lambda lib: wrong()[call](lib.optim.lr_scheduler, optimizer_of(lib)))
