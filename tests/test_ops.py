"""Each op against its float64 NumPy oracle: shapes, layouts, dtypes, extreme values, errors."""

import numpy as np
import pytest
from checks import (
    ALL,
    DISTINCT,
    FLOATS,
    NONZERO,
    assert_close,
    contiguous,
    dtype_name,
    expanded,
    generator,
    numpy_of,
    sample,
)
from oracles import ELEMENTWISE, ERRORS, ORACLES

import tinygrad_lessons as tg

pytestmark = pytest.mark.kernel

# Ops whose name in the engine is not the one they are called by.
WRITTEN_AS = {"div_floor": "div", "div_trunc": "div"}


def ident(value):
    return getattr(value, "name", None) or str(value)


def inputs_of(oracle, number, dtype, layout, lib=tg):
    """Tensors for one case, and the arrays they hold."""
    shapes, kwargs = oracle.cases[number]
    rng = generator(oracle.name, number, dtype)
    pairs = []
    for i, given in enumerate(shapes):
        if isinstance(given, np.ndarray):
            # An index or mask keeps its dtype; weights take the dtype of the op.
            given = given.astype(dtype) if given.dtype.kind == "f" and dtype in FLOATS else given
            pairs.append(contiguous(lib, given))
        else:
            pairs.append(layout(lib, sample(rng, given, dtype, oracle.domain_of(i))))
    return *zip(*pairs, strict=True), kwargs


def reference(oracle, arrays, kwargs):
    """What the oracle says, computed in float64 where the op computes in floats."""
    kinds = {"f": np.float64, "i": np.int64, "u": np.int64}
    # NumPy takes a bool for a float16 where it wants a float.
    kinds["b"] = np.float64 if oracle.result == "float" else bool
    wide = [a.astype(kinds[a.dtype.kind]) for a in arrays]
    with np.errstate(all="ignore"):
        expected = oracle.ref(*wide, **kwargs)
        magnitude = oracle.magnitude(*wide, **kwargs) if oracle.magnitude else 0
    return expected if isinstance(expected, list) else [expected], magnitude


def check(oracle, dtype, call=None):
    """Run every case in every layout."""
    call = call or oracle.call
    for number in range(len(oracle.cases)):
        for layout in oracle.layouts:
            tensors, arrays, kwargs = inputs_of(oracle, number, dtype, layout)
            expected, magnitude = reference(oracle, arrays, kwargs)
            actual = call(tg, *tensors, **kwargs)
            actual = actual if isinstance(actual, list | tuple) else [actual]
            assert len(actual) == len(expected)
            where = f"{oracle.name}{[a.shape for a in arrays]} {kwargs} {dtype} {layout.__name__}"
            for y, want, result in zip(
                actual, expected, oracle.result_dtypes(dtype, len(actual)), strict=True
            ):
                # Float results of integers are computed in float32.
                scale = magnitude if np.shape(magnitude) == np.shape(want) else np.max(magnitude)
                try:
                    assert_close(y, want, result, oracle.ulps, scale)
                except AssertionError as error:
                    raise AssertionError(f"{where}: {error}") from None
            for t, a in zip(tensors, arrays, strict=True):
                np.testing.assert_array_equal(numpy_of(t), a, f"{where} changed its input")


def with_dtypes(oracles):
    return [pytest.param(o, d, id=f"{o.name}-{d}") for o in oracles for d in o.dtypes]


@pytest.mark.parametrize(("oracle", "dtype"), with_dtypes(ORACLES))
def test_against_oracle(oracle, dtype):
    check(oracle, dtype)


def zeros(y):
    return tg.zeros_like(y)


def opposite(y):
    return ~y if y.dtype == tg.bool else -y - 1 if not y.is_floating_point() else -y


