"""Batch, instance, layer, RMS and group normalisation."""

import numbers
import warnings

from tinygrad_lessons._core import Parameter, Tensor, int64, ones, tensor, zeros

from . import functional as F
from . import init
from .module import Module


class _Norm(Module):
    """A weight that starts at 1 and a bias that starts at 0, where a layer has them."""

    def _make_parameters(self, shape, weight: bool, bias: bool, device, dtype) -> None:
        options = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(shape, **options)) if weight else None)
        self.register_parameter("bias", Parameter(zeros(shape, **options)) if bias else None)

    def reset_parameters(self) -> None:
        """Reset weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _RunningNorm(_Norm):
    """What batch and instance norm share: a mean and a variance per channel that follow the batches."""

    _dimensions: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device,
        dtype,
        bias: bool,
    ):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_parameters(num_features, affine, affine and bias, device, dtype)
        options, tracked = {"device": device, "dtype": dtype}, track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **options) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **options) if tracked else None)
        self.register_buffer(
            "num_batches_tracked", tensor(0, dtype=int64, device=device) if tracked else None
        )

    def reset_running_stats(self) -> None:
        """Set the running statistics to mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Reset the running statistics, and weight to 1 and bias to 0."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_dimensions(self, input: Tensor) -> None:
        if input.ndim not in self._dimensions:
            expected = " or ".join(f"{n}D" for n in self._dimensions)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ):
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_dimensions(input)
        tracking = self.training and self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        keep = tracking or not self.training  # the running statistics, to update or to use
        return F.batch_norm(
            input,
            self.running_mean if keep else None,
            self.running_var if keep else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """y = (x - mean) / √(var + eps) · weight + bias per channel, for x (N, C) or (N, C, L).

    In training, mean and (biased) variance are those of the batch, and the running statistics
    move towards them: running = (1 - momentum) running + momentum batch, with the unbiased
    variance; `momentum=None` makes them the plain average over all batches. In evaluation the
    running statistics normalise, or the batch's if `track_running_stats=False`.

    Raises ValueError for other dimensions, and in training for a single value per channel.
    Source: Ioffe and Szegedy 2015, Batch Normalization.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.BatchNorm1d(2)(tg.tensor([[1.0, 5.0], [3.0, 9.0]])).round().tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    _dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images (N, C, H, W): one mean and variance per channel.

    Raises ValueError for other dimensions, and in training for a single value per channel.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> y = nn.BatchNorm2d(3)(tg.rand(8, 3, 5, 5))
    >>> y.mean((0, 2, 3)).abs().max().item() < 1e-5
    True
    """

    _dimensions = (4,)


class _InstanceNorm(_RunningNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ):
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_dimensions(input)
        single = input.ndim == self._dimensions[0]  # one sample, without the batch's dimension
        channels = input.shape[0 if single else 1]
        if channels != self.num_features:
            message = (
                f"expected input's size at dim={0 if single else 1} to match num_features "
                f"({self.num_features}), but got: {channels}."
            )
            if self.affine:
                raise ValueError(message)
            warnings.warn(message, stacklevel=2)
        output = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return output.squeeze(0) if single else output


class InstanceNorm1d(_InstanceNorm):
    """y = (x - mean) / √(var + eps) · weight + bias per channel of each sample, x (N, C, L) or (C, L).

    Running statistics, off by default, average those of the samples; in evaluation they normalise.
    Raises ValueError for other dimensions, and in training for a single value per channel.
    Source: Ulyanov, Vedaldi and Lempitsky 2016, Instance Normalization.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.InstanceNorm1d(1)(tg.tensor([[[1.0, 3.0]], [[0.0, 8.0]]])).round().tolist()
    [[[-1.0, 1.0]], [[-1.0, 1.0]]]
    """

    _dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images (N, C, H, W) or (C, H, W).

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> y = nn.InstanceNorm2d(3)(tg.rand(8, 3, 5, 5))
    >>> y.mean((2, 3)).abs().max().item() < 1e-5
    True
    """

    _dimensions = (3, 4)


def _as_shape(normalized_shape) -> tuple[int, ...]:
    whole = isinstance(normalized_shape, numbers.Integral)
    return (normalized_shape,) if whole else tuple(normalized_shape)


class LayerNorm(_Norm):
    """y = (x - mean) / √(var + eps) · weight + bias over the last dimensions, `normalized_shape`.

    Weight and bias have the normalised shape; `elementwise_affine=False` leaves out both,
    `bias=False` the bias. Raises RuntimeError when the last dimensions do not fit.
    Source: Ba, Kiros and Hinton 2016, Layer Normalization.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.LayerNorm(2)(tg.tensor([[1.0, 3.0], [2.0, 10.0]])).round().tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(
            self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Norm):
    """y = x / √(mean(x²) + eps) · weight over the last dimensions, `normalized_shape`.

    `eps=None` stands for the machine epsilon of the input's type. Raises RuntimeError when the
    last dimensions do not fit. Source: Zhang and Sennrich 2019, Root Mean Square Layer
    Normalization.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.RMSNorm(2)(tg.tensor([[5.0, 5.0], [-0.5, 0.5]])).round().tolist()
    [[1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        options = {"device": device, "dtype": dtype}
        weight = Parameter(ones(self.normalized_shape, **options)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self) -> None:
        """Reset the weight to 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Norm):
    """y = (x - mean) / √(var + eps) · weight + bias per sample and group of channels, x (N, C, *).

    The C channels form `num_groups` groups of neighbours; weight and bias are per channel.
    Raises ValueError when the groups do not divide the channels.
    Source: Wu and He 2018, Group Normalization.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.GroupNorm(1, 2)(tg.tensor([[1.0, 3.0], [2.0, 10.0]])).round().tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_parameters(num_channels, affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
