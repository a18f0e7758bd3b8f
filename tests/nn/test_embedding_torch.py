"""Embeddings against torch's: rows, gradients to second order, options, errors."""

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.autograd import gradcheck, gradgradcheck
from tinygrad_lessons.nn import functional as F

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.kernel

# Rows named never, once and several times; the first and the last among them.
INDICES = {
    "vector": np.array([6, 0, 2, 2, 5, 2, 0]),
    "matrix": np.array([[1, 6, 1], [3, 0, 1]]),
    "0-d": np.array(6),
    "empty": np.zeros((2, 0), np.int64),
    "long": np.random.default_rng(0).integers(0, 7, 300),
}
OPTIONS = {
    "plain": {},
    "padding": {"padding_idx": 2},
    "padding from the end": {"padding_idx": -1},
    "padding first": {"padding_idx": 0},
    "by frequency": {"scale_grad_by_freq": True},
    "by frequency, padding": {"scale_grad_by_freq": True, "padding_idx": 1},
    "renormalised": {"max_norm": 2.0},
    "renormalised by the sum": {"max_norm": 3.0, "norm_type": 1.0},
    "renormalised by the largest": {"max_norm": 1.0, "norm_type": float("inf")},
    "renormalised by p = 3, padding": {"max_norm": 1.5, "norm_type": 3, "padding_idx": 2},
}
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


def table(dtype="float64", rows=7, columns=5):
    return np.random.default_rng(1).normal(size=(rows, columns)).astype(dtype)


def looked_up(lib, index, weight, options):
    """The rows, the gradient, and the weight after it all."""
    leaf = lib.tensor(weight, requires_grad=True)
    out = lib.nn.functional.embedding(lib.tensor(index), leaf, **options)
    factors = np.random.default_rng(2).normal(size=tuple(out.shape)).astype(weight.dtype)
    (out * lib.tensor(factors)).sum().backward()
    return out.detach().numpy(), leaf.grad.numpy(), leaf.detach().numpy()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("index", INDICES)
def test_as_torch(dtype, kind, options, index):
    given = INDICES[index].astype(kind), table(dtype), OPTIONS[options]
    for ours, theirs in zip(looked_up(tg, *given), looked_up(torch, *given), strict=True):
        assert ours.dtype == theirs.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_by_the_formula():
    weight = tg.tensor(table(), requires_grad=True)
    out = F.embedding(tg.tensor([[3, 1], [3, 0]]), weight, padding_idx=0, scale_grad_by_freq=True)
    np.testing.assert_array_equal(out.detach().numpy(), table()[[[3, 1], [3, 0]]])
    g = np.random.default_rng(3).normal(size=(2, 2, 5))
    out.backward(tg.tensor(g))
    expected = np.zeros((7, 5))
    expected[3], expected[1] = (g[0, 0] + g[1, 0]) / 2, g[0, 1]
    np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("index", INDICES)
def test_gradients_by_differences(index):
    i, weight = tg.tensor(INDICES[index]), tg.tensor(table(), requires_grad=True)
    assert gradcheck(lambda w: F.embedding(i, w), [weight])
    assert gradgradcheck(lambda w: F.embedding(i, w) ** 3, [weight])


@pytest.mark.parametrize(
    "options", ["plain", "padding", "padding from the end", "by frequency, padding"]
)
@pytest.mark.parametrize("index", ["vector", "matrix", "0-d"])
def test_the_gradient_is_linear_and_so_differentiated(options, index):
    """Padding and frequencies belong to no function of the weight, but to one of the gradient."""
    weight = tg.tensor(table(), requires_grad=True)
    out = F.embedding(tg.tensor(INDICES[index]), weight, **OPTIONS[options])

    def gradient(g):
        return tg.autograd.grad(out, weight, g, create_graph=True)[0]

    g = tg.randn(*out.shape, dtype=tg.float64, requires_grad=True)
    assert gradcheck(gradient, [g])
    assert gradgradcheck(lambda g: gradient(g) ** 3, [g])


@pytest.mark.parametrize("options", ["plain", "padding", "padding from the end"])
def test_gradient_of_the_gradient_as_torch(options):
    def second(lib):
        weight = lib.tensor(table(), requires_grad=True)
        out = lib.nn.functional.embedding(lib.tensor(INDICES["matrix"]), weight, **OPTIONS[options])
        (first,) = lib.autograd.grad((out**3).sum(), weight, create_graph=True)
        return lib.autograd.grad((first**2).sum(), weight)[0].numpy()

    ours = second(tg)
    np.testing.assert_allclose(ours, second(torch), rtol=1e-12)
    assert np.count_nonzero(ours) == 5 * {"plain": 4, "padding": 4}.get(options, 3)


