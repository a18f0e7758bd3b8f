"""nn.utils: clipping gradients, penalties, parameters as one vector."""

import inspect
import math

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn.utils import (
    add_grad_noise_,
    clip_grad_adaptive_,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    clip_unit_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
    weight_penalty,
)


def with_grads(*grads):
    parameters = [nn.Parameter(tg.zeros(*np.shape(grad))) for grad in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = tg.tensor(grad)
    return parameters


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm(order, max_norm):
    grads = [[1.0, -2.0], [[0.5], [3.0]]]
    parameters, idle = with_grads(*grads), nn.Parameter(tg.zeros(1))
    everything = np.array([1.0, -2.0, 0.5, 3.0])
    norm = np.linalg.norm(everything, float(order))
    held = [parameter.grad for parameter in parameters]
    result = clip_grad_norm_(iter([*parameters, idle]), max_norm, order)
    assert result.item() == pytest.approx(norm, rel=1e-6)
    scale = min(1.0, max_norm / (norm + 1e-6))
    for parameter, grad, before in zip(parameters, grads, held, strict=True):
        assert parameter.grad is before
        np.testing.assert_allclose(parameter.grad.numpy(), np.array(grad) * scale, rtol=1e-6)
    assert idle.grad is None


def test_clip_grad_norm_edges():
    assert clip_grad_norm_([], 1.0).item() == 0.0
    assert clip_grad_norm_(nn.Parameter(tg.zeros(1)), 1.0).item() == 0.0
    (parameter,) = with_grads([3.0, 4.0])
    assert clip_grad_norm_(parameter, 10.0).item() == 5.0
    assert parameter.grad.tolist() == [3.0, 4.0]


def test_clip_grad_norm_not_finite():
    (parameter,) = with_grads([math.inf, 1.0])
    with pytest.raises(RuntimeError, match=r"total norm of order 2.0 of the gradients is inf"):
        clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    assert parameter.grad.tolist() == [math.inf, 1.0]
    assert clip_grad_norm_(parameter, 1.0).item() == math.inf


def test_clip_grad_value():
    one, two = with_grads([-3.0, 0.5], [9.0])
    held = one.grad
    clip_grad_value_([one, two, nn.Parameter(tg.zeros(1))], 2)
    assert one.grad is held
    assert one.grad.tolist() == [-2.0, 0.5]
    assert two.grad.tolist() == [2.0]
    clip_grad_value_(two, 1.0)
    assert two.grad.tolist() == [1.0]


def test_parameters_to_vector_and_back():
    layer = nn.Linear(2, 3)
    vector = parameters_to_vector(layer.parameters())
    assert vector.tolist() == layer.weight.flatten().tolist() + layer.bias.tolist()
    vector.square().sum().backward()
    np.testing.assert_allclose(layer.bias.grad.numpy(), 2 * layer.bias.detach().numpy(), rtol=1e-6)

    weight = layer.weight
    new = tg.arange(9.0)
    vector_to_parameters(new, layer.parameters())
    assert layer.weight is weight
    assert weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert layer.bias.tolist() == [6.0, 7.0, 8.0]
    assert weight.requires_grad
    assert weight.is_leaf
    new[0] = 100.0
    assert weight[0, 0].item() == 100.0


def test_vector_to_parameters_errors():
    layer = nn.Linear(2, 3)
    before = layer.weight.tolist()
    with pytest.raises(TypeError, match="expected a tensor, got list"):
        vector_to_parameters([1.0], layer.parameters())
    for size in (8, 10):
        with pytest.raises(ValueError, match=f"the vector has {size} elements, the parameters 9"):
            vector_to_parameters(tg.zeros(size), layer.parameters())
    assert layer.weight.tolist() == before


@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
def test_clipping_as_torch(order):
    torch = pytest.importorskip("torch")
    grads = [[1.0, -2.0], [[0.5], [3.0]]]
    ours = with_grads(*grads)
    theirs = [torch.nn.Parameter(torch.zeros(np.shape(grad))) for grad in grads]
    for parameter, grad in zip(theirs, grads, strict=True):
        parameter.grad = torch.tensor(grad)
    a = clip_grad_norm_(ours, 1.0, order)
    b = torch.nn.utils.clip_grad_norm_(theirs, 1.0, order)
    assert a.item() == pytest.approx(b.item(), rel=1e-6)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), rtol=1e-6)


# ---- total norms ----

GRADS = [[1.0, -2.0, 0.0], [[0.5], [3.0]], [[[-1.5]]]]
ORDERS = [0.0, 0.5, 1.0, 2.0, 3.0, math.inf, -math.inf, "inf"]


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0, math.inf, "inf"])
def test_total_norm(order):
    everything = np.concatenate([np.ravel(grad) for grad in GRADS])
    expected = np.linalg.norm(everything, float(order))
    tensors = [tg.tensor(grad, dtype=tg.float64) for grad in GRADS]
    assert get_total_norm(iter(tensors), order).item() == pytest.approx(expected, rel=1e-14)
    assert get_total_norm(tensors[0], 2).item() == pytest.approx(math.sqrt(5), rel=1e-14)
    assert get_total_norm([]).item() == 0.0


