"""Weights held small: as a term of the loss, or by a bound."""

import math
from collections.abc import Iterable

from tinygrad_lessons._core import Tensor, no_grad, tensor

from .clip_grad import unit_norm

Tensors = Tensor | Iterable[Tensor]


def weight_penalty(
    parameters: Tensors, l1: float = 0.0, l2: float = 0.0, group: float = 0.0, group_dim: int = 0
) -> Tensor:
    """A penalty on weights, to be added to a loss: L1, L2, both (elastic net), or group lasso.

        l1 · Σ |w|  +  l2 / 2 · Σ w²  +  group · Σᵢ √nᵢ ‖wᵢ‖₂

    The last sum is over the slices wᵢ of each tensor along `group_dim`, with nᵢ elements: with 0,
    what belongs to one output, with 1, to one input. `l2` has the gradient of an optimizer's
    `weight_decay`. Where |w| or ‖wᵢ‖ is 0, its gradient is 0. PyTorch has no such function.

    Sources: Tibshirani 1996, Regression shrinkage and selection via the lasso; Zou and Hastie
    2005, Regularization and variable selection via the elastic net; Yuan and Lin 2006, Model
    selection and estimation in regression with grouped variables.

    Returns:
        A 0-d tensor on the tape.

    Raises:
        ValueError: a coefficient is below 0.
        IndexError: a tensor has no such dimension.

    >>> import tinygrad_lessons as tg
    >>> w = tg.tensor([[3.0, -4.0], [0.0, 0.0]], requires_grad=True)
    >>> penalty = tg.nn.utils.weight_penalty(w, l1=1.0, l2=0.5)
    >>> penalty.item()
    13.25
    >>> penalty.backward()
    >>> w.grad
    tensor([[ 2.5000, -3.0000],
            [ 0.0000,  0.0000]])
    """
    for name, value in (("l1", l1), ("l2", l2), ("group", group)):
        if not value >= 0:
            raise ValueError(f"weight_penalty: {name} must not be below 0, but is {value}")
    total = 0.0
    for w in [parameters] if isinstance(parameters, Tensor) else parameters:
        if l1:
            total = total + l1 * w.abs().sum()
        if l2:
            total = total + l2 / 2 * w.square().sum()
        if group:
            slices = w.movedim(group_dim, 0)
            others = tuple(range(1, w.ndim))
            norms = slices.norm(dim=others) if others else slices.abs()
            total = total + group * math.sqrt(math.prod(slices.shape[1:])) * norms.sum()
    return total if isinstance(total, Tensor) else tensor(total)


def clip_unit_norm_(parameters: Tensors, max_norm: float) -> None:
    """Max-norm: scale each unit's weights in place so that their norm is `max_norm` at most.

        wᵢ ← wᵢ · min(1, max_norm / ‖wᵢ‖₂)

    A unit is what belongs to one output: w[i] of a weight of two dimensions or more, the whole of
    a vector. Call it after the optimizer's `step`. As in PyTorch's clipping, infinity becomes NaN.
    PyTorch has no such function.

    Source: Srivastava et al. 2014, Dropout, section 5.1.

    Raises:
        ValueError: `max_norm` is not above 0.

    >>> import tinygrad_lessons as tg
    >>> w = tg.nn.Parameter(tg.tensor([[3.0, 4.0], [0.3, 0.4]]))
    >>> tg.nn.utils.clip_unit_norm_(w, 1.0)
    >>> w.detach()
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if not max_norm > 0:
        raise ValueError(f"clip_unit_norm_: max_norm must be above 0, but is {max_norm}")
    with no_grad():
        for w in [parameters] if isinstance(parameters, Tensor) else parameters:
            norm = unit_norm(w)
            w.mul_((max_norm / norm).masked_fill(norm <= max_norm, 1.0))
