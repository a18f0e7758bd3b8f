"""Schedules against their formulas; off by one is caught; chains, state, warnings, previews."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from schedules import (
    CASES,
    FORMULAS,
    OUR_CASES,
    RATES,
    Damped,
    assert_follows_formula,
    identity,
    made,
    optimizer_of,
    slow,
    walk,
)

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons.optim import lr_scheduler

ALL_CASES = CASES + OUR_CASES
CHAINABLE = [
    case
    for case in ALL_CASES
    if issubclass(getattr(lr_scheduler, case[0]), lr_scheduler.factors.FactorLR)
]


def cases(which):
    return pytest.mark.parametrize("case", which, ids=identity)


def test_every_schedule_has_a_case():
    composed = {"LRScheduler", "ChainedScheduler", "SequentialLR", "WarmupLR", "ReduceLROnPlateau"}
    names = {name for name in lr_scheduler.__all__ if name[0].isupper()} - composed
    assert names == set(FORMULAS) == {name for name, _ in ALL_CASES}


@cases(ALL_CASES)
def test_formula(case):
    assert_follows_formula(made(tg, case), case)


@cases([case for case in CASES if case[0] in ("CyclicLR", "OneCycleLR")])
def test_formula_with_betas(case):
    optimizer = optimizer_of(tg, "Adam")
    for group in optimizer.param_groups:
        group["betas"] = (0.9, 0.99)
    assert_follows_formula(made(tg, case, optimizer), case)
    assert [group["betas"][1] for group in optimizer.param_groups] == [0.99, 0.99]


# ---- mistakes are caught ----


def off_by_one(schedule, by):
    """The schedule's class with a `get_lr` that is `by` steps early."""
    kind = type(schedule)
    counter = "T_cur" if hasattr(schedule, "T_cur") else "last_epoch"

    def get_lr(self):
        setattr(self, counter, getattr(self, counter) + by)
        try:
            return kind.get_lr(self)
        finally:
            setattr(self, counter, getattr(self, counter) - by)

    return type(kind.__name__, (kind,), {"get_lr": get_lr, "_moves_on_resume": True})


def is_caught(schedule, case):
    try:
        assert_follows_formula(schedule, case)
    except (AssertionError, ValueError, ZeroDivisionError):
        return True
    return False


@pytest.mark.parametrize("by", [-1, 1])
@cases([case for case in ALL_CASES if case[1] != {"factor": 1.0, "total_iters": 3}])
def test_early_and_late_are_caught(case, by):
    name, options = case
    kind = off_by_one(made(tg, case), by)
    try:
        schedule = kind(optimizer_of(tg), **options)
    except ZeroDivisionError:
        return
    assert is_caught(schedule, case)


def lengths():
    """Each case with one of its whole numbers off by one."""
    for name, options in ALL_CASES:
        for key, value in options.items():
            if isinstance(value, int) and not isinstance(value, bool):
                for other in (value - 1, value + 1):
                    if other > 0:
                        yield (name, options), {key: other}
            if key == "milestones":
                for by in (-1, 1):
                    yield (name, options), {key: [value[0], value[1] + by, *value[2:]]}


@pytest.mark.parametrize(
    ("case", "wrong"),
    list(lengths()),
    ids=lambda part: identity(part) if isinstance(part, tuple) else str(part),
)
def test_wrong_lengths_are_caught(case, wrong):
    name, options = case
    if options.get("factor") == 1.0:
        assert not is_caught(made(tg, case), case)
        return
    assert is_caught(made(tg, (name, {**options, **wrong})), case)


# ---- chained ----


def halved(schedule, at, steps):
    """The walk of a schedule whose learning rates somebody halves after `at` steps."""
    before = walk(schedule, at)
    for group in schedule.optimizer.param_groups:
        group["lr"] *= 0.5
    return np.concatenate([before, walk(schedule, steps - at)[:, :, 1:]], axis=2)


