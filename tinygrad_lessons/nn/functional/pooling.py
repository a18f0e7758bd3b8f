"""Pooling: windows become their largest element, or their mean."""

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor


def max_pool1d(
    input: Tensor,
    kernel_size: int | tuple,
    stride: int | tuple | None = None,
    padding: int | tuple = 0,
    dilation: int | tuple = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The maxima of windows over the last dimension of (N, C, L) or (C, L).

    `stride` is the kernel's size if None; padding, at most half the kernel's size, counts as -∞;
    `ceil_mode` keeps a last window that reaches behind the end. With `return_indices`, also where
    each maximum is, as int64. A dilated window may read padding only: its maximum is -∞, its index
    -1, and no gradient goes back. Raises RuntimeError when the windows do not fit.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.max_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2).tolist()
    [[3.0, 2.0]]
    """
    return _core.max_pool(
        input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Tensor,
    kernel_size: int | tuple,
    stride: int | tuple | None = None,
    padding: int | tuple = 0,
    dilation: int | tuple = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """max_pool1d over the last two dimensions of (N, C, H, W) or (C, H, W).

    Indices count row by row within the plane. Raises RuntimeError when the windows do not fit.

    >>> import tinygrad_lessons as tg
    >>> x = tg.arange(16.0).reshape(1, 4, 4)
    >>> tg.nn.functional.max_pool2d(x, 2).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """
    return _core.max_pool(
        input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def avg_pool1d(
    input: Tensor,
    kernel_size: int | tuple,
    stride: int | tuple | None = None,
    padding: int | tuple = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The averages of windows over the last dimension of (N, C, L) or (C, L).

    Padding is zeros, which count in the average unless `count_include_pad` is false; the rest as
    in max_pool1d. A window of n elements sums them one after another up to 64, more in a fixed
    tree: the average is off by at most min(n, 65 + log₂ n) · u times the average of |x|, where u is
    2⁻²⁴ (float64: 2⁻⁵³).

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.avg_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2).tolist()
    [[2.0, 1.0]]
    """
    return _core.avg_pool(
        input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input: Tensor,
    kernel_size: int | tuple,
    stride: int | tuple | None = None,
    padding: int | tuple = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """avg_pool1d over the last two dimensions of (N, C, H, W) or (C, H, W).

    `divisor_override` divides every sum, whatever the window.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.avg_pool2d(tg.arange(4.0).reshape(1, 2, 2), 2).tolist()
    [[[1.5]]]
    """
    return _core.avg_pool(
        input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def adaptive_avg_pool1d(input: Tensor, output_size: int | tuple) -> Tensor:
    """The averages of `output_size` windows that cover the last dimension of (N, C, L) or (C, L).

    Window i runs from ⌊i L / output_size⌋ to ⌈(i + 1) L / output_size⌉.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.adaptive_avg_pool1d(tg.arange(3.0).reshape(1, 3), 2).tolist()
    [[0.5, 1.5]]
    """
    return _core.adaptive_avg_pool(input, 1, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: int | tuple) -> Tensor:
    """adaptive_avg_pool1d over the last two dimensions; a size of None keeps the input's.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.ones(8, 5, 7), (1, None)).shape
    torch.Size([8, 1, 7])
    """
    return _core.adaptive_avg_pool(input, 2, output_size)


def adaptive_max_pool1d(
    input: Tensor, output_size: int | tuple, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """The maxima of the windows of adaptive_avg_pool1d; indices as in max_pool1d.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.adaptive_max_pool1d(tg.arange(3.0).reshape(1, 3), 2).tolist()
    [[1.0, 2.0]]
    """
    return _core.adaptive_max_pool(input, 1, output_size, return_indices)


def adaptive_max_pool2d(
    input: Tensor, output_size: int | tuple, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """The maxima of the windows of adaptive_avg_pool2d; indices as in max_pool2d.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.adaptive_max_pool2d(tg.arange(4.0).reshape(1, 2, 2), 1).tolist()
    [[[3.0]]]
    """
    return _core.adaptive_max_pool(input, 2, output_size, return_indices)
