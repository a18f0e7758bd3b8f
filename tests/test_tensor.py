"""Tensors as Python objects: memory shared with NumPy, copies, pickles, factories, conversions."""

import copy
import gc
import math
import pickle

import numpy as np
import pytest

import tinygrad_lessons as tg

DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_numpy_shares_memory(dtype):
    array = np.zeros((2, 3), dtype)
    t = tg.from_numpy(array)
    assert str(t.dtype).endswith(dtype)
    array[0, 1] = 1
    assert t[0, 1].item() == 1
    t[1, 2] = 1
    assert array[1, 2] == 1
    assert t.data_ptr() == array.ctypes.data


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_shares_memory(dtype):
    t = tg.zeros(2, 3, dtype=getattr(tg, dtype))
    array = t.numpy()
    assert array.dtype == dtype
    t[0, 1] = 1
    array[1, 2] = 1
    assert array[0, 1] == 1 and t[1, 2].item() == 1
    assert np.shares_memory(t.t().numpy(), array) and np.shares_memory(np.asarray(t), array)


def test_memory_lives_as_long_as_anyone_needs_it():
    array = tg.arange(100_000).numpy()
    t = tg.from_numpy(np.arange(100_000))
    view = t[10:]
    del t
    gc.collect()
    junk = [tg.zeros(100_000, dtype=tg.int64) for _ in range(3)]
    assert (array == np.arange(100_000)).all() and view[0].item() == 10
    assert len(junk) == 3


def test_layouts_from_numpy():
    array = np.arange(24.0).reshape(4, 6)
    for view in (
        array.T,
        array[1:, ::2],
        array[:, 1],
        array[2, 3],
        np.broadcast_to(array[0], (3, 6)).copy(),
    ):
        t = tg.from_numpy(np.asarray(view))
        np.testing.assert_array_equal(t.numpy(), view)
        assert [s * 8 for s in t.stride()] == list(np.asarray(view).strides)
    with pytest.raises(ValueError, match="negative"):
        tg.from_numpy(array[::-1])


def test_arrays_that_cannot_be_shared():
    for wrong in (
        np.zeros(2, np.complex64),
        np.array(["a"]),
        np.array([None]),
        np.zeros(2, "M8[s]"),
    ):
        with pytest.raises(TypeError):
            tg.from_numpy(wrong)
    with pytest.raises(TypeError):
        tg.from_numpy([1, 2])
    swapped = np.arange(3, dtype=">i4")
    with pytest.raises((TypeError, ValueError)):
        tg.from_numpy(swapped)


def test_tensor_copies_and_as_tensor_shares():
    array = np.zeros(3)
    copied, shared = tg.tensor(array), tg.as_tensor(array)
    array[0] = 5
    assert copied[0].item() == 0 and shared[0].item() == 5
    assert tg.as_tensor(shared) is shared
    assert tg.as_tensor(array, dtype=tg.float32).dtype == tg.float32


def test_numpy_wants_no_gradient():
    x = tg.ones(2, requires_grad=True)
    for call in (x.numpy, lambda: np.asarray(x), (x * 2).numpy):
        with pytest.raises(RuntimeError, match="detach"):
            call()
    assert x.detach().numpy().tolist() == [1.0, 1.0]


def test_numpy_functions_take_tensors():
    t = tg.tensor([1.0, 4.0])
    assert np.sqrt(t).tolist() == [1.0, 2.0]
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    assert (np.array([1.0, 2.0]) + np.asarray(t)).tolist() == [2.0, 6.0]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
class TestCopies:
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_values(self, clone, dtype):
        for t in (
            tg.ones(2, 3, dtype=getattr(tg, dtype)),
            tg.zeros((), dtype=getattr(tg, dtype)),
            tg.zeros(0, 3, dtype=getattr(tg, dtype)),
        ):
            c = clone(t)
            assert c.dtype == t.dtype and c.shape == t.shape and c.tolist() == t.tolist()
            assert not c.numel() or c.data_ptr() != t.data_ptr()

    def test_layouts(self, clone):
        t = tg.arange(24).reshape(4, 6)
        for view in (t.t(), t[1:, ::2], t[2], t[:1].expand(3, 6)):
            assert clone(view).tolist() == view.tolist()

    def test_leaves(self, clone):
        x = tg.ones(2, requires_grad=True)
        c = clone(x)
        assert type(c) is tg.Tensor and c.requires_grad and c.is_leaf
        (c * 2).sum().backward()
        assert c.grad.tolist() == [2.0, 2.0] and x.grad is None

    def test_parameters(self, clone):
        for grad in (True, False):
            p = tg.nn.Parameter(tg.ones(2), requires_grad=grad)
            c = clone(p)
            assert type(c) is tg.nn.Parameter and c.requires_grad == grad
            assert c.data_ptr() != p.data_ptr()

    def test_the_same_tensor_twice(self, clone):
        t = tg.zeros(2)
        a, b = clone([t, t])
        assert a is b


