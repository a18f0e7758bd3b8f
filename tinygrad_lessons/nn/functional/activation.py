"""Activations."""

import warnings

from tinygrad_lessons._core import Tensor


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
