"""Steps of optimizers alone, over one tensor or many."""

import pytest

from .targets import OURS

LR = 1e-6  # so small that the numbers stay as they are over many thousand steps
# By name: class, arguments, arithmetic operations for each parameter, bytes moved for each.
RULES = {
    "adam": ("Adam", {"fused": True}, 12, 28),
    "adamw": ("AdamW", {"fused": True}, 14, 28),
    "sgd": ("SGD", {"fused": True, "momentum": 0.9}, 4, 20),
    "adagrad": ("Adagrad", {"fused": True}, 6, 20),
    "rmsprop": ("RMSprop", {}, 7, 20),  # PyTorch has no fused one of this and the following
    "adadelta": ("Adadelta", {}, 12, 28),
    "adamax": ("Adamax", {}, 8, 28),
    "nadam": ("NAdam", {}, 13, 28),
    "radam": ("RAdam", {}, 12, 28),
    "rprop": ("Rprop", {}, 9, 28),
    "asgd": ("ASGD", {}, 6, 20),
    "lion": ("Lion", {}, 8, 20),
    "yogi": ("Yogi", {}, 12, 28),
    "adabelief": ("AdaBelief", {}, 13, 28),
    "adan": ("Adan", {}, 20, 44),
    "sgd schedule-free": ("SGDScheduleFree", {}, 7, 20),
    "adamw schedule-free": ("AdamWScheduleFree", {}, 14, 28),
    "lars": ("LARS", {}, 8, 28),
    "lamb": ("LAMB", {}, 20, 44),
    "prodigy": ("Prodigy", {}, 22, 40),
}
CASES = [(rule, 1, 10**7) for rule in ("adam", "adamw", "sgd", "adagrad", "rmsprop")]
CASES += [(rule, 1, 10**6) for rule in ("adam", *list(RULES)[5:])]
CASES += [("adam", 10, 1000), ("adam", 1000, 100), ("sgd", 1000, 100)]


@pytest.mark.parametrize(
    "rule, tensors, size",
    [
        pytest.param(rule, tensors, size, id=f"{rule} over {tensors} of {size}")
        for rule, tensors, size in CASES
    ],
)
def bench_optimizer(measure, taped, tensor, rule, tensors, size):
    name, options, operations, moved = RULES[rule]
    if not hasattr(taped.optim, name):
        pytest.skip(f"no {name} here")
    parameters = [taped.nn.Parameter(tensor(size)) for _ in range(tensors)]
    for parameter in parameters:
        parameter.grad = tensor(size)
    optimizer = getattr(taped.optim, name)(parameters, lr=LR, **options)
    if hasattr(optimizer, "train"):
        optimizer.train()
    count = tensors * size
    measure("step()", step=optimizer.step, operations=operations * count, moved=moved * count)


def bench_adam_over_1_of_1000000_where_gradients_vanish(measure, taped, tensor):
    """The row of the same size beside it says what a step costs elsewhere."""
    name, options, operations, moved = RULES["adam"]
    parameter = taped.nn.Parameter(tensor(10**6))
    parameter.grad = taped.full((10**6,), 1e-42)
    step = getattr(taped.optim, name)([parameter], lr=LR, **options).step
    measure("step()", step=step, operations=operations * 10**6, moved=moved * 10**6)


@pytest.mark.parametrize(
    "name, buffers",
    [("SGD", 0), ("Adagrad", 1), ("SparseAdam", 2)],
    ids=[
        "sgd of 1024 sparse rows",
        "adagrad of 1024 sparse rows",
        "sparse adam of 1024 sparse rows",
    ],
)
def bench_sparse(measure, taped, numbers, name, buffers):
    """1024 rows of a table of 100 000, duplicates among them."""
    rows, columns, found = 100_000, 64, 1024
    table = taped.nn.Embedding(rows, columns, sparse=True)
    optimizer = getattr(taped.optim, name)(table.parameters(), lr=LR)
    index = taped.tensor((numbers(found, low=0, high=1) * rows).astype("int64"))
    table(index).sum().backward()
    moved = 4 * found * columns * (4 + 2 * buffers)
    measure("step()", step=optimizer.step, operations=8 * found * columns, moved=moved)


REGULARISERS = {"max_grad_norm": 1.0, "l1": 1e-9, "group_lasso": 1e-9, "max_norm": 30.0}


@pytest.mark.parametrize("option", REGULARISERS)
def bench_regularised(measure, pytestconfig, taped, tensor, option):
    """Adam with something before or after the step; PyTorch clips in a call of its own."""
    parameters = [taped.nn.Parameter(tensor(250, 400)) for _ in range(10)]
    for parameter in parameters:
        parameter.grad = tensor(250, 400)
    group, limit = {"params": parameters, option: REGULARISERS[option]}, REGULARISERS[option]
    optimizer = taped.optim.Adam([group], lr=LR, **RULES["adam"][1])

    def clip_and_step():
        taped.nn.utils.clip_grad_norm_(parameters, limit)
        optimizer.step()

    if pytestconfig.variant.framework == OURS:
        measure("step()", step=optimizer.step)
    elif option == "max_grad_norm":
        measure("step()", step=clip_and_step)
    else:
        pytest.skip(f"no {option} here")