def test_deepcopied_views_share_memory_again():
    t = tg.zeros(4)
    a, b = copy.deepcopy([t, t[1:]])
    a.fill_(3)
    assert b.tolist() == [3.0] * 3 and t.tolist() == [0.0] * 4


def test_deepcopy_of_results_is_refused():
    with pytest.raises(RuntimeError, match="leaves|leaf|graph"):
        copy.deepcopy(tg.ones(1, requires_grad=True) * 2)


def test_deepcopy_copies_the_gradient():
    x = tg.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    c = copy.deepcopy(x)
    assert c.grad.tolist() == [3.0, 3.0] and c.grad is not x.grad


def test_shallow_copy_shares_memory():
    t = tg.zeros(2)
    c = copy.copy(t)
    c.fill_(1)
    assert t.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "int64"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2.5], "float32"),
        ([True, 2], "int64"),
        ((1, (2,)[0]), "int64"),
        ([], "float32"),
        (np.float64(1), "float64"),
        (np.arange(2, dtype=np.int32), "int32"),
        ([np.float32(1)], "float32"),
    ],
)
def test_inferred_dtypes(value, dtype):
    assert str(tg.tensor(value).dtype).endswith(dtype)


def test_numbers_that_do_not_fit():
    for value, dtype in [(2**63, None), (256, tg.uint8), (2**31, tg.int32)]:
        with pytest.raises((RuntimeError, OverflowError, ValueError)):
            tg.tensor(value, dtype=dtype)
    assert tg.tensor(2**63 - 1).item() == 2**63 - 1
    assert tg.tensor(-(2**63)).item() == -(2**63)
    assert tg.tensor(2**60 + 1).item() == 2**60 + 1
    assert math.isinf(tg.tensor(1e39).item())


def test_conversions():
    t = tg.tensor([1.9, -1.9, 0.0])
    assert t.long().tolist() == [1, -1, 0] and t.bool().tolist() == [True, True, False]
    assert t.to(tg.float32) is t and t.to("cpu") is t and t.to(tg.float64) is not t
    assert t.to(t.long()).dtype == tg.int64 and t.to("cpu", tg.int32).dtype == tg.int32
    assert t.to(tg.float32, copy=True) is not t
    assert t.type(tg.float64).dtype == tg.float64 and t.type_as(t.int()).dtype == tg.int32
    assert t.contiguous() is t and t.cpu() is t
    assert tg.tensor(float("nan")).bool().item() is True


def test_conversions_carry_gradients():
    x = tg.tensor([1.5, 2.5], requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0] and x.grad.dtype == tg.float32
    assert not x.long().requires_grad


def test_scalars():
    t = tg.tensor(2.5)
    assert t.item() == 2.5 and float(t) == 2.5 and int(t) == 2 and bool(t)
    assert tg.tensor([[3]]).item() == 3 and f"{t:.2f}" == "2.50"
    assert [10, 20, 30][tg.tensor(1)] == 20 and list(range(tg.tensor(2))) == [0, 1]
    assert math.sqrt(tg.tensor(4.0)) == 2.0 and round(float(tg.tensor(2.6))) == 3
    for wrong in (lambda: float(tg.ones(2)), lambda: int(tg.ones(0)), lambda: bool(tg.ones(2))):
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            wrong()


def test_identity_and_hash():
    a, b = tg.ones(1), tg.ones(1)
    assert len({a, b, a}) == 2 and hash(a) != hash(b)
    assert (a == b).item() is True