@cases(CHAINABLE)
def test_changes_by_others_stay(case):
    name, options = case
    expected = FORMULAS[name](options)[0].copy()
    expected[:, 38:] *= 0.5
    lrs, _ = halved(made(tg, case), 37, 200)
    np.testing.assert_allclose(lrs, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("other", CHAINABLE[::3], ids=identity)
@cases(CHAINABLE[1::4])
def test_chained_factors_multiply(case, other):
    optimizer = optimizer_of(tg)
    schedule = lr_scheduler.ChainedScheduler(
        [made(tg, case, optimizer), made(tg, other, optimizer)]
    )
    one, two = (FORMULAS[name](options)[0] for name, options in (case, other))
    expected = one * two / np.array(RATES)[:, None]
    np.testing.assert_allclose(walk(schedule)[0], expected, rtol=1e-12, atol=1e-13)


def test_a_factor_of_zero_is_left_again():
    schedule = lr_scheduler.ConstantLR(optimizer_of(tg), factor=0.0, total_iters=3)
    assert walk(schedule, 4)[0].tolist() == [[0, 0, 0, lr, lr] for lr in RATES]


def test_decay_goes_on_where_its_power_is_no_number():
    schedule = lr_scheduler.ExponentialLR(optimizer_of(tg), gamma=0.01)
    walk(schedule, 300)  # 0.01 ** 300 is 0
    schedule.optimizer.param_groups[0]["lr"] = 1.0
    assert walk(schedule, 1)[0][0].tolist() == [1.0, 0.01]


# ---- compositions ----


def sequence(optimizer, cases, milestones):
    return lr_scheduler.SequentialLR(optimizer, [made(tg, c, optimizer) for c in cases], milestones)


def joined(cases, milestones, steps=200):
    """The formulas one after the other, each from its own beginning."""
    parts = [FORMULAS[name](options)[0] for name, options in cases]
    bounds = [0, *milestones, steps + 1]
    return np.concatenate(
        [part[:, : b - a] for part, a, b in zip(parts, bounds, bounds[1:], strict=False)], axis=1
    )


WARM = ("LinearLR", {"start_factor": 0.1, "total_iters": 20})
COOL = ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001})
FALL = ("ExponentialLR", {"gamma": 0.97})
AGAIN = ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2})


def test_sequence():
    schedules, milestones = [WARM, COOL, FALL, AGAIN], [20, 70, 100]
    schedule = sequence(optimizer_of(tg), schedules, milestones)
    np.testing.assert_allclose(walk(schedule)[0], joined(schedules, milestones), rtol=1e-12)
    for wrong in ([19, 70, 100], [20, 71, 100], [20, 70, 99]):
        assert not np.allclose(joined(schedules, wrong), joined(schedules, milestones), rtol=1e-9)


def test_sequences_in_sequences():
    optimizer = optimizer_of(tg)
    inner = [sequence(optimizer, [WARM, COOL], [20]), sequence(optimizer, [FALL, WARM], [30])]
    schedule = lr_scheduler.SequentialLR(optimizer, inner, [60])
    expected = joined([WARM, COOL, FALL, WARM], [20, 60, 90])
    np.testing.assert_allclose(walk(schedule)[0], expected, rtol=1e-12)


def test_chains_in_sequences():
    optimizer = optimizer_of(tg)
    chains = [
        lr_scheduler.ChainedScheduler([made(tg, WARM, optimizer), made(tg, FALL, optimizer)])
        for _ in range(2)
    ]
    schedule = lr_scheduler.SequentialLR(optimizer, chains, [60])
    once = joined([WARM], []) * 0.97 ** np.arange(201)
    expected = np.concatenate([once[:, :60], once[:, :141]], axis=1)
    np.testing.assert_allclose(walk(schedule)[0], expected, rtol=1e-12)


def warmed(lr, steps, start):
    """`steps` in a straight line in front of a path."""
    line = start + (1 - start) * np.arange(steps) / steps
    return np.concatenate([lr[:, :1] * line, lr], axis=1)[:, : lr.shape[1]]


