"""Dropout of elements and of channels."""

import warnings

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor, ones


def check_probability(p: float) -> None:
    """Raise ValueError unless 0 ≤ p ≤ 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each element with probability `p` and scale the rest by 1 / (1 - p).

    Draws from the default generator. Raises ValueError unless 0 ≤ p ≤ 1.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.dropout(tg.ones(2), 0.5, training=False).tolist()
    [1.0, 1.0]
    """
    check_probability(p)
    if p == 0 or not training:
        return input
    dropped = _core.dropout(input, p)
    return input.copy_(dropped) if inplace else dropped


def _feature_dropout(input, p, training, inplace):
    """Dropout of whole channels of (N, C, *)."""
    if p == 0 or not training:
        return input
    places = [1] * (input.ndim - 2)
    factor = _core.dropout(ones(*input.shape[:2], *places, dtype=input.dtype), p)
    return input.mul_(factor) if inplace else input * factor


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, zero each channel of (N, C, L) or (C, L) with probability `p`, scale the rest.

    Raises ValueError unless 0 ≤ p ≤ 1, and RuntimeError for other dimensions.
    Source: Tompson et al. 2015, Efficient Object Localization Using Convolutional Networks.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.dropout1d(tg.ones(2, 1), 0.5, training=False).tolist()
    [[1.0], [1.0]]
    """
    check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input: the channels "
            "of (N, C, L) or (C, L) are what it drops"
        )
    if input.ndim == 3:
        return _feature_dropout(input, p, training, inplace)
    dropped = _feature_dropout(input.unsqueeze(0), p, training, inplace)
    return input if inplace else dropped.squeeze(0)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, zero each channel of (N, C, H, W) with probability `p`, scale the rest.

    As in PyTorch, 3 dimensions are read as (N, C, L), with a warning. Raises ValueError unless
    0 ≤ p ≤ 1.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.dropout2d(tg.ones(1, 1, 1, 1), 0.5, training=False).tolist()
    [[[[1.0]]]]
    """
    check_probability(p)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L); use dropout1d instead.",
            stacklevel=2,
        )
    elif input.ndim != 4:
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated; "
            "use dropout instead.",
            stacklevel=2,
        )
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _feature_dropout(input, p, training, inplace)