@pytest.mark.parametrize("wrong", [zeros, opposite])
@pytest.mark.parametrize("oracle", ORACLES, ids=ident)
def test_oracles_catch_wrong_answers(oracle, wrong):
    def call(lib, *inputs, **kwargs):
        y = oracle.call(lib, *inputs, **kwargs)
        return [wrong(one) for one in y] if isinstance(y, list | tuple) else wrong(y)

    with pytest.raises(AssertionError):
        for dtype in oracle.dtypes:
            check(oracle, dtype, call)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: tg.tensor([1.0, 2.0, 3.5]),
        lambda: tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64),
        lambda: tg.tensor([[1.0, 2.0, 3.0]]),
        lambda: tg.tensor([1.0, 2.0, float("nan")]),
        lambda: tg.tensor([1.0, 2.0, float("inf")]),
        lambda: tg.tensor([1.0, 2.0, 3.0]) * (1 + 1e-6),
    ],
)
def test_assert_close_catches(wrong):
    assert_close(tg.tensor([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0], "float32", 4)
    with pytest.raises(AssertionError):
        assert_close(wrong(), [1.0, 2.0, 3.0], "float32", 4)


def test_assert_close_catches_special_values():
    for got, want in [(np.inf, -np.inf), (np.nan, 0.0), (0.0, np.nan), (1e38, np.inf)]:
        with pytest.raises(AssertionError):
            assert_close(tg.tensor([got]), [want], "float32", 4, magnitude=1.0)
    with pytest.raises(AssertionError):
        assert_close(tg.tensor([0.0]), [-0.0], "float32", signed_zeros=True)


def extremes(dtype):
    info = np.finfo(dtype)
    positive = [
        0.0,
        info.smallest_subnormal,
        1e-3 * info.tiny,
        info.tiny,
        1e-10,
        0.5,
        1.0,
        1.5,
        2.5,
        30.0,
        80.0,
        100.0,
        1e5,
        1e10,
        info.max,
        np.inf,
    ]
    return np.array(positive + [-v for v in positive] + [np.nan], dtype)


EXTREMES = [
    pytest.param(o, d, id=f"{o.name}-{d}")
    for o in ELEMENTWISE
    for d in FLOATS
    if o.extremes and d in o.dtypes
]


@pytest.mark.parametrize(("oracle", "dtype"), EXTREMES)
def test_extreme_values(oracle, dtype):
    values = extremes(dtype)
    if len(oracle.cases[0][0]) == 2:
        arrays = [x.ravel() for x in np.meshgrid(values, values)]
    else:
        arrays = [values]
    (expected,), _ = reference(oracle, arrays, {})
    actual = oracle.call(tg, *map(tg.tensor, arrays))
    wrong = []
    # One element at a time, so that a failure lists all that is wrong.
    for i, want in enumerate(np.asarray(expected)):
        try:
            assert_close(
                actual[i],
                want,
                oracle.result_dtypes(dtype)[0],
                oracle.ulps,
                signed_zeros=oracle.signed_zeros,
            )
        except AssertionError:
            wrong.append(
                f"{oracle.name}{tuple(float(a[i]) for a in arrays)} = "
                f"{actual[i].item()}, expected {want}"
            )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "maximum", "bitwise_xor"])
def test_integers_wrap_around(name, dtype):
    info = np.iinfo(dtype)
    a, b = np.meshgrid(np.array([info.min, info.max, 0, 1, 3, 100], dtype), [info.min, info.max, 2])
    a, b = a.ravel(), b.ravel().astype(dtype)
    ref = next(o.ref for o in ELEMENTWISE if o.name == name)
    with np.errstate(all="ignore"):
        expected = ref(a, b)
    np.testing.assert_array_equal(numpy_of(getattr(tg, name)(tg.tensor(a), tg.tensor(b))), expected)