def test_total_norm_not_finite():
    for value in (math.inf, math.nan):
        tensors = [tg.tensor([1.0]), tg.tensor([value])]
        assert get_total_norm(tensors).item() == pytest.approx(value, nan_ok=True)
        with pytest.raises(RuntimeError, match=f"gradients is {value}"):
            get_total_norm(tensors, error_if_nonfinite=True)


def test_clip_with_a_known_norm():
    one, two = with_grads([3.0, 4.0], [[1.0]])
    held = one.grad
    clip_grads_with_norm_([one, two, nn.Parameter(tg.zeros(1))], 2.0, tg.tensor(8.0))
    assert one.grad is held
    np.testing.assert_allclose(one.grad.numpy(), [0.75, 1.0], rtol=1e-6)
    np.testing.assert_allclose(two.grad.numpy(), [[0.25]], rtol=1e-6)
    clip_grads_with_norm_(two, 2.0, tg.tensor(1.0))
    np.testing.assert_allclose(two.grad.numpy(), [[0.25]], rtol=1e-6)


def test_an_empty_generator_is_warned_about():
    with pytest.warns(UserWarning, match="empty generator"):
        clip_grad_norm_((p for p in []), 1.0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("value", [2.0, math.inf, math.nan])
def test_norms_and_clipping_as_torch(order, value):
    torch = pytest.importorskip("torch")
    grads = [*GRADS, [value]]
    results = []
    for lib in (tg, torch):
        total = lib.nn.utils.get_total_norm([lib.tensor(grad) for grad in grads], order)
        parameters = [lib.nn.Parameter(lib.zeros(np.shape(grad))) for grad in grads]
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = lib.tensor(grad)
        clipped = lib.nn.utils.clip_grad_norm_(parameters, 1.5, order)
        after = [parameter.grad.numpy().copy() for parameter in parameters]
        lib.nn.utils.clip_grads_with_norm_(parameters, 0.1, lib.tensor(0.3))
        lib.nn.utils.clip_grad_value_(parameters, 0.25)
        results.append([total, clipped, *after, *(p.grad.numpy() for p in parameters)])
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=1e-6)


def test_signatures_as_torch():
    torch = pytest.importorskip("torch")
    for name in (
        "clip_grad_norm_",
        "clip_grad_value_",
        "clip_grads_with_norm_",
        "get_total_norm",
        "parameters_to_vector",
        "vector_to_parameters",
    ):
        ours, theirs = (
            inspect.signature(getattr(lib.nn.utils, name)).parameters.values()
            for lib in (tg, torch)
        )
        assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


# ---- adaptive clipping, noise ----


def test_adaptive_clipping():
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (5, 2, 3, 3), (6,), (2, 1)]
    weights = [
        rng.normal(size=shape)
        * rng.choice([0.0, 0.1, 5.0], size=shape[:1] + (1,) * (len(shape) - 1))
        for shape in shapes
    ]
    grads = [rng.normal(size=shape) for shape in shapes]
    grads[0][1] = 0.0
    parameters = [nn.Parameter(tg.tensor(weight)) for weight in weights]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = tg.tensor(grad)
    held = [parameter.grad for parameter in parameters]
    clip_grad_adaptive_(iter([*parameters, nn.Parameter(tg.zeros(1))]), 0.5, eps=0.2)

    scaled = 0
    for parameter, weight, grad, before in zip(parameters, weights, grads, held, strict=True):
        assert parameter.grad is before
        units = [...] if weight.ndim == 1 else range(len(weight))
        for i in units:
            allowed = 0.5 * max(np.linalg.norm(weight[i]), 0.2)
            norm = np.linalg.norm(grad[i])
            scaled += norm > allowed
            expected = grad[i] * (allowed / norm if norm > allowed else 1.0)
            np.testing.assert_allclose(parameter.grad.numpy()[i], expected, rtol=1e-13)
    assert 3 < scaled < 11  # some are and some are not


def test_gradient_noise():
    def noise(step, **options):
        one, two = with_grads([2.0] * 50000, [[0.0, 0.0]] * 3)
        generator = tg.Generator().manual_seed(5)
        add_grad_noise_([one, two, nn.Parameter(tg.zeros(1))], step, generator=generator, **options)
        return one.grad.numpy() - 2.0, two.grad.numpy()

    for step, options, variance in (
        (0, {}, 0.01),
        (9, {"eta": 0.3}, 0.3 / 10**0.55),
        (99, {"eta": 1.0, "gamma": 1.0}, 0.01),
    ):
        drawn, more = noise(step, **options)
        assert abs(drawn.mean()) < 4 * math.sqrt(variance / 50000)
        assert drawn.var() == pytest.approx(variance, rel=0.03)
        assert np.unique(more).size == 6
    same, other = noise(3)[0], noise(3)[0]
    assert same.tobytes() == other.tobytes()
    assert not noise(3, eta=0.0)[1].any()


