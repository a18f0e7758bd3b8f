"""The same calls under PyTorch: values, dtypes, shapes, gradients, promotion, errors."""

import itertools

import numpy as np
import pytest
from checks import ALL, FLOATS, assert_close, contiguous, dtype_name, numpy_of, sample, transposed
from oracles import ELEMENTWISE, ERRORS, ORACLES
from test_ops import ident, inputs_of

import tinygrad_lessons as tg

torch = pytest.importorskip("torch")


def outputs(y):
    return list(y) if isinstance(y, list | tuple) else [y]


def assert_same(ours, theirs, ulps=0, magnitude=0.0):
    assert len(outputs(ours)) == len(outputs(theirs))
    for a, b in zip(outputs(ours), outputs(theirs), strict=True):
        assert_close(a, numpy_of(b), dtype_name(b), ulps, magnitude)


def magnitude_of(oracle, tensors, kwargs):
    if oracle.magnitude is None:
        return 0.0
    arrays = [
        numpy_of(t).astype(np.float64) if t.is_floating_point() else numpy_of(t) for t in tensors
    ]
    return np.max(oracle.magnitude(*arrays, **kwargs), initial=0)


@pytest.mark.parametrize(
    ("oracle", "dtype"), [pytest.param(o, d, id=f"{o.name}-{d}") for o in ORACLES for d in o.dtypes]
)
def test_values_dtypes_and_shapes(oracle, dtype):
    for number in range(len(oracle.cases)):
        for layout in oracle.layouts:
            ours, _, kwargs = inputs_of(oracle, number, dtype, layout)
            theirs, _, _ = inputs_of(oracle, number, dtype, layout, torch)
            # Either may be off by the bound that test_ops sets; PyTorch's own are a little wider.
            assert_same(
                oracle.call(tg, *ours, **kwargs),
                oracle.call(torch, *theirs, **kwargs),
                2 * oracle.ulps + 4,
                magnitude_of(oracle, ours, kwargs),
            )


def gradients(lib, oracle, number, dtype, layout):
    tensors, _, kwargs = inputs_of(oracle, number, dtype, layout, lib)
    shapes = oracle.cases[number][0]
    leaves = [
        t.detach().requires_grad_()
        for t, given in zip(tensors, shapes, strict=True)
        if not isinstance(given, np.ndarray)
    ]
    rest = iter(leaves)
    inputs = [
        t if isinstance(given, np.ndarray) else next(rest)
        for t, given in zip(tensors, shapes, strict=True)
    ]
    total = 0
    for i, y in enumerate(outputs(oracle.call(lib, *inputs, **kwargs))):
        if y.is_floating_point():
            weights = np.random.default_rng(i).uniform(-2, 2, tuple(y.shape)).astype(dtype)
            total = total + (y * lib.tensor(weights)).sum()
    if not total.requires_grad:
        return [None for _ in leaves]
    total.backward()
    return [leaf.grad for leaf in leaves]


