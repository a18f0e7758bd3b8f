"""Oracles of views and of ops that rearrange dimensions."""

import numpy as np
from checks import ALL, contiguous

from oracles.record import Oracle, case, method


def view(name, ref, cases, errors=(), **rest):
    return Oracle(
        name, ref, cases, ALL, ulps=0, op=rest.pop("op", method(name)), errors=list(errors), **rest
    )


def flatten(x, start_dim=0, end_dim=-1):
    return x.reshape(x.shape[:start_dim] + (-1,) + x.shape[x.ndim + end_dim + 1 :])


# fmt: off
VIEWS = [
    view("view", lambda x, shape: x.reshape(shape), [case((2, 6), shape=(3, 4)), case((2, 6),
        shape=(-1, 2)), case((1,), shape=()), case((0, 2), shape=(2, 0))], [(lambda lib: lib.ones(2,
        3).view(4), RuntimeError, ""), (lambda lib: lib.ones(2, 3).view(-1, -1), RuntimeError, ""),
        (lambda lib: lib.ones(2, 3).view(-1, 4), RuntimeError, ""), (lambda lib: lib.ones(2,
        3).t().view(6), RuntimeError, "")], op=lambda lib, x, shape: x.view(shape),
        layouts=(contiguous,)),
    view("reshape", lambda x, shape: x.reshape(shape), [case((2, 6), shape=(3, 4)), case((2, 3, 4),
        shape=(6, -1)), case((), shape=(1, 1))], [(lambda lib: lib.ones(2, 3).reshape(4),
        RuntimeError, "")], op=lambda lib, x, shape: x.reshape(shape)),
    view("permute", lambda x, dims: np.transpose(x, dims), [case((2, 3, 4), dims=(2, 0, 1)),
        case((2, 3), dims=(-1, 0)), case((), dims=())], [(lambda lib: lib.ones(2, 3).permute(0, 0),
        RuntimeError, ""), (lambda lib: lib.ones(2, 3).permute(0), RuntimeError, "")],
        op=lambda lib, x, dims: x.permute(dims)),
    view("transpose", lambda x, dim0, dim1: np.swapaxes(x, dim0, dim1), [case((2, 3), dim0=0,
        dim1=1), case((2, 3, 4), dim0=-1, dim1=0)], [(lambda lib: lib.ones(2, 3).transpose(0, 2),
        IndexError, "2")]),
    view("t", np.transpose, [case((2, 3)), case((3,)), case(())], [(lambda lib: lib.ones(2, 3,
        4).t(), RuntimeError, "")]),
    view("T", np.transpose, [case((2, 3)), case((3, 1))], op=lambda lib, x: x.T),
    view("mT", lambda x: np.swapaxes(x, -1, -2), [case((2, 3)), case((2, 3, 4))],
        [(lambda lib: lib.ones(3).mT, RuntimeError, "")], op=lambda lib, x: x.mT),
    view("flatten", flatten,
        [case((2, 3, 4)), case((2, 3, 4), start_dim=1), case((2, 3, 4), end_dim=-2), case(())],
        [(lambda lib: lib.ones(2, 3).flatten(1, 0), RuntimeError, ""), (lambda lib: lib.ones(2,
        3).flatten(2), IndexError, "")]),
    view("unflatten", lambda x, dim, sizes: x.reshape(x.shape[:dim] + sizes + x.shape[dim + 1 :]),
        [case((2, 6), dim=1, sizes=(2, 3)), case((4, 3), dim=0, sizes=(-1, 2))],
        [(lambda lib: lib.ones(5).unflatten(0, (2, 2)), RuntimeError, "")]),
    view("squeeze", lambda x, dim=None: np.squeeze(x,
        dim) if dim is None or x.shape[dim] == 1 else x, [case((1, 3, 1)), case((1, 3, 1), dim=0),
        case((1, 3, 1), dim=1), case((1, 3), dim=-2)], [(lambda lib: lib.ones(2).squeeze(1),
        IndexError, "1")]),
    view("unsqueeze", lambda x, dim: np.expand_dims(x, dim), [case((2, 3), dim=0), case((2, 3),
        dim=-1), case((2, 3), dim=2), case((), dim=0)], [(lambda lib: lib.ones(2).unsqueeze(2),
        IndexError, "2")]),
    view("expand", lambda x, shape: np.broadcast_to(x,
        tuple(n if n >= 0 else x.shape[i - len(shape)] for i, n in enumerate(shape))), [case((1, 3),
        shape=(2, 3)), case((3,), shape=(2, -1)), case((), shape=(2,)), case((2, 1), shape=(-1,
        0))], [(lambda lib: lib.ones(2, 3).expand(4, 3), RuntimeError, ""), (lambda lib: lib.ones(2,
        3).expand(3), RuntimeError, ""), (lambda lib: lib.ones(3).expand(-1, 3), RuntimeError, "")],
        op=lambda lib, x, shape: x.expand(shape)),
    view("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), [case((1, 3), shape=(2, 3))],
        [(lambda lib: lib.broadcast_to(lib.ones(2), (3,)), RuntimeError, "")],
        op=lambda lib, x, shape: lib.broadcast_to(x, shape)),
    view("tile", lambda x, dims: np.tile(x, dims),
        [case((2, 3), dims=(2, 1)), case((3,), dims=(2, 2))]),
    view("clone", np.copy, [case((2, 3)), case(()), case((0,))]),
    view("ravel", np.ravel, [case((2, 3)), case(())]),
    view("expand_as", lambda x, y: np.broadcast_to(x, y.shape), [case((1, 3), np.zeros((2, 3)))]),
    view("narrow", lambda x, dim, start, length: x.take(range(start, start + length), dim),
        [case((5,), dim=0, start=1, length=3), case((3, 4), dim=1, start=2, length=0)],
        [(lambda lib: lib.ones(3).narrow(0, 2, 2), RuntimeError, ""),
        (lambda lib: lib.ones(3).narrow(0, 0, -1), RuntimeError, "")]),
    view("select", lambda x, dim, index: x.take(index, dim), [case((5,), dim=0, index=-1), case((3,
        4), dim=1, index=2)], [(lambda lib: lib.ones(3).select(0, 3), IndexError, "3")]),
    view("split", lambda x, size, dim=0: np.split(x, range(size, x.shape[dim], size), dim),
        [case((5,), size=2), case((3, 4), size=3, dim=1)], op=lambda lib, x, size,
        dim=0: x.split(size, dim)),
    view("chunk", lambda x, chunks, dim=0: np.split(x, chunks, dim), [case((4,), chunks=2), case((3,
        4), chunks=2, dim=1)]),
    view("unbind", lambda x, dim=0: [y.squeeze(dim) for y in np.split(x, x.shape[dim], dim)],
        [case((2, 3)), case((3, 2), dim=1)]),
    view("movedim", lambda x, source, destination: np.moveaxis(x, source, destination), [case((2, 3,
        4), source=0, destination=2), case((2, 3, 4), source=(0, 1), destination=(-1, 0))]),
    view("diagonal", lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
        [case((3, 4)), case((3, 4), offset=1), case((4, 3), offset=-2), case((2, 3, 4), dim1=0,
        dim2=2)]),
]
# fmt: on