# ---- penalties ----

WEIGHTS = [np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]]), np.array([0.5, 0.0, -3.0])]


def group_lasso(weights, dim):
    return sum(
        math.sqrt(part.size) * np.linalg.norm(part)
        for weight in weights
        for part in np.split(weight, weight.shape[dim], axis=dim)
    )


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"l1": 0.1}, 0.1 * 6.5),
        ({"l2": 0.3}, 0.15 * 14.25),
        ({"l1": 0.1, "l2": 0.3}, 0.1 * 6.5 + 0.15 * 14.25),
        ({"group": 0.2}, 0.2 * group_lasso(WEIGHTS, 0)),
        ({"group": 0.2, "l1": 1.0}, 0.2 * group_lasso(WEIGHTS, 0) + 6.5),
        ({}, 0.0),
    ],
)
def test_penalty(options, value):
    weights = [tg.tensor(weight, requires_grad=True) for weight in WEIGHTS]
    penalty = weight_penalty(iter(weights), **options)
    assert penalty.item() == pytest.approx(value, rel=1e-14)
    assert penalty.shape == ()
    if options:
        assert penalty.dtype is tg.float64
        penalty.backward()
        for weight, w in zip(weights, WEIGHTS, strict=True):
            expected = options.get("l1", 0) * np.sign(w) + options.get("l2", 0) * w
            if "group" in options:
                norms = np.linalg.norm(w.reshape(len(w), -1), axis=1)
                size = w[0].size
                for i in np.flatnonzero(norms):
                    expected[i] += options["group"] * math.sqrt(size) * w[i] / norms[i]
            np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-14)


def test_group_lasso_of_inputs_and_of_filters():
    filters = np.random.default_rng(3).normal(size=(4, 3, 2, 2))
    for dim in (0, 1, -1):
        got = weight_penalty(tg.tensor(filters), group=2.0, group_dim=dim).item()
        assert got == pytest.approx(2 * group_lasso([filters], dim), rel=1e-13)
    with pytest.raises(IndexError):
        weight_penalty(tg.zeros(3), group=1.0, group_dim=1)


def test_penalty_keeps_the_type_and_the_loss():
    weight = tg.tensor([1.0], requires_grad=True)
    assert weight_penalty(weight, l1=0.5).dtype is tg.float32
    loss = weight.sum() + weight_penalty(weight, l1=0.5, l2=0.25)
    loss.backward()
    assert weight.grad.item() == 1.75


def test_lasso_finds_which_inputs_matter():
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.normal(size=(200, 6)))
    truth = np.array([2.0, 0.0, 0.0, -1.0, 0.0, 0.0])
    y = x @ tg.tensor(truth)
    w = tg.zeros(6, dtype=tg.float64, requires_grad=True)
    sgd = tg.optim.SGD([w], lr=0.01)
    for _ in range(800):
        sgd.zero_grad()
        ((x @ w - y).square().mean() + weight_penalty(w, l1=0.4)).backward()
        sgd.step()
    found = w.detach().numpy()
    assert (np.abs(found[truth == 0]) < 0.02).all()
    np.testing.assert_allclose(found[truth != 0], [1.8, -0.8], atol=0.1)


def test_max_norm():
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=(5, 4)), rng.normal(size=(3, 2, 2)) * 3, np.array([0.3, 0.4])]
    arrays[0][2] = 0.0
    parameters = [nn.Parameter(tg.tensor(array)) for array in arrays]
    clip_unit_norm_(iter(parameters), 1.5)
    for parameter, array in zip(parameters, arrays, strict=True):
        norms = np.linalg.norm(array.reshape(len(array), -1), axis=1) if array.ndim > 1 else 0.5
        scale = np.minimum(1, 1.5 / np.maximum(norms, 1e-9))
        expected = (array.T * scale).T
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-14)
    clip_unit_norm_(parameters[2], 0.25)
    np.testing.assert_allclose(parameters[2].detach().numpy(), [0.15, 0.2], rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: clip_grad_adaptive_(p, 0.0), "clip_factor must be above 0, but is 0.0"),
        (lambda p: clip_grad_adaptive_(p, 0.1, eps=-1), "eps must be above 0"),
        (lambda p: add_grad_noise_(p, -1), "step must not be below 0"),
        (lambda p: add_grad_noise_(p, 1, eta=-0.1), "eta must not be below 0"),
        (lambda p: weight_penalty(p, l1=-1.0), "l1 must not be below 0"),
        (lambda p: weight_penalty(p, group=math.nan), "group must not be below 0"),
        (lambda p: clip_unit_norm_(p, 0), "max_norm must be above 0"),
    ],
)
def test_bad_numbers(call, message):
    (parameter,) = with_grads([1.0])
    with pytest.raises(ValueError, match=message):
        call(parameter)
    assert parameter.grad.tolist() == [1.0]
