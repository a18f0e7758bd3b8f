"""Pooling layers."""

from tinygrad_lessons._core import Tensor

from . import functional as F
from .module import Module


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: int | tuple,
        stride: int | tuple | None = None,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """max_pool1d: the maxima of windows over the last dimension of (N, C, L) or (C, L).

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.MaxPool1d(2)(tg.tensor([[1.0, 3.0, 2.0, 0.0]])).tolist()
    [[3.0, 2.0]]
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return F.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class MaxPool2d(_MaxPool):
    """max_pool2d: the maxima of windows over the last two dimensions of (N, C, H, W) or (C, H, W).

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.MaxPool2d(3, stride=2, padding=1)(tg.randn(8, 16, 28, 28)).shape
    torch.Size([8, 16, 14, 14])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class _AvgPool(Module):
    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """avg_pool1d: the averages of windows over the last dimension of (N, C, L) or (C, L).

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.AvgPool1d(2)(tg.tensor([[1.0, 3.0, 2.0, 0.0]])).tolist()
    [[2.0, 1.0]]
    """

    def __init__(
        self,
        kernel_size: int | tuple,
        stride: int | tuple | None = None,
        padding: int | tuple = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__()
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            value if isinstance(value, tuple) else (value,)
            for value in (kernel_size, stride, padding)
        )
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool2d(_AvgPool):
    """avg_pool2d: the averages of windows over the last two dimensions.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.AvgPool2d(2)(tg.arange(4.0).reshape(1, 2, 2)).tolist()
    [[[1.5]]]
    """

    def __init__(
        self,
        kernel_size: int | tuple,
        stride: int | tuple | None = None,
        padding: int | tuple = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class _AdaptivePool(Module):
    def __init__(self, output_size: int | tuple):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """adaptive_avg_pool1d: the averages of `output_size` windows over the last dimension.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.AdaptiveAvgPool1d(5)(tg.randn(64, 8)).shape
    torch.Size([64, 5])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """adaptive_avg_pool2d: averages over the last two dimensions; a size of None keeps the input's.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.AdaptiveAvgPool2d(1)(tg.randn(64, 8, 9)).shape
    torch.Size([64, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: int | tuple, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """adaptive_max_pool1d: the maxima of `output_size` windows over the last dimension.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.AdaptiveMaxPool1d(5)(tg.randn(64, 8)).shape
    torch.Size([64, 5])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """adaptive_max_pool2d: maxima over the last two dimensions; a size of None keeps the input's.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.AdaptiveMaxPool2d((3, None))(tg.randn(64, 8, 9)).shape
    torch.Size([64, 3, 9])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)
