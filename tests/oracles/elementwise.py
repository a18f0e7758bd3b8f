"""Oracles of element-wise ops."""

import math

import numpy as np
from checks import ALL, FLOATS, INTEGERS, NONZERO, NUMBERS
from scipy import special

from oracles.record import Oracle, case, functional

UNARY_SHAPES = [(), (0,), (1,), (7,), (2, 0, 3), (3, 5), (2, 3, 4), (131,), (17, 19)]


# fmt: off
BINARY_SHAPES = [
    ((), ()), ((3,), ()), ((), (2, 3)), ((0,), (1,)), ((5,), (5,)), ((2, 3), (3,)), ((2, 1), (1,
    3)), ((3, 1), (3, 4)), ((2, 3, 4), (3, 1)), ((2, 1, 3), (4, 1)), ((67,), (67,)), ((9, 33),
    (33,)), ((2, 0), (1,)),
]
# fmt: on


def unary(name, ref, dtypes=ALL, result="float", **rest):
    rest = {"inplace": True, "elementwise": True} | rest
    return Oracle(name, ref, [case(s) for s in UNARY_SHAPES], dtypes, result=result, **rest)


def predicate(name, ref):
    oracle = unary(name, ref, ALL, "bool", grad=False, inplace=False)
    oracle.cases.append(case(np.array([0.0, -np.inf, np.nan, np.inf, 1.0])))
    return oracle


def binary(name, ref, dtypes=ALL, result="same", **rest):
    rest = {"inplace": True, "elementwise": True} | rest
    return Oracle(name, ref, [case(*s) for s in BINARY_SHAPES], dtypes, result=result, **rest)


def compare(name, ref):
    return binary(name, ref, ALL, "bool", grad=False, ulps=0)


def bitwise(name, ref):
    return binary(name, ref, (*INTEGERS, "bool"), grad=False)


def sigmoid(x):
    return special.expit(x)


def gelu(x):
    # Not for x = -inf, where this is inf * 0: the op gives the limit 0, PyTorch NaN.
    return 0.5 * x * special.erfc(-x / math.sqrt(2))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softplus(x, beta=1, threshold=20):
    return np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta)


def mish(x):
    return x * np.tanh(np.logaddexp(0, x))


def elu(x, alpha=1.0, slope=1.0, rate=1.0):
    return np.where(x > 0, slope * x, alpha * np.expm1(np.where(x > 0, 0, x) * rate))


def hardsigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def prelu(x, weight):
    channels = [-1] + [1] * (x.ndim - 2) if x.ndim > 1 and weight.ndim else weight.shape
    return np.where(x > 0, x, weight.reshape(channels) * x)


def activation(name, ref, **rest):
    """As PyTorch's, which takes floats only and has neither a method nor a twin in place."""
    parameters = rest.pop("parameters", [{}])
    oracle = unary(name, ref, FLOATS, op=functional(name), inplace=False, **rest)
    oracle.cases = [case(s, **p) for s in UNARY_SHAPES for p in parameters]
    return oracle


def in_row(name):
    """An op that only the engine has, here by the loss that PyTorch makes of it."""
    losses = {
        "squared_difference": "mse_loss",
        "absolute_difference": "l1_loss",
        "logistic_loss": "binary_cross_entropy_with_logits",
        "bernoulli_loss": "binary_cross_entropy",
    }
    return lambda lib, a, b: (
        getattr(a, name)(b)
        if hasattr(a, name)
        else getattr(lib.nn.functional, losses[name])(
            *lib.broadcast_tensors(a, b), reduction="none"
        )
    )


def huber(x, delta, scale):
    return scale * np.where(np.abs(x) < delta, x * x / 2, delta * (np.abs(x) - delta / 2))


def call_huber(lib, x, delta, scale):
    if hasattr(x, "huber"):
        return x.huber(delta, scale)
    return scale * lib.nn.functional.huber_loss(x, x * 0, delta=delta, reduction="none")


def truncated_division(a, b):
    q = np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)
    return q if np.issubdtype(np.result_type(q), np.integer) else np.trunc(a / b)


