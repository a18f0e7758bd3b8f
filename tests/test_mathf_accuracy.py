"""How far each mathematical function is from the true value, over the whole range of its type.

Errors are counted in units in the last place (ulp) of the true value. float32 is held against NumPy
and SciPy in float64, float64 against mpmath with 160 bits. Run as a program it prints the table of
docs/accuracy.md for the instruction set in force:

    for isa in baseline avx2; do TGL_ISA=$isa python tests/test_mathf_accuracy.py; done
"""

import mpmath
import numpy as np
import pytest
from scipy import special

import tinygrad_lessons as tg

pytestmark = pytest.mark.kernel

BOUNDS = {"exp": 2, "log": 2, "sqrt": 0.5, "floor": 0, "ceil": 0, "trunc": 0, "round": 0}
BOUNDS |= {"erfc": 5, "gelu": 5}
OTHERS = 4

SELU = 1.0507009873554805, 1.7580993408473766

# op: (NumPy's or SciPy's function, mpmath's)
UNARY = {
    "exp": (np.exp, mpmath.exp),
    "exp2": (np.exp2, lambda x: mpmath.power(2, x)),
    "expm1": (np.expm1, mpmath.expm1),
    "log": (np.log, mpmath.log),
    "log2": (np.log2, lambda x: mpmath.log(x) / mpmath.log(2)),
    "log10": (np.log10, mpmath.log10),
    "log1p": (np.log1p, mpmath.log1p),
    "sin": (np.sin, mpmath.sin),
    "cos": (np.cos, mpmath.cos),
    "tan": (np.tan, mpmath.tan),
    "asin": (np.arcsin, mpmath.asin),
    "acos": (np.arccos, mpmath.acos),
    "atan": (np.arctan, mpmath.atan),
    "sinh": (np.sinh, mpmath.sinh),
    "cosh": (np.cosh, mpmath.cosh),
    "tanh": (np.tanh, mpmath.tanh),
    "asinh": (np.arcsinh, mpmath.asinh),
    "acosh": (np.arccosh, mpmath.acosh),
    "atanh": (np.arctanh, mpmath.atanh),
    "sigmoid": (special.expit, lambda x: 1 / (1 + mpmath.exp(-x))),
    "selu": (
        lambda x: np.where(x > 0, SELU[0] * x, SELU[1] * np.expm1(np.where(x > 0, 0, x))),
        lambda x: SELU[0] * x if x > 0 else SELU[1] * mpmath.expm1(x),
    ),
    "erf": (special.erf, mpmath.erf),
    "erfc": (special.erfc, lambda x: mpmath.erfc(min(x, 40))),  # 0 beyond; mpmath overflows
    "sqrt": (np.sqrt, mpmath.sqrt),
    "floor": (np.floor, mpmath.floor),
    "ceil": (np.ceil, mpmath.ceil),
    "trunc": (np.trunc, lambda x: mpmath.sign(x) * mpmath.floor(abs(x))),
    "round": (np.round, mpmath.nint),
}
BINARY = {
    "pow": (np.power, mpmath.power),
    "atan2": (np.arctan2, mpmath.atan2),
    "hypot": (np.hypot, mpmath.hypot),
}
EXACT = {  # as NumPy, bit for bit
    "fmod": np.fmod,
    "floor_divide": np.floor_divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
BITS = {np.float32: (24, -149, 128), np.float64: (53, -1074, 1024)}  # precision, least, overflow
DTYPES = pytest.mark.parametrize("dtype", BITS, ids=lambda dtype: dtype.__name__)


def run(op, *arrays):
    """The result of the tensor method `op` as an array."""
    first, *rest = map(tg.tensor, arrays)
    return getattr(first, op)(*rest).numpy()


def ulp(exact, dtype):
    """The unit in the last place of `dtype` at the float64 numbers `exact`."""
    bits, least, overflow = BITS[dtype]
    exponent = np.frexp(exact)[1] - bits
    return np.ldexp(1.0, np.clip(exponent, least, overflow - bits))


def errors32(result, exact):
    """Distances in ulp of float32; inf where NaN or the sign of a zero is wrong."""
    overflow = 2.0 ** BITS[np.float32][2]  # counts as infinity
    got = np.clip(result.astype(np.float64), -overflow, overflow)
    error = np.abs(got - np.clip(exact, -overflow, overflow)) / ulp(exact, np.float32)
    zero = (exact == 0) & (result == 0)
    wrong = zero & (np.signbit(result) != np.signbit(exact))
    both = np.isnan(result) & np.isnan(exact)
    return np.where(both, 0, np.where(wrong | np.isnan(error), np.inf, error))


def error64(result, exact):
    """The distance in ulp of float64 of one result from mpmath's number (complex counts as NaN)."""
    bits, least, overflow = BITS[np.float64]
    if isinstance(exact, mpmath.mpc) or mpmath.isnan(exact):
        return 0 if np.isnan(result) else np.inf
    if np.isnan(result):
        return np.inf
    limit = mpmath.mpf(2) ** overflow
    exact = min(max(exact, -limit), limit)
    got = min(max(mpmath.mpf(float(result)), -limit), limit)
    exponent = mpmath.frexp(exact)[1] - bits if exact else least
    return float(abs(got - exact) / mpmath.ldexp(1, min(max(exponent, least), overflow - bits)))


def domain(dtype, count):
    """Numbers of every exponent and sign, and dense ones where functions bend: `count` of each."""
    rng = np.random.default_rng(0)
    if dtype is np.float32:  # a prime stride through all bit patterns
        stride = (2**32 // (8 * count)) | 1
        every = np.arange(0, 2**32, stride, dtype=np.uint64).astype(np.uint32).view(dtype)
    else:
        every = rng.integers(0, 2**64, count, dtype=np.uint64).view(dtype)
    wide = np.log(float(np.finfo(dtype).max)) * 1.2
    near = np.ldexp(rng.uniform(-1, 1, count), rng.integers(-30, 1, count))
    turns = rng.integers(1, 1000, count) * (np.pi / 2)
    dense = [rng.uniform(-b, b, count) for b in (1.2, 6, 30, wide)]
    dense += [near, 1 + near * 0.01, -1 + near * 0.01, turns]
    return np.concatenate([every, *(d.astype(dtype) for d in dense)])


def pairs(op, dtype, count):
    """Pairs of numbers: of every exponent, and where the result of `op` is neither 0 nor inf."""
    rng = np.random.default_rng(1)
    word = np.uint32 if dtype is np.float32 else np.uint64
    every = rng.integers(0, np.iinfo(word).max, (2, count), dtype=word).view(dtype)
    plain = rng.normal(scale=10, size=(2, count))
    whole = np.stack([rng.normal(scale=10, size=count), rng.integers(-20, 21, count)])
    sets = [every, plain, whole]
    if op == "pow":  # x^y of every size: y is a logarithm of the result over that of x
        last = 1.05 * np.log(float(np.finfo(dtype).max))
        for base in (np.abs(every[0]), rng.uniform(0.5, 1.5, count).astype(dtype)):
            base = base[np.isfinite(base) & (base > 0) & (base != 1)].astype(np.float64)
            sets.append(np.stack([base, rng.uniform(-last, last, len(base)) / np.log(base)]))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([s.astype(dtype) for s in sets], axis=1)


def worst(op, dtype, count):
    """The largest error in ulp of `op`, and the arguments where it is."""
    unary = op in UNARY
    reference, exact = (UNARY if unary else BINARY)[op]
    arguments = domain(dtype, count)[None] if unary else pairs(op, dtype, count)
    if dtype is np.float32:
        with np.errstate(all="ignore"):
            error = errors32(run(op, *arguments), reference(*arguments.astype(np.float64)))
    else:
        arguments = arguments[:, np.isfinite(arguments).all(axis=0)]
        result = run(op, *arguments)
        with mpmath.workprec(160):
            error = np.array(
                [
                    error64(r, edge(exact, *map(float, a)))
                    for r, a in zip(result, arguments.T, strict=True)
                ]
            )
    at = int(np.argmax(error))
    return float(error[at]), arguments[:, at]


def edge(exact, *arguments):
    """mpmath's value, or NaN where it refuses."""
    try:
        return exact(*map(mpmath.mpf, arguments))
    except (ValueError, ZeroDivisionError):
        return mpmath.nan


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_float32_is_within_its_bound(op):
    error, at = worst(op, np.float32, 60_000)
    assert error <= BOUNDS.get(op, OTHERS), f"{op}{tuple(at)} is {error:.3g} ulp off"


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_float64_is_within_its_bound(op):
    error, at = worst(op, np.float64, 250)
    assert error <= BOUNDS.get(op, OTHERS), f"{op}{tuple(at)} is {error:.3g} ulp off"


# Activations by float64 formulas, and whether their error counts in ulp of x: they cancel where they are small.
ACTIVATIONS = {
    "silu": (lambda x: x * special.expit(x), False),
    "mish": (lambda x: x * np.tanh(np.logaddexp(0, x)), False),
    "softplus": (lambda x: np.where(x > 20, x, np.logaddexp(0, x)), False),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.where(x > 0, 0, x))), False),
    "softsign": (lambda x: x / (1 + np.abs(x)), False),
    "logsigmoid": (special.log_expit, False),
    "gelu": (lambda x: x * special.ndtr(x), False),
    "tanhshrink": (lambda x: x - np.tanh(x), True),
    "hardswish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), True),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_float32(name):
    """Where the exponential in them is a normal number."""
    reference, of_x = ACTIVATIONS[name]
    x = domain(np.float32, 60_000)
    x = x[np.isfinite(x) & (np.abs(x) < 87)]
    if name == "gelu":  # its exponential is that of -x² / 2
        x = x[x > -13]
    result = getattr(tg.nn.functional, name)(tg.tensor(x)).numpy().astype(np.float64)
    wide = x.astype(np.float64)
    exact = reference(wide)
    error = np.abs(result - exact) / ulp(wide if of_x else exact, np.float32)
    assert error.max() <= BOUNDS.get(name, OTHERS), (
        f"{name}({x[np.argmax(error)]}) is {error.max():.3g} ulp off"
    )


