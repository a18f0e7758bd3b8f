"""Filling tensors with starting values, in place; no operation here is recorded for gradients.

Fans are those of a weight (out, in, *kernel): fan_in = in · Π kernel, fan_out = out · Π kernel.
"""

import math
import warnings

from tinygrad_lessons._core import (
    Tensor,
    bool_,
    eye,
    no_grad,
    ones_like,
    randperm,
    where,
    zeros_like,
)

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAIN = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights grow so that the variance survives the nonlinearity.

    `param` is the negative slope a of "leaky_relu", whose gain is √(2 / (1 + a²)); default 0.01.
    Raises ValueError for an unknown name or a slope that is no number.

    >>> from tinygrad_lessons import nn
    >>> nn.init.calculate_gain("leaky_relu", 0.0) == 2**0.5
    True
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope!r} not a valid number")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAIN:
        known = ", ".join(["leaky_relu", *_GAIN])
        raise ValueError(f"Unsupported nonlinearity {nonlinearity!r}; known are {known}")
    return _GAIN[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor):
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got shape {tuple(tensor.shape)}"
        )
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


# Constants


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with `val`.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.constant_(tg.empty(2), 0.3).tolist() == tg.full((2,), 0.3).tolist()
    True
    """
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.ones_(tg.empty(2)).tolist()
    [1.0, 1.0]
    """
    return constant_(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.zeros_(tg.empty(2)).tolist()
    [0.0, 0.0]
    """
    return constant_(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with 1 on the diagonal, 0 elsewhere; raises ValueError unless 2-D.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.eye_(tg.empty(2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    _check_matrix(tensor)
    with no_grad():
        return tensor.copy_(eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution weight so that it passes as many channels as it can unchanged.

    Takes 3 to 5 dimensions; per group, channel i reads channel i at the kernel's centre.
    Raises ValueError for other dimensions or output channels that `groups` does not divide.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.dirac_(tg.empty(1, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            f"Only tensors with 3, 4, or 5 dimensions are supported, got {tensor.ndim} dimensions"
        )
    out_channels, in_channels, *kernel = tensor.shape
    if groups < 1 or out_channels % groups:
        raise ValueError(f"dim 0 ({out_channels}) must be divisible by groups ({groups})")
    per_group = out_channels // groups
    centre = [size // 2 for size in kernel]
    with no_grad():
        tensor.zero_()
        for first in range(0, out_channels, per_group):
            for channel in range(min(per_group, in_channels)):
                tensor[(first + channel, channel, *centre)] = 1
    return tensor


# Random values


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator=None) -> Tensor:
    """Draw from the uniform distribution over [a, b).

    >>> import tinygrad_lessons as tg
    >>> bool((tg.nn.init.uniform_(tg.empty(100), 2.0, 3.0) >= 2).all())
    True
    """
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator=None) -> Tensor:
    """Draw from the normal distribution.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.normal_(tg.empty(2), mean=5.0, std=0.0).tolist()
    [5.0, 5.0]
    """
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator=None,
) -> Tensor:
    """Draw from the normal distribution, again and again until the value lies in [a, b].

    Raises ValueError unless a < b, std > 0 and the mean is finite.

    >>> import tinygrad_lessons as tg
    >>> bool((tg.nn.init.trunc_normal_(tg.empty(100)).abs() <= 2).all())
    True
    """
    if not (a < b and std > 0 and math.isfinite(std) and math.isfinite(mean)):
        raise ValueError(
            "trunc_normal_: expected a < b, finite mean and finite std > 0, "
            f"got mean={mean}, std={std}, a={a}, b={b}"
        )
    # Where [a, b] holds little of the mass, drawing uniformly and accepting in proportion to the
    # density wastes less; 9 std from the peak the density has fallen below what float64 resolves.
    mass = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    peak = min(max(mean, a), b)
    low, high = max(a, peak - 9 * std), min(b, peak + 9 * std)
    with no_grad():
        draw, threshold = zeros_like(tensor), zeros_like(tensor)
        missing = ones_like(tensor, dtype=bool_)
        while missing.any():
            if mass > 0.3:
                draw.normal_(mean, std, generator=generator)
                rejected = (draw < a) | (draw > b)
            else:
                draw.uniform_(low, high, generator=generator)
                threshold.uniform_(0, 1, generator=generator)
                distance = ((draw - mean) / std).square() - ((peak - mean) / std) ** 2
                rejected = threshold > (-0.5 * distance).exp()
            tensor.copy_(where(missing, draw, tensor))
            missing = missing & rejected
    return tensor


def _normal_cdf(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator=None) -> Tensor:
    """Draw uniformly from ±gain · √(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward
    neural networks.

    >>> import tinygrad_lessons as tg
    >>> bool((tg.nn.init.xavier_uniform_(tg.empty(2, 4)).abs() <= 1).all())
    True
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator=None) -> Tensor:
    """Draw from the normal distribution with std gain · √(2 / (fan_in + fan_out)).

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.xavier_normal_(tg.empty(3, 4), gain=0.0).sum().item()
    0.0
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    """gain / √fan, or None (with a warning) where there is nothing to fill."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    fans = {"fan_in": fan_in, "fan_out": fan_out}
    if mode not in fans:
        raise ValueError(f"Mode {mode!r} not supported, please use one of {list(fans)}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator=None,
) -> Tensor:
    """Draw uniformly from ±√3 · gain / √fan, `a` being the slope of "leaky_relu".

    Source: He et al. 2015, Delving deep into rectifiers.

    >>> import tinygrad_lessons as tg
    >>> w = tg.nn.init.kaiming_uniform_(tg.empty(3, 6), nonlinearity="linear")
    >>> bool((w.abs() <= 0.7072).all())
    True
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator=None,
) -> Tensor:
    """Draw from the normal distribution with std gain / √fan.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.init.kaiming_normal_(tg.empty(3, 5), mode="fan_out", nonlinearity="relu").shape
    torch.Size([3, 5])
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator=None) -> Tensor:
    """Draw a matrix from the normal distribution and zero the share `sparsity` of each column.

    Source: Martens 2010, Deep learning via Hessian-free optimization. Raises ValueError unless 2-D.

    >>> import tinygrad_lessons as tg
    >>> int((tg.nn.init.sparse_(tg.empty(10, 3), sparsity=0.3) == 0).sum())
    9
    """
    _check_matrix(tensor)
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    normal_(tensor, 0.0, std, generator)
    with no_grad():
        for column in range(columns):
            tensor[randperm(rows, generator=generator)[:zeros], column] = 0
    return tensor


def _check_matrix(tensor):
    if tensor.ndim != 2:
        raise ValueError(
            f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}"
        )
