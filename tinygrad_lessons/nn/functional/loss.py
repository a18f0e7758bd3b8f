"""Losses, reduced to their mean, their sum or not at all."""

import math
import warnings

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor, full_like, no_grad, where


def _reduce(loss, reduction):
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(
        f"{reduction!r} is not a valid value for reduction: use 'mean', 'sum' or 'none'"
    )


def _warn_of_sizes(input, target):
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def _weighted(name, loss, weight):
    if weight.shape != loss.shape:
        raise ValueError(
            f"{name}: Weights and input must have the same size, got {tuple(weight.shape)} and "
            f"{tuple(loss.shape)}"
        )
    return loss * weight


def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """(input - target)², reduced; warns when the shapes differ and broadcast.

    `weight` has the input's shape; the mean is then the weighted one, divided by the weights' sum.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.mse_loss(tg.ones(2), tg.tensor([1.0, 3.0])).item()
    2.0
    """
    _warn_of_sizes(input, target)
    return _difference_loss("mse_loss", input.squared_difference(target), reduction, weight)


def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """|input - target|, reduced; warns when the shapes differ and broadcast.

    `weight` has the input's shape; the mean is then the weighted one, divided by the weights' sum.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.l1_loss(tg.ones(2), tg.tensor([1.0, 3.0])).item()
    1.0
    """
    _warn_of_sizes(input, target)
    return _difference_loss("l1_loss", input.absolute_difference(target), reduction, weight)