@DTYPES
def test_gelu_far_out(dtype):
    """It falls off as the normal distribution does, down to -0; at -inf the formula has no value, as in PyTorch."""
    x = np.array([-5, -9, -12, -40, -1e30, -np.inf, 1e30, np.inf, np.nan, -0.0, 0.0], dtype)
    y = tg.nn.functional.gelu(tg.tensor(x)).numpy()
    exact = [float(v * mpmath.ncdf(v)) for v in map(float, x[:3])]
    np.testing.assert_allclose(y[:3], exact, 8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(y[3:], [0, 0, np.nan, dtype(1e30), np.inf, np.nan, 0, 0])
    np.testing.assert_array_equal(np.signbit(y[[3, 4, -2, -1]]), [True, True, True, False])


@DTYPES
def test_gelu_slope_far_out(dtype):
    """The same whether it is to be differentiated again or not."""
    x = tg.tensor(np.array([-np.inf, -1e30, 1e30, np.inf, np.nan], dtype), requires_grad=True)
    for create_graph in (False, True):
        (g,) = tg.autograd.grad(tg.nn.functional.gelu(x).sum(), x, create_graph=create_graph)
        np.testing.assert_array_equal(g.detach().numpy(), [np.nan, 0, 1, np.nan, np.nan])


def special_values(dtype):
    info = np.finfo(dtype)
    limits = [info.smallest_subnormal, info.tiny, info.max, np.inf]
    positive = np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 1e10, *limits], dtype)
    return np.concatenate([positive, -positive, np.full(1, np.nan, dtype)])


