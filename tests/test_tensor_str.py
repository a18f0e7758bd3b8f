"""Tensors print as PyTorch prints them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lessons as tg
from tinygrad_lessons._tensor_str import set_printoptions, tensor_str

DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]


@pytest.fixture(autouse=True)
def default_options():
    yield
    set_printoptions(profile="default")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "tensor(2.)"),
        (-0.5, "tensor(-0.5000)"),
        (7, "tensor(7)"),
        (True, "tensor(True)"),
        ([], "tensor([])"),
        ([1.0, float("inf")], "tensor([1., inf])"),
        ([float("nan"), 1.5], "tensor([   nan, 1.5000])"),
        ([1.0, 2000.5], "tensor([1.0000e+00, 2.0005e+03])"),
        ([1e-5], "tensor([1.0000e-05])"),
        ([100000000.0], "tensor([100000000.])"),
        ([200000000.0], "tensor([2.0000e+08])"),
        ([True, False], "tensor([ True, False])"),
        ([[1, -20], [3, 4]], "tensor([[  1, -20],\n        [  3,   4]])"),
        ([[[1]], [[2]]], "tensor([[[1]],\n\n        [[2]]])"),
    ],
)
def test_known_texts(value, text):
    assert tensor_str(tg.tensor(value)) == text


def test_repr_and_str_are_tensor_str():
    t = tg.tensor([1.0, 2.5])
    assert repr(t) == str(t) == tensor_str(t) == "tensor([1.0000, 2.5000])"


def test_suffixes():
    x = tg.ones(2, requires_grad=True)
    assert tensor_str(x) == "tensor([1., 1.], requires_grad=True)"
    assert tensor_str(x * 2) == "tensor([2., 2.], grad_fn=<MulBackward0>)"
    assert tensor_str(x.detach()) == "tensor([1., 1.])"
    assert tensor_str(tg.zeros(0, 3)) == "tensor([], size=(0, 3))"
    d = tg.int32
    assert tensor_str(tg.ones(2, dtype=d)) == f"tensor([1, 1], dtype={d})"
    assert tensor_str(tg.ones(0, dtype=tg.int64)) == f"tensor([], dtype={tg.int64})"


def test_the_default_dtype_is_not_named():
    a, b = tg.tensor(1.0, dtype=tg.float64), tg.tensor(1.0)
    tg.set_default_dtype(tg.float64)
    try:
        assert tensor_str(a) == "tensor(1.)" and "float32" in tensor_str(b)
    finally:
        tg.set_default_dtype(tg.float32)


def test_parameter_has_a_heading():
    p = tg.nn.Parameter(tg.ones(2))
    assert tensor_str(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_unknown_profile():
    with pytest.raises(ValueError, match="profile is 'long'"):
        set_printoptions(profile="long")


def pair(array, requires_grad=False):
    """The same values as our tensor and as torch's."""
    torch = pytest.importorskip("torch")
    ours, theirs = tg.tensor(array), torch.tensor(array)
    if requires_grad and array.dtype.kind == "f":
        ours.requires_grad_()
        theirs.requires_grad_()
    return ours, theirs


def assert_same_text(ours, theirs):
    # The libraries' names for a dtype differ in the prefix alone.
    text = tensor_str(ours).replace(f"dtype={ours.dtype}", f"dtype={theirs.dtype}")
    assert text == repr(theirs)


def values(dtype):
    """Elements of one dtype, floats over few and over many orders of magnitude."""
    kind = np.dtype(dtype).kind
    if kind != "f":
        return hnp.from_dtype(np.dtype(dtype))
    width = 8 * np.dtype(dtype).itemsize
    special = st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, 1e-4, 0.5, 1e8, 1000.0])
    return st.one_of(
        special.map(np.dtype(dtype).type),
        st.integers(-2000, 2000).map(float),
        st.floats(-10, 10, width=width),
        st.floats(width=width),
    )


@st.composite
def arrays(draw):
    dtype = draw(st.sampled_from(DTYPES))
    fill = draw(st.sampled_from([st.nothing(), values(dtype)]))
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    return draw(hnp.arrays(dtype, shapes, elements=values(dtype), fill=fill))


@given(arrays(), st.booleans())
def test_as_torch(array, requires_grad):
    ours, theirs = pair(array, requires_grad)
    assert_same_text(ours, theirs)
    if ours.requires_grad:
        assert_same_text(ours * 1, theirs * 1)


long_shapes = st.lists(st.sampled_from([1, 2, 6, 7, 8, 30, 400]), min_size=1, max_size=4).filter(
    lambda shape: np.prod(shape) < 20_000
)


@given(long_shapes, st.sampled_from(DTYPES), st.integers(0, 2**32 - 1), st.integers(-6, 9))
def test_long_tensors_as_torch(shape, dtype, seed, exponent):
    array = np.random.default_rng(seed).standard_normal(shape) * 10.0**exponent
    low, high = (0, 255) if dtype == "uint8" else (-(2**31), 2**31 - 1)
    assert_same_text(*pair(array.clip(low, high).astype(dtype)))


@given(
    arrays(),
    st.fixed_dictionaries(
        {},
        optional={
            "precision": st.integers(0, 8),
            "threshold": st.integers(0, 100),
            "edgeitems": st.integers(1, 4),
            "linewidth": st.integers(20, 120),
            "profile": st.sampled_from(["default", "short", "full"]),
            "sci_mode": st.sampled_from([None, True, False]),
        },
    ),
)
def test_printoptions_as_torch(array, options):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(array)
    try:
        set_printoptions(**options)
        torch.set_printoptions(**options)
        assert_same_text(ours, theirs)
    finally:
        set_printoptions(profile="default")
        torch.set_printoptions(profile="default")