# PyTorch's derivative has a constant of float32, whatever the type.
SINGLE_PRECISION = ["hardsigmoid"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("oracle", [o for o in ORACLES if o.grad], ids=ident)
def test_gradients(oracle, dtype):
    ulps = 2**30 if dtype == "float64" and oracle.name in SINGLE_PRECISION else 64
    for number in range(len(oracle.cases)):
        for layout in (contiguous, transposed):
            if layout not in oracle.layouts:
                continue
            ours = gradients(tg, oracle, number, dtype, layout)
            theirs = gradients(torch, oracle, number, dtype, layout)
            for a, b in zip(ours, theirs, strict=True):
                if a is None:  # where PyTorch may fill in zeros
                    assert b is None or not b.any()
                else:
                    # Sums of up to a few hundred terms of size 1 to 10.
                    assert_close(a, numpy_of(b), dtype, ulps, magnitude=4.0)


OPERANDS = {
    **{f"{d}": lambda lib, d=d: lib.ones(2, dtype=getattr(lib, d)) for d in ALL},
    **{f"{d} 0-d": lambda lib, d=d: lib.ones((), dtype=getattr(lib, d)) for d in ALL},
    "bool scalar": lambda lib: True,
    "int scalar": lambda lib: 2,
    "float scalar": lambda lib: 2.5,
}
PROMOTING = {
    "add": lambda lib, a, b: a + b,
    "sub": lambda lib, a, b: a - b,
    "mul": lambda lib, a, b: a * b,
    "div": lambda lib, a, b: a / b,
    "floor_divide": lambda lib, a, b: a // b,
    "remainder": lambda lib, a, b: a % b,
    "pow": lambda lib, a, b: a**b,
    "eq": lambda lib, a, b: a == b,
    "lt": lambda lib, a, b: a < b,
    "bitwise_and": lambda lib, a, b: a & b,
    "where": lambda lib, a, b: lib.where(lib.tensor([True, False]), a, b),
    "maximum": lambda lib, a, b: lib.maximum(a, b),
    "atan2": lambda lib, a, b: lib.atan2(a, b),
    "logical_and": lambda lib, a, b: lib.logical_and(a, b),
    "add_": lambda lib, a, b: a.add_(b),
    "mul_": lambda lib, a, b: a.mul_(b),
    "div_": lambda lib, a, b: a.div_(b),
    "iadd": lambda lib, a, b: a.__iadd__(b),
    "copy_": lambda lib, a, b: a.copy_(b),
    "setitem": lambda lib, a, b: (a.__setitem__(Ellipsis, b), a)[1],
    "result_type": lambda lib, a, b: lib.zeros(1, dtype=lib.result_type(a, b)),
    "cat": lambda lib, a, b: lib.cat([a, b]),
    "stack": lambda lib, a, b: lib.stack([a, b]),
}


def outcome(lib, call, *operands):
    """The result, or the exception that came instead."""
    try:
        return call(lib, *[OPERANDS[o](lib) for o in operands])
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        return error


def differs(ours, theirs):
    """Where PyTorch gives a result ours is the same; where both refuse, the exceptions agree."""
    if isinstance(theirs, Exception):
        return isinstance(ours, Exception) and not isinstance(theirs, type(ours))
    if isinstance(ours, Exception):
        return True
    described = [(dtype_name(y), tuple(y.shape), y.tolist()) for y in (ours, theirs)]
    return described[0] != described[1]


@pytest.mark.parametrize("name", PROMOTING)
def test_promotion(name):
    wrong = []
    for pair in itertools.product(OPERANDS, OPERANDS):
        if "scalar" in pair[0] and "scalar" in pair[1]:
            continue
        if name == "pow" and all(o.startswith("bool") for o in pair):
            continue  # PyTorch refuses two bools, unless the exponent is a Python number
        ours, theirs = (outcome(lib, PROMOTING[name], *pair) for lib in (tg, torch))
        if differs(ours, theirs):
            wrong.append(f"{pair}: {ours!r}, PyTorch {theirs!r}")
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong)


@pytest.mark.parametrize("oracle", [o for o in ELEMENTWISE if o.op is None], ids=ident)
def test_dtypes_that_are_refused(oracle):
    wrong = []
    for dtype in ALL:
        results = []
        for lib in (tg, torch):
            xs = [lib.ones(2, dtype=getattr(lib, dtype))] * len(oracle.cases[0][0])
            try:
                results.append(lib.zeros(1, dtype=oracle.call(lib, *xs).dtype))
            except (RuntimeError, TypeError) as error:
                results.append(error)
        if differs(*results):
            wrong.append(f"{dtype}: {results[0]!r}, PyTorch {results[1]!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "call", "exception"),
    [pytest.param(n, c, e, id=f"{n}-{i}") for i, (n, c, e, _) in enumerate(ERRORS)],
)
def test_errors_are_of_the_type_of_pytorch(name, call, exception):
    with pytest.raises(exception) as theirs:
        call(torch)
    with pytest.raises(Exception) as ours:  # noqa: B017
        call(tg)
    assert isinstance(ours.value, theirs.type) or isinstance(theirs.value, ours.type)


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.arange(5),
        lambda lib: lib.arange(1, 2.5, 0.5),
        lambda lib: lib.arange(5, 0, -2),
        lambda lib: lib.arange(0, 1, 0.1, dtype=lib.float64),
        lambda lib: lib.linspace(0, 1, 5),
        lambda lib: lib.eye(3),
        lambda lib: lib.eye(2, 3, dtype=lib.int64),
        lambda lib: lib.full((2, 3), 7),
        lambda lib: lib.full((2,), 1.5),
        lambda lib: lib.full((2,), True),
        lambda lib: lib.zeros(2, 3),
        lambda lib: lib.zeros((2, 3), dtype=lib.bool),
        lambda lib: lib.ones(()),
        lambda lib: lib.zeros_like(lib.ones(2, 3, dtype=lib.int32)),
        lambda lib: lib.ones_like(lib.zeros(2), dtype=lib.float64),
        lambda lib: lib.full_like(lib.zeros(2), 3),
        lambda lib: lib.tensor([[1, 2], [3, 4]]),
        lambda lib: lib.tensor([1, 2.5]),
        lambda lib: lib.tensor([True, 2]),
        lambda lib: lib.tensor([]),
        lambda lib: lib.tensor([[], []]),
        lambda lib: lib.tensor(3),
        lambda lib: lib.tensor([lib.tensor(1.0), 2.0]),
        lambda lib: lib.tensor(np.arange(3)),
        lambda lib: lib.tensor(np.float64(3)),
        lambda lib: lib.as_tensor([1, 2]),
        lambda lib: lib.from_numpy(np.eye(2)),
        lambda lib: lib.tensor([1, 2]).to(lib.float64),
        lambda lib: lib.tensor([1.7, -1.7]).to(lib.int64),
        lambda lib: lib.tensor([1.7, 0.0]).type(lib.bool),
        lambda lib: lib.tensor([300]).to(lib.uint8),
        lambda lib: lib.tensor([1.5]).double().float().long().int().bool(),
    ],
)
def test_factories(make):
    ours, theirs = make(tg), make(torch)
    assert_same(ours, theirs, 1)
    assert tuple(ours.stride()) == tuple(theirs.stride())


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.t(),
        lambda x: x[1:],
        lambda x: x[:, ::2],
        lambda x: x[1],
        lambda x: x[:, 1],
        lambda x: x[None, :, None],
        lambda x: x.permute(1, 0),
        lambda x: x.unsqueeze(1),
        lambda x: x.unsqueeze(-1),
        lambda x: x.expand(2, 4, 6),
        lambda x: x[:1].expand(3, 6),
        lambda x: x.reshape(2, 2, 6),
        lambda x: x.view(-1),
        lambda x: x.view(2, 12)[:, ::3],
        lambda x: x.unflatten(1, (2, 3)).flatten(0, 1),
        lambda x: x.diagonal(),
        lambda x: x.diagonal(1),
        lambda x: x.movedim(0, 1),
        lambda x: x.narrow(1, 2, 3),
        lambda x: x.t().reshape(24),
        lambda x: x.t().contiguous(),
        lambda x: x.t().clone(),
        lambda x: x[::2].clone(),
        lambda x: x.t() + 1,
        lambda x: x.t().exp(),
        lambda x: x.sum(0, keepdim=True),
        lambda x: x[0:0],
        lambda x: x.squeeze(),
        lambda x: x.flip(0),
    ],
)
def test_strides_and_offsets(view):
    """Results lie in memory as PyTorch's do."""
    ours, theirs = (view(lib.arange(24.0).reshape(4, 6)) for lib in (tg, torch))
    assert_same(ours, theirs, 4)
    assert tuple(ours.stride()) == tuple(theirs.stride())
    assert ours.storage_offset() == theirs.storage_offset()
    assert ours.is_contiguous() == theirs.is_contiguous()


