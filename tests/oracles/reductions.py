"""Oracles of reductions, scans and sorting."""

import math

import numpy as np
from checks import ALL, DISTINCT, FLOATS, NUMBERS
from scipy import special

from oracles.record import Oracle, case

# fmt: off
REDUCE_CASES = [
    case(()), case((5,)), case((3, 4), dim=0), case((3, 4), dim=-1), case((3, 4), dim=1,
    keepdim=True), case((2, 3, 4), dim=1), case((7, 131), dim=1), case((131, 7), dim=0),
    case((3000,)),
]
# fmt: on


# fmt: off
MANY_DIMS = [
    case((2, 3, 4), dim=(0, 2)), case((2, 3, 4), dim=(0, -1), keepdim=True), case((2, 3, 4), dim=(1,
    2)), case((2, 1, 3, 5), dim=(1, 3)),
]
# fmt: on


EMPTY = [case((0,)), case((0, 3), dim=0), case((2, 0), dim=0)]


ONE_DIM = [c for c in REDUCE_CASES if "dim" in c[1]]


def both(ref):
    """For reductions: `dim=None` means all."""
    return lambda x, dim=None, keepdim=False: ref(x, axis=dim, keepdims=keepdim)


def with_indices(values, indices):
    def ref(x, dim, keepdim=False):
        i = indices(x, axis=dim, keepdims=True)
        v = np.take_along_axis(x, i, dim)
        return [v, i] if keepdim else [v.squeeze(dim), i.squeeze(dim)]

    return ref


def lone_dim(ref):
    def wrapped(x, dim=None, keepdim=False):
        return ref(x, axis=dim, keepdims=keepdim) if dim is not None else ref(x)

    return wrapped


def logsumexp(x, dim, keepdim=False):
    return special.logsumexp(x, axis=dim, keepdims=keepdim)


def variance(root):
    def ref(x, dim=None, keepdim=False, correction=1, unbiased=None):
        ddof = correction if unbiased is None else int(unbiased)
        v = np.var(x, axis=dim, keepdims=keepdim, ddof=ddof)
        return np.sqrt(v) if root else v

    return ref


def norm(x, p=2, dim=None, keepdim=False):
    x = np.abs(x)
    reduce = {"axis": dim, "keepdims": keepdim}
    if math.isinf(p):
        return x.max(**reduce) if p > 0 else x.min(**reduce)
    if p == 0:
        return np.sum(x != 0, **reduce)
    return np.sum(x**p, **reduce) ** (1 / p)


def out_of_range(name):
    return [
        (lambda lib: getattr(lib, name)(lib.ones(2, 3), dim=2), IndexError, "2"),
        (lambda lib: getattr(lib, name)(lib.ones(2, 3), dim=-3), IndexError, "-3"),
    ]


# fmt: off
VARIANCE_CASES = [
    case((5,)), case((3, 4), dim=0), case((3, 4), dim=1, keepdim=True), case((2, 3, 4), dim=(0, 2)),
    case((7, 131), dim=1, unbiased=False), case((131, 7), dim=0, correction=0), case((5,),
    unbiased=False),
]
# fmt: on