@pytest.mark.parametrize("name", ["add", "mul", "sqrt", "sum", "eq", "where"])
def test_unsupported_dimension_counts(name):
    oracle = next(o for o in ORACLES if o.name == name)
    ones = (1,) * 12
    dtype = oracle.dtypes[0]
    x = sample(generator(name), ones, dtype, (1, 2))
    args = [tg.tensor(x)] * len(oracle.cases[0][0])
    if name == "where":
        args[0] = args[0] > 0
    assert numpy_of(oracle.call(tg, *args)).size == 1


INPLACE = [o for o in ELEMENTWISE if o.inplace]


@pytest.mark.parametrize("oracle", INPLACE, ids=ident)
def test_in_place_twins(oracle):
    """x.op_() gives what op(x) gives, in x's memory and dtype, in every layout."""
    for dtype in oracle.dtypes:
        if oracle.result_dtypes(dtype)[0] not in (dtype, "bool"):
            continue
        for number in range(len(oracle.cases)):
            for layout in DISTINCT:
                tensors, _, _ = inputs_of(oracle, number, dtype, layout)
                expected = oracle.call(tg, *tensors).to(tensors[0].dtype)
                if expected.shape != tensors[0].shape:
                    continue
                x, pointer = tensors[0], tensors[0].data_ptr()
                y = getattr(x, oracle.name + "_")(*tensors[1:])
                assert y is x and x.data_ptr() == pointer
                np.testing.assert_array_equal(numpy_of(x), numpy_of(expected))


@pytest.mark.parametrize("oracle", [o for o in INPLACE if len(o.cases[0][0]) == 2], ids=ident)
def test_in_place_on_itself(oracle):
    x = tg.tensor(sample(generator(oracle.name), (5, 3), oracle.dtypes[0], NONZERO))
    expected = oracle.call(tg, x, x).to(x.dtype)
    getattr(x, oracle.name + "_")(x)
    np.testing.assert_array_equal(numpy_of(x), numpy_of(expected))


METHODS = sorted({o.name for o in ORACLES if o.op is None} - {"where", "hypot"})


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_the_functions(name):
    oracle = next(o for o in ORACLES if o.name == name)
    tensors, _, kwargs = inputs_of(oracle, 0, oracle.dtypes[0], contiguous)
    ours = getattr(tensors[0], name)(*tensors[1:], **kwargs)
    theirs = oracle.call(tg, *tensors, **kwargs)
    for a, b in zip(*[x if isinstance(x, tuple) else (x,) for x in (ours, theirs)], strict=True):
        np.testing.assert_array_equal(numpy_of(a), numpy_of(b))


OPERATORS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floor_divide": lambda a, b: a // b,
    "remainder": lambda a, b: a % b,
    "pow": lambda a, b: a**b,
    "matmul": lambda a, b: a @ b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    oracle = next(o for o in ORACLES if o.name == name)
    dtype = "int64" if name.startswith("bitwise") else "float32"
    operator = OPERATORS[name]
    a, b = (tg.tensor(sample(generator(name, i), (4,), dtype, (1, 4))) for i in range(2))
    np.testing.assert_array_equal(numpy_of(operator(a, b)), numpy_of(oracle.call(tg, a, b)))
    if name == "matmul":
        return
    for scalar in (2, 3) if dtype == "int64" else (2, 1.5):
        s = tg.full_like(a, scalar)
        for x, y in ((a, scalar), (scalar, a)):
            expected = operator(*[s if one is scalar else one for one in (x, y)])
            # A division by a scalar may be a multiplication.
            result = operator(x, y)
            assert_close(result, numpy_of(expected), dtype_name(expected), 1)


