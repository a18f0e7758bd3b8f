"""Row-sparse gradients against torch's sparse ones, and against dense ones."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn import functional as F

torch = pytest.importorskip("torch")

ROWS, COLUMNS = 6, 3
INDICES = {
    "once": [4, 1, 0],
    "several times": [4, 1, 4, 0, 1, 4],
    "matrix": [[5, 5], [2, 5]],
    "one": [3],
    "0-d": 3,
    "empty": [],
}


def table(rows=ROWS, columns=COLUMNS):
    return np.random.default_rng(0).normal(size=(rows, columns))


def leaf(lib, dtype="float64"):
    return lib.tensor(table().astype(dtype), requires_grad=True)


def use(lib, weight, index, factor=1.0, sparse=True, **options):
    """Adds a gradient of rows that differ; sparse or not, it is the same."""
    index = lib.tensor(np.array(index, np.int64))
    out = lib.nn.functional.embedding(index, weight, sparse=sparse, **options)
    g = np.random.default_rng(1).normal(size=tuple(out.shape)) * factor
    out.backward(lib.tensor(g).to(weight.dtype))


def sparse_gradient(index=(4, 1, 4), dtype="float64"):
    weight = leaf(tg, dtype)
    use(tg, weight, index)
    return weight.grad


def parts(g):
    return g._indices().numpy(), g._values().numpy()


def assert_same(ours, theirs):
    """The same rows in the same order, the same values, and the same words about them."""
    assert ours.is_sparse and theirs.is_sparse
    for a, b in zip(parts(ours), parts(theirs), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-15)
    assert ours.is_coalesced() == theirs.is_coalesced()
    assert str(ours.dtype) == str(theirs.dtype)
    for ask in ("_nnz", "dim", "sparse_dim", "dense_dim", "numel", "nelement", "size",
                "is_floating_point", "__len__"):  # fmt: skip
        assert getattr(ours, ask)() == getattr(theirs, ask)()
    for name in ("shape", "ndim", "is_sparse", "is_leaf", "requires_grad", "grad_fn"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert [ours.size(0), ours.size(-1)] == [theirs.size(0), theirs.size(-1)]
    np.testing.assert_allclose(ours.to_dense().numpy(), theirs.to_dense().numpy(), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options", [{}, {"padding_idx": 4}, {"padding_idx": -1}, {"max_norm": 1.0}]
)
@pytest.mark.parametrize("index", INDICES)
def test_as_torch(dtype, options, index):
    ours, theirs = leaf(tg, dtype), leaf(torch, dtype)
    use(tg, ours, INDICES[index], **options)
    use(torch, theirs, np.atleast_1d(INDICES[index]), **options)  # it stumbles over 0-d ones
    assert_same(ours.grad, theirs.grad)
    assert_same(ours.grad.coalesce(), theirs.grad.coalesce())
    assert not ours.is_sparse and ours.to_dense() is ours


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index", INDICES)
def test_to_dense_is_the_dense_gradient(dtype, index):
    sparse, dense = leaf(tg, dtype), leaf(tg, dtype)
    use(tg, sparse, INDICES[index], padding_idx=1)
    use(tg, dense, INDICES[index], padding_idx=1, sparse=False)
    assert not dense.grad.is_sparse
    assert tg.equal(sparse.grad.to_dense(), dense.grad)
    assert tg.equal(sparse.grad.coalesce().to_dense(), dense.grad)


def test_coalesced_by_the_formula():
    weight = tg.zeros(4, 2, requires_grad=True)
    g = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    F.embedding(tg.tensor([3, 0, 3, 1]), weight, padding_idx=1, sparse=True).backward(g)
    assert weight.grad._indices().tolist() == [[3, 0, 3]]
    assert weight.grad._values().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert not weight.grad.is_coalesced() and weight.grad._nnz() == 3
    once = weight.grad.coalesce()
    assert once.indices().tolist() == [[0, 3]] and once.indices().dtype == tg.int64
    assert once.values().tolist() == [[3, 4], [6, 8]]
    assert once.is_coalesced() and once.coalesce() is once
    assert once.to_dense().tolist() == [[3, 4], [0, 0], [0, 0], [6, 8]]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_coalescing_adds_up_in_the_order_of_arrival(threads):
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        rng = np.random.default_rng(2)
        index, g = rng.integers(0, 50, 20000), rng.normal(size=(20000, 8)).astype("float32")
        weight = tg.zeros(50, 8, requires_grad=True)
        F.embedding(tg.tensor(index), weight, sparse=True).backward(tg.tensor(g))
        expected = np.zeros((50, 8), "float32")
        for row, values in zip(index, g, strict=True):
            expected[row] += values
        np.testing.assert_array_equal(weight.grad.coalesce().values().numpy(), expected)
        np.testing.assert_array_equal(weight.grad.to_dense().numpy(), expected)
    finally:
        tg.set_num_threads(before)


# ---- adding up ----


def test_accumulating_into_the_same_object():
    ours, theirs = leaf(tg), leaf(torch)
    for lib, weight in ((tg, ours), (torch, theirs)):
        use(lib, weight, [4, 1, 4])
        first = weight.grad
        use(lib, weight, [1, 0], factor=2.0)
        assert weight.grad is first and not first.is_coalesced()
    assert ours.grad._indices().tolist() == [[4, 1, 4, 1, 0]]
    assert_same(ours.grad.coalesce(), theirs.grad.coalesce())


def test_what_was_coalesced_is_no_longer_after_more():
    weight = leaf(tg)
    use(tg, weight, [4, 1, 4])
    weight.grad = weight.grad.coalesce()
    use(tg, weight, [4])
    assert not weight.grad.is_coalesced() and weight.grad._indices().tolist() == [[1, 4, 4]]


@pytest.mark.parametrize("order", [[True, False], [False, True], [True, False, True]])
def test_sparse_and_dense_one_after_the_other(order):
    ours, theirs = leaf(tg), leaf(torch)
    for lib, weight in ((tg, ours), (torch, theirs)):
        for factor, sparse in enumerate(order, 1):
            before = weight.grad
            use(lib, weight, [4, 1, 4], factor=factor, sparse=sparse)
        assert (weight.grad is before) == (not order[0] or len(order) == 3)
    assert not ours.grad.is_sparse
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-15)


@pytest.mark.parametrize("kinds", [[True, True], [True, False], [False, True], [True, False, True]])
def test_several_uses_in_one_graph(kinds):
    ours, theirs = leaf(tg), leaf(torch)
    for lib, weight in ((tg, ours), (torch, theirs)):
        loss = 0
        for factor, sparse in enumerate(kinds, 1):
            index = lib.tensor([4, factor, 4])
            rows = lib.nn.functional.embedding(index, weight, sparse=sparse)
            loss = loss + factor * (rows**2).sum()
        loss.backward()
    assert ours.grad.is_sparse == theirs.grad.is_sparse == all(kinds)
    np.testing.assert_allclose(
        ours.grad.to_dense().numpy(), theirs.grad.to_dense().numpy(), rtol=1e-14
    )


def test_a_gradient_of_one_element_is_added_up_too():
    weight = tg.zeros(1, 1, requires_grad=True)
    for sparse in (True, True, False):
        rows = F.embedding(tg.tensor([0, 0]), weight, sparse=True)
        (rows.sum() + F.embedding(tg.tensor([0]), weight, sparse=sparse).sum()).backward()
    assert weight.grad.tolist() == [[9.0]]


def test_behind_other_ops_the_gradient_is_dense():
    ours, theirs = leaf(tg), leaf(torch)
    for lib, weight in ((tg, ours), (torch, theirs)):
        rows = lib.nn.functional.embedding(lib.tensor([1, 1, 5]), weight.exp() * 2, sparse=True)
        (rows**2).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.to_dense().numpy(), rtol=1e-14)
    transposed = tg.tensor(table().T.copy(), requires_grad=True)
    F.embedding(tg.tensor([1, 1]), transposed.T, sparse=True).sum().backward()
    assert transposed.grad.sum(0).tolist() == [0, 2 * COLUMNS, 0, 0, 0, 0]


def test_a_result_that_keeps_its_gradient_gets_it_sparse():
    weight = leaf(tg)
    doubled = weight * 2
    doubled.retain_grad()
    F.embedding(tg.tensor([2]), doubled, sparse=True).sum().backward()
    assert doubled.grad.is_sparse and not weight.grad.is_sparse
    assert doubled.grad._indices().tolist() == [[2]]


def test_asked_for_by_grad_and_by_inputs():
    weight = leaf(tg)
    out = F.embedding(tg.tensor([2, 2]), weight, sparse=True)
    (g,) = tg.autograd.grad(out.sum(), weight, retain_graph=True)
    assert g.is_sparse and weight.grad is None
    out.sum().backward(inputs=[weight])
    assert weight.grad.is_sparse and weight.grad is not g
    weight.grad.zero_()
    assert g._nnz() == 2


def test_memory_is_not_shared_with_other_gradients():
    weight = leaf(tg)
    out = F.embedding(tg.tensor([2, 0]), weight, sparse=True)
    out.retain_grad()
    (out**2).sum().backward()
    kept = out.grad.clone()
    weight.grad._values().zero_()
    assert tg.equal(out.grad, kept) and kept.any()


def test_gradients_of_gradients_are_refused_where_one_would_be():
    weight = leaf(tg)
    index = tg.tensor([1, 1])
    with pytest.raises(RuntimeError, match=r"embedding: a sparse gradient .*use sparse=False"):
        (F.embedding(index, weight, sparse=True) ** 2).sum().backward(create_graph=True)
    F.embedding(index, weight, sparse=True).sum().backward(create_graph=True)
    assert weight.grad.is_sparse and not weight.grad.requires_grad
    (weight**2).sum().backward(create_graph=True)  # sparse and dense, which has a graph
    assert weight.grad.requires_grad and not weight.grad.is_sparse
    expected = 2 * table()
    expected[1] += 2
    np.testing.assert_allclose(weight.grad.detach().numpy(), expected, rtol=1e-15)


def test_frequencies_are_refused_as_in_torch(assert_same_error):
    assert_same_error(lambda lib: use(lib, leaf(lib), [1], scale_grad_by_freq=True))


# ---- hooks ----


def test_hooks_see_it_and_may_scale_it():
    ours, theirs = leaf(tg), leaf(torch)
    for lib, weight in ((tg, ours), (torch, theirs)):
        seen = []
        weight.register_hook(lambda g, seen=seen: seen.append(g.is_sparse))
        weight.register_hook(lambda g: g * 3)
        weight.register_hook(lambda g: 0.5 * g)
        weight.register_hook(lambda g, lib=lib: g / lib.tensor(4.0))
        use(lib, weight, [4, 1, 4])
        assert seen == [True]
    assert_same(ours.grad, theirs.grad)


HOOKS = {
    "dense": lambda g: g.to_dense(),
    "another type": lambda g: g.float(),
    "a number": lambda g: 1.0,
}


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_may_not_change_its_kind(hook, assert_same_error):
    def call(lib):
        weight = leaf(lib)
        weight.register_hook(HOOKS[hook])
        use(lib, weight, [1])

    assert_same_error(call)


def test_hooks_may_not_make_a_dense_one_sparse():
    weight, g = leaf(tg), sparse_gradient()
    weight.register_hook(lambda _: g)
    with pytest.raises(RuntimeError, match=r"was float64, got row-sparse float64"):
        (weight * 2).sum().backward()


# ---- what it can do ----


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prints_as_torchs(index, dtype):
    def text(lib):
        weight = lib.tensor(np.zeros((4 * ROWS, 2 * COLUMNS), dtype), requires_grad=True)
        i = lib.tensor(np.array(INDICES[index], np.int64))
        lib.nn.functional.embedding(i, weight, sparse=True).sum().backward()
        return repr(weight.grad)

    assert text(tg) == text(torch)


def test_long_ones_print_as_torchs():
    def text(lib):
        weight = lib.tensor(np.zeros((3000, 2), np.float32), requires_grad=True)
        i = lib.tensor(np.arange(3000))
        lib.nn.functional.embedding(i, weight, sparse=True).sum().backward()
        return repr(weight.grad)

    assert text(tg) == text(torch)


def test_copies():
    g = sparse_gradient()
    before = [part.copy() for part in parts(g)]
    assert g.detach_() is g
    shared = g.detach()
    for other in (g.clone(), copy.deepcopy(g), pickle.loads(pickle.dumps(g)), g.double(), g / 1.0):
        assert other.is_sparse and not other.is_coalesced() and other.shape == g.shape
        for a, b in zip(parts(other), before, strict=True):
            np.testing.assert_array_equal(a, b)
        if other is not g:
            other._values().zero_()
    assert g.double() is g and g.to(tg.float64) is g
    np.testing.assert_array_equal(g._values().numpy(), before[1])
    shared._values().mul_(2)
    np.testing.assert_array_equal(g._values().numpy(), 2 * before[1])
    single = g.coalesce().float()
    assert single.dtype == tg.float32 and single.is_coalesced()
    np.testing.assert_allclose(single.to_dense().numpy(), g.to_dense().numpy(), rtol=1e-6)
    assert g.coalesce().clone().is_coalesced() and (g.coalesce() * 2).is_coalesced()
    assert pickle.loads(pickle.dumps(g.coalesce())).is_coalesced()


def test_a_parameter_takes_it_along():
    layer = nn.Embedding(ROWS, COLUMNS, sparse=True)
    layer(tg.tensor([4, 1, 4])).sum().backward()
    twin = copy.deepcopy(layer)
    assert twin.weight.grad is not layer.weight.grad
    assert tg.equal(twin.weight.grad.to_dense(), layer.weight.grad.to_dense())
    again = pickle.loads(pickle.dumps(layer.weight))
    assert again.grad.is_sparse and again.grad._nnz() == 3
    layer.double()
    assert layer.weight.grad.dtype == tg.float64 and layer.weight.grad.is_sparse
    layer(tg.tensor([0])).sum().backward()
    assert layer.weight.grad._nnz() == 4


def test_zero_and_zero_grad_both_ways():
    layer = nn.Embedding(ROWS, COLUMNS, sparse=True)
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    for zero_grad in (layer.zero_grad, optimizer.zero_grad):
        layer(tg.tensor([4, 1])).sum().backward()
        zero_grad(set_to_none=False)
        g = layer.weight.grad
        assert g.is_sparse and g._nnz() == 0 and g.is_coalesced() and not g.to_dense().any()
        layer(tg.tensor([2])).sum().backward()
        assert layer.weight.grad._indices().tolist() == [[2]]
        zero_grad()
        assert layer.weight.grad is None


def test_assigned_to_a_weight():
    g, weight = sparse_gradient(), leaf(tg)
    weight.grad = g
    assert weight.grad is g
    del weight.grad
    assert weight.grad is None
    for other in (
        tg.zeros(ROWS, COLUMNS + 1),
        tg.zeros(ROWS, COLUMNS),
    ):  # of another shape, or type
        with pytest.raises(RuntimeError, match=r"grad: .* does not fit"):
            other.requires_grad_().grad = g
    with pytest.raises(TypeError, match="grad: the gradient must be a Tensor, not int"):
        weight.grad = 3


def test_it_is_let_go():
    before = tg.memory_stats()["allocated_bytes.all.current"]
    for _ in range(3):
        weight = leaf(tg)
        for index in ([4, 1, 4], [0], []):
            use(tg, weight, index)
            repr(weight.grad.coalesce()), weight.grad.to_dense(), weight.grad * 2
        held = weight.grad
        weight.grad = None
        del weight
        assert held._nnz() == 4
        del held
    assert tg.memory_stats()["allocated_bytes.all.current"] == before


# ---- what it refuses ----

REFUSED = {
    "indices": (lambda g: g.indices(), RuntimeError, "uncoalesced"),
    "values": (lambda g: g.values(), RuntimeError, "uncoalesced"),
    "numpy": (lambda g: g.numpy(), TypeError, "to_dense"),
    "array": (np.asarray, TypeError, "to_dense"),
    "truth": (bool, RuntimeError, "ambiguous"),
    "attribute": (lambda g: g.sqrt(), AttributeError, r"no 'sqrt'; to_dense\(\)"),
    "sum with a tensor": (lambda g: tg.zeros(ROWS, COLUMNS) + g, TypeError, "RowSparse"),
    "product with a tensor": (lambda g: g * tg.ones(COLUMNS), TypeError, "RowSparse"),
    "a tensor's op": (lambda g: tg.sum(g), TypeError, "RowSparse"),
    "number over it": (lambda g: 1 / g, TypeError, "RowSparse"),
    "a factor on the tape": (lambda g: g * tg.ones((), requires_grad=True), RuntimeError, "tape"),
    "norm": (lambda g: nn.utils.get_total_norm([g]), AttributeError, "'norm'"),
    "made by hand": (lambda g: type(g)(), TypeError, "no constructor"),
    "made by hand, barely": (lambda g: type(g).__new__(type(g)), TypeError, "no constructor"),
    "dimension": (lambda g: g.size(2), IndexError, "size"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses(name):
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call(sparse_gradient())


def test_rows_overwritten_by_hand_are_checked():
    g = sparse_gradient()
    g._indices().numpy()[...] = 10**12
    with pytest.raises(
        IndexError, match=r"to_dense: index 1000000000000 is out of bounds .* size 6"
    ):
        g.to_dense()
    assert g.coalesce()._nnz() == 1


def optimizer_of(name, params, **options):
    """Any optimizer of the package; those that go around another have SGD inside."""
    make = getattr(tg.optim, name)
    if name in ("SAM", "Lookahead"):
        return make(tg.optim.SGD(params, lr=0.1), **options)
    return make(params, lr=0.1, **options)


OPTIMIZERS = [name for name in tg.optim.__all__ if name[0].isupper() and name != "Optimizer"]
BY_ROWS = {
    "SGD",
    "Adagrad",
    "SparseAdam",
    "Lookahead",
}  # these take it: tests/optim/test_sparse_steps.py
BY_VECTORS = {"LBFGS", "GradientDescent"}  # these make one dense vector of all gradients


@pytest.mark.parametrize("name", sorted({*OPTIMIZERS} - BY_VECTORS - BY_ROWS))
def test_optimizers_that_cannot_take_it_say_so(name):
    layer = nn.Embedding(1, 1, sparse=True)

    def closure():
        loss = layer(tg.tensor([0])).sum()
        loss.backward()
        return loss

    closure()
    before = layer.weight.detach().clone()
    optimizer = optimizer_of(name, layer.parameters())
    if name.endswith("ScheduleFree"):
        optimizer.train()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step(closure)
    assert tg.equal(layer.weight, before)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_nor_do_steps_on_the_tape(name):
    layer = nn.Embedding(2, 1, sparse=True)
    layer(tg.tensor([0])).sum().backward()
    optimizer = optimizer_of(name, layer.parameters(), differentiable=True)
    with pytest.raises(RuntimeError, match=f"{name} does not support sparse gradients"):
        optimizer.step()


@pytest.mark.parametrize("name", sorted(BY_VECTORS))
def test_optimizers_by_vectors_take_it(name):
    def trained(sparse):
        layer = nn.Embedding(3, 2, sparse=sparse, _weight=tg.arange(6.0).reshape(3, 2))
        optimizer = optimizer_of(name, layer.parameters())

        def closure():
            optimizer.zero_grad()
            loss = (layer(tg.tensor([2, 0, 2])) ** 2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return layer.weight.detach()

    assert tg.equal(trained(True), trained(False))
    assert not tg.equal(trained(True), tg.arange(6.0).reshape(3, 2))


def test_made_dense_by_hand_it_serves_any_optimizer():
    layer = nn.Embedding(2, 1, sparse=True, _weight=tg.zeros(2, 1))
    layer(tg.tensor([1, 1])).sum().backward()
    layer.weight.grad = layer.weight.grad.to_dense()
    tg.optim.SGD(layer.parameters(), lr=0.5).step()
    assert layer.weight.tolist() == [[0.0], [-1.0]]