def test_padding_gets_no_gradient_whatever_comes():
    weight = tg.tensor(table(), requires_grad=True)
    out = F.embedding(tg.tensor([1, 2, 1]), weight, padding_idx=1)
    out.backward(tg.tensor(np.full((3, 5), [[np.nan], [1.0], [np.inf]])))
    np.testing.assert_array_equal(weight.grad.numpy(), np.eye(7)[[2]].T * np.ones(5))


def test_weights_of_any_layout_and_type():
    index = tg.tensor([2, 0, 2])
    transposed = tg.tensor(table().T.copy(), requires_grad=True)
    out = F.embedding(index, transposed.T)
    np.testing.assert_array_equal(out.detach().numpy(), table()[[2, 0, 2]])
    out.sum().backward()
    np.testing.assert_array_equal(transposed.grad.numpy()[0], [1, 0, 2, 0, 0, 0, 0])
    with tg.no_grad():
        np.testing.assert_array_equal(
            F.embedding(index, transposed.T[:, ::2]).numpy(), table()[[2, 0, 2], ::2]
        )
    assert F.embedding(index, tg.arange(6).reshape(3, 2)).tolist() == [[4, 5], [0, 1], [4, 5]]
    for rows, columns in ((0, 3), (4, 0), (4, 1)):
        weight = tg.ones(rows, columns, requires_grad=True)
        out = F.embedding(tg.ones(2 if rows else 0, dtype=tg.int64), weight, 1 if rows else None)
        assert out.shape == (2 if rows else 0, columns)
        out.sum().backward()
        assert weight.grad.shape == (rows, columns) and not weight.grad.any()


def test_frequency_of_rows_without_elements():
    weight = tg.ones(4, 0, requires_grad=True)
    F.embedding(tg.tensor([1, 1]), weight, 0, scale_grad_by_freq=True).sum().backward()
    assert weight.grad.shape == (4, 0)


def test_writing_to_the_index_leaves_the_gradient_alone():
    for kind in (tg.int64, tg.int32):
        index = tg.tensor([1, 3], dtype=kind)
        weight = tg.ones(4, 2, requires_grad=True)
        out = F.embedding(index, weight, padding_idx=0)
        index.numpy()[...] = 10**9
        out.sum().backward()
        assert weight.grad.sum(1).tolist() == [0, 2, 0, 2]


def test_renormalising_writes_the_rows_looked_up_alone():
    weight = tg.tensor([[3.0, 4.0], [6.0, 8.0], [0.3, 0.4], [30.0, 40.0]], requires_grad=True)
    out = F.embedding(tg.tensor([2, 1, 1]), weight, max_norm=5.0)
    expected = [[3.0, 4.0], [3.0, 4.0], [0.3, 0.4], [30.0, 40.0]]
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-6)
    np.testing.assert_array_equal(out.detach().numpy(), weight.detach().numpy()[[2, 1, 1]])
    assert weight.requires_grad and weight.is_leaf