def same_kind(result, reference):
    """Equal where the reference is 0 (with its sign), infinite or NaN; else finite and not 0."""
    kind = np.isnan(reference) | np.isinf(reference) | (reference == 0)
    np.testing.assert_array_equal(result[kind], reference[kind])
    signed = kind & ~np.isnan(reference)
    np.testing.assert_array_equal(np.signbit(result[signed]), np.signbit(reference[signed]))
    assert np.isfinite(result[~kind]).all() and (result[~kind] != 0).all()


@DTYPES
@pytest.mark.parametrize("op", UNARY)
def test_special_values(op, dtype):
    x = special_values(dtype)
    with np.errstate(all="ignore"):
        same_kind(run(op, x), UNARY[op][0](x))


@DTYPES
@pytest.mark.parametrize("op", [*BINARY, *EXACT])
def test_special_pairs(op, dtype):
    x = special_values(dtype)
    a, b = np.repeat(x, len(x)), np.tile(x, len(x))
    with np.errstate(all="ignore"):
        reference = (BINARY[op][0] if op in BINARY else EXACT[op])(a, b)
    if op in ("maximum", "minimum"):  # of two zeros either may win
        np.testing.assert_array_equal(run(op, a, b), reference)
    else:
        same_kind(run(op, a, b), reference)