@pytest.mark.parametrize(("steps", "start"), [(10, None), (1, None), (25, 0.2)])
@cases(ALL_CASES)
def test_warmup(case, steps, start):
    name, options = case
    schedule = lr_scheduler.WarmupLR(made(tg, case), steps, start)
    lr, momentum = FORMULAS[name](options)
    path = walk(schedule, lr.shape[1] - 1)
    expected = warmed(lr, steps, start or 1 / (steps + 1))
    np.testing.assert_allclose(path[0], expected, rtol=1e-12, atol=1e-13)
    if momentum is not None:
        waiting = np.repeat(momentum[:, :1], steps, axis=1)
        np.testing.assert_allclose(
            path[1], np.concatenate([waiting, momentum], axis=1)[:, : lr.shape[1]], rtol=1e-12
        )
    if start is None:
        late = warmed(lr, steps + 1, 1 / (steps + 2))
        assert not np.allclose(path[0], late, rtol=1e-9)


def test_no_warmup():
    assert_follows_formula(lr_scheduler.WarmupLR(made(tg, COOL), 0), COOL)


def test_warmup_within_compositions():
    optimizer = optimizer_of(tg)
    parts = [lr_scheduler.WarmupLR(made(tg, case, optimizer), 4) for case in (COOL, FALL)]
    schedule = lr_scheduler.SequentialLR(optimizer, parts, [50])
    paths = [warmed(joined([case], []), 4, 0.2) for case in (COOL, FALL)]
    expected = np.concatenate([paths[0][:, :50], paths[1][:, :151]], axis=1)
    np.testing.assert_allclose(walk(schedule)[0], expected, rtol=1e-12)

    chain = lr_scheduler.ChainedScheduler([made(tg, FALL, optimizer_of(tg))])
    expected = warmed(joined([FALL], []), 4, 0.2)
    np.testing.assert_allclose(walk(lr_scheduler.WarmupLR(chain, 4))[0], expected, rtol=1e-12)


def test_warmup_before_a_plateau():
    optimizer = optimizer_of(tg)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    schedule = lr_scheduler.WarmupLR(plateau, 3)
    path = [optimizer.param_groups[0]["lr"]]
    for metric in (9, 9, 9, 5, 6, 4):
        optimizer.step()
        schedule.step(metric)
        path.append(optimizer.param_groups[0]["lr"])
    assert path == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.25, 0.25], rel=1e-14)


def test_the_learning_rate_of_vaswani():
    """The base model's: width 512, 4000 steps of warm-up; its highest rate is known as 7e-4."""
    optimizer = optim.SGD([tg.zeros(1, requires_grad=True)], lr=(512 * 4000) ** -0.5)
    path = lr_scheduler.values(lr_scheduler.InverseSqrtLR(optimizer, 4000), 10000)[0]
    s = np.arange(1, 10001.0)
    np.testing.assert_allclose(path, 512**-0.5 * np.minimum(s**-0.5, s * 4000**-1.5), rtol=1e-11)
    assert path.argmax() == 3999
    assert path.max() == pytest.approx(6.99e-4, rel=1e-3)


# ---- plateau ----


def fall(metrics, **options):
    """After which metrics the learning rate of 1 went down, and where it ended."""
    optimizer = optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, **{"factor": 0.5, **options})
    falls = []
    for i, metric in enumerate(metrics):
        before = optimizer.param_groups[0]["lr"]
        schedule.step(metric)
        if optimizer.param_groups[0]["lr"] < before:
            falls.append(i)
    return falls, schedule.get_last_lr()


@pytest.mark.parametrize(
    ("metrics", "options", "falls"),
    [
        ([3, 2, 1, 0.5], {"patience": 0}, []),
        ([3, 3, 3, 3, 3, 3, 3], {"patience": 2}, [3, 6]),
        ([3, 3, 3, 2, 2, 2, 2], {"patience": 2}, [6]),
        ([3, 3, 3, 3, 3, 3, 3], {"patience": 1, "cooldown": 2}, [2, 6]),
        ([3, 3, 3, 3, 3], {"patience": 0, "cooldown": 1}, [1, 3]),
        ([100, 95, 89], {"patience": 0, "threshold": 0.1}, [1]),
        ([100, 95, 89], {"patience": 0, "threshold": 5.5, "threshold_mode": "abs"}, [1]),
        ([100, 105, 111], {"patience": 0, "threshold": 0.1, "mode": "max"}, [1]),
        (
            [100, 105, 111],
            {"patience": 0, "threshold": 5.5, "threshold_mode": "abs", "mode": "max"},
            [1],
        ),
        ([1, 1, 1, 1, 1], {"patience": 0, "min_lr": 0.25}, [1, 2]),
        ([1, 1, 1, 1, 1], {"patience": 0, "eps": 0.2}, [1, 2]),
        ([1, float("nan"), float("nan"), 0.5], {"patience": 1}, [2]),
    ],
)
def test_plateau(metrics, options, falls):
    got, lr = fall(metrics, **options)
    assert got == falls
    assert lr == [0.5 ** len(falls)]
    for key in ("patience", "cooldown"):
        if key in options and len(falls) > 1 and "min_lr" not in options and "eps" not in options:
            assert fall(metrics, **{**options, key: options[key] + 1})[0] != falls


