"""The derivatives of each op against differences: first and second order, in float64."""

import numpy as np
import pytest
from checks import contiguous, generator, numpy_of, sample, stepped, transposed
from oracles import ORACLES

import tinygrad_lessons as tg
from tinygrad_lessons.autograd import gradcheck, gradgradcheck

pytestmark = pytest.mark.kernel

# Finite differences take two calls for every element.
MOST_ELEMENTS = 24


def cases():
    for oracle in (o for o in ORACLES if o.grad):
        for number, (shapes, kwargs) in enumerate(oracle.cases):
            sizes = [int(np.prod(s)) for s in shapes if not isinstance(s, np.ndarray)]
            if sum(sizes) <= MOST_ELEMENTS:
                text = " ".join(f"{k}={v}" for k, v in kwargs.items())
                shown = [s.shape if isinstance(s, np.ndarray) else s for s in shapes]
                yield pytest.param(oracle, number, id=f"{oracle.name}-{shown}-{text}")


def problem(oracle, number, layout):
    """A function of the differentiable inputs of a case alone, and these inputs."""
    shapes, kwargs = oracle.cases[number]
    rng = generator(oracle.name, number, "grad")
    leaves, fixed = [], []
    for i, given in enumerate(shapes):
        if isinstance(given, np.ndarray):
            fixed.append(tg.tensor(given))
        else:
            array = sample(rng, given, "float64", oracle.domain_of(i))
            leaves.append(layout(tg, array)[0].detach().requires_grad_())
            fixed.append(None)

    def fn(*xs):
        rest = iter(xs)
        y = oracle.call(tg, *[next(rest) if f is None else f for f in fixed], **kwargs)
        ys = y if isinstance(y, list | tuple) else [y]
        return tuple(one for one in ys if one.is_floating_point())

    return fn, leaves


@pytest.mark.parametrize(("oracle", "number"), list(cases()))
def test_gradients(oracle, number):
    for layout in (contiguous, transposed, stepped):
        fn, leaves = problem(oracle, number, layout)
        if layout is contiguous or (layout in oracle.layouts and all(x.numel() for x in leaves)):
            assert gradcheck(fn, leaves)


@pytest.mark.parametrize(("oracle", "number"), list(cases()))
def test_gradients_of_gradients(oracle, number):
    fn, leaves = problem(oracle, number, contiguous)
    if not any(y.requires_grad for y in fn(*leaves)):
        assert oracle.name in ("sign", "floor", "ceil", "round", "trunc")
        return
    assert gradgradcheck(fn, leaves)