def test_attributes_can_be_attached():
    t = tg.ones(1)
    t.note = "mine"
    assert t.note == "mine"
    with pytest.raises(AttributeError):
        _ = t.missing


def test_sizes_that_make_no_sense():
    for wrong in (
        lambda: tg.zeros(2**40, 2**40),
        lambda: tg.zeros(2**62),
        lambda: tg.zeros(-1),
        lambda: tg.zeros(2, -3),
        lambda: tg.ones(1).expand(2**40, 2**40),
    ):
        with pytest.raises((RuntimeError, MemoryError)):
            wrong()
    for wrong in (lambda: tg.zeros("a"), lambda: tg.zeros(1.5), lambda: tg.zeros(None)):
        with pytest.raises(TypeError):
            wrong()


def test_data_is_another_view():
    x = tg.ones(2, requires_grad=True)
    x.data.mul_(3)
    assert x.tolist() == [3.0, 3.0] and not x.data.requires_grad and x.requires_grad


@pytest.mark.parametrize(
    "make",
    [
        lambda: tg.Tensor([1, 2]),
        lambda: tg.Tensor.__new__(tg.Tensor),
        lambda: tg.nn.Parameter(),
        lambda: tg.nn.Parameter.__new__(tg.nn.Parameter),
        lambda: type("Sub", (tg.Tensor,), {})(),
        lambda: tg.Tensor.__base__(),
        lambda: type(tg.ones(1, requires_grad=True).exp().grad_fn)(),
    ],
)
def test_no_tensor_without_a_value(make):
    with pytest.raises(TypeError, match="Tensor|Parameter"):
        make()


def test_a_list_that_yields_more_than_its_length():
    class Longer(list):
        def __iter__(self):
            return iter([1.0] * 1000)

    assert tg.tensor(Longer([1.0, 2.0])).shape == tg.tensor(np.array(Longer([1.0, 2.0]))).shape


def test_power_takes_no_modulus():
    for arguments in [(2, 3, tg.ones(1)), (tg.ones(1), 2, 5), (2, tg.ones(1), 5)]:
        with pytest.raises(TypeError):
            pow(*arguments)


@pytest.mark.parametrize("share", [tg.from_numpy, tg.as_tensor, tg.tensor])
@pytest.mark.parametrize("shape", [(), (70,), (3, 70)])
def test_bools_of_other_bytes_are_refused(share, shape):
    """NumPy's bools may hold one, but bitwise arithmetic on them would go wrong."""
    bools = np.ones(shape, np.uint8)
    assert share(bools.view(np.bool_)).all().item()
    bools[(...,) if not shape else (-1,) * len(shape)] = 2
    for array in (bools.view(np.bool_), bools.T.view(np.bool_)):
        with pytest.raises(ValueError, match="bytes other than 0 and 1; pass array != 0"):
            share(array)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (300, tg.uint8),
        (-1, tg.uint8),
        ([3, 2**40], tg.int32),
        ([[1.0], [-3.7]], tg.uint8),
        (255.9, tg.uint8),
        (float("nan"), tg.int64),
        ([float("inf")], tg.int32),
        (1e30, tg.int64),
        (np.int64(300), tg.uint8),
        ([np.float64("nan")], tg.int64),
    ],
)
def test_numbers_that_do_not_fit_an_integer_type_are_refused(data, dtype):
    with pytest.raises(RuntimeError, match="without overflow: expected numbers from"):
        tg.tensor(data, dtype=dtype)


@pytest.mark.parametrize("data", [2**63, [1, 2**64], 10**30, [-(2**63) - 1]])
def test_integers_beyond_int64_are_refused(data):
    with pytest.raises(ValueError, match="too large for int64"):
        tg.tensor(data)


@pytest.mark.parametrize("dtype", [None, *DTYPES])
@pytest.mark.parametrize("number", [0, 1, 200, True, 3.0, 2.5])
def test_tensors_of_one_number(number, dtype):
    natural = {int: np.int64, float: np.float32, bool: np.bool_}[type(number)]
    expected = np.asarray(number).astype(dtype or natural)
    for data in (number, [number], ((number,),)):
        result = tg.tensor(data, dtype=dtype and getattr(tg, dtype)).numpy()
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.reshape(()), expected)


def test_movedim_of_a_number():
    assert tg.tensor(2.0).movedim(0, -1).shape == ()