def test_plateau_takes_a_tensor_and_new_groups():
    optimizer = optimizer_of(tg)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    listed = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1, 0.2])
    optimizer.add_param_group({"params": tg.zeros(1, requires_grad=True), "lr": 8.0})
    for _ in range(2):
        schedule.step(tg.tensor(1.0))
    assert schedule.get_last_lr() == [0.25, 0.01, 4.0]
    listed.step(1.0)
    with pytest.raises(RuntimeError, match=r"has 3 groups now, but min_lr was given for 2"):
        listed.step(1.0)


# ---- state ----


@cases(ALL_CASES)
def test_resumed_from_a_state_dict(case):
    name, options = case
    steps = FORMULAS[name](options)[0].shape[1] - 1
    whole = made(tg, case)
    whole_path = walk(whole, steps)
    old = made(tg, case)
    path = walk(old, 73)
    state = copy.deepcopy((old.optimizer.state_dict(), old.state_dict()))

    new = made(tg, case)
    new.optimizer.load_state_dict(state[0])
    new.load_state_dict(state[1])
    assert new.get_last_lr() == old.get_last_lr()
    path = np.concatenate([path, walk(new, steps - 73)[:, :, 1:]], axis=2)
    assert path.tobytes() == whole_path.tobytes()


def compositions():
    def sequential(optimizer):
        return sequence(optimizer, [WARM, AGAIN, FALL], [20, 80])

    def chained(optimizer):
        return lr_scheduler.ChainedScheduler([made(tg, c, optimizer) for c in (WARM, FALL)])

    def warm(optimizer):
        return lr_scheduler.WarmupLR(sequential(optimizer), 90)

    return [sequential, chained, warm]


@pytest.mark.parametrize("make", compositions(), ids=lambda make: make.__name__)
@pytest.mark.parametrize("at", [10, 20, 100])
def test_compositions_resumed_from_a_state_dict(make, at):
    whole = walk(make(optimizer_of(tg)))
    old = make(optimizer_of(tg))
    path = walk(old, at)
    state = copy.deepcopy((old.optimizer.state_dict(), old.state_dict()))
    new = make(optimizer_of(tg))
    new.optimizer.load_state_dict(state[0])
    new.load_state_dict(state[1])
    path = np.concatenate([path, walk(new, 200 - at)[:, :, 1:]], axis=2)
    assert path.tobytes() == whole.tobytes()


def test_plateau_resumed_from_a_state_dict():
    metrics = np.random.default_rng(0).normal(size=200).tolist()

    def run(schedule, metrics):
        path = []
        for metric in metrics:
            schedule.step(metric)
            path.append(schedule.get_last_lr())
        return path

    def new():
        return lr_scheduler.ReduceLROnPlateau(optimizer_of(tg), "max", 0.9, 4, cooldown=3)

    old, resumed = new(), new()
    whole, path = run(new(), metrics), run(old, metrics[:50])
    resumed.optimizer.load_state_dict(copy.deepcopy(old.optimizer.state_dict()))
    resumed.load_state_dict(copy.deepcopy(old.state_dict()))
    assert path + run(resumed, metrics[50:]) == whole
    assert whole[-1][0] < 0.1


