"""Oracles of convolution and pooling, by loops over the kernel's elements."""

import itertools

import numpy as np
from checks import DISTINCT

from oracles.record import Oracle, case, doubled, functional


def pair(value, dims):
    return (value,) * dims if np.isscalar(value) else tuple(value)


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o, i] = b[o] + sum of w[o, c, k] x[n, c, i stride + k dilation - padding]"""
    dims = w.ndim - 2
    stride, padding, dilation = (pair(v, dims) for v in (stride, padding, dilation))
    x = np.pad(x, [(0, 0)] * (x.ndim - dims) + [(p, p) for p in padding])
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    out = [(n - r) // s + 1 for n, r, s in zip(x.shape[-dims:], reach, stride, strict=True)]
    y = np.zeros((*x.shape[: -dims - 1], w.shape[0], *out))
    inputs, outputs = w.shape[1], w.shape[0] // groups
    for k in itertools.product(*map(range, w.shape[2:])):
        at = tuple(
            slice(i * d, i * d + n * s, s)
            for i, d, n, s in zip(k, dilation, out, stride, strict=True)
        )
        for o in range(w.shape[0]):
            first = o // outputs * inputs
            part = x[(..., slice(first, first + inputs), *at)]
            weights = w[(o, slice(None), *k)].reshape(-1, *[1] * dims)
            y[(..., o, *[slice(None)] * dims)] += (part * weights).sum(-1 - dims)
    return y if b is None else y + b.reshape(-1, *[1] * dims)


def pool(choose, dims):
    def ref(x, kernel_size, stride=None, padding=0, fill=-np.inf):
        kernel, padding = pair(kernel_size, dims), pair(padding, dims)
        stride = kernel if stride is None else pair(stride, dims)
        margins = [(0, 0)] * (x.ndim - dims) + [(p, p) for p in padding]
        x = np.pad(x, margins, constant_values=0 if choose is np.mean else fill)
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, tuple(range(-dims, 0)))
        steps = (..., *[slice(None, None, s) for s in stride], *[slice(None)] * dims)
        return choose(windows[steps], tuple(range(-dims, 0)))

    return ref


def adaptive(choose, dims):
    def ref(x, output_size):
        for d, n in zip(range(-dims, 0), pair(output_size, dims), strict=True):
            size = x.shape[d]
            parts = [
                choose(
                    np.take(x, range(i * size // n, -((i + 1) * size // -n)), d), d, keepdims=True
                )
                for i in range(n)
            ]
            x = np.concatenate(parts, d)
        return x

    return ref


def pad(x, pad, mode="constant"):
    margins = [(0, 0)] * (x.ndim - len(pad) // 2)
    margins += [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    names = {"replicate": "edge", "circular": "wrap"}
    return np.pad(x, margins, mode=names.get(mode, mode))


def over(name, ref, cases, **options):
    return Oracle(name, ref, cases, op=functional(name), layouts=DISTINCT, **options)


# fmt: off
CONVOLUTION = [
    over("conv1d", conv, [case((2, 1, 5), (2, 1, 2), (2,)), case((1, 2, 6), (2, 1, 2), stride=2,
        padding=1, groups=2), case((1, 8), (1, 1, 3), dilation=2), case((3, 4, 40), (5, 4, 3), (5,)),
        case((0, 1, 5), (2, 1, 2))], ulps=8, magnitude=doubled(conv)),
    over("conv2d", conv, [case((1, 1, 3, 4), (2, 1, 2, 2), (2,)), case((1, 3, 3), (2, 1, 2, 1),
        padding=(1, 0), stride=(2, 1)), case((2, 3, 9, 10), (4, 3, 3, 3), (4,), padding=1), case((2, 4,
        8, 9), (6, 2, 3, 2), stride=2, dilation=(1, 2), groups=2), case((3, 20, 14, 14), (17, 20, 3, 3))],
        ulps=8, magnitude=doubled(conv), errors=[(lambda lib: lib.nn.functional.conv2d(lib.ones(1, 2, 3,
        3), lib.ones(1, 1, 2, 2)), RuntimeError, "channels")]),
    over("max_pool1d", pool(np.max, 1), [case((2, 3, 4), kernel_size=2), case((2, 9), kernel_size=3,
        stride=2, padding=1)], ulps=0),
    over("max_pool2d", pool(np.max, 2), [case((1, 4, 6), kernel_size=2), case((1, 4, 5), kernel_size=(2,
        3), stride=1, padding=1), case((2, 3, 33, 35), kernel_size=2), case((2, 3, 9, 40), kernel_size=3,
        stride=2, padding=1)], ulps=0),
    over("avg_pool1d", pool(np.mean, 1), [case((2, 3, 4), kernel_size=2), case((2, 9), kernel_size=3,
        stride=2, padding=1)], magnitude=lambda x, **k: 3.0),
    over("avg_pool2d", pool(np.mean, 2), [case((1, 4, 6), kernel_size=2), case((2, 3, 9, 40),
        kernel_size=3, stride=2, padding=1)], magnitude=lambda x, **k: 3.0),
    over("adaptive_avg_pool1d", adaptive(np.mean, 1), [case((2, 7), output_size=3), case((2, 3, 8),
        output_size=4)], magnitude=lambda x, **k: 3.0),
    over("adaptive_avg_pool2d", adaptive(np.mean, 2), [case((1, 4, 5), output_size=(2, 3)), case((2, 3, 6,
        8), output_size=1)], magnitude=lambda x, **k: 3.0, ulps=16),
    over("adaptive_max_pool1d", adaptive(np.max, 1), [case((2, 7), output_size=3)], ulps=0),
    over("adaptive_max_pool2d", adaptive(np.max, 2), [case((1, 4, 5), output_size=(2, 3))], ulps=0),
    over("pad", pad, [case((2, 3), pad=(1, 2)), case((2, 4), pad=(2, 1), mode="reflect"), case((1, 2, 3),
        pad=(1, 0, 2, 1), mode="replicate"), case((2, 4), pad=(2, 1), mode="circular")], ulps=0),
]
# fmt: on