@DTYPES
@pytest.mark.parametrize("op", EXACT)
def test_division_and_extremes_are_exact(op, dtype):
    a, b = pairs(op, dtype, 20_000)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(op, a, b), EXACT[op](a, b))


@DTYPES
def test_remainder_has_the_sign_of_the_divisor(dtype):
    a, b = pairs("remainder", dtype, 20_000)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run("remainder", a, b), np.remainder(a, b))


@DTYPES
@pytest.mark.parametrize("op", ["sin", "cos", "tan", "exp", "tanh", "erf", "log"])
def test_bits_do_not_depend_on_the_neighbours(op, dtype):
    """One huge or odd argument among 100 leaves the bits of the others alone."""
    x = np.linspace(0.1, 300, 100).astype(dtype)
    alone = run(op, x)
    for at, odd in ((0, 1e30), (57, np.nan), (99, -np.inf)):
        y = x.copy()
        y[at] = odd
        others = np.arange(100) != at
        np.testing.assert_array_equal(run(op, y)[others], alone[others])


@DTYPES
def test_the_yardstick_counts_steps(dtype):
    """k steps to a neighbouring number are k ulp; zeros, a lost NaN and a wrong sign stand out."""
    one = np.array([1.5, 3e-7, 1e30], dtype)
    for k in range(1, 4):
        off = one
        for _ in range(k):
            off = np.nextafter(off, dtype(np.inf))
        if dtype is np.float32:
            np.testing.assert_array_equal(errors32(off, one.astype(np.float64)), k)
        else:
            assert all(error64(off[i], mpmath.mpf(float(one[i]))) == k for i in range(3))
    if dtype is np.float32:
        assert errors32(np.zeros(1, dtype), np.ones(1)) > 2**22
        assert np.isinf(errors32(np.zeros(1, dtype), np.array([-0.0])))
        assert np.isinf(errors32(np.zeros(1, dtype), np.array([np.nan])))
    else:
        assert error64(0.0, mpmath.mpf(1)) > 2**51
        assert np.isinf(error64(0.0, mpmath.nan)) and np.isinf(error64(np.nan, mpmath.mpf(1)))


def main():
    print("| op | float32 | float64 |\n|---|---|---|")
    for op in [*UNARY, *BINARY]:
        single, double = worst(op, np.float32, 250_000)[0], worst(op, np.float64, 5_000)[0]
        print(f"| {op} | {single:.2f} | {double:.2f} |", flush=True)


if __name__ == "__main__":
    main()
