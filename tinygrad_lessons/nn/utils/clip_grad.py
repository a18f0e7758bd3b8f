"""What is done to gradients between `backward` and `step`: clipping them, adding noise.

`foreach` chooses among implementations in PyTorch; here there is one.
"""

import math
import warnings
from collections.abc import Iterable
from types import GeneratorType

from tinygrad_lessons._core import Generator, Tensor, no_grad, stack, tensor

Tensors = Tensor | Iterable[Tensor]


def _with_gradients(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter for parameter in parameters if parameter.grad is not None]


def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as one vector, 0-d; 0 if there are none.

    Raises:
        RuntimeError: the norm is infinite or NaN, and `error_if_nonfinite`.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.utils.get_total_norm([tg.tensor([3.0]), tg.tensor([[4.0], [0.0]])])
    tensor(5.)
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return tensor(0.0)
    norm_type = float(norm_type)
    with no_grad():
        total = stack([each.norm(norm_type) for each in tensors]).norm(norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise RuntimeError(
                f"the total norm of order {norm_type} of the gradients is {total.item()}, so they "
                "can not be clipped; pass error_if_nonfinite=False to scale by it anyway"
            )
    return total


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients in place by min(1, max_norm / (total_norm + 1e-6)).

    >>> import tinygrad_lessons as tg
    >>> p = tg.nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grads_with_norm_(p, 1.0, tg.tensor(10.0))
    >>> p.grad
    tensor([0.3000, 0.4000])
    """
    with no_grad():
        scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for parameter in _with_gradients(parameters):
            parameter.grad.mul_(scale)


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients in place by min(1, max_norm / (norm + 1e-6)); return the norm.

    The norm is that of all gradients as one vector, before clipping.

    Source: Pascanu et al. 2013, On the difficulty of training recurrent neural networks.

    Raises:
        RuntimeError: the norm is infinite or NaN, and `error_if_nonfinite`.

    >>> import tinygrad_lessons as tg
    >>> p = tg.nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grad_norm_(p, max_norm=1.0).item()
    5.0
    >>> round(p.grad.norm().item(), 3)
    1.0
    """
    if not isinstance(parameters, Tensor):
        exhausted = isinstance(parameters, GeneratorType)
        parameters = list(parameters)
        if exhausted and not parameters:
            warnings.warn(
                "clip_grad_norm_: parameters is an empty generator, so nothing is clipped; one "
                "that was used before is empty",
                stacklevel=2,
            )
    parameters = _with_gradients(parameters)
    total = get_total_norm([p.grad for p in parameters], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clamp all gradients in place to [-clip_value, clip_value].

    >>> import tinygrad_lessons as tg
    >>> p = tg.nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([-3.0, 0.5])
    >>> tg.nn.utils.clip_grad_value_(p, 1.0)
    >>> p.grad.tolist()
    [-1.0, 0.5]
    """
    clip_value = float(clip_value)
    with no_grad():
        for parameter in _with_gradients(parameters):
            parameter.grad.clamp_(-clip_value, clip_value)


def clip_grad_adaptive_(parameters: Tensors, clip_factor: float = 0.01, eps: float = 1e-3) -> None:
    """Adaptive gradient clipping (AGC): each unit's gradient in proportion to the unit's weights.

        gᵢ ← gᵢ · clip_factor · max(‖wᵢ‖, eps) / ‖gᵢ‖    where ‖gᵢ‖ is more than that

    A unit is what belongs to one output: wᵢ = w[i] of a weight of two dimensions or more, the
    whole of a bias. The paper leaves the last layer out. PyTorch has no such function.

    Source: Brock et al. 2021, High-performance large-scale image recognition without
    normalization, equation 3.

    Raises:
        ValueError: `clip_factor` or `eps` is not above 0.

    >>> import tinygrad_lessons as tg
    >>> p = tg.nn.Parameter(tg.tensor([[3.0, 4.0], [6.0, 8.0]]))
    >>> p.grad = tg.tensor([[0.3, 0.4], [0.3, 0.4]])
    >>> tg.nn.utils.clip_grad_adaptive_(p, clip_factor=0.05)
    >>> p.grad
    tensor([[0.1500, 0.2000],
            [0.3000, 0.4000]])
    """
    for name, value in (("clip_factor", clip_factor), ("eps", eps)):
        if not value > 0:
            raise ValueError(f"clip_grad_adaptive_: {name} must be above 0, but is {value}")
    with no_grad():
        for parameter in _with_gradients(parameters):
            allowed = clip_factor * unit_norm(parameter).clamp(min=eps)
            norm = unit_norm(parameter.grad)
            parameter.grad.mul_((allowed / norm).masked_fill(norm <= allowed, 1.0))


def unit_norm(values):
    """The norm of what belongs to each output, in a shape that broadcasts."""
    if values.ndim < 2:
        return values.norm()
    return values.norm(dim=tuple(range(1, values.ndim)), keepdim=True)


def add_grad_noise_(
    parameters: Tensors,
    step: int,
    eta: float = 0.01,
    gamma: float = 0.55,
    generator: Generator | None = None,
) -> None:
    """Add noise to all gradients in place: normal, of variance eta / (1 + step) ** gamma.

    PyTorch has no such function.

    Source: Neelakantan et al. 2015, Adding gradient noise improves learning for very deep
    networks, equation 1; they choose eta from 0.01, 0.3 and 1.

    Args:
        step: how many were made before.

    Raises:
        ValueError: `step` or `eta` is below 0.

    >>> import tinygrad_lessons as tg
    >>> p = tg.nn.Parameter(tg.zeros(10000))
    >>> p.grad = tg.zeros(10000)
    >>> tg.nn.utils.add_grad_noise_(p, 99, eta=1.0, generator=tg.Generator().manual_seed(0))
    >>> abs(p.grad.var().item() / 100**-0.55 - 1) < 0.05
    True
    """
    for name, value in (("step", step), ("eta", eta)):
        if not value >= 0:
            raise ValueError(f"add_grad_noise_: {name} must not be below 0, but is {value}")
    deviation = math.sqrt(eta / (1 + step) ** gamma)
    with no_grad():
        for parameter in _with_gradients(parameters):
            noise = parameter.grad.new_empty(parameter.grad.shape)
            parameter.grad.add_(noise.normal_(0, deviation, generator=generator))