@pytest.mark.parametrize("kind", ["LambdaLR", "MultiplicativeLR"])
def test_functions_with_a_state_are_saved(kind):
    old = made(tg, (kind, {"lr_lambda": [Damped(0.5), slow]}))
    state = old.state_dict()
    assert state["lr_lambdas"] == [{"rate": 0.5}, None]
    new = made(tg, (kind, {"lr_lambda": [Damped(7.0), slow]}))
    new.load_state_dict(state)
    assert new.lr_lambdas[0].rate == 0.5
    assert new.lr_lambdas[1] is slow
    assert state["lr_lambdas"] == [{"rate": 0.5}, None]


@cases([WARM, COOL, FALL, AGAIN, CASES[30], CASES[-1]])
def test_last_epoch_goes_on(case):
    old = made(tg, case)
    whole = walk(made(tg, case), 60)[0]
    walk(old, 24)
    new = optimizer_of(tg)
    new.load_state_dict(old.optimizer.state_dict())
    resumed = made(tg, case, new, last_epoch=23)
    assert resumed.last_epoch == 24
    np.testing.assert_allclose(walk(resumed, 36)[0], whole[:, 24:], rtol=1e-12)


def test_last_epoch_needs_an_initial_learning_rate():
    with pytest.raises(KeyError, match="'initial_lr'"):
        made(tg, COOL, last_epoch=3)


# ---- learning rates as tensors ----


@cases(CASES[::3])
def test_a_tensor_is_written_to(case):
    tensors = [tg.tensor(lr, dtype=tg.float64) for lr in RATES]
    optimizer = optimizer_of(tg, rates=tensors)
    schedule = made(tg, case, optimizer)
    assert_follows_formula(schedule, case)
    assert all(g["lr"] is t for g, t in zip(optimizer.param_groups, tensors, strict=True))
    last = schedule.get_last_lr()
    assert all(isinstance(lr, tg.Tensor) for lr in last)
    last[0].fill_(77.0)
    assert tensors[0].item() != 77.0


# ---- the order of the calls ----


