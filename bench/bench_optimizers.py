"""Steps of optimizers alone, over one tensor or many."""

import pytest

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
}
CASES = [(rule, 1, 10**7) for rule in ("adam", "adamw", "sgd", "adagrad", "rmsprop")]
CASES += [(rule, 1, 10**6) for rule in list(RULES)[5:]]
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
