"""Oracles of ops that choose, join, gather and scatter elements."""

import numpy as np
from checks import ALL, FLOATS, NONZERO, NUMBERS

from oracles.elementwise import UNARY_SHAPES
from oracles.record import Oracle, case, functional, index, method

MASK = np.array([[True, False, True], [False, True, False]])


# fmt: off
CHOOSING = [
    Oracle("clamp_min", lambda x, min: np.maximum(x, min), [case((5, 7), min=0)], NUMBERS, ulps=0),
    Oracle("clamp_max", lambda x, max: np.minimum(x, max), [case((5, 7), max=1)], NUMBERS, ulps=0),
    Oracle("lerp", lambda x, end, weight: x + weight * (end - x),
        [case((3, 4), (4,), weight=0.25), case((5,), (5,), weight=2), case((), (), weight=0)],
        FLOATS, magnitude=lambda x, end, weight: 20.0),
    Oracle("addcmul", lambda x, a, b, value=1: x + value * a * b,
        [case((3, 4), (4,), (3, 1)), case((5,), (5,), (5,), value=2)], NUMBERS,
        magnitude=lambda x, a, b, value=1: 21.0),
    Oracle("addcdiv", lambda x, a, b, value=1: x + value * a / b,
        [case((3, 4), (4,), (3, 1)), case((5,), (5,), (5,), value=-2)], FLOATS,
        domain=((-3, 3), (-3, 3), NONZERO), magnitude=lambda x, a, b, value=1: 15.0),
    Oracle("nonzero", lambda x: np.argwhere(x), [case((5,)), case((3, 4)), case((0, 2)), case(())],
        ALL, result="int64", grad=False),
    Oracle("where", np.where, [case(MASK, (2, 3), (2, 3)), case(MASK, (3,), ()), case(MASK[:, :1],
        (2, 3), (1,)), case(np.array(True), (4,), (4,)), case(MASK, (2, 2, 3), (3,))], ALL, ulps=0,
        errors=[(lambda lib: lib.where(lib.tensor([True]), lib.ones(2), lib.ones(3)), RuntimeError,
        "")]),
    Oracle("clamp", lambda x, min=None, max=None: np.clip(x, min, max), [case(s, min=-1,
        max=2) for s in UNARY_SHAPES] + [case((5, 7), min=0), case((5, 7), max=1), case((5,), min=2,
        max=-1)], ("float32", "float64", "int64", "int32"), ulps=0,
        errors=[(lambda lib: lib.clamp(lib.ones(2)), RuntimeError, "")]),
    Oracle("masked_fill", lambda x, mask, value: np.where(mask, value, x), [case((2, 3), MASK,
        value=2), case((2, 2, 3), MASK, value=-1.5), case((2, 3), MASK[0], value=0)], FLOATS,
        ulps=0, op=method("masked_fill"),
        errors=[(lambda lib: lib.ones(2).masked_fill(lib.tensor([1, 0]), 1), RuntimeError,
        "bool")]),
    Oracle("masked_select", lambda x, mask: np.broadcast_to(x, np.broadcast_shapes(x.shape,
        mask.shape))[np.broadcast_to(mask, np.broadcast_shapes(x.shape, mask.shape))], [case((2, 3),
        MASK), case((3,), MASK), case((2, 1), MASK), case((0,), np.zeros(0, bool))], ALL, ulps=0),
]
# fmt: on


GATHER = index([0, 2, 1, 0], [1, 1, 0, 2])


def scatter(x, i, src, dim, add=False):
    y = x.copy()
    where = tuple(np.indices(i.shape))
    where = where[:dim] + (i,) + where[dim + 1 :]
    src = src[tuple(slice(n) for n in i.shape)]
    if add:
        np.add.at(y, where, src)
    else:
        y[where] = src
    return y


def index_add(x, i, src, dim):
    y = x.copy()
    np.add.at(y, (slice(None),) * dim + (i,), src)
    return y


