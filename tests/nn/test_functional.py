"""Functions of nn.functional against formulas in NumPy; test_losses_torch has the losses."""

import math

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.nn import functional as F

X = np.array([[-3.0, -0.5, 0.0], [0.25, 2.0, 30.0]])


def normal_cdf(x):
    return np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (F.relu, lambda x: np.maximum(x, 0)),
        (F.tanh, np.tanh),
        (F.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (F.logsigmoid, lambda x: -np.log1p(np.exp(-x))),
        (F.gelu, lambda x: x * normal_cdf(x)),
        (
            lambda x: F.gelu(x, approximate="tanh"),
            lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        ),
        (lambda x: F.softmax(x, dim=-1), softmax),
        (lambda x: F.log_softmax(x, dim=-1), lambda x: np.log(softmax(x))),
        (lambda x: F.log_softmax(x.T, dim=0).T, lambda x: np.log(softmax(x))),
    ],
)
def test_activations(function, formula):
    result = function(tg.tensor(X))
    assert result.dtype == tg.float64
    np.testing.assert_allclose(result.numpy(), formula(X), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("function", [F.relu, F.tanh, F.sigmoid, F.logsigmoid, F.gelu])
def test_activations_take_tensors_only(function):
    with pytest.raises(TypeError, match="'int'"):
        function(5)


def test_gelu_wrong_approximation():
    with pytest.raises(RuntimeError, match="approximate"):
        F.gelu(tg.zeros(1), approximate="linear")


def test_softmax_converts_first():
    x = tg.tensor(X.astype(np.float32))
    assert F.softmax(x, dim=1, dtype=tg.float64).dtype == tg.float64
    assert F.log_softmax(x, dim=1, dtype=tg.float64).dtype == tg.float64
    np.testing.assert_allclose(
        F.softmax(tg.tensor([1, 2, 3]), dim=0, dtype=tg.float64).numpy(),
        softmax(np.array([1.0, 2.0, 3.0])),
        rtol=1e-12,
    )


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
def test_implicit_dimension_warns_at_the_caller(function):
    with pytest.warns(UserWarning, match="Implicit dimension choice") as log:
        result = function(tg.zeros(2, 4))
    assert log[0].filename == __file__
    np.testing.assert_allclose(result.exp().sum(1).numpy() % 1.0, 0.0, atol=1.0)
    assert result[0, 0].item() in (0.25, pytest.approx(-math.log(4)))


def test_linear():
    x, w, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3), np.arange(4.0)
    result = F.linear(tg.tensor(x), tg.tensor(w), tg.tensor(b))
    np.testing.assert_array_equal(result.numpy(), x @ w.T + b)
    np.testing.assert_array_equal(F.linear(tg.tensor(x), tg.tensor(w)).numpy(), x @ w.T)


def test_one_hot():
    x = tg.tensor([[0, 2], [1, 1]])
    assert F.one_hot(x).tolist() == np.eye(3, dtype=int)[x.numpy()].tolist()
    assert F.one_hot(x, num_classes=5).tolist() == np.eye(5, dtype=int)[x.numpy()].tolist()
    assert F.one_hot(x).dtype == tg.int64
    with pytest.raises(RuntimeError):
        F.one_hot(x, num_classes=2)
    with pytest.raises(RuntimeError):
        F.one_hot(tg.tensor([-1]))


# Dropout


def test_dropout_keeps_the_mean_and_drops_a_share_p():
    tg.manual_seed(0)
    x = tg.ones(200_000)
    for p in (0.1, 0.5, 0.9):
        result = F.dropout(x, p).numpy()
        scale = np.float32(1 / (1 - p))
        assert np.all((result == 0) | (np.abs(result - scale) < 1e-6 * scale))
        share = np.mean(result == 0)
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / x.numel())


def test_dropout_gradient_has_the_mask_of_the_forward():
    x = tg.ones(1000, requires_grad=True)
    result = F.dropout(x, 0.3)
    result.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), result.detach().numpy())
    assert 0 < np.count_nonzero(x.grad.numpy()) < 1000


def test_dropout_is_seeded_and_differs_from_call_to_call():
    x = tg.ones(1000)
    tg.manual_seed(3)
    one, two = F.dropout(x).tolist(), F.dropout(x).tolist()
    tg.manual_seed(3)
    assert F.dropout(x).tolist() == one
    assert one != two


