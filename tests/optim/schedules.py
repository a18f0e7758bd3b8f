"""Schedules to try: options, and the formula that each must follow, written from its definition."""

import math
from itertools import accumulate

import numpy as np

RATES = (0.5, 0.02)  # of the two groups
STEPS = 200
T = np.arange(STEPS + 1)


def halfway(x):
    return (1 + np.cos(np.pi * x)) / 2


def step(o):
    return o.get("gamma", 0.1) ** np.floor(T / o["step_size"])


def multi_step(o):
    passed = sum((m <= T).astype(int) for m in o["milestones"])
    return o.get("gamma", 0.1) ** passed


def exponential(o):
    return o["gamma"] ** T.astype(float)


def constant(o):
    return np.where(o.get("total_iters", 5) > T, o.get("factor", 1 / 3), 1.0)


def linear(o):
    ends = o.get("start_factor", 1 / 3), o.get("end_factor", 1.0)
    return np.interp(T, [0, o.get("total_iters", 5)], ends)


def polynomial(o):
    return np.clip(1 - T / o.get("total_iters", 5), 0, None) ** o.get("power", 1.0)


def lambdas(o):
    return [[function(t) for t in T] for function in both(o["lr_lambda"])]


def multiplicative(o):
    return [
        list(accumulate(T[1:], lambda lr, t, f=function: lr * f(t), initial=1.0))
        for function in both(o["lr_lambda"])
    ]


def both(value):
    return value if isinstance(value, list) else [value] * 2


def rates(factors):
    """The learning rates of a schedule that multiplies the initial ones."""
    return np.array(RATES)[:, None] * np.broadcast_to(factors, (2, STEPS + 1))


def multiplied(factor):
    return lambda o: (rates(factor(o)), None)


def annealed(shape, o):
    low = o.get("eta_min", 0.0)
    return np.stack([low + (rate - low) * shape for rate in RATES]), None


def cosine(o):
    return annealed(halfway(T / o["T_max"]), o)


def restarts(o):
    """The place in its period of every step, laid out period after period."""
    places, length = [], o["T_0"]
    while len(places) <= STEPS:
        places += [i / length for i in range(length)]
        length *= o.get("T_mult", 1)
    return annealed(halfway(np.array(places[: STEPS + 1])), o)


def cyclic(o):
    up = o.get("step_size_up", 2000)
    total = up + (o.get("step_size_down") or up)
    height = np.interp(T % total, [0, up, total], [0, 1, 0])
    cycle = T // total + 1
    if o.get("scale_fn"):
        steps = o.get("scale_mode") == "iterations"
        scale = np.array([o["scale_fn"](x) for x in (T if steps else cycle)])
    elif o.get("mode") == "triangular2":
        scale = 0.5 ** (cycle - 1)
    else:
        scale = o["gamma"] ** T if o.get("mode") == "exp_range" else np.ones(STEPS + 1)
    height = height * scale
    lows, highs = both(o["base_lr"]), both(o["max_lr"])
    lr = np.stack([low + (high - low) * height for low, high in zip(lows, highs, strict=True)])
    lows, highs = both(o.get("base_momentum", 0.8)), both(o.get("max_momentum", 0.9))
    falls = [high - (high - low) * height for low, high in zip(lows, highs, strict=True)]
    return lr, np.stack(falls) if o.get("cycle_momentum", True) else None


def one_cycle(o):
    """Between the corners (step, learning rate, momentum), in straight lines or half cosines."""
    total = o.get("total_steps") or o["epochs"] * o["steps_per_epoch"]
    top, last = o.get("pct_start", 0.3) * total - 1, total - 1
    lrs, momenta = [], []
    for highest, low, high in zip(
        both(o["max_lr"]),
        both(o.get("base_momentum", 0.85)),
        both(o.get("max_momentum", 0.95)),
        strict=True,
    ):
        begin = highest / o.get("div_factor", 25)
        corners = [(0, begin, high), (top, highest, low)]
        corners += [(2 * top, begin, high)] if o.get("three_phase") else []
        corners += [(last, begin / o.get("final_div_factor", 1e4), high)]
        at, *ends = np.array(corners).T
        # the share of the way between the corners around each step
        place = np.interp(T[:total], at, range(len(at)))
        phase = np.minimum(place.astype(int), len(at) - 2)
        to_go = 1 - (place - phase)
        if o.get("anneal_strategy", "cos") == "cos":
            to_go = halfway(1 - to_go)
        lr, momentum = (end[phase + 1] + (end[phase] - end[phase + 1]) * to_go for end in ends)
        lrs.append(lr)
        momenta.append(momentum)
    return np.stack(lrs), np.stack(momenta) if o.get("cycle_momentum", True) else None


def inverse_sqrt(o):
    """With d ** -0.5 = √warmup · base_lr, the paper's d ** -0.5 · min(s ** -0.5, s · w ** -1.5)."""
    w, s = o["warmup_steps"], T + 1.0
    return np.sqrt(w) * np.minimum(s**-0.5, s * w**-1.5)


def warmup_stable_decay(o):
    w, n, d = o["warmup_steps"], o["stable_steps"], o["decay_steps"]
    x = np.clip((T - w - n) / d, 0, 1)
    shape = {"linear": 1 - x, "cosine": halfway(x), "sqrt": 1 - x**0.5}
    low = o.get("final_factor", 0.0)
    decay = low + (1 - low) * shape[o.get("decay_shape", "linear")]
    return np.where(w > T, (T + 1) / (w + 1), decay)