@pytest.mark.parametrize("name", ["shape", "ndim", "requires_grad", "is_leaf", "grad", "grad_fn"])
def test_attributes(name):
    ours, theirs = (getattr(lib.ones(2, 3), name) for lib in (tg, torch))
    assert ours == theirs


def test_questions_about_a_tensor():
    for lib in (tg, torch):
        x = lib.ones(2, 3)
        assert x.size() == (2, 3) and x.size(-1) == 3 and x.dim() == 2 and x.numel() == 6
        assert x.nelement() == 6 and x.element_size() == 4 and len(x) == 2
        assert x.is_floating_point() and not x.long().is_floating_point()
        assert lib.tensor(3).item() == 3
        assert float(lib.tensor(2.5)) == 2.5 and int(lib.tensor(2.5)) == 2
        assert bool(lib.tensor([[1]])) and [3, 4][lib.tensor(1)] == 4
        assert x.tolist() == [[1.0] * 3] * 2 and lib.tensor(1).tolist() == 1
        assert lib.is_tensor(x) and not lib.is_tensor([1])
        assert lib.equal(x, x.clone()) and not lib.equal(x, x[:1])
        assert lib.allclose(x, x + 1e-9) and not lib.allclose(x, x + 1)
        assert x.isclose(x + 1e-9).all()


def test_random_programs():
    """Chains of ops under both, from the same numbers."""
    rng = np.random.default_rng(0)
    unary = ["sin", "tanh", "sigmoid", "exp", "relu", "neg", "square", "abs"]
    for _ in range(200):
        values = sample(rng, (3, 4), "float64")
        names = rng.choice(unary, 3)
        dim, shape = int(rng.integers(-2, 2)), [(4,), (3, 1), (1, 4), ()][rng.integers(4)]
        other = sample(rng, shape, "float64", (0.5, 2))
        grads = []
        for lib in (tg, torch):
            x = lib.tensor(values, requires_grad=True)
            y = lib.tensor(other, requires_grad=True)
            z = getattr(x * y, names[0])()
            z = getattr(z.t().softmax(dim), names[1])() + (x / y).t()
            z = getattr(z @ x, names[2])().logsumexp(dim)
            z.sum().backward()
            grads.append([z, x.grad, y.grad])
        for a, b in zip(*grads, strict=True):
            scale = float(np.abs(numpy_of(b)).max())
            assert_close(a, numpy_of(b), "float64", 64, magnitude=max(scale, 1.0))