def test_dropout_edges():
    x = tg.randn(10)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).tolist() == [0.0] * 10
    assert F.dropout(tg.zeros(0), 0.5).shape == (0,)
    x = tg.ones(10, requires_grad=True)
    F.dropout(x, 1.0).sum().backward()
    assert x.grad.tolist() == [0.0] * 10


def test_dropout_in_place():
    x = tg.ones(100, requires_grad=True)
    y = x * 1
    assert F.dropout(y, 0.5, inplace=True) is y
    assert set(y.tolist()) == {0.0, 2.0}
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_dropout_wrong_probability(p):
    message = "dropout probability has to be between 0 and 1, but got"
    with pytest.raises(ValueError, match=message):
        F.dropout(tg.ones(1), p)
    with pytest.raises(ValueError, match=message):
        tg.nn.Dropout(p)


def test_dropout_module_follows_the_mode():
    layer, x = tg.nn.Dropout(0.5), tg.ones(100)
    assert set(layer(x).tolist()) == {0.0, 2.0}
    assert layer.eval()(x) is x


# Batch norm


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2)])
def test_batch_norm_formula(shape):
    rng = np.random.default_rng(1)
    x = rng.normal(size=shape) * 3 + 2
    weight, bias, mean, var = (rng.uniform(0.5, 2, size=3) for _ in range(4))
    axes = tuple(axis for axis in range(len(shape)) if axis != 1)
    column = (1, 3) + (1,) * (len(shape) - 2)
    running_mean, running_var = tg.tensor(mean), tg.tensor(var)

    def expected(m, v):
        normal = (x - m.reshape(column)) / np.sqrt(v.reshape(column) + 0.01)
        return normal * weight.reshape(column) + bias.reshape(column)

    arguments = (tg.tensor(x), running_mean, running_var, tg.tensor(weight), tg.tensor(bias))
    used = F.batch_norm(*arguments, training=False, eps=0.01)
    np.testing.assert_allclose(used.numpy(), expected(mean, var), rtol=1e-12)
    np.testing.assert_array_equal(running_mean.numpy(), mean)

    trained = F.batch_norm(*arguments, training=True, momentum=0.25, eps=0.01)
    np.testing.assert_allclose(trained.numpy(), expected(x.mean(axes), x.var(axes)), rtol=1e-11)
    np.testing.assert_allclose(running_mean.numpy(), 0.75 * mean + 0.25 * x.mean(axes), rtol=1e-12)
    np.testing.assert_allclose(
        running_var.numpy(), 0.75 * var + 0.25 * x.var(axes, ddof=1), rtol=1e-12
    )
    bare = F.batch_norm(tg.tensor(x), None, None, training=True, eps=1e-12)
    np.testing.assert_allclose(bare.numpy().mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(bare.numpy().var(axes), 1, rtol=1e-10)


@pytest.mark.parametrize(("training", "eps"), [(True, 0.0), (True, -1.0), (False, -1.0)])
def test_batch_norm_wrong_eps(training, eps):
    with pytest.raises(ValueError, match="batch_norm eps must be positive"):
        F.batch_norm(tg.zeros(2, 1), tg.zeros(1), tg.ones(1), training=training, eps=eps)


# Losses


def test_losses_by_hand():
    x, y = tg.tensor([1.0, 4.0]), tg.tensor([2.0, 2.0])
    assert F.mse_loss(x, y).item() == 2.5
    assert F.mse_loss(x, y, reduction="sum").item() == 5.0
    assert F.mse_loss(x, y, reduction="none").tolist() == [1.0, 4.0]
    assert F.l1_loss(x, y).item() == 1.5
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    target = tg.tensor([1, 2])
    expected = -(math.log(0.25) + math.log(0.7)) / 2
    assert F.cross_entropy(tg.tensor(logits), target).item() == pytest.approx(expected, rel=1e-12)
    assert F.nll_loss(tg.tensor(logits), target).item() == pytest.approx(expected, rel=1e-12)
    soft = F.cross_entropy(tg.tensor(logits), tg.tensor(np.eye(3)[[1, 2]]))
    assert soft.item() == pytest.approx(expected, rel=1e-12)
    bce = F.binary_cross_entropy_with_logits(
        tg.tensor([math.log(3.0)], dtype=tg.float64), tg.tensor([1.0], dtype=tg.float64)
    )
    assert bce.item() == pytest.approx(-math.log(0.75), rel=1e-12)


def test_every_function_defined_here_has_an_example():
    for name in F.__all__:
        function = getattr(F, name)
        assert ">>>" in function.__doc__ or not function.__module__.startswith(F.__name__), name
