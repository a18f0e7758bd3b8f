"""nn.utils: clipping gradients, parameters as one vector."""

import math

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    vector_to_parameters,
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
