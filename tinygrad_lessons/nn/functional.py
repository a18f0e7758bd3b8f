"""The functions behind the layers, without state; usually imported as `F`."""

import math
import warnings

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor, no_grad, one_hot, ones, where

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elu",
    "embedding",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "instance_norm",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]


# Activations


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x), element by element; `inplace` overwrites the input.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.relu(tg.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return Tensor.relu_(input) if inplace else Tensor.relu(input)


def tanh(input: Tensor) -> Tensor:
    """tanh x, element by element.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.tanh(tg.zeros(1)).tolist()
    [0.0]
    """
    return Tensor.tanh(input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), element by element.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.sigmoid(tg.zeros(1)).tolist()
    [0.5]
    """
    return Tensor.sigmoid(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x / (1 + exp(-x)), element by element (Elfwing, Uchibe & Doya 2018); `inplace` overwrites the input.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.silu(tg.zeros(1)).tolist()
    [0.0]
    """
    return Tensor.silu_(input) if inplace else Tensor.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(log(1 + exp(x))), element by element; `inplace` overwrites the input.

    Source: Misra 2019, Mish: A Self Regularized Non-Monotonic Activation Function.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.mish(tg.zeros(1)).tolist()
    [0.0]
    """
    return Tensor.mish_(input) if inplace else Tensor.mish(input)


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta · x)) / beta, element by element; x where beta · x is above the threshold.

    >>> import tinygrad_lessons as tg
    >>> round(tg.nn.functional.softplus(tg.zeros(1)).item(), 4)
    0.6931
    """
    return Tensor.softplus(input, beta, threshold)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|), element by element.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.softsign(tg.tensor([-1.0, 3.0])).tolist()
    [-0.5, 0.75]
    """
    return Tensor.softsign(input)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha · (exp(x) - 1) below; `inplace` overwrites the input.

    Source: Clevert, Unterthiner and Hochreiter 2015, Exponential Linear Units.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.elu(tg.tensor([-1000.0, 2.0])).tolist()
    [-1.0, 2.0]
    """
    return Tensor.elu_(input, alpha) if inplace else Tensor.elu(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 · (x above 0, 1.6733 · (exp(x) - 1) below); `inplace` overwrites the input.

    Source: Klambauer et al. 2017, Self-Normalizing Neural Networks, which has the full constants.

    >>> import tinygrad_lessons as tg
    >>> round(tg.nn.functional.selu(tg.ones(1)).item(), 4)
    1.0507
    """
    return Tensor.selu_(input) if inplace else Tensor.selu(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha · (exp(x / alpha) - 1) below; `inplace` overwrites the input.

    Raises RuntimeError when alpha is 0. Source: Barron 2017, Continuously Differentiable
    Exponential Linear Units.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.celu(tg.tensor([-1000.0, 2.0]), alpha=0.5).tolist()
    [-0.5, 2.0]
    """
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")
    return Tensor.celu_(input, alpha) if inplace else Tensor.celu(input, alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x above 0, negative_slope · x below; `inplace` overwrites the input.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.leaky_relu(tg.tensor([-2.0, 2.0]), 0.5).tolist()
    [-1.0, 2.0]
    """
    if inplace:
        return Tensor.leaky_relu_(input, negative_slope)
    return Tensor.leaky_relu(input, negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x above 0, weight · x below; the weight has one element, or one per channel of (N, C, *).

    Raises RuntimeError for another number of weights. Source: He et al. 2015, Delving Deep into
    Rectifiers.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.prelu(tg.tensor([-2.0, 2.0]), tg.tensor(0.25)).tolist()
    [-0.5, 2.0]
    """
    return Tensor.prelu(input, weight)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x between min_val and max_val, else the nearer of these; `inplace` overwrites the input.

    Raises ValueError when min_val is above max_val.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.hardtanh(tg.tensor([-2.0, 0.5])).tolist()
    [-1.0, 0.5]
    """
    if min_val > max_val:
        raise ValueError(
            f"hardtanh: min_val ({min_val}) cannot be greater than max_val ({max_val})"
        )
    bounds = min_val, max_val
    return Tensor.hardtanh_(input, *bounds) if inplace else Tensor.hardtanh(input, *bounds)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6), element by element; `inplace` overwrites the input.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.relu6(tg.tensor([-2.0, 3.0, 9.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x + 3), 6) / 6, element by element; `inplace` overwrites the input.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.hardsigmoid(tg.tensor([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return Tensor.hardsigmoid_(input) if inplace else Tensor.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · min(max(0, x + 3), 6) / 6, element by element; `inplace` overwrites the input.

    Source: Howard et al. 2019, Searching for MobileNetV3.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.hardswish(tg.tensor([-4.0, 0.0, 4.0])).tolist()
    [-0.0, 0.0, 4.0]
    """
    return Tensor.hardswish_(input) if inplace else Tensor.hardswish(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x above the threshold, else `value`; `inplace` overwrites the input.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.threshold(tg.tensor([1.0, 3.0]), 2.0, 20.0).tolist()
    [20.0, 3.0]
    """
    if inplace:
        return Tensor.threshold_(input, threshold, value)
    return Tensor.threshold(input, threshold, value)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh x, element by element.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.tanhshrink(tg.zeros(1)).tolist()
    [0.0]
    """
    return Tensor.tanhshrink(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, or 0 where |x| ≤ lambd.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.hardshrink(tg.tensor([-2.0, 0.25])).tolist()
    [-2.0, 0.0]
    """
    return Tensor.hardshrink(input, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and 0 where |x| ≤ lambd. Raises RuntimeError for lambd below 0.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.softshrink(tg.tensor([-2.0, 0.25])).tolist()
    [-1.5, 0.0]
    """
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return Tensor.softshrink(input, lambd)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a · σ(b) with a and b the halves of the input along `dim`.

    Raises RuntimeError when that dimension is odd. Source: Dauphin et al. 2016, Language Modeling
    with Gated Convolutional Networks.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.glu(tg.tensor([3.0, 0.0])).tolist()
    [1.5]
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    size = input.size(dim)
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    return input.narrow(dim, 0, size // 2) * input.narrow(dim, size // 2, size // 2).sigmoid()


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))), element by element, without overflow.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.logsigmoid(tg.tensor([-1000.0])).tolist()
    [-1000.0]
    """
    return Tensor.logsigmoid(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x) with Φ the normal distribution function; "tanh" approximates Φ.

    Source: Hendrycks and Gimpel 2016, Gaussian Error Linear Units.

    >>> import tinygrad_lessons as tg
    >>> round(tg.nn.functional.gelu(tg.tensor([1.0])).item(), 4)
    0.8413
    """
    return Tensor.gelu(input, approximate=approximate)


def softmax(input: Tensor, dim: int | None = None, *, dtype=None) -> Tensor:
    """exp(xᵢ) / Σⱼ exp(xⱼ) along `dim`; the input is converted to `dtype` first, if given.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.softmax(tg.zeros(4), dim=0).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    dim = _implicit_dim("softmax", input) if dim is None else dim
    return (input if dtype is None else input.to(dtype)).softmax(dim)


def log_softmax(input: Tensor, dim: int | None = None, *, dtype=None) -> Tensor:
    """xᵢ - log Σⱼ exp(xⱼ) along `dim`; the input is converted to `dtype` first, if given.

    >>> import tinygrad_lessons as tg
    >>> round(tg.nn.functional.log_softmax(tg.zeros(2), dim=0)[0].item(), 4)
    -0.6931
    """
    dim = _implicit_dim("log_softmax", input) if dim is None else dim
    return (input if dtype is None else input.to(dtype)).log_softmax(dim)


def softmin(input: Tensor, dim: int | None = None, *, dtype=None) -> Tensor:
    """exp(-xᵢ) / Σⱼ exp(-xⱼ) along `dim`; the input is converted to `dtype` first, if given.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.softmin(tg.zeros(4), dim=0).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    dim = _implicit_dim("softmin", input) if dim is None else dim
    return (-(input if dtype is None else input.to(dtype))).softmax(dim)


def _implicit_dim(name, input):
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


# Layers


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b with x (*, in), W (out, in) and b (out,).

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.linear(tg.ones(1, 2), tg.ones(3, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    return _core.linear(input, weight, bias)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) that `input` (*, int64 or int32) names, as (*, D).

    Args:
        padding_idx: the row that gets no gradient; negative ones count from the end.
        max_norm: first, rows to be looked up whose norm is greater are scaled to it, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: each row's gradient is divided by how often `input` names the row.
        sparse: the gradient holds only the rows that were looked up, and which they are.

    Raises:
        AssertionError: `padding_idx` is no row of the weight.
        IndexError: an index is below 0, or not below V.
        RuntimeError: `input` holds no integers, or `weight` is no matrix. In backward: a sparse
            gradient is to be scaled by frequency, or differentiated again.

    >>> import tinygrad_lessons as tg
    >>> weight = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> tg.nn.functional.embedding(tg.tensor([2, 0]), weight).tolist()
    [[5.0, 6.0], [1.0, 2.0]]
    """
    if max_norm is not None:
        with no_grad():
            rows = embedding(input, weight, padding_idx)
            norm = rows.norm(norm_type, -1, keepdim=True)
            weight[input] = where(norm > max_norm, rows * (max_norm / (norm + 1e-7)), rows)
    return _core.embedding(input, weight, padding_idx, scale_grad_by_freq, sparse)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple = 1,
    padding: int | tuple | str = 0,
    dilation: int | tuple = 1,
    groups: int = 1,
) -> Tensor:
    """y[o, i] = bias[o] + Σ weight[o, c, k] x[c, i · stride + k · dilation - padding].

    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,); float32 or float64. `padding`
    counts the zeros before and behind, 'same' keeps the length (at stride 1), 'valid' is none.
    With groups, the first O / groups outputs see the first C / groups channels, and so on. Raises
    RuntimeError when shapes, dtypes or options do not fit.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1.0, 2.0, 4.0]])
    >>> tg.nn.functional.conv1d(x, tg.tensor([[[-1.0, 1.0]]])).tolist()
    [[1.0, 2.0]]
    """
    return _core.conv1d(input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple = 1,
    padding: int | tuple | str = 0,
    dilation: int | tuple = 1,
    groups: int = 1,
) -> Tensor:
    """conv1d over two dimensions: input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW).

    `stride`, `padding` and `dilation` are one number, or one for each of height and width. Raises
    RuntimeError when shapes, dtypes or options do not fit.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.conv2d(tg.ones(1, 3, 3), tg.ones(1, 1, 2, 2), padding="same").tolist()
    [[[4.0, 4.0, 2.0], [4.0, 4.0, 2.0], [2.0, 2.0, 1.0]]]
    """
    return _core.conv2d(input, weight, bias, stride, padding, dilation, groups)


def pad(input: Tensor, pad: tuple, mode: str = "constant", value: float | None = None) -> Tensor:
    """Widens the last dimensions: `pad` is (before, behind) of the last, then of the one before it …

    Modes: 'constant' puts `value` (0), 'reflect' mirrors at the outermost elements, 'replicate'
    repeats these, 'circular' goes on at the other end; all but the first leave the leading one or
    two dimensions alone. Negative numbers cut off. Raises RuntimeError or ValueError where the
    input is too small.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1, 2, 3]])
    >>> tg.nn.functional.pad(x, (1, 2)).tolist()
    [[0, 1, 2, 3, 0, 0]]
    >>> tg.nn.functional.pad(x, (2, 1), mode="reflect").tolist()
    [[3, 2, 1, 2, 3, 2]]
    """
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(
            f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', not {mode!r}"
        )
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"pad: expected two numbers for each of at most {input.ndim} dimensions, got {pad}"
        )
    if mode != "constant":
        if value not in (None, 0):
            raise ValueError(f"pad: mode {mode!r} does not take a value, got {value}")
        if input.ndim - len(pad) // 2 not in (1, 2):
            raise NotImplementedError(
                f"pad: mode {mode!r} leaves the leading one or two dimensions alone; pad {pad} "
                f"does not fit an input of shape {tuple(input.shape)}"
            )
    for i in range(len(pad) // 2):
        before, behind = pad[2 * i], pad[2 * i + 1]
        if before or behind:
            input = _pad_dim(input, input.ndim - 1 - i, before, behind, mode, value or 0)
    return input


def _pad_dim(x, dim, before, behind, mode, value):
    """One dimension. What is cut off is still there for 'reflect' and 'replicate' to repeat."""
    cut = max(-before, 0), max(-behind, 0)
    widen = max(before, 0), max(behind, 0)
    size = x.shape[dim]
    left = size - sum(cut)
    fits = {
        "constant": left >= 0,
        "reflect": max(widen) < size and left + sum(widen) > 0,
        "replicate": size > 0 and left + sum(widen) > 0,
        "circular": max(widen) <= left,
    }
    if not fits[mode]:
        raise RuntimeError(
            f"pad: an input of shape {tuple(x.shape)} is too small in dimension {dim} for padding "
            f"{before, behind} in mode {mode!r}"
        )

    def constant(n):
        shape = [*x.shape]
        shape[dim] = n
        return _core.full(shape, value, dtype=x.dtype)

    def repeated(start, n):
        shape = [*x.shape]
        shape[dim] = n
        return x.narrow(dim, start, min(n, 1)).expand(shape)

    if mode in ("constant", "circular") and any(cut):
        x, size, cut = x.narrow(dim, cut[0], left), left, (0, 0)
    if any(widen):
        if mode == "constant":
            ends = constant(widen[0]), constant(widen[1])
        elif mode == "reflect":
            ends = (
                x.narrow(dim, 1, widen[0]).flip(dim),
                x.narrow(dim, size - 1 - widen[1], widen[1]).flip(dim),
            )
        elif mode == "replicate":
            ends = repeated(0, widen[0]), repeated(size - 1, widen[1])
        else:
            ends = x.narrow(dim, size - widen[0], widen[0]), x.narrow(dim, 0, widen[1])
        x = _core.cat([ends[0], x, ends[1]], dim)
    return x.narrow(dim, cut[0], left + sum(widen)) if any(cut) else x


# Pooling


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


# Dropout and normalisation


def _check_probability(p: float) -> None:
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
    _check_probability(p)
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
    _check_probability(p)
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
    _check_probability(p)
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


# Losses


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


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """(input - target)², reduced; warns when the shapes differ and broadcast.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.mse_loss(tg.ones(2), tg.tensor([1.0, 3.0])).item()
    2.0
    """
    _warn_of_sizes(input, target)
    return _reduce(input.squared_difference(target), reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """|input - target|, reduced; warns when the shapes differ and broadcast.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.l1_loss(tg.ones(2), tg.tensor([1.0, 3.0])).item()
    1.0
    """
    _warn_of_sizes(input, target)
    return _reduce(input.absolute_difference(target), reduction)


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