# fmt: off
ELEMENTWISE = [
    unary("neg", lambda x: -x, NUMBERS, "same", ulps=0),
    unary("abs", np.abs, NUMBERS, "same", ulps=0),
    unary("sign", np.sign, NUMBERS, "same", ulps=0, signed_zeros=False, extremes=False),
    unary("square", np.square, NUMBERS, "same", ulps=0),
    unary("relu", lambda x: np.where(x < 0, 0, x), NUMBERS, "same", ulps=0, signed_zeros=False),
    unary("sqrt", np.sqrt, domain=(0.1, 4), ulps=0),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), domain=(0.1, 4)),
    unary("reciprocal", lambda x: 1 / x, domain=NONZERO, ulps=0),
    unary("exp", np.exp, ulps=2),
    unary("exp2", np.exp2),
    unary("expm1", np.expm1),
    unary("log", np.log, domain=(0.1, 4), ulps=2),
    unary("log2", np.log2, domain=(0.1, 4)),
    unary("log10", np.log10, domain=(0.1, 4)),
    unary("log1p", np.log1p, domain=(-0.9, 4)),
    unary("sin", np.sin),
    unary("cos", np.cos),
    unary("tan", np.tan, domain=(-1.4, 1.4)),
    unary("asin", np.arcsin, domain=(-0.95, 0.95)),
    unary("acos", np.arccos, domain=(-0.95, 0.95)),
    unary("atan", np.arctan),
    unary("sinh", np.sinh),
    unary("cosh", np.cosh),
    unary("tanh", np.tanh),
    unary("asinh", np.arcsinh),
    unary("acosh", np.arccosh, domain=(1.1, 4)),
    unary("atanh", np.arctanh, domain=(-0.95, 0.95)),
    unary("erf", np.vectorize(math.erf, otypes=[float])),
    unary("erfc", np.vectorize(math.erfc, otypes=[float])),
    unary("sigmoid", sigmoid),
    unary("logsigmoid", lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))), FLOATS,
        op=functional("logsigmoid"), inplace=False),
    unary("silu", lambda x: x * sigmoid(x), FLOATS, op=functional("silu"), inplace=False,
        extremes=False),
    unary("gelu", gelu, FLOATS, op=functional("gelu"), inplace=False, magnitude=np.abs,
        extremes=False),
    unary("gelu_tanh", gelu_tanh, FLOATS, op=functional("gelu", approximate="tanh"), inplace=False,
        magnitude=np.abs, extremes=False),
    activation("mish", mish, extremes=False),
    activation("softplus", softplus, parameters=[{}, {"beta": 2.5, "threshold": 3}]),
    activation("softsign", lambda x: x / (1 + np.abs(x))),
    activation("elu", elu, parameters=[{}, {"alpha": 2.5}]),
    activation("celu", lambda x, alpha=1.0: elu(x, alpha, rate=1 / alpha),
        parameters=[{}, {"alpha": 0.5}]),
    activation("selu", lambda x: elu(x, 1.7580993408473766, 1.0507009873554805)),
    activation("leaky_relu", lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        parameters=[{}, {"negative_slope": 0.5}], ulps=1),
    activation("hardsigmoid", hardsigmoid, magnitude=np.abs),
    activation("hardswish", lambda x: x * hardsigmoid(x), magnitude=np.abs, extremes=False),
    activation("hardtanh", lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        parameters=[{}, {"min_val": -2.5, "max_val": 0.5}], ulps=0),
    activation("threshold", lambda x, threshold=0.1, value=20.0: np.where(x <= threshold, value, x),
        parameters=[{"threshold": 0.5, "value": -2.5}], ulps=0, extremes=False),
    activation("tanhshrink", lambda x: x - np.tanh(x), magnitude=np.abs, extremes=False),
    activation("hardshrink", lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0, x), ulps=0,
        parameters=[{}, {"lambd": 1.5}], signed_zeros=False),
    activation("softshrink", lambda x, lambd=0.5: np.where(np.isinf(x), x,
        np.sign(x) * np.maximum(np.abs(x) - lambd, 0)), parameters=[{}, {"lambd": 1.5}],
        magnitude=lambda x, **k: np.abs(x), signed_zeros=False),
    Oracle("huber", huber, [case(s, delta=1.5, scale=0.5) for s in UNARY_SHAPES], FLOATS,
        op=call_huber, extremes=False),
    unary("floor", np.floor, NUMBERS, "same", ulps=0),
    unary("ceil", np.ceil, NUMBERS, "same", ulps=0),
    unary("round", np.round, NUMBERS, "same", ulps=0),
    unary("trunc", np.trunc, NUMBERS, "same", ulps=0),
    predicate("isnan", np.isnan),
    predicate("isinf", np.isinf),
    predicate("isfinite", np.isfinite),
    unary("logical_not", np.logical_not, ALL, "bool", grad=False),
    unary("bitwise_not", np.invert, (*INTEGERS, "bool"), "same", grad=False),
    binary("add", np.add, ulps=0),
    binary("sub", np.subtract, NUMBERS, ulps=0,
        errors=[(lambda lib: lib.tensor([True]) - lib.tensor([True]), RuntimeError, "")]),
    binary("mul", np.multiply, ulps=0),
    binary("div", np.divide, result="float", domain=((-3, 3), NONZERO), ulps=0),
    binary("div_floor", np.floor_divide, NUMBERS, op=lambda lib, a, b: lib.div(a, b,
        rounding_mode="floor"), domain=((-9, 9), NONZERO), inplace=False, ulps=0, extremes=False),
    binary("div_trunc", truncated_division, NUMBERS, op=lambda lib, a, b: lib.div(a, b,
        rounding_mode="trunc"), domain=((-9, 9), NONZERO), inplace=False, ulps=0, extremes=False,
        errors=[(lambda lib: lib.div(lib.ones(1), lib.ones(1), rounding_mode="up"), RuntimeError,
        "rounding_mode")]),
    binary("floor_divide", np.floor_divide, NUMBERS, domain=((-9, 9), NONZERO), grad=False, ulps=0,
        extremes=False, errors=[(lambda lib: lib.tensor([1]) // lib.tensor([0]), RuntimeError,
        "ero"), (lambda lib: lib.tensor([1]) // 0, RuntimeError, "ero")]),
    binary("remainder", np.remainder, NUMBERS, domain=((-9, 9), NONZERO), ulps=4,
        magnitude=lambda a, b: np.abs(b), signed_zeros=False,
        errors=[(lambda lib: lib.tensor([1]) % lib.tensor([0]), RuntimeError, "ero")]),
    binary("fmod", np.fmod, NUMBERS, domain=((-9, 9), NONZERO), ulps=0, signed_zeros=False,
        errors=[(lambda lib: lib.fmod(lib.tensor([1]), lib.tensor([0])), RuntimeError, "ero")]),
    binary("pow", np.power, NUMBERS, domain=((0.2, 4), (0, 3)), ulps=8),
    binary("maximum", np.maximum, ulps=0, inplace=False, signed_zeros=False),
    binary("minimum", np.minimum, ulps=0, inplace=False, signed_zeros=False),
    binary("atan2", np.arctan2, result="float", domain=NONZERO),
    binary("hypot", np.hypot, FLOATS, domain=NONZERO),
    binary("xlogy", special.xlogy, result="float", domain=((-3, 3), (0.1, 4)), inplace=False,
        magnitude=lambda a, b: np.abs(a)),
    Oracle("prelu", prelu, [case((5,), (1,)), case((), ()), case((4, 3), (3,)), case((2, 3, 5), (3,)),
        case((2, 3, 5), ()), case((0, 3), (3,)), case((7, 33), (1,))], FLOATS, ulps=1, extremes=False,
        errors=[(lambda lib: lib.prelu(lib.ones(2, 3), lib.ones(2)), RuntimeError, "channel")]),
    binary("squared_difference", lambda a, b: (a - b) ** 2, FLOATS, op=in_row("squared_difference"),
        ulps=3, magnitude=lambda a, b: (np.abs(a) + np.abs(b)) * np.abs(a - b)),
    binary("absolute_difference", lambda a, b: np.abs(a - b), FLOATS,
        op=in_row("absolute_difference"), ulps=0),
    binary("logistic_loss", lambda x, t: np.logaddexp(0, x) - x * t, FLOATS,
        op=in_row("logistic_loss"), extremes=False,
        magnitude=lambda x, t: np.abs(x) * (1 + np.abs(t))),
    binary("bernoulli_loss", lambda x, t: -t * np.log(x) - (1 - t) * np.log1p(-x), FLOATS,
        op=in_row("bernoulli_loss"), domain=((0.1, 0.9), (0, 1)), extremes=False),
    compare("eq", np.equal),
    compare("ne", np.not_equal),
    compare("lt", np.less),
    compare("le", np.less_equal),
    compare("gt", np.greater),
    compare("ge", np.greater_equal),
    compare("logical_and", np.logical_and),
    compare("logical_or", np.logical_or),
    compare("logical_xor", np.logical_xor),
    bitwise("bitwise_and", np.bitwise_and),
    bitwise("bitwise_or", np.bitwise_or),
    bitwise("bitwise_xor", np.bitwise_xor),
]
# fmt: on