def _difference_loss(name, loss, reduction, weight):
    if weight is None:
        return _reduce(loss, reduction)
    loss = _weighted(name, loss, weight)
    return loss.sum() / weight.sum() if reduction == "mean" else _reduce(loss, reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d² / 2 where |d| < delta, else delta (|d| - delta / 2), for d = input - target; reduced.

    `weight` has the input's shape; the mean is over the elements all the same. Warns when input
    and target differ in shape and broadcast. Raises RuntimeError unless delta > 0, and ValueError
    for a weight of another shape.
    Source: Huber 1964, Robust Estimation of a Location Parameter.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.huber_loss(tg.tensor([1.0, 4.0]), tg.zeros(2), reduction="none").tolist()
    [0.5, 3.5]
    """
    if not delta > 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta: {delta}")
    _warn_of_sizes(input, target)
    loss = (input - target).huber(delta, 1.0)
    return _reduce(loss if weight is None else _weighted("huber_loss", loss, weight), reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2, for d = input - target; reduced.

    That is `huber_loss` with delta = beta, divided by beta; `l1_loss` for beta = 0. Warns when
    the shapes differ and broadcast. Raises RuntimeError unless beta ≥ 0.
    Source: Girshick 2015, Fast R-CNN.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([1.0, 4.0])
    >>> tg.nn.functional.smooth_l1_loss(x, tg.zeros(2), beta=2.0, reduction="none").tolist()
    [0.25, 3.0]
    """
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta: {beta}")
    _warn_of_sizes(input, target)
    if beta == 0:
        return _reduce(input.absolute_difference(target), reduction)
    return _reduce((input - target).huber(beta, 1 / beta), reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-weight[t] · input[t] for class indices t; the mean is weighted.

    `input` holds log-probabilities (N, C, …) or (C,), `target` int64 indices (N, …) or a scalar;
    targets equal to `ignore_index` count nothing.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.nll_loss(tg.tensor([[-0.5, -1.0]]), tg.tensor([1])).item()
    1.0
    """
    return _core.nll_loss(input, target, weight, ignore_index, reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-Σ_c weight[c] q[c] log softmax(input)[c] over the classes, dimension 1 of (N, C, …).

    `target` gives q either as int64 class indices (N, …), or as floating-point probabilities of
    the input's shape. Smoothing replaces q by (1 - s) q + s / C. The mean over class indices is
    weighted and leaves out `ignore_index`; over probabilities it divides by the number of targets.

    >>> import tinygrad_lessons as tg
    >>> round(tg.nn.functional.cross_entropy(tg.zeros(1, 2), tg.tensor([1])).item(), 4)
    0.6931
    """
    if not isinstance(target, Tensor):
        raise TypeError(
            f"cross_entropy: the target must be a tensor, got {type(target).__name__}; "
            "make one with tensor(target)"
        )
    if not target.is_floating_point():
        return _core.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if input.shape != target.shape:
        raise RuntimeError(
            "cross_entropy: a floating-point target holds class probabilities and must have the "
            f"input's shape {tuple(input.shape)}, got {tuple(target.shape)}; "
            "class indices must be int64"
        )
    if ignore_index >= 0:
        raise RuntimeError("cross_entropy: ignore_index is not supported for class probabilities")
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    class_dim = 0 if input.ndim == 1 else 1
    classes = input.shape[class_dim]
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * weight.view(-1, *[1] * (input.ndim - class_dim - 1))
    loss = -(input.log_softmax(class_dim) * target).sum(class_dim)
    return _reduce(loss, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """-weight · (t log x + (1 - t) log(1 - x)) for probabilities x, reduced.

    Each logarithm is at least -100, as in PyTorch. The weight broadcasts. Raises ValueError when
    the shapes of input and target differ, and RuntimeError for elements outside 0 to 1.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([0.5, 0.0])
    >>> tg.nn.functional.binary_cross_entropy(p, tg.ones(2), reduction="sum").item()
    100.69314575195312
    """
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    if not ((input >= 0) & (input <= 1)).all().item():
        raise RuntimeError(
            "binary_cross_entropy: all elements of input should be between 0 and 1; "
            "apply sigmoid, or use binary_cross_entropy_with_logits"
        )
    loss = input.bernoulli_loss(target)
    return _reduce(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-weight · (pos_weight · t log σ(x) + (1 - t) log(1 - σ(x))), reduced; stable for any x.

    `target` holds probabilities of the input's shape; the weights broadcast.
    Raises ValueError when the shapes differ.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.binary_cross_entropy_with_logits(
    ...     tg.tensor([1000.0]), tg.tensor([0.0])
    ... ).item()
    1000.0
    """
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    if pos_weight is None:
        loss = input.logistic_loss(target)
    else:  # log(1 - σ(x)) = log σ(x) - x, so one stable logarithm serves both terms
        loss = (1 - target) * input - ((pos_weight - 1) * target + 1) * input.logsigmoid()
    if weight is not None:
        loss = loss * weight
    return _reduce(loss, reduction)


def kl_div(
    input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """t (log t - input) for log-probabilities `input`: its sum is the divergence KL(t ‖ exp(input)).

    Args:
        target: probabilities t, or with `log_target` their logarithms.
        reduction: besides the usual, "batchmean" divides the sum by the length of dimension 0.
            As in PyTorch, "mean" divides by the number of elements, with a warning.

    >>> import tinygrad_lessons as tg
    >>> p, q = tg.tensor([[0.5, 0.5]]), tg.tensor([[0.25, 0.75]])
    >>> round(tg.nn.functional.kl_div(q.log(), p, reduction="batchmean").item(), 4)
    0.1438
    """
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction 'mean' divides by the number of elements; "
            "'batchmean' is the divergence",
            stacklevel=2,
        )
    loss = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.size(0) if input.ndim else loss
    return _reduce(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    *,
    reduction: str = "mean",
) -> Tensor:
    """½ (log v + (input - target)² / v) with v = max(var, eps), reduced.

    Args:
        var: variances of the input's shape, of that shape without its last dimension, or with one
            dimension of length 1; or one for all.
        full: add the constant ½ log 2π.
        eps: the least variance; the gradient passes through it.

    Raises:
        ValueError: a variance is negative, or their shape does not fit.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.gaussian_nll_loss(tg.zeros(2), tg.tensor([1.0, 3.0]), 1.0).item()
    2.5
    """
    if not isinstance(var, Tensor):
        var = full_like(input, var)
    if (var < 0).any().item():
        raise ValueError("gaussian_nll_loss: var has negative entry/entries")
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or [
            ours for ours, theirs in zip(var.shape, input.shape, strict=True) if ours != theirs
        ] != [1]:
            raise ValueError(
                f"gaussian_nll_loss: var is of incorrect size {tuple(var.shape)}: expected "
                f"{tuple(input.shape)}, or that without its last dimension or with one of length 1"
            )
    var = var.clone()
    with no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + input.squared_difference(target) / var)
    return _reduce(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - t x for the logarithm x of a rate, or x - t log(x + eps) for the rate; reduced.

    With `full`, Stirling's approximation of log t!, t log t - t + ½ log 2πt, is added where t > 1.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.poisson_nll_loss(tg.zeros(1), tg.tensor([3.0])).item()
    1.0
    """
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target.xlogy(target) - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + where(target > 1, stirling, 0.0)
    return _reduce(loss, reduction)
