"""Trajectories: the same starts, gradients and options through any library, or a reference."""

import numpy as np
from checks import generator
from optim_references import JOINT

STEPS = 100
SHAPES = [(), (1,), (3,), (5, 7), (2, 3, 4), (65,), (0, 2)]
FILLED = SHAPES[:-1]  # for PyTorch's Adafactor, which fails on an empty tensor

DECOUPLED = {"decoupled_weight_decay": True, "weight_decay": 0.1}
ADAM_OPTIONS = [
    {"lr": 0.01},
    {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05},
    {"lr": 0.01, "weight_decay": 0.1},
    {"lr": 0.01, "weight_decay": 0.1, "maximize": True},
    {"lr": 0.01, "amsgrad": True},
    {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1, "betas": (0.8, 0.5), "eps": 1e-3},
]
# The class: its option grid.
OPTIONS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.2},
        {"lr": 0.1, "maximize": True, "weight_decay": 0.2},
        {"lr": 0.05, "momentum": 0.9},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.4},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True},
    ],
    "ASGD": [
        {"lr": 0.05},
        {"lr": 0.05, "lambd": 0.1, "alpha": 0.5, "t0": 10},
        {"lr": 0.05, "lambd": 0.1, "t0": 0, "weight_decay": 0.2, "maximize": True},
    ],
    "Rprop": [
        {"lr": 0.01},
        {"lr": 0.01, "etas": (0.4, 1.5), "step_sizes": (0.005, 0.02), "maximize": True},
    ],
    "Adagrad": [
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.1, "eps": 0.01},
        {"lr": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.2, "maximize": True},
    ],
    "RMSprop": [
        {"lr": 0.01},
        {"lr": 0.01, "alpha": 0.8, "eps": 0.01, "weight_decay": 0.2},
        {"lr": 0.01, "momentum": 0.9, "maximize": True, "weight_decay": 0.2},
        {"lr": 0.01, "centered": True, "eps": 1e-3},
        {"lr": 0.01, "centered": True, "momentum": 0.8, "alpha": 0.9, "weight_decay": 0.2},
    ],
    "Adadelta": [
        {"lr": 1.0},
        {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.2, "maximize": True},
    ],
    "Adam": ADAM_OPTIONS,
    "AdamW": ADAM_OPTIONS,
    "Adamax": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "weight_decay": 0.2, "maximize": True},
    ],
    "NAdam": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "momentum_decay": 0.1},
        {"lr": 0.01, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.01, **DECOUPLED},
    ],
    "RAdam": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.01, **DECOUPLED},
    ],
}
# Written in Python over kernels.
ADAFACTOR = [
    {"lr": 0.02},
    {"lr": 0.5, "d": 1.5, "weight_decay": 0.1},
    {"lr": 0.02, "beta2_decay": -0.5, "eps": (1e-2, 0.5), "maximize": True},
]
# Those that PyTorch does not have.
OURS = {
    "Yogi": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "initial_accumulator_value": 0.1},
        {"lr": 0.01, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.01, **DECOUPLED},
    ],
    "AdaBelief": [
        {"lr": 0.01, "eps": 1e-4},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "amsgrad": True, "weight_decay": 0.1},
        {"lr": 0.01, "eps": 0.01, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.01, "eps": 0.01, "weight_decay": 0.2, "decoupled_weight_decay": False},
    ],
    "Adan": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.8, 0.9), "eps": 0.05, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.2, "no_prox": True},
    ],
    "Lion": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.8), "weight_decay": 0.2, "maximize": True},
    ],
    "SGDScheduleFree": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.5, "warmup_steps": 20, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.1, "r": 1.5, "weight_lr_power": 1.0, "warmup_steps": 7},
    ],
    "AdamWScheduleFree": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "warmup_steps": 20, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.2, "r": 1.0, "weight_lr_power": 0.0},
    ],
    "LARS": [
        {"lr": 0.5, "trust_coefficient": 0.1},
        {"lr": 0.5, "trust_coefficient": 0.1, "momentum": 0.5, "nesterov": True, "maximize": True},
        {"lr": 0.5, "trust_coefficient": 0.1, "momentum": 0, "weight_decay": 0.2, "eps": 0.1},
        {"lr": 0.05, "weight_decay": 0.2, "adapt": False},
    ],
    "Prodigy": [
        {"lr": 1.0, "d0": 1e-2},
        {
            "lr": 1.0,
            "betas": (0.5, 0.9),
            "eps": 0.05,
            "weight_decay": 0.2,
            "maximize": True,
            "d0": 0.01,
        },
        {
            "lr": 0.5,
            "use_bias_correction": True,
            "safeguard_warmup": True,
            "d_coef": 30,
            "d0": 0.01,
        },
        {"lr": 0.5, "weight_decay": 0.2, "decoupled_weight_decay": False, "d0": 1e-2},
    ],
    "LAMB": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.2, "adapt": False},
    ],
}
# Where a class is not called as its rule.
RULES = {
    "AdamW": "adam",
    "SparseAdam": "sparse_adam",
    "SGDScheduleFree": "sgd_schedule_free",
    "AdamWScheduleFree": "adamw_schedule_free",
}
FIXED = {"AdamW": {"decoupled_weight_decay": True, "weight_decay": 0.01}}  # what a class sets


