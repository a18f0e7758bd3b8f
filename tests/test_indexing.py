"""Reading and writing with indices, against NumPy, and against PyTorch where the two differ."""

import math

import numpy as np
import pytest
from checks import numpy_of
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lessons as tg

pytestmark = pytest.mark.kernel

shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]


def counting(shape, dtype="float64"):
    return (np.arange(math.prod(shape)) % 251).astype(dtype).reshape(shape)


def forward(index):
    """No negative steps."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(not isinstance(p, slice) or p.step is None or p.step > 0 for p in parts)


def basic(shape):
    return hnp.basic_indices(shape, allow_newaxis=True, min_dims=0, max_dims=6).filter(forward)


@st.composite
def advanced(draw, shape, ints=False):
    """An index with at least one array in it: integers, a list, a mask; slices, None and `...`."""
    parts, i, arrays, ellipsis = [], 0, 0, False
    common = draw(hnp.array_shapes(max_dims=2, max_side=3))
    while i < len(shape):
        kind = draw(
            st.sampled_from(["array", "array", "mask", "slice", "none", "..."] + ["int"] * ints)
        )
        size = shape[i]
        if kind == "none":
            if len(parts) > 5:
                break
            parts.append(None)
            continue
        if kind == "..." and not ellipsis:
            ellipsis = True
            rest = draw(st.integers(0, len(shape) - i))
            parts.append(...)
            i += rest
            continue
        if kind in ("array", "int") and size == 0:
            kind = "slice"
        if kind == "array":
            target = draw(st.sampled_from([common, common[-1:], (1,)]))
            elements = st.integers(-size, size - 1)
            parts.append(draw(hnp.arrays(np.int64, target, elements=elements)))
            arrays += 1
        elif kind == "mask" and arrays == 0 and "mask" not in [type(p).__name__ for p in parts]:
            dims = draw(st.integers(1, len(shape) - i))
            parts.append(draw(hnp.arrays(np.bool_, shape[i : i + dims])))
            arrays += 100  # no integer arrays beside it: their lengths would have to agree
            i += dims - 1
        elif kind == "int":
            parts.append(draw(st.integers(-size, size - 1)))
        else:
            parts.append(draw(st.slices(size).filter(lambda s: s.step is None or s.step > 0)))
        if arrays >= 100 and any(isinstance(p, np.ndarray) and p.dtype != bool for p in parts):
            assume(False)
        i += 1
    assume(arrays)
    # An ellipsis stands for all that is left, so what follows it must reach the end.
    consumed = sum(
        p.ndim if isinstance(p, np.ndarray) and p.dtype == bool else 1
        for p in parts
        if p is not None and p is not ...
    )
    assume(consumed <= len(shape))
    return tuple(parts)


def native(index, lib=tg):
    """The same index with tensors for arrays."""
    if isinstance(index, tuple):
        return tuple(native(p, lib) for p in index)
    return lib.tensor(index) if isinstance(index, np.ndarray) else index


def numpy_reads(array, index):
    try:
        return array[index]
    except IndexError:
        return None


@given(st.data(), shapes, st.sampled_from(DTYPES))
def test_basic_reads(data, shape, dtype):
    array, index = counting(shape, dtype), data.draw(basic(shape))
    t = tg.tensor(array)
    np.testing.assert_array_equal(numpy_of(t[index]), array[index])
    if array[index].size:
        view = t[index]
        assert tuple(view.shape) == np.shape(array[index])
        # A view, not a copy.
        view.zero_()
        array[index] = 0
        np.testing.assert_array_equal(numpy_of(t), array)


@given(st.data(), shapes, st.sampled_from(DTYPES))
def test_basic_writes(data, shape, dtype):
    array, index = counting(shape, dtype), data.draw(basic(shape))
    t = tg.tensor(array)
    target = np.shape(array[index])
    value = data.draw(st.sampled_from([target, target[-1:], (1,) * len(target), ()]))
    value = (counting(value, dtype) + (dtype != "bool")).astype(dtype)
    array[index] = value
    t[index] = tg.tensor(value)
    np.testing.assert_array_equal(numpy_of(t), array)
    array[index] = 1
    t[index] = 1
    np.testing.assert_array_equal(numpy_of(t), array)


@given(st.data(), shapes, st.sampled_from(DTYPES))
def test_advanced_reads(data, shape, dtype):
    array, index = counting(shape, dtype), data.draw(advanced(shape))
    expected = numpy_reads(array, index)
    assume(expected is not None)
    for form in (index, native(index)):
        np.testing.assert_array_equal(numpy_of(tg.tensor(array)[form]), expected)
    turned = np.ascontiguousarray(array.transpose())
    t = tg.tensor(turned).permute(*range(array.ndim - 1, -1, -1))
    np.testing.assert_array_equal(numpy_of(t[native(index)]), expected)


@given(st.data(), shapes, st.sampled_from(DTYPES))
def test_advanced_writes(data, shape, dtype):
    array, index = counting(shape, dtype), data.draw(advanced(shape))
    expected = numpy_reads(array, index)
    assume(expected is not None)
    t = tg.tensor(array)
    array[index] = 1
    t[native(index)] = 1
    np.testing.assert_array_equal(numpy_of(t), array)
    # Which of several values for one element wins is left open, so each element gets its own.
    numbers = counting(shape, "int64")
    picked = numbers[index]
    assume(len(np.unique(picked)) == picked.size)
    value = (picked % 7).astype(dtype)
    array[index] = value
    t[native(index)] = tg.tensor(value)
    np.testing.assert_array_equal(numpy_of(t), array)


@given(st.data(), shapes)
def test_mixed_with_integers_as_pytorch(data, shape):
    """PyTorch takes integers first, so arrays on both sides of one are neighbours."""
    torch = pytest.importorskip("torch")
    index = data.draw(advanced(shape, ints=True))
    array = counting(shape)
    try:
        theirs = torch.tensor(array)[native(index, torch)]
    except IndexError:
        with pytest.raises(IndexError):
            tg.tensor(array)[native(index)]
        return
    np.testing.assert_array_equal(numpy_of(tg.tensor(array)[native(index)]), numpy_of(theirs))


@given(st.data(), hnp.array_shapes(max_dims=3, max_side=4), st.booleans())
def test_gradients_of_reads(data, shape, is_basic):
    array = counting(shape)
    index = data.draw(basic(shape) if is_basic else advanced(shape))
    expected = numpy_reads(array, index)
    assume(expected is not None and expected.size)
    x = tg.tensor(array, requires_grad=True)
    weights = np.cos(np.arange(expected.size)).reshape(expected.shape)
    (x[native(index)] * tg.tensor(weights)).sum().backward()
    grad = np.zeros(shape)
    np.add.at(grad, index, weights)
    np.testing.assert_allclose(numpy_of(x.grad), grad, atol=1e-12)


@given(st.data(), hnp.array_shapes(max_dims=3, max_side=4), st.booleans())
def test_gradients_of_writes(data, shape, is_basic):
    array = counting(shape)
    index = data.draw(basic(shape) if is_basic else advanced(shape))
    expected = numpy_reads(counting(shape, "int64"), index)
    assume(expected is not None and expected.size)
    assume(len(np.unique(expected)) == expected.size)
    x = tg.tensor(array, requires_grad=True)
    value = tg.tensor(np.array(array[index]) + 1, requires_grad=True)
    b = x * 2
    b[native(index)] = value * 3
    weights = np.cos(np.arange(array.size)).reshape(shape)
    (b * tg.tensor(weights)).sum().backward()
    np.testing.assert_allclose(numpy_of(value.grad), 3 * weights[index], atol=1e-12)
    kept = weights * 2
    kept[index] = 0
    np.testing.assert_allclose(numpy_of(x.grad), kept, atol=1e-12)


@pytest.mark.parametrize(
    "index",
    [
        [0, 2],
        [True, False, True],
        ([0, 1], [1, 2]),
        ([[0], [1]], [1, 2]),
        (slice(None), [3, 0]),
        ([2, 0], slice(1, 3)),
        (Ellipsis, [1, 1]),
        (None, [0, 1], None),
        [],
        np.int64(1),
        (np.array(1), 2),
        True,
        False,
        (slice(None), True),
    ],
)
def test_forms_of_indices(index):
    array = counting((3, 4))
    expected = (
        array[np.array(index, np.int64)] if isinstance(index, list) and not index else array[index]
    )
    np.testing.assert_array_equal(numpy_of(tg.tensor(array)[index]), expected)


def test_tensors_of_no_dimension_as_indices():
    t = tg.arange(12).reshape(3, 4)
    assert t[tg.tensor(1)].tolist() == [4, 5, 6, 7]
    assert t[tg.tensor(-1), tg.tensor(2)].item() == 10
    assert t[tg.tensor([1], dtype=tg.int32)].tolist() == [[4, 5, 6, 7]]
    t[tg.tensor(0)] = -1
    assert t[0].tolist() == [-1] * 4


def test_ranges_and_lengths():
    t = tg.arange(12).reshape(3, 4)
    assert [row.tolist() for row in t] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert t[-1, -1].item() == 11 and t[1:100, :-3].tolist() == [[4], [8]]
    assert (5 in t) and (99 not in t)
    assert [*t][2][0].item() == 8


@pytest.mark.parametrize(
    ("index", "exception"),
    [
        (3, IndexError),
        (-4, IndexError),
        ((0, 4), IndexError),
        ((0, 0, 0), IndexError),
        ((slice(None), slice(None), slice(None)), IndexError),
        ([3], IndexError),
        ([0, -4], IndexError),
        ((slice(None), [0, 4]), IndexError),
        (([0, 1], [0, 1, 2]), IndexError),
        (np.array([True, False]), IndexError),
        (np.ones((3, 3), bool), IndexError),
        (1.5, (IndexError, TypeError)),
        ("a", (IndexError, TypeError)),
        (np.array([0.5]), IndexError),
        (slice(None, None, -1), ValueError),
        (slice(None, None, 0), ValueError),
        ((Ellipsis, Ellipsis, 0, 0, 0), IndexError),
    ],
)
def test_wrong_indices(index, exception):
    t = tg.arange(12.0).reshape(3, 4)
    form = native(index)
    with pytest.raises(exception) as error:
        t[form]
    assert str(error.value)
    with pytest.raises(exception):
        t[form] = 0.0
    assert t.tolist() == counting((3, 4)).tolist()


@pytest.mark.parametrize("index", [0, slice(1), [0, 2], np.array([True, False, True])])
def test_values_that_do_not_fit(index):
    t = tg.zeros(3, 4)
    with pytest.raises(RuntimeError):
        t[native(index)] = tg.ones(5)
    with pytest.raises(RuntimeError):
        t[native(index)] = tg.ones(7, 2, 4)
    assert t.sum() == 0


def test_out_of_range_anywhere_changes_nothing():
    t = tg.zeros(1000)
    with pytest.raises(IndexError, match="1000"):
        t[tg.tensor([*range(999), 1000])] = 1.0
    assert t.sum() == 0


def test_accumulating_put():
    t = tg.zeros(3)
    t.index_put_((tg.tensor([0, 0, 2]),), tg.tensor([1.0, 2.0, 3.0]), accumulate=True)
    assert t.tolist() == [3.0, 0.0, 3.0]


def test_nonzero():
    t = tg.tensor([[0, 1], [2, 0]])
    assert tg.nonzero(t).tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in tg.where(t > 0)] == [[0, 1], [1, 0]]
