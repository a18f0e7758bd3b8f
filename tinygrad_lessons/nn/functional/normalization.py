"""Normalisation over batches, samples, groups and features."""

import math

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor, no_grad


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias per channel, the second dimension of the input.

    With `training`, the statistics are the batch's, and the running ones (which may be None) move
    towards them in place. Raises ValueError when training on one value per channel or with eps
    not above 0.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1.0], [3.0]])
    >>> tg.nn.functional.batch_norm(x, tg.ones(1), tg.ones(1), eps=0.0).tolist()
    [[0.0], [2.0]]
    """
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm eps must be positive (0 will do in evaluation), got {eps}")
    return _core.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias per channel of each sample, x (N, C, *).

    With `use_input_stats` the statistics are the input's, and the running ones (which may be
    None) move towards their averages over the samples; else the running ones normalise. Raises
    ValueError when the statistics would be of a single value.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[[1.0, 3.0]], [[0.0, 8.0]]])
    >>> tg.nn.functional.instance_norm(x).round().tolist()
    [[[-1.0, 1.0]], [[-1.0, 1.0]]]
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    samples, channels, *places = input.shape
    if math.prod(places) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    if running_mean is None and running_var is None:
        return group_norm(input, channels, weight, bias, eps)
    each = [None if v is None else v.repeat(samples) for v in (running_mean, running_var)]
    weight, bias = (None if v is None else v.repeat(samples) for v in (weight, bias))
    every = input.reshape(1, samples * channels, *places)
    output = batch_norm(every, *each, weight, bias, True, momentum, eps)
    with no_grad():
        for running, fresh in zip((running_mean, running_var), each, strict=True):
            if running is not None:
                running.copy_(fresh.view(samples, channels).mean(0))
    return output.view(input.shape)


def layer_norm(
    input: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias over the last dimensions, `normalized_shape`.

    Weight and bias have the normalised shape. Raises RuntimeError when a shape does not fit.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1.0, 3.0], [2.0, 10.0]])
    >>> tg.nn.functional.layer_norm(x, (2,)).round().tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    return _core.layer_norm(input, normalized_shape, weight, bias, eps)


def rms_norm(
    input: Tensor, normalized_shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean(x²) + eps) · weight over the last dimensions, `normalized_shape`.

    `eps=None` stands for the machine epsilon of the input's type. Raises RuntimeError when a
    shape does not fit.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.rms_norm(tg.tensor([5.0, -5.0]), (2,)).round().tolist()
    [1.0, -1.0]
    """
    return _core.rms_norm(input, normalized_shape, weight, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias per sample and group of channels, x (N, C, *).

    Weight and bias have shape (C,). Raises RuntimeError when the groups do not divide the
    channels, and ValueError when a group has a single value.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1.0, 3.0], [2.0, 10.0]])
    >>> tg.nn.functional.group_norm(x, 1).round().tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    if input.ndim >= 2 and input.numel() == input.shape[0] * num_groups == num_groups:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    return _core.group_norm(input, num_groups, weight, bias, eps)