# fmt: off
MOVING = [
    Oracle("cat", lambda *xs, dim=0: np.concatenate(xs, dim), [case((2, 3), (1, 3)), case((2, 3),
        (2, 1), (2, 4), dim=1), case((0,), (3,)), case((2, 3), (2, 3), dim=-1)], ALL, ulps=0,
        op=lambda lib, *xs, **k: lib.cat(xs, **k), errors=[(lambda lib: lib.cat([lib.ones(2, 3),
        lib.ones(2, 2)]), RuntimeError, ""), (lambda lib: lib.cat([lib.ones(2)], dim=1), IndexError,
        "")]),
    Oracle("stack", lambda *xs, dim=0: np.stack(xs, dim), [case((2, 3), (2, 3)), case((2, 3), (2,
        3), dim=1), case((), ()), case((3,), (3,), dim=-1)], ALL, ulps=0, op=lambda lib, *xs,
        **k: lib.stack(xs, **k), errors=[(lambda lib: lib.stack([lib.ones(2), lib.ones(3)]),
        RuntimeError, "")]),
    Oracle("gather", lambda x, i, dim: np.take_along_axis(x, i, dim), [case((3, 4), GATHER, dim=0),
        case((2, 3), GATHER, dim=1), case((5,), index(4, 0, 4), dim=0), case((2, 3), np.zeros((2,
        0), np.int64), dim=1)], ALL, ulps=0, op=lambda lib, x, i, dim: lib.gather(x, dim, i),
        errors=[(lambda lib: lib.gather(lib.ones(3), 0, lib.tensor([3])), RuntimeError, "3"),
        (lambda lib: lib.gather(lib.ones(3), 0, lib.tensor([-1])), RuntimeError, "-1"),
        (lambda lib: lib.gather(lib.ones(3), 1, lib.tensor([0])), IndexError, ""),
        (lambda lib: lib.gather(lib.ones(3), 0, lib.tensor([[0]])), RuntimeError, ""),
        (lambda lib: lib.gather(lib.ones(3), 0, lib.tensor([0.0])), RuntimeError, "")]),
    Oracle("scatter", scatter, [case((3, 4), index([0, 2, 1, 0]), (1, 4), dim=0), case((2, 4),
        index([0, 2], [1, 3]), (2, 2), dim=1)], ALL, ulps=0, op=lambda lib, x, i, src,
        dim: lib.scatter(x, dim, i, src), errors=[(lambda lib: lib.scatter(lib.ones(3), 0,
        lib.tensor([3]), lib.ones(1)), RuntimeError, "3")]),
    Oracle("scatter_add", lambda x, i, src, dim: scatter(x, i, src, dim, add=True), [case((3, 4),
        GATHER, (2, 4), dim=0), case((2, 4), index([0, 0, 3], [1, 1, 1]), (2, 3), dim=1)], NUMBERS,
        ulps=4, magnitude=lambda x, i, src, dim: 10.0, op=lambda lib, x, i, src,
        dim: lib.scatter_add(x, dim, i, src), errors=[(lambda lib: lib.scatter_add(lib.ones(3), 0,
        lib.tensor([3]), lib.ones(1)), RuntimeError, "3")]),
    Oracle("index_select", lambda x, i, dim: np.take(x, i, dim), [case((3, 4), index(2, 0, 2),
        dim=0), case((3, 4), index(3), dim=-1), case((3,), index(), dim=0)], ALL, ulps=0,
        op=lambda lib, x, i, dim: lib.index_select(x, dim, i),
        errors=[(lambda lib: lib.index_select(lib.ones(3), 0, lib.tensor([3])), IndexError, ""),
        (lambda lib: lib.index_select(lib.ones(3), 0, lib.tensor([-1])), IndexError, ""),
        (lambda lib: lib.index_select(lib.ones(3), 0, lib.tensor([[0]])), IndexError, "")]),
    Oracle("index_add", index_add, [case((3, 4), index(2, 0, 2), (3, 4), dim=0), case((2, 3),
        index(1), (2, 1), dim=1)], NUMBERS, ulps=4, magnitude=lambda x, i, src, dim: 10.0,
        op=lambda lib, x, i, src, dim: lib.index_add(x, dim, i, src),
        errors=[(lambda lib: lib.index_add(lib.ones(3), 0, lib.tensor([-1]), lib.ones(1)),
        IndexError, ""), (lambda lib: lib.index_add(lib.ones(3), 0, lib.tensor([3]), lib.ones(1)),
        (IndexError, RuntimeError), "")]),
    Oracle("take_along_dim", lambda x, i, dim: np.take_along_axis(x, i, dim), [case((3, 4), GATHER,
        dim=0), case((2, 3), GATHER, dim=1)], ALL, ulps=0),
    Oracle("flip", lambda x, dims: np.flip(x, dims), [case((5,), dims=(0,)), case((3, 4), dims=(0,
        1)), case((2, 3, 4), dims=(-1,)), case((0, 2), dims=(0,))], ALL, ulps=0,
        errors=[(lambda lib: lib.flip(lib.ones(2), dims=(1,)), IndexError, ""),
        (lambda lib: lib.flip(lib.ones(2), dims=(0, 0)), RuntimeError, "")]),
    Oracle("roll", lambda x, shifts, dims=None: np.roll(x, shifts, dims), [case((5,), shifts=2,
        dims=0), case((3, 4), shifts=-1), case((3, 4), shifts=(1, 2), dims=(0, 1)), case((0,),
        shifts=1, dims=0)], ALL, ulps=0),
    Oracle("tril", lambda x, diagonal=0: np.tril(x, diagonal), [case((3, 4)), case((4, 3),
        diagonal=1), case((2, 3, 3), diagonal=-1), case((0, 2))], ALL, ulps=0,
        errors=[(lambda lib: lib.tril(lib.ones(3)), RuntimeError, "")]),
    Oracle("triu", lambda x, diagonal=0: np.triu(x, diagonal), [case((3, 4)), case((4, 3),
        diagonal=1), case((2, 3, 3), diagonal=-1)], ALL, ulps=0),
    Oracle("one_hot", lambda i,
        num_classes=-1: np.eye(i.max() + 1 if num_classes < 0 else num_classes)[i], [case(index(0,
        2, 1)), case(GATHER, num_classes=5), case(np.array(1), num_classes=2)], ("int64",),
        op=functional("one_hot"), grad=False,
        errors=[(lambda lib: lib.nn.functional.one_hot(lib.tensor([3]), 3), RuntimeError, ""),
        (lambda lib: lib.nn.functional.one_hot(lib.tensor([-1]), 3), RuntimeError, ""),
        (lambda lib: lib.nn.functional.one_hot(lib.tensor([0.5]), 3), RuntimeError, "")]),
]
# fmt: on
