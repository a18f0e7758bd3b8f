"""Convolution layers."""

import math

from tinygrad_lessons._core import Parameter, Tensor, empty

from . import functional as F
from . import init
from .module import Module


def _per_dimension(value, dims: int) -> tuple:
    """One number for every dimension, or those given."""
    if not isinstance(value, tuple | list):
        return (value,) * dims
    if len(value) != dims:
        raise ValueError(f"expected one number or {dims}, but got {value}")
    return tuple(value)


class _Conv(Module):
    """What the convolutions share; `dims` is over how many dimensions they go."""

    dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple | str = 0,
        dilation: int | tuple = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"in_channels and out_channels must be divisible by groups, got {in_channels}, "
                f"{out_channels} and {groups}"
            )
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                "padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', "
                f"got {padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _per_dimension(kernel_size, self.dims)
        self.stride = _per_dimension(stride, self.dims)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"padding must be numbers, 'same' or 'valid', got {padding!r}")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding = padding
        else:
            self.padding = _per_dimension(padding, self.dims)
        self.dilation = _per_dimension(dilation, self.dims)
        self.groups = groups
        self.padding_mode = padding_mode
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(
            empty(out_channels, in_channels // groups, *self.kernel_size, **options)
        )
        self.register_parameter("bias", Parameter(empty(out_channels, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # that is, uniform in ±1/√fan_in
        fan_in = self.in_channels // self.groups * math.prod(self.kernel_size)
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def _margins(self) -> list[int]:
        """The padding as F.pad takes it: the last dimension first."""
        margins = []
        for d in reversed(range(self.dims)):
            if self.padding == "same":
                both = self.dilation[d] * (self.kernel_size[d] - 1)
                margins += [both // 2, both - both // 2]
            else:
                margins += [0 if self.padding == "valid" else self.padding[d]] * 2
        return margins

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._margins(), mode=self.padding_mode)
            padding = 0
        convolve = F.conv1d if self.dims == 1 else F.conv2d
        return convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0,) * self.dims:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.dims:
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_Conv):
    """conv1d with a weight and a bias of its own, for x (N, C, L) or (C, L).

    `weight` has shape (out_channels, in_channels / groups, kernel_size), `bias` (out_channels,) or
    is None. Both start uniform in ±1/√(in_channels / groups · kernel_size). `padding_mode` says
    what stands in the padding: 'zeros', 'reflect', 'replicate' or 'circular', as in F.pad. Raises
    ValueError for options that do not fit, RuntimeError for inputs that do not.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Conv1d(16, 33, 3, stride=2)(tg.randn(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    dims = 1


class Conv2d(_Conv):
    """conv2d with a weight and a bias of its own, for x (N, C, H, W) or (C, H, W).

    `weight` has shape (out_channels, in_channels / groups, *kernel_size); otherwise as Conv1d.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Conv2d(3, 8, (3, 5), padding=(1, 2))(tg.randn(4, 3, 28, 28)).shape
    torch.Size([4, 8, 28, 28])
    """

    dims = 2
