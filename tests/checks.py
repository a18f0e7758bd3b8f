"""What the tests of ops share: making inputs in every layout, and comparing with an oracle."""

import zlib

import numpy as np

FLOATS = ("float32", "float64")
INTEGERS = ("int64", "int32", "uint8")
NUMBERS = FLOATS + INTEGERS
ALL = (*NUMBERS, "bool")
NONZERO = "nonzero"


def generator(*key):
    """A random generator that depends on `key` alone."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def sample(rng, shape, dtype, domain=(-3, 3)):
    """Elements of `dtype` from `domain`: (low, high), or NONZERO for either sign without 0."""
    signs = 1
    if domain == NONZERO:
        signs = np.where(rng.random(shape) < 0.5, 1 if dtype == "uint8" else -1, 1)
        domain = (1, 4) if dtype in INTEGERS else (0.5, 4)
    low, high = domain
    if dtype == "bool":
        values = rng.random(shape) < 0.5 if low <= 0 else np.ones(shape)
    elif dtype in FLOATS:
        values = rng.uniform(low, high, shape) * signs
    else:
        low = max(low, 0) if dtype == "uint8" else low
        values = rng.integers(np.ceil(low), np.floor(high) + 1, shape) * signs
    return np.asarray(values).astype(dtype)


def contiguous(lib, array):
    return lib.tensor(array), array


def transposed(lib, array):
    axes = tuple(reversed(range(array.ndim)))
    return lib.tensor(array.transpose().copy()).permute(axes), array


def stepped(lib, array):
    """Every second element of a larger tensor, in every dimension; starts inside its memory."""
    base = np.ones([2 * size + 1 for size in array.shape], array.dtype)
    index = tuple(slice(1, 2 * size + 1, 2) for size in array.shape)
    base[index] = array
    return lib.tensor(base)[index], array


def expanded(lib, array):
    """The first slice along each other dimension, repeated with stride 0."""
    first = array[tuple(slice(0, 1) if i % 2 == 0 else slice(None) for i in range(array.ndim))]
    return lib.tensor(first).expand(array.shape), np.broadcast_to(first, array.shape)


DISTINCT = (contiguous, transposed, stepped)
LAYOUTS = (*DISTINCT, expanded)


def numpy_of(t):
    return t.detach().numpy()


def dtype_name(t):
    return str(t.dtype).split(".")[-1]


def assert_close(actual, expected, dtype, ulps=0, magnitude=0.0, signed_zeros=False):
    """Same dtype, shape, NaNs and infinities; finite floats within `ulps` of the rounded oracle.

    `magnitude` widens the bound for ops that cancel: it is the size of the terms that were added.
    """
    assert dtype_name(actual) == dtype
    got = numpy_of(actual)
    with np.errstate(all="ignore"):
        want = np.asarray(expected).astype(dtype)
    assert got.shape == want.shape
    if dtype not in FLOATS:
        np.testing.assert_array_equal(got, want)
        return
    info = np.finfo(dtype)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    got64, want64 = got.astype(np.float64), want.astype(np.float64)
    scale = np.abs(want64) + np.where(finite, magnitude, 0)
    with np.errstate(all="ignore"):
        bound = ulps * (float(info.eps) * scale + float(info.smallest_subnormal))
        bad = finite & ~(np.abs(got64 - want64) <= bound)
    if bad.any():
        i = tuple(np.argwhere(bad)[0])
        raise AssertionError(
            f"{bad.sum()} of {bad.size} wrong, first at {i}: {got64[i]!r}, expected {want64[i]!r}"
        )
    if signed_zeros:
        zero = want == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))