def test_renormalising_is_a_write_that_backward_notices():
    weight = tg.ones(3, 2, requires_grad=True)
    squares = (weight**2).sum()
    F.embedding(tg.tensor([1]), weight, max_norm=0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squares.backward()


@pytest.mark.parametrize("bad", [7, -1, 10**12, -(2**63)])
@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_out_of_range(bad, max_norm):
    weight = tg.tensor(table())
    with pytest.raises(IndexError, match=f"embedding: index {bad} is out of bounds .* size 7"):
        F.embedding(tg.tensor([[0, 3], [bad, 1]]), weight, max_norm=max_norm)
    np.testing.assert_array_equal(weight.numpy(), table())


ERRORS = {
    "too large": lambda lib: lib.nn.functional.embedding(lib.tensor([4]), lib.ones(4, 2)),
    "negative": lambda lib: lib.nn.functional.embedding(lib.tensor([-1]), lib.ones(4, 2)),
    "float": lambda lib: lib.nn.functional.embedding(lib.tensor([1.0]), lib.ones(4, 2)),
    "bool": lambda lib: lib.nn.functional.embedding(lib.tensor([True]), lib.ones(4, 2)),
    "bytes": lambda lib: lib.nn.functional.embedding(
        lib.tensor([1], dtype=lib.uint8), lib.ones(4, 2)
    ),
    "list": lambda lib: lib.nn.functional.embedding([1], lib.ones(4, 2)),
    "vector": lambda lib: lib.nn.functional.embedding(lib.tensor([1]), lib.ones(4)),
    "three dimensions": lambda lib: lib.nn.functional.embedding(lib.tensor([1]), lib.ones(4, 2, 2)),
    "padding": lambda lib: lib.nn.functional.embedding(lib.tensor([1]), lib.ones(4, 2), 4),
    "padding from the end": lambda lib: lib.nn.functional.embedding(
        lib.tensor([1]), lib.ones(4, 2), -5
    ),
    "integers renormalised": lambda lib: lib.nn.functional.embedding(
        lib.tensor([1]), lib.ones(4, 2, dtype=lib.int64), max_norm=1.0
    ),
    "layer's padding": lambda lib: lib.nn.Embedding(4, 2, padding_idx=4),
    "layer's padding from the end": lambda lib: lib.nn.Embedding(4, 2, padding_idx=-5),
    "layer's weight": lambda lib: lib.nn.Embedding(4, 2, _weight=lib.ones(4, 3)),
    "negative size": lambda lib: lib.nn.Embedding(-4, 2),
    "pretrained": lambda lib: lib.nn.Embedding.from_pretrained(lib.ones(4)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_of_the_type_of_torch(name, assert_same_error):
    assert_same_error(ERRORS[name])


# ---- the layer ----

LAYERS = {
    "plain": {},
    "padding": {"padding_idx": -2},
    "all": {"padding_idx": 1, "max_norm": 0.5, "norm_type": 1.0, "scale_grad_by_freq": True},
    "sparse": {"sparse": True},
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_print_as_torchs(name):
    assert repr(nn.Embedding(7, 5, **LAYERS[name])) == repr(
        torch.nn.Embedding(7, 5, **LAYERS[name])
    )


@pytest.mark.parametrize("name", ["plain", "padding", "all"])
def test_layers(assert_parity, name):
    weight = table()
    ours = nn.Embedding(7, 5, _weight=tg.tensor(weight), **LAYERS[name])
    theirs = torch.nn.Embedding(7, 5, _weight=torch.tensor(weight), **LAYERS[name])
    assert ours.padding_idx == theirs.padding_idx
    assert_parity(ours, theirs, INDICES["matrix"])
    np.testing.assert_allclose(
        ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-13
    )


def test_weights_are_drawn_normally_but_for_the_padding():
    tg.manual_seed(0)
    layer = nn.Embedding(2000, 10, padding_idx=-1, dtype=tg.float64, device="cpu")
    assert layer.weight.dtype == tg.float64 and layer.padding_idx == 1999
    assert not layer.weight[-1].any() and layer.weight[:-1].all()
    assert abs(layer.weight[:-1].mean().item()) < 0.03  # four standard errors
    assert abs(layer.weight[:-1].std().item() - 1) < 0.03
    before = layer.weight.clone()
    layer.reset_parameters()
    assert not layer.weight[-1].any() and (layer.weight[:-1] != before[:-1]).all()


def test_weights_that_are_given():
    weight = tg.randn(4, 3)
    layer = nn.Embedding(4, 3, padding_idx=1, _weight=weight)
    assert layer.weight.requires_grad and layer.weight.data_ptr() == weight.data_ptr()
    assert weight[1].all()  # a weight that is given keeps its row of padding
    assert not nn.Embedding(4, 3, _freeze=True).weight.requires_grad
    frozen = nn.Embedding.from_pretrained(weight, padding_idx=-1, max_norm=1.0, sparse=True)
    assert not frozen.weight.requires_grad and frozen.weight.data_ptr() == weight.data_ptr()
    assert repr(frozen) == "Embedding(4, 3, padding_idx=3, max_norm=1.0, sparse=True)"
    assert nn.Embedding.from_pretrained(weight, freeze=False).weight.requires_grad


def test_state_goes_over():
    ours, theirs = nn.Embedding(4, 3), torch.nn.Embedding(4, 3)
    ours.load_state_dict(theirs.state_dict())
    index = [3, 0]
    np.testing.assert_array_equal(
        ours(tg.tensor(index)).detach().numpy(), theirs(torch.tensor(index)).detach().numpy()
    )
