"""Oracles of products of matrices and of the functions of layers."""

import numpy as np
from checks import DISTINCT, FLOATS, NUMBERS

from oracles.record import Oracle, case, doubled, functional, index
from oracles.reductions import log_softmax


def product(name, ref, cases, errors):
    return Oracle(
        name,
        ref,
        cases,
        NUMBERS,
        ulps=8,
        magnitude=doubled(ref),
        errors=[
            (
                lambda lib, a=a, b=b: getattr(lib, name)(lib.ones(a), lib.ones(b)),
                RuntimeError,
                words,
            )
            for a, b, words in errors
        ],
    )


# fmt: off
MATMUL_CASES = [
    case((5,), (5,)), case((0,), (0,)), case((3, 4), (4,)), case((4,), (4, 3)), case((3, 4), (4,
    5)), case((1, 1), (1, 1)), case((0, 4), (4, 3)), case((3, 0), (0, 2)), case((2, 3, 4), (4, 5)),
    case((3, 4), (2, 4, 5)), case((2, 3, 4), (2, 4, 5)), case((2, 3, 4), (4,)), case((4,), (2, 4,
    3)), case((2, 1, 3, 4), (3, 4, 2)), case((17, 33), (33, 9)), case((65, 70), (70, 130)),
]
# fmt: on


# fmt: off
PRODUCTS = [
    product("matmul", np.matmul, MATMUL_CASES, [((2, 3), (2, 3), ""), ((3,), (4,), ""), ((), (2,),
        ""), ((2, 3, 4), (3, 4, 5), "")]),
    product("mm", np.matmul, [case((3, 4), (4, 5)), case((1, 7), (7, 1)), case((2, 0), (0, 3))],
        [((2, 3), (2, 3), ""), ((3,), (3, 2), ""), ((2, 3, 4), (4, 5), "")]),
    product("bmm", np.matmul, [case((2, 3, 4), (2, 4, 5)), case((0, 3, 4), (0, 4, 5))], [((2, 3, 4),
        (3, 4, 5), ""), ((3, 4), (4, 5), "")]),
    product("dot", np.dot, [case((5,), (5,)), case((0,), (0,)), case((129,), (129,))], [((2,), (3,),
        ""), ((2, 2), (2,), "")]),
    product("outer", np.outer, [case((3,), (4,)), case((0,), (2,))], [((2, 2), (2,), "")]),
    product("mv", np.matmul, [case((3, 4), (4,)), case((2, 0), (0,))], [((3, 4), (3,), ""), ((3,),
        (3,), "")]),
]
# fmt: on


def linear(x, w, b=None):
    return x @ w.T if b is None else x @ w.T + b


def batch_norm(x, mean, var, weight, bias, training, eps=1e-5):
    axes = tuple(i for i in range(x.ndim) if i != 1)
    if training:
        mean, var = x.mean(axes), x.var(axes)
    shape = [1, -1] + [1] * (x.ndim - 2)
    scale = weight / np.sqrt(var + eps)
    return (x - mean.reshape(shape)) * scale.reshape(shape) + bias.reshape(shape)


def call_batch_norm(lib, x, mean, var, weight, bias, training):
    # The running statistics are updated in place and carry no gradient.
    mean, var = mean.detach().clone(), var.detach().clone()
    return lib.nn.functional.batch_norm(x, mean, var, weight, bias, training=training)


def layer_norm(x, weight=None, bias=None, eps=1e-5):
    shape = weight.shape if weight is not None else x.shape[-1:]
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def call_layer_norm(lib, x, weight=None, bias=None):
    shape = x.shape[-1:] if weight is None else weight.shape
    return lib.nn.functional.layer_norm(x, tuple(shape), weight, bias)


def rms_norm(x, weight=None, eps=1e-2):
    y = x / np.sqrt((x**2).mean(-1, keepdims=True) + eps)
    return y if weight is None else y * weight


def call_rms_norm(lib, x, weight=None):
    return lib.nn.functional.rms_norm(x, (x.shape[-1],), weight, eps=1e-2)


def group_norm(x, weight=None, bias=None, num_groups=1, eps=1e-5):
    grouped = x.reshape(len(x), num_groups, -1)
    y = grouped - grouped.mean(2, keepdims=True)
    y = (y / np.sqrt(grouped.var(2, keepdims=True) + eps)).reshape(x.shape)
    shape = [1, -1] + [1] * (x.ndim - 2)
    return y if weight is None else y * weight.reshape(shape) + bias.reshape(shape)


def call_group_norm(lib, x, weight=None, bias=None, num_groups=1):
    return lib.nn.functional.group_norm(x, num_groups, weight, bias)