class Damped:
    """A function with a state of its own."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return 1 / (1 + self.rate * epoch)


def slow(epoch):
    return 0.97**epoch


def wave(epoch):
    return 1 + 0.5 * math.sin(epoch)


FORMULAS = {
    "StepLR": multiplied(step),
    "MultiStepLR": multiplied(multi_step),
    "ExponentialLR": multiplied(exponential),
    "ConstantLR": multiplied(constant),
    "LinearLR": multiplied(linear),
    "PolynomialLR": multiplied(polynomial),
    "LambdaLR": multiplied(lambdas),
    "MultiplicativeLR": multiplied(multiplicative),
    "CosineAnnealingLR": cosine,
    "CosineAnnealingWarmRestarts": restarts,
    "CyclicLR": cyclic,
    "OneCycleLR": one_cycle,
    "InverseSqrtLR": multiplied(inverse_sqrt),
    "WarmupStableDecayLR": multiplied(warmup_stable_decay),
}

# (class, options)
CASES = [
    ("StepLR", {"step_size": 1}),
    ("StepLR", {"step_size": 30}),
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("StepLR", {"step_size": 7, "gamma": 0.0}),
    ("MultiStepLR", {"milestones": [30, 80]}),
    ("MultiStepLR", {"milestones": [80, 30, 30, 150], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [0, 1, 199], "gamma": 0.7}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("ExponentialLR", {"gamma": 1.02}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 40}),
    ("ConstantLR", {"factor": 1.0, "total_iters": 3}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "total_iters": 100}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 150}),
    ("LinearLR", {"start_factor": 0.9, "end_factor": 0.1, "total_iters": 1}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 120, "power": 2.5}),
    ("PolynomialLR", {"total_iters": 300, "power": 0.5}),
    ("LambdaLR", {"lr_lambda": slow}),
    ("LambdaLR", {"lr_lambda": [wave, Damped(0.3)]}),
    ("MultiplicativeLR", {"lr_lambda": Damped(1e-4)}),
    ("MultiplicativeLR", {"lr_lambda": [lambda epoch: 0.98, lambda epoch: 1 + 0.3 / (epoch + 1)]}),
    ("CosineAnnealingLR", {"T_max": 200}),
    ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 10}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 3}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 20}),
    (
        "CyclicLR",
        {"base_lr": [0.01, 0.02], "max_lr": [0.1, 0.3], "step_size_up": 7, "step_size_down": 13},
    ),
    (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 9, "mode": "triangular2"},
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 8,
            "step_size_down": 3,
            "mode": "exp_range",
            "gamma": 0.99,
            "base_momentum": [0.7, 0.8],
            "max_momentum": [0.9, 0.99],
        },
    ),
    (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 8, "scale_fn": Damped(0.5)},
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 8,
            "scale_fn": slow,
            "scale_mode": "iterations",
            "cycle_momentum": False,
        },
    ),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 200}),
    ("OneCycleLR", {"max_lr": [0.1, 0.2], "epochs": 10, "steps_per_epoch": 20, "pct_start": 0.4}),
    (
        "OneCycleLR",
        {"max_lr": 0.1, "total_steps": 203, "anneal_strategy": "linear", "cycle_momentum": False},
    ),
    (
        "OneCycleLR",
        {
            "max_lr": 0.1,
            "total_steps": 200,
            "three_phase": True,
            "div_factor": 10.0,
            "final_div_factor": 100.0,
            "base_momentum": [0.8, 0.7],
        },
    ),
    (
        "OneCycleLR",
        {
            "max_lr": 0.1,
            "total_steps": 201,
            "three_phase": True,
            "anneal_strategy": "linear",
            "pct_start": 0.2,
            "max_momentum": [0.99, 0.9],
        },
    ),
]
OUR_CASES = [
    ("InverseSqrtLR", {"warmup_steps": 40}),
    ("InverseSqrtLR", {"warmup_steps": 1}),
    ("WarmupStableDecayLR", {"warmup_steps": 10, "stable_steps": 100, "decay_steps": 60}),
    (
        "WarmupStableDecayLR",
        {
            "warmup_steps": 5,
            "stable_steps": 50,
            "decay_steps": 100,
            "decay_shape": "sqrt",
            "final_factor": 0.1,
        },
    ),
    (
        "WarmupStableDecayLR",
        {"warmup_steps": 7, "stable_steps": 3, "decay_steps": 150, "decay_shape": "cosine"},
    ),
]


def identity(case):
    name, options = case
    return "-".join([name, *(str(value) for value in options.values() if not callable(value))])


def optimizer_of(lib, name="SGD", rates=RATES):
    """An optimizer with two groups; the parameters have no gradients."""
    params = [lib.zeros(2, requires_grad=True) for _ in RATES]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(params, rates, strict=True)]
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(lib.optim, name)(groups, **options)


def read(optimizer):
    """Per group: learning rate, momentum."""
    return [
        (float(group["lr"]), group["momentum"] if "momentum" in group else group["betas"][0])
        for group in optimizer.param_groups
    ]


def walk(schedule, steps=STEPS):
    """What the optimizer has before, between and after `steps` steps: (2, groups, steps + 1)."""
    path = [read(schedule.optimizer)]
    for _ in range(steps):
        schedule.optimizer.step()
        schedule.step()
        path.append(read(schedule.optimizer))
        assert [float(lr) for lr in schedule.get_last_lr()] == [lr for lr, _ in path[-1]]
    return np.array(path).T


def made(lib, case, optimizer=None, **more):
    name, options = case
    optimizer = optimizer or optimizer_of(lib)
    return getattr(lib.optim.lr_scheduler, name)(optimizer, **options, **more)


def assert_same_walk(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def assert_follows_formula(schedule, case):
    """As many steps as the formula has."""
    name, options = case
    lr, momentum = FORMULAS[name](options)
    lrs, momenta = walk(schedule, lr.shape[1] - 1)
    np.testing.assert_allclose(lrs, lr, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(momenta, 0.9 if momentum is None else momentum, rtol=1e-12)