def test_unary_operators():
    a = tg.tensor([-1.5, 2.0])
    assert (-a).tolist() == [1.5, -2.0] and abs(a).tolist() == [1.5, 2.0]
    assert (+a).tolist() == a.tolist()
    assert (~tg.tensor([True, False])).tolist() == [False, True]


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "var", "logsumexp", "cumsum", "softmax"])
def test_numpy_names_of_arguments(name):
    x = tg.arange(6.0).reshape(2, 3)
    ours = getattr(tg, name)(x, axis=1)
    np.testing.assert_array_equal(numpy_of(ours), numpy_of(getattr(tg, name)(x, dim=1)))
    if name not in ("cumsum", "softmax"):
        assert getattr(x, name)(axis=1, keepdims=True).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "call", "exception", "words"),
    [pytest.param(*e, id=f"{e[0]}-{i}") for i, e in enumerate(ERRORS)],
)
def test_errors(name, call, exception, words):
    with pytest.raises(exception) as error:
        call(tg)
    assert words in str(error.value)
    assert str(error.value)


def test_errors_are_one_line_and_name_the_op():
    with pytest.raises(RuntimeError) as error:
        tg.matmul(tg.ones(32, 64), tg.ones(128, 10))
    text = str(error.value)
    assert "\n" not in text


def test_every_op_has_an_oracle():
    covered = {WRITTEN_AS.get(o.name, o.name) for o in ORACLES}
    written = {name.removesuffix("_") for name in [*tg._core.OP_NAMES, *tg._core.FUNCTIONS]}
    assert written - covered == {"numel", "is_floating_point"}


def test_dropout():
    dropout = tg.nn.functional.dropout
    tg.manual_seed(0)
    x = tg.ones(200, 300, requires_grad=True)
    y = dropout(x, 0.25)
    kept = numpy_of(y) != 0
    # 60,000 draws: the rate is within 5 standard deviations.
    assert abs(kept.mean() - 0.75) < 5 * (0.75 * 0.25 / kept.size) ** 0.5
    assert_close(y, kept / 0.75, "float32", 1)
    y.sum().backward()
    assert_close(x.grad, kept / 0.75, "float32", 1)
    rows, columns = kept.mean(0), kept.mean(1)
    assert rows.std() < 0.06 and columns.std() < 0.06
    tg.manual_seed(0)
    np.testing.assert_array_equal(numpy_of(dropout(x, 0.25)), numpy_of(y))
    assert not np.array_equal(numpy_of(dropout(x, 0.25)), numpy_of(y))
    np.testing.assert_array_equal(numpy_of(dropout(x, 0.25, training=False)), numpy_of(x))
    np.testing.assert_array_equal(numpy_of(dropout(x, 0.0)), numpy_of(x))
    assert (dropout(x, 1.0) == 0).all()
    with pytest.raises(ValueError, match="1.5"):
        dropout(x, 1.5)


def test_batch_norm_updates_running_statistics():
    x = sample(generator("bn"), (6, 3), "float64")
    mean, var = tg.zeros(3, dtype=tg.float64), tg.ones(3, dtype=tg.float64)
    tg.nn.functional.batch_norm(tg.tensor(x), mean, var, training=True, momentum=0.1)
    assert_close(mean, 0.1 * x.mean(0), "float64", 8, magnitude=1.0)
    assert_close(var, 0.9 + 0.1 * x.var(0, ddof=1), "float64", 8)


def test_all_dtypes_have_names():
    assert [dtype_name(tg.zeros(1, dtype=getattr(tg, d))) for d in ALL] == list(ALL)


def test_results_do_not_depend_on_layout_or_position():
    """An element's bits are the same wherever it stands."""
    for name in ("exp", "tanh", "sigmoid", "log1p", "erf"):
        values = sample(generator(name), (67,), "float32", (0, 3))
        whole = numpy_of(getattr(tg, name)(tg.tensor(values)))
        for i in (0, 3, 31, 64, 66):
            assert getattr(tg, name)(tg.tensor(values[i : i + 1])).item() == whole[i]
            tail = numpy_of(getattr(tg, name)(tg.tensor(values)[i:]))
            np.testing.assert_array_equal(tail, whole[i:])


def test_expanded_layout_repeats():
    t, a = expanded(tg, np.arange(6.0).reshape(2, 3))
    assert t.stride()[0] == 0 and a.tolist() == [[0, 1, 2], [0, 1, 2]]
