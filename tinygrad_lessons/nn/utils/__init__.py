"""Helpers on whole sets of parameters."""

import math
from collections.abc import Iterable

from tinygrad_lessons._core import Tensor, cat, no_grad, stack, tensor

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "vector_to_parameters",
]


def _grads(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients in place by min(1, max_norm / (norm + 1e-6)); return the norm.

    The norm is that of all gradients as one vector, before clipping. Raises RuntimeError for a
    norm that is inf or NaN, if `error_if_nonfinite`.

    >>> import tinygrad_lessons as tg
    >>> p = tg.nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grad_norm_(p, max_norm=1.0).item()
    5.0
    >>> round(p.grad.norm().item(), 3)
    1.0
    """
    grads = _grads(parameters)
    if not grads:
        return tensor(0.0)
    norm_type = float(norm_type)
    with no_grad():
        total = stack([grad.norm(norm_type) for grad in grads]).norm(norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise RuntimeError(
                f"clip_grad_norm_: the total norm of order {norm_type} of the gradients is "
                f"{total.item()}, so they can not be clipped; pass error_if_nonfinite=False to "
                "scale by it anyway"
            )
        scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(scale)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
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
        for grad in _grads(parameters):
            grad.clamp_(-clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters one after the other as one vector; gradients flow through it.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.utils.parameters_to_vector([tg.zeros(2, 2), tg.ones(1)]).tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0]
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the parameters, one after the other, be the slices of a vector; they share its memory.

    Raises TypeError for another type, ValueError when the vector has another length.

    >>> import tinygrad_lessons as tg
    >>> layer = tg.nn.Linear(2, 1)
    >>> tg.nn.utils.vector_to_parameters(tg.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a tensor, got {type(vec).__name__}")
    parameters = list(parameters)
    total = sum(parameter.numel() for parameter in parameters)
    if vec.numel() != total:
        raise ValueError(
            f"vector_to_parameters: the vector has {vec.numel()} elements, the parameters {total}"
        )
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = vec.detach()[start:end].view(parameter.shape)
        start = end