def cross_entropy(x, target, weight=None, reduction="mean", ignore_index=-100, label_smoothing=0.0):
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    logp = np.moveaxis(log_softmax(x, 1 if x.ndim > 1 else 0), min(1, x.ndim - 1), -1)
    logp = logp.reshape(-1, classes)
    flat = target.reshape(-1)
    weight = np.ones(classes) if weight is None else weight
    used = flat != ignore_index
    picked = np.where(used, flat, 0)
    w = weight[picked] * used
    smooth = -(logp * weight).sum(1) * used / classes
    loss = (
        -logp[np.arange(len(flat)), picked] * w * (1 - label_smoothing) + smooth * label_smoothing
    )
    if reduction == "none":
        return loss.reshape(target.shape)
    return loss.sum() / (w.sum() if reduction == "mean" else 1)


def call_cross_entropy(lib, x, target, weight=None, **kwargs):
    weight = None if weight is None else weight.detach()
    return lib.nn.functional.cross_entropy(x, target, weight=weight, **kwargs)


TARGET = index(2, 0, 1, 2)


# fmt: off
NETWORKS = [
    Oracle("linear", linear, [case((3, 4), (2, 4), (2,)), case((3, 4), (2, 4)), case((4,), (2, 4),
        (2,)), case((2, 3, 4), (5, 4), (5,)), case((0, 4), (2, 4), (2,)), case((33, 65), (17, 65),
        (17,))], FLOATS, op=functional("linear"), ulps=8, magnitude=doubled(linear),
        errors=[(lambda lib: lib.nn.functional.linear(lib.ones(2, 3), lib.ones(4, 5)), RuntimeError,
        "")]),
    Oracle("embedding", lambda i, w: w[i], [case(TARGET, (4, 3)), case(index([1, 0], [1, 1]), (2, 5)),
        case(np.array(1), (2, 4)), case(np.zeros((2, 0), np.int64), (3, 2)), case(index(4, 0), (5,
        1))], FLOATS, op=functional("embedding"), ulps=0, errors=[(lambda lib:
        lib.nn.functional.embedding(lib.tensor([3]), lib.ones(3, 2)), IndexError, ""), (lambda lib:
        lib.nn.functional.embedding(lib.tensor([-1]), lib.ones(3, 2)), IndexError, "")]),
    Oracle("batch_norm", batch_norm, [case((6, 3), (3,), (3,), (3,), (3,), training=True), case((6,
        3), (3,), (3,), (3,), (3,), training=False), case((4, 3, 5), (3,), (3,), (3,), (3,),
        training=True)], FLOATS, op=call_batch_norm, domain=((-3, 3), (-1, 1), (0.5, 2), (0.5, 2),
        (-1, 1)), ulps=16, magnitude=lambda x, *rest, **k: 4.0, layouts=DISTINCT),
    Oracle("layer_norm", layer_norm, [case((6, 5)), case((6, 5), (5,), (5,)), case((3, 4, 5), (4, 5),
        (4, 5)), case((3, 70), (70,)), case((40, 33), (33,), (33,))], FLOATS, op=call_layer_norm,
        ulps=16, magnitude=lambda x, *rest, **k: 10.0, layouts=DISTINCT,
        errors=[(lambda lib: lib.nn.functional.layer_norm(lib.ones(2, 4), (5,)), RuntimeError,
        "normalized_shape")]),
    Oracle("rms_norm", rms_norm, [case((6, 5)), case((6, 5), (5,)), case((2, 3, 70), (70,))], FLOATS,
        op=call_rms_norm, ulps=16, magnitude=lambda x, *rest, **k: 3.0, layouts=DISTINCT),
    Oracle("group_norm", group_norm, [case((3, 4, 5), num_groups=2), case((3, 6, 5), (6,), (6,),
        num_groups=3), case((2, 4, 3, 3), (4,), (4,), num_groups=1), case((4, 6), (6,), (6,),
        num_groups=2), case((2, 4, 7, 5), (4,), (4,), num_groups=4)], FLOATS, op=call_group_norm,
        ulps=16, magnitude=lambda x, *rest, **k: 10.0, layouts=DISTINCT,
        errors=[(lambda lib: lib.nn.functional.group_norm(lib.ones(2, 4), 3), RuntimeError,
        "divisible")]),
    Oracle("cross_entropy", cross_entropy, [case((4, 3), TARGET), case((4, 3), TARGET,
        reduction="sum"), case((4, 3), TARGET, reduction="none"), case((4, 3), TARGET,
        ignore_index=2), case((4, 3), TARGET, label_smoothing=0.1), case((4, 3), TARGET,
        np.array([0.5, 1.0, 2.0])), case((3,), np.array(1)), case((2, 3, 2), np.array([[0, 1], [2,
        2]]))], FLOATS, op=call_cross_entropy, ulps=8, magnitude=lambda x, *rest, **k: 3.0,
        errors=[(lambda lib: lib.nn.functional.cross_entropy(lib.ones(2, 3), lib.tensor([0, 3])),
        IndexError, "3"), (lambda lib: lib.nn.functional.cross_entropy(lib.ones(2, 3),
        lib.tensor([0])), ValueError, "")]),
]
# fmt: on