def scaled(factor):
    """The identity with a gradient that is off by a factor."""

    class Scaled(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * factor

    return Scaled.apply


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0, 1.01, float("nan")])
def test_gradcheck_catches_wrong_gradients(factor):
    x = tg.tensor(sample(generator(factor), (3, 2), "float64"), requires_grad=True)
    assert gradcheck(scaled(1.0), [x])
    assert not gradcheck(scaled(factor), [x], raise_exception=False)
    with pytest.raises(RuntimeError):
        gradcheck(lambda x: scaled(factor)(x).sin(), [x])


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0])
def test_gradgradcheck_catches_wrong_second_gradients(factor):
    class Square(tg.autograd.Function):
        """Right to the first order, wrong to the second."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * (x.detach() + factor * (x - x.detach()))

    x = tg.tensor([0.3, -1.2], dtype=tg.float64, requires_grad=True)
    assert gradcheck(Square.apply, [x])
    with pytest.raises(RuntimeError):
        gradgradcheck(Square.apply, [x])


def test_gradcheck_catches_one_wrong_element():
    class Wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def backward(ctx, g):
            g = g * 3
            g[1] = 0
            return g

    x = tg.tensor([0.3, -1.2, 2.0], dtype=tg.float64, requires_grad=True)
    assert not gradcheck(Wrong.apply, [x], raise_exception=False)


def grad_of(fn, *values):
    xs = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in values]
    fn(*xs).sum().backward()
    return [x.grad.tolist() for x in xs]


@pytest.mark.parametrize(
    ("fn", "value", "expected"),
    [
        # PyTorch's choices where there is no derivative.
        (lambda x: x.abs(), [-2.0, 0.0, 3.0], [-1.0, 0.0, 1.0]),
        (lambda x: x.relu(), [-2.0, 0.0, 3.0], [0.0, 0.0, 1.0]),
        (lambda x: x.clamp(0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0], [0.0, 1.0, 1.0, 1.0, 0.0]),
        (lambda x: x.max(), [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
        (lambda x: x.amax(0), [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
        (lambda x: x.amin(), [1.0, 1.0, 3.0], [0.5, 0.5, 0.0]),
        (lambda x: x.prod(), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        (lambda x: x.prod(), [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        (lambda x: x.cumprod(0), [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
        (lambda x: x.norm(), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: x.norm(dim=0), [3.0, 4.0], [0.6, 0.8]),
        (lambda x: x.norm(p=1), [-2.0, 0.0, 1.0], [-1.0, 0.0, 1.0]),
        (lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
        (lambda x: x**1, [0.0, 2.0], [1.0, 1.0]),
        (lambda x: x**2, [0.0, -2.0], [0.0, -4.0]),
        (lambda x: x**3, [0.0, -2.0], [0.0, 12.0]),
        (lambda x: x.sqrt(), [0.0, 4.0], [float("inf"), 0.25]),
        (lambda x: x.sign() + x.floor() + x.round(), [0.5, 1.0], [0.0, 0.0]),
        (lambda x: x.logsumexp(0), [1e4, 1e4], [0.5, 0.5]),
        (lambda x: tg.where(x > 0, x.log(), x), [1.0, 2.0], [1.0, 0.5]),
    ],
)
def test_gradients_at_special_points(fn, value, expected):
    (grad,) = grad_of(fn, value)
    assert grad == pytest.approx(expected, abs=1e-12)


def test_ties_share_the_gradient():
    assert grad_of(tg.maximum, [1.0, 2.0], [1.0, 3.0]) == [[0.5, 0.0], [0.5, 1.0]]
    assert grad_of(tg.minimum, [1.0, 2.0], [1.0, 3.0]) == [[0.5, 1.0], [0.5, 0.0]]


def test_power_where_the_base_is_zero():
    assert grad_of(tg.pow, [0.0, 0.0], [2.0, 0.0]) == [[0.0, 0.0], [0.0, 0.0]]
    base, exponent = grad_of(tg.pow, [2.0, 3.0], [3.0, 2.0])
    assert base == pytest.approx([12.0, 6.0])
    assert exponent == pytest.approx([8 * np.log(2), 9 * np.log(3)])


def test_one_input_twice():
    (grad,) = grad_of(lambda x: x * x + x / x, [2.0, 3.0])
    assert grad == pytest.approx([4.0, 6.0])


def test_repeated_indices_add_up():
    x = tg.zeros(3, requires_grad=True)
    x[tg.tensor([0, 0, 2])].sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 1.0]


def test_scalars_and_integers_get_no_gradient():
    x = tg.ones(2, requires_grad=True)
    n = tg.arange(2)
    (x * n * 3).sum().backward()
    assert x.grad.tolist() == [0.0, 3.0] and n.grad is None


def test_gradients_have_the_dtype_and_shape_of_their_leaf():
    for a, b in [(tg.float32, tg.float64), (tg.float64, tg.float32)]:
        x = tg.ones(3, 1, dtype=a, requires_grad=True)
        y = tg.ones(2, dtype=b, requires_grad=True)
        (x * y).sum().backward()
        assert (x.grad.dtype, x.grad.shape) == (a, (3, 1))
        assert (y.grad.dtype, y.grad.shape) == (b, (2,))
        assert numpy_of(x.grad).tolist() == [[2.0]] * 3 and y.grad.tolist() == [3.0, 3.0]
