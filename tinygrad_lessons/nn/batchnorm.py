"""Batch normalisation."""

from tinygrad_lessons._core import Parameter, Tensor, int64, ones, tensor, zeros

from . import functional as F
from . import init
from .module import Module


class BatchNorm1d(Module):
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
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

        options = {"device": device, "dtype": dtype}
        biased, tracked = affine and bias, track_running_stats
        zero, one = zeros(num_features, **options), ones(num_features, **options)
        self.register_parameter("weight", Parameter(one.clone()) if affine else None)
        self.register_parameter("bias", Parameter(zero.clone()) if biased else None)
        self.register_buffer("running_mean", zero if tracked else None)
        self.register_buffer("running_var", one if tracked else None)
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
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.ndim}D input)")
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

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