def messages(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


def test_a_schedule_before_its_optimizer_is_warned_about():
    schedule = made(tg, FALL)
    (message,) = messages(lambda: schedule.step())
    assert "called before optimizer.step()" in message
    assert messages(lambda: schedule.step()) == []


def test_the_right_order_is_not_warned_about():
    schedule = made(tg, FALL)
    optimizer = schedule.optimizer
    second = made(tg, WARM, optimizer)
    optimizer.register_step_pre_hook(lambda *_: None)

    def run():
        for _ in range(3):
            optimizer.step()
            schedule.step()
            second.step()

    assert messages(run) == []
    assert messages(made(tg, FALL, optimizer).step) == []


def test_a_replaced_step_is_warned_about():
    schedule = made(tg, FALL)
    schedule.optimizer.step = lambda: None
    (message,) = messages(lambda: schedule.step())
    assert "was replaced" in message


def test_watching_leaves_no_trace():
    optimizer = optimizer_of(tg)
    for _ in range(2):
        made(tg, FALL, optimizer)
    assert "step" in vars(optimizer)
    optimizer.step()
    assert "step" not in vars(optimizer)
    hooked = optimizer_of(tg)
    calls = []
    hooked.register_step_post_hook(lambda *_: calls.append(1))
    made(tg, FALL, hooked)
    hooked.step()
    hooked.step()
    assert calls == [1, 1]


def test_a_step_replaced_by_one_that_calls_it():
    schedule = made(tg, FALL)
    optimizer = schedule.optimizer
    inner, calls = optimizer.step, []

    def outer():
        calls.append(1)
        inner()

    optimizer.step = outer
    optimizer.step()
    optimizer.step()
    assert calls == [1, 1]
    assert messages(schedule.step) == []


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copied_optimizer_and_schedule(copied, stepped):
    original = made(tg, FALL)
    if stepped:
        original.optimizer.step()
    schedule = copied(original)
    assert messages(schedule.step) == []
    assert schedule.optimizer.param_groups[0]["lr"] == schedule.get_last_lr()[0] == 0.5 * 0.97
    assert original.optimizer.param_groups[0]["lr"] == 0.5


def test_get_lr_is_warned_about():
    schedule = made(tg, ("StepLR", {"step_size": 3}))
    (message,) = messages(lambda: schedule.get_lr())
    assert "get_last_lr()" in message


def test_an_epoch_is_warned_about_and_takes_the_closed_form():
    schedule = made(tg, FALL)
    schedule.optimizer.step()
    schedule.optimizer.param_groups[0]["lr"] = 9.0
    (message,) = messages(lambda: schedule.step(10))
    assert "deprecated" in message
    assert schedule.last_epoch == 10
    assert schedule.get_last_lr() == pytest.approx([lr * 0.97**10 for lr in RATES], rel=1e-13)


# ---- errors ----


def test_errors():
    optimizer, sched = optimizer_of(tg), lr_scheduler
    fall = made(tg, FALL, optimizer)
    plateau = sched.ReduceLROnPlateau(optimizer)
    bare = optim.Optimizer([tg.zeros(1, requires_grad=True)], {"lr": 0.1})
    wrong = [
        (TypeError, "list is not an Optimizer", lambda: sched.StepLR([], 3)),
        (ValueError, "3 functions for 2 groups", lambda: sched.LambdaLR(optimizer, [slow] * 3)),
        (TypeError, "but is float", lambda: sched.MultiplicativeLR(optimizer, 0.5)),
        (ValueError, "factor must be between", lambda: sched.ConstantLR(optimizer, 1.5)),
        (ValueError, "start_factor must be above 0", lambda: sched.LinearLR(optimizer, 0.0)),
        (ValueError, "end_factor must be", lambda: sched.LinearLR(optimizer, 0.5, -1.0)),
        (ValueError, "T_0 must be", lambda: sched.CosineAnnealingWarmRestarts(optimizer, 0)),
        (ValueError, "T_mult must", lambda: sched.CosineAnnealingWarmRestarts(optimizer, 2, 1.5)),
        (
            ValueError,
            "eta_min must",
            lambda: sched.CosineAnnealingWarmRestarts(optimizer, 2, 1, ""),
        ),
        (ValueError, "mode is 'square'", lambda: sched.CyclicLR(optimizer, 0.1, 1, mode="square")),
        (ValueError, "base_lr has 3 values", lambda: sched.CyclicLR(optimizer, [0.1] * 3, 1)),
        (ValueError, "neither momentum nor", lambda: sched.CyclicLR(bare, 0.1, 1)),
        (ValueError, "neither momentum nor", lambda: sched.OneCycleLR(bare, 0.1, 10)),
        (ValueError, "either total_steps, or", lambda: sched.OneCycleLR(optimizer, 0.1, epochs=3)),
        (ValueError, "total_steps must be", lambda: sched.OneCycleLR(optimizer, 0.1, 0)),
        (ValueError, "pct_start must be", lambda: sched.OneCycleLR(optimizer, 0.1, 9, pct_start=1)),
        (
            ValueError,
            "anneal_strategy must be",
            lambda: sched.OneCycleLR(optimizer, 0.1, 9, anneal_strategy="sin"),
        ),
        (
            ValueError,
            "factor must be below 1",
            lambda: sched.ReduceLROnPlateau(optimizer, factor=1),
        ),
        (ValueError, "mode must be", lambda: sched.ReduceLROnPlateau(optimizer, "low")),
        (
            ValueError,
            "threshold_mode must",
            lambda: sched.ReduceLROnPlateau(optimizer, threshold_mode="x"),
        ),
        (
            ValueError,
            "min_lr has 3 values",
            lambda: sched.ReduceLROnPlateau(optimizer, min_lr=[0, 0, 0]),
        ),
        (ValueError, "at least one", lambda: sched.SequentialLR(optimizer, [], [])),
        (ValueError, "got 0 milestones", lambda: sched.SequentialLR(optimizer, [fall, fall], [])),
        (ValueError, "needs a metric", lambda: sched.SequentialLR(optimizer, [plateau], [])),
        (ValueError, "another optimizer", lambda: sched.SequentialLR(bare, [fall], [])),
        (ValueError, "needs a metric", lambda: sched.ChainedScheduler([fall, plateau])),
        (ValueError, "at least one", lambda: sched.ChainedScheduler([])),
        (TypeError, "is a int, no schedule", lambda: sched.ChainedScheduler([3])),
        (TypeError, "int is not a schedule", lambda: sched.WarmupLR(3, 2)),
        (ValueError, "warmup_steps must not", lambda: sched.WarmupLR(fall, -1)),
        (ValueError, "start_factor must be", lambda: sched.WarmupLR(fall, 2, 0.0)),
        (ValueError, "warmup_steps must be", lambda: sched.InverseSqrtLR(optimizer, 0)),
        (
            ValueError,
            "decay_steps must",
            lambda: sched.WarmupStableDecayLR(optimizer, 1, 1, -1),
        ),
        (
            ValueError,
            "final_factor must",
            lambda: sched.WarmupStableDecayLR(optimizer, 1, 1, 1, 2.0),
        ),
        (
            ValueError,
            "linear, cosine, sqrt",
            lambda: sched.WarmupStableDecayLR(optimizer, 1, 1, 1, decay_shape="x"),
        ),
        (NotImplementedError, "get_lr is not defined", lambda: sched.LRScheduler(optimizer)),
    ]
    for kind, message, call in wrong:
        with pytest.raises(kind, match=message):
            call()


def test_one_cycle_ends():
    schedule = lr_scheduler.OneCycleLR(optimizer_of(tg), 0.1, 5)
    walk(schedule, 5)
    with pytest.raises(ValueError, match="step 6 is beyond the 5 steps"):
        schedule.step()


def test_one_cycle_with_an_empty_phase():
    """Where the rise ends at step 0, the cycle begins at the top."""
    schedule = lr_scheduler.OneCycleLR(optimizer_of(tg), 0.1, 10, pct_start=0.1)
    assert walk(schedule, 1)[0][0][0] == pytest.approx(0.1)


# ---- previews ----


class Stairs(lr_scheduler._LRScheduler):
    def get_lr(self):
        return [lr / (1 + self.last_epoch // 10) for lr in self.base_lrs]


@cases(ALL_CASES)
def test_values(case):
    name, options = case
    expected = FORMULAS[name](options)[0]
    schedule = made(tg, case)
    walk(schedule, 20)
    before = copy.deepcopy((schedule.state_dict(), schedule.optimizer.state_dict()))
    assert messages(lambda: lr_scheduler.values(schedule, 150)) == []
    values = lr_scheduler.values(schedule, 150)
    np.testing.assert_allclose(values, expected[:, 20:170], rtol=1e-11, atol=1e-13)
    after = schedule.state_dict(), schedule.optimizer.state_dict()
    assert after == before
    np.testing.assert_array_equal(walk(schedule, 149)[0], values)


@pytest.mark.parametrize("make", compositions(), ids=lambda make: make.__name__)
def test_values_of_compositions(make):
    schedule = make(optimizer_of(tg))
    values = lr_scheduler.values(schedule, 200)
    np.testing.assert_array_equal(walk(schedule, 199)[0], values)


def test_values_of_a_class_of_ones_own():
    schedule = Stairs(optimizer_of(tg))
    values = lr_scheduler.values(schedule, 40)
    np.testing.assert_allclose(values, np.array(RATES)[:, None] / (1 + np.arange(40) // 10))
    assert lr_scheduler.values(schedule, 0).shape == (2, 0)


def test_values_leave_tensors_alone():
    tensors = [tg.tensor(lr, dtype=tg.float64) for lr in RATES]
    schedule = made(tg, FALL, optimizer_of(tg, rates=tensors))
    values = lr_scheduler.values(schedule, 30)
    np.testing.assert_allclose(values, joined([FALL], [])[:, :30], rtol=1e-12)
    assert [lr.item() for lr in tensors] == list(RATES)


def test_values_of_a_plateau_are_unknown():
    with pytest.raises(TypeError, match="metric"):
        lr_scheduler.values(lr_scheduler.ReduceLROnPlateau(optimizer_of(tg)), 3)


def test_plot(tmp_path):
    schedule = sequence(optimizer_of(tg), [WARM, COOL], [20])
    figure = lr_scheduler.plot(schedule, 100)
    (axes,) = figure.axes
    assert len(axes.lines) == 2
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), lr_scheduler.values(schedule, 100)[1])
    figure.savefig(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").read_bytes()[:4] == b"\x89PNG"