# fmt: off
REDUCTIONS = [
    Oracle("sum", both(np.sum), REDUCE_CASES + MANY_DIMS + EMPTY, ALL, result="sum",
        magnitude=lambda x, **k: both(np.sum)(np.abs(x), **k), errors=out_of_range("sum")),
    Oracle("mean", both(np.mean), REDUCE_CASES + MANY_DIMS, FLOATS, magnitude=lambda x,
        **k: both(np.mean)(np.abs(x), **k), errors=[*out_of_range("mean"),
        (lambda lib: lib.mean(lib.tensor([1, 2])), RuntimeError, "")]),
    Oracle("prod", both(np.prod), REDUCE_CASES[:-3] + EMPTY, ALL, result="sum", ulps=8,
        errors=out_of_range("prod")),
    Oracle("amax", both(np.max), REDUCE_CASES + MANY_DIMS, ALL, ulps=0,
        errors=[*out_of_range("amax"), (lambda lib: lib.amax(lib.zeros(0, 2), dim=0), IndexError,
        "")]),
    Oracle("amin", both(np.min), REDUCE_CASES + MANY_DIMS, ALL, ulps=0),
    Oracle("max", lambda x: np.max(x), [case((5,)), case((3, 4)), case(())], ALL, ulps=0,
        errors=[(lambda lib: lib.max(lib.zeros(0)), RuntimeError, "")]),
    Oracle("min", lambda x: np.min(x), [case((5,)), case((3, 4)), case(())], ALL, ulps=0),
    Oracle("max", with_indices(np.max, np.argmax), ONE_DIM, NUMBERS, result=("same", "int64"),
        ulps=0, errors=out_of_range("max")),
    Oracle("min", with_indices(np.min, np.argmin), ONE_DIM, NUMBERS, result=("same", "int64"),
        ulps=0, errors=out_of_range("min")),
    Oracle("argmax", lone_dim(np.argmax), REDUCE_CASES, NUMBERS, result="int64", grad=False,
        errors=[*out_of_range("argmax"), (lambda lib: lib.argmax(lib.zeros(0)), IndexError, "")]),
    Oracle("argmin", lone_dim(np.argmin), REDUCE_CASES, NUMBERS, result="int64", grad=False),
    Oracle("any", both(np.any), REDUCE_CASES[:-3] + EMPTY, ALL, result="any", grad=False),
    Oracle("all", both(np.all), REDUCE_CASES[:-3] + EMPTY, ALL, result="any", grad=False),
    Oracle("var", variance(False), VARIANCE_CASES, FLOATS, ulps=8, layouts=DISTINCT),
    Oracle("std", variance(True), VARIANCE_CASES, FLOATS, ulps=8, layouts=DISTINCT),
    Oracle("norm", norm, [case((5,)), case((3, 4), dim=1), case((2, 3, 4), dim=(0, 2),
        keepdim=True), case((3, 4), p=1), case((3, 4), p=1, dim=0), case((3, 4), p=math.inf, dim=1),
        case((3, 4), p=3, dim=1), case((5,), p=0.5)], FLOATS, ulps=16),
    Oracle("logsumexp", logsumexp, [*ONE_DIM, case((2, 3, 4), dim=(0, 2))], FLOATS,
        magnitude=lambda x, **k: both(np.max)(np.abs(x), **k)),
]
# fmt: on


# fmt: off
DIM_CASES = [
    case((5,), dim=0), case((3, 4), dim=0), case((3, 4), dim=-1), case((2, 3, 4), dim=1), case((0,),
    dim=0), case((0, 3), dim=1), case((), dim=0), case((7, 131), dim=1),
]
# fmt: on


def softmax(x, dim):
    return np.ones(x.shape) if x.size == 0 or x.ndim == 0 else special.softmax(x, axis=dim)


def log_softmax(x, dim):
    if x.size == 0 or x.ndim == 0:
        return np.zeros(x.shape)
    return x - special.logsumexp(x, axis=dim, keepdims=True)


# fmt: off
SCANS = [
    Oracle("softmax", softmax, DIM_CASES, FLOATS, ulps=8),
    Oracle("log_softmax", log_softmax, DIM_CASES, FLOATS, ulps=8, magnitude=lambda x,
        dim: np.abs(x).max() if x.size else 0),
    Oracle("cumsum", lambda x, dim: np.cumsum(x, dim) if x.ndim else x, DIM_CASES, ALL,
        result="sum", ulps=32, magnitude=lambda x, dim: np.cumsum(np.abs(x), dim) if x.ndim else 0,
        errors=out_of_range("cumsum")),
    Oracle("cumprod", lambda x, dim: np.cumprod(x, dim) if x.ndim else x, DIM_CASES[:-1], ALL,
        result="sum", ulps=16),
]
# fmt: on


def sort(x, dim=-1, descending=False):
    i = np.argsort(-x.astype(np.float64) if descending else x, axis=dim, kind="stable")
    return [np.take_along_axis(x, i, dim), i]


def topk(x, k, dim=-1, largest=True):
    return [y.take(range(k), axis=dim) for y in sort(x, dim, largest)]


# fmt: off
SORT_CASES = [
    case((7,)), case((3, 5), dim=0), case((3, 5), descending=True), case((2, 0)), case((2, 131)),
]
# fmt: on


# fmt: off
SORTING = [
    Oracle("sort", sort, SORT_CASES, NUMBERS, result=("same", "int64"), ulps=0, op=lambda lib, x,
        **k: lib.sort(x, stable=True, **k), errors=out_of_range("sort")),
    Oracle("argsort", lambda x, **k: sort(x, **k)[1], SORT_CASES, NUMBERS, result="int64",
        op=lambda lib, x, **k: lib.argsort(x, stable=True, **k), grad=False),
    Oracle("topk", topk, [case((7,), k=3), case((3, 5), k=2, dim=0), case((3, 5), k=1,
        largest=False)], FLOATS, result=("same", "int64"), ulps=0, layouts=DISTINCT,
        errors=[(lambda lib: lib.topk(lib.ones(3), 4), RuntimeError, "")]),
]
# fmt: on
