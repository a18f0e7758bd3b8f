"""Activation functions as layers; the formulas stand in `functional`."""

from tinygrad_lessons._core import Parameter, Tensor, empty

from . import functional as F
from . import init
from .module import Module


class _InPlace(Module):
    """What can overwrite its input, with `inplace=True`."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def _settings(self) -> list[str]:
        return []

    def extra_repr(self) -> str:
        return ", ".join([*self._settings(), *["inplace=True"] * self.inplace])


class ReLU(_InPlace):
    """max(0, x), element by element; overwrites its input with `inplace=True`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.ReLU()(tg.tensor([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.relu_() if self.inplace else input.relu()


class Tanh(Module):
    """tanh x, element by element.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Tanh()(tg.zeros(2)).tolist()
    [0.0, 0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.tanh()


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Sigmoid()(tg.zeros(2)).tolist()
    [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.sigmoid()


class GELU(Module):
    """x Φ(x) with Φ the normal distribution function, or its "tanh" approximation.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.GELU("tanh")(tg.zeros(2)).tolist()
    [0.0, 0.0]
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return input.gelu(approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_InPlace):
    """x σ(x), element by element; see `functional.silu`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.SiLU()(tg.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """x tanh(log(1 + exp(x))), element by element; see `functional.mish`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Mish()(tg.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class LogSigmoid(Module):
    """log σ(x), element by element; see `functional.logsigmoid`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.LogSigmoid()(tg.tensor([-1000.0])).tolist()
    [-1000.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta · x)) / beta, or x where beta · x is above the threshold; see `functional.softplus`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Softplus()(tg.tensor([30.0])).tolist()
    [30.0]
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    """x / (1 + |x|), element by element; see `functional.softsign`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Softsign()(tg.tensor([-1.0, 3.0])).tolist()
    [-0.5, 0.75]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class ELU(_InPlace):
    """x above 0, alpha · (exp(x) - 1) below; see `functional.elu`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.ELU()(tg.tensor([-1000.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def _settings(self) -> list[str]:
        return [f"alpha={self.alpha}"]


class CELU(_InPlace):
    """x above 0, alpha · (exp(x / alpha) - 1) below; see `functional.celu`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.CELU(0.5)(tg.tensor([-1000.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)

    def _settings(self) -> list[str]:
        return [f"alpha={self.alpha}"]


class SELU(_InPlace):
    """ELU scaled so that activations keep mean 0 and variance 1; see `functional.selu`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.SELU()(tg.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class LeakyReLU(_InPlace):
    """x above 0, negative_slope · x below; see `functional.leaky_relu`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.LeakyReLU(0.5)(tg.tensor([-2.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def _settings(self) -> list[str]:
        return [f"negative_slope={self.negative_slope}"]


class PReLU(Module):
    """x above 0, weight · x below, with a learned weight; see `functional.prelu`.

    `num_parameters` is 1, or the number of channels of x (N, C, *); the weight starts at `init`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.PReLU()(tg.tensor([-2.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to its starting value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Hardtanh(_InPlace):
    """x between min_val and max_val, else the nearer of these; see `functional.hardtanh`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Hardtanh()(tg.tensor([-2.0, 0.5])).tolist()
    [-1.0, 0.5]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__(inplace)
        if max_val <= min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def _settings(self) -> list[str]:
        return [f"min_val={self.min_val}", f"max_val={self.max_val}"]


class ReLU6(Hardtanh):
    """min(max(0, x), 6), element by element; see `functional.relu6`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.ReLU6()(tg.tensor([-2.0, 3.0, 9.0])).tolist()
    [0.0, 3.0, 6.0]
    """

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def _settings(self) -> list[str]:
        return []


class Hardsigmoid(_InPlace):
    """min(max(0, x + 3), 6) / 6, element by element; see `functional.hardsigmoid`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Hardsigmoid()(tg.tensor([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""  # PyTorch does not show `inplace` here


class Hardswish(_InPlace):
    """x · min(max(0, x + 3), 6) / 6, element by element; see `functional.hardswish`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Hardswish()(tg.tensor([0.0, 4.0])).tolist()
    [0.0, 4.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""  # PyTorch does not show `inplace` here


class Threshold(_InPlace):
    """x above the threshold, else `value`; see `functional.threshold`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Threshold(2.0, 20.0)(tg.tensor([1.0, 3.0])).tolist()
    [20.0, 3.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def _settings(self) -> list[str]:
        return [f"threshold={self.threshold}", f"value={self.value}"]


class Tanhshrink(Module):
    """x - tanh x, element by element; see `functional.tanhshrink`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Tanhshrink()(tg.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Hardshrink(Module):
    """x, or 0 where |x| ≤ lambd; see `functional.hardshrink`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Hardshrink()(tg.tensor([-2.0, 0.25])).tolist()
    [-2.0, 0.0]
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Module):
    """x moved towards 0 by lambd, and 0 where |x| ≤ lambd; see `functional.softshrink`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Softshrink()(tg.tensor([-2.0, 0.25])).tolist()
    [-1.5, 0.0]
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class GLU(Module):
    """a · σ(b) with a and b the halves of the input along `dim`; see `functional.glu`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.GLU()(tg.tensor([3.0, 0.0])).tolist()
    [1.5]
    """

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(Module):
    """exp(xᵢ) / Σⱼ exp(xⱼ) along `dim`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Softmax(dim=1)(tg.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Softmax):
    """exp(-xᵢ) / Σⱼ exp(-xⱼ) along `dim`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.Softmin(dim=1)(tg.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class LogSoftmax(Softmax):
    """xᵢ - log Σⱼ exp(xⱼ) along `dim`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> round(nn.LogSoftmax(dim=0)(tg.zeros(2))[0].item(), 4)
    -0.6931
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)