# (name of the class, rule, what the class sets, options)
def cases(options):
    """One for every class and row of its grid: as what, and what to call it."""
    rows = [
        (name, RULES.get(name, name.lower()), FIXED.get(name, {}), row)
        for name, grid in options.items()
        for row in grid
    ]
    ids = [f"{row[0]}({', '.join(f'{k}={v}' for k, v in row[3].items())})" for row in rows]
    return rows, ids


# Those that take row-sparse gradients, PyTorch's; other options of SGD and Adagrad do not go with them.
SPARSE = {
    "SparseAdam": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.05, "maximize": True},
    ],
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "maximize": True},
        {"lr": 0.05, "momentum": 0.9},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.4},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    ],
    "Adagrad": [
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.1, "eps": 0.01, "maximize": True},
        {"lr": 0.1, "initial_accumulator_value": 0.5},
    ],
}
CASES, IDS = cases(OPTIONS)
SHARED_CASES, SHARED_IDS = cases(OPTIONS | {"Adafactor": ADAFACTOR})
SPARSE_CASES, SPARSE_IDS = cases(SPARSE)
ALL_CASES, ALL_IDS = cases(OPTIONS | OURS)


def problem(dtype, *, gaps=False, steps=STEPS, shapes=SHAPES):
    """Starting points, and for each step and parameter a gradient, or now and then None."""
    rng = generator("optim", dtype)
    starts = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    gradients = [
        [
            None
            if gaps and (i + t) % 4 == 0 and t % 7 < 3
            else (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 2, shape)).astype(dtype)
            for i, shape in enumerate(shapes)
        ]
        for t in range(steps)
    ]
    return starts, gradients


def scheduled(lr, t):
    """A learning rate that changes on the way."""
    return lr if t < 40 else lr * 0.3


def set_gradients(lib, params, gradients):
    for p, g in zip(params, gradients, strict=True):
        p.grad = None if g is None else lib.tensor(g)


def go(lib, optimizer, params, gradients, first=0):
    """One step per row of gradients; all parameters after each step, as float64 arrays."""
    base = [group["lr"] / scheduled(1.0, first) for group in optimizer.param_groups]
    if "train_mode" in optimizer.defaults:
        optimizer.train()
    path = []
    for t, row in enumerate(gradients, first):
        for group, lr in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = scheduled(lr, t)
        set_gradients(lib, params, row)
        optimizer.step()
        path.append([p.detach().numpy().astype(np.float64) for p in params])
    return path


def run(lib, make, dtype, gaps=False, shapes=SHAPES):
    """The path of parameters that `make(lib, params)` optimizes."""
    starts, gradients = problem(dtype, gaps=gaps, shapes=shapes)
    params = [lib.tensor(start, requires_grad=True) for start in starts]
    return go(lib, make(lib, params), params, gradients)


def run_reference(rule, dtype, options, gaps=False, shapes=SHAPES):
    """The same path by a rule of optim_references; options are one dict, or one per parameter."""
    starts, gradients = problem(dtype, gaps=gaps, shapes=shapes)
    options = options if isinstance(options, list) else [options] * len(starts)
    params = [start.astype(np.float64) for start in starts]
    states, whole = [{} for _ in params], {}
    path = []
    for t, row in enumerate(gradients):
        now = [{**option, "lr": scheduled(option["lr"], t)} for option in options]
        params = reference_step(rule, params, row, states, whole, now)
        path.append(params)
    return path


def reference_step(rule, params, gradients, states, whole, options):
    """The parameters after a step; the states change, and `whole`, the state common to all."""
    params = list(params)
    there = [i for i, g in enumerate(gradients) if g is not None]
    gradients = [None if g is None else g.astype(np.float64) for g in gradients]
    if rule.__name__ in JOINT:
        columns = [[column[i] for i in there] for column in (params, gradients, states)]
        for i, p in zip(there, rule(*columns, whole, **options[0]), strict=True):
            params[i] = p
    else:
        for i in there:
            params[i] = rule(params[i], gradients[i], states[i], **options[i])
    return params


def assert_same_path(a, b, dtype):
    """Equal but for rounding, which adds up over the steps."""
    assert [[p.shape for p in row] for row in a] == [[p.shape for p in row] for row in b]
    x, y = (np.array([np.concatenate([p.ravel() for p in row]) for row in path]) for path in (a, b))
    steps = np.arange(1, len(a) + 1)[:, None]
    bad = ~(np.abs(x - y) <= 4 * np.finfo(dtype).eps * steps * (1 + np.abs(y)))
    if bad.any():
        t, i = np.argwhere(bad)[0]
        raise AssertionError(f"step {t + 1}, element {i}: {x[t, i]!r}, expected {y[t, i]!r}")
