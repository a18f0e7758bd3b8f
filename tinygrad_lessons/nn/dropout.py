"""Dropout layers."""

from tinygrad_lessons._core import Tensor

from . import functional as F
from .functional.dropout import check_probability
from .module import Module


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_probability(p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zeroes each element with probability `p` and scales the rest by 1 / (1 - p).

    In evaluation mode it returns its input. Raises ValueError unless 0 ≤ p ≤ 1.
    Source: Hinton et al. 2012, Improving neural networks by preventing co-adaptation.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> sorted(set(nn.Dropout(0.5)(tg.ones(1000)).tolist()))
    [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """In training, zeroes each channel of (N, C, L) or (C, L) with probability `p`, scales the rest.

    Raises ValueError unless 0 ≤ p ≤ 1, and RuntimeError for other dimensions.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> sorted(set(nn.Dropout1d(0.5)(tg.ones(100, 3)).sum(1).tolist()))
    [0.0, 6.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """In training, zeroes each channel of (N, C, H, W) with probability `p` and scales the rest.

    Raises ValueError unless 0 ≤ p ≤ 1.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> sorted(set(nn.Dropout2d(0.5)(tg.ones(1, 100, 3, 1)).sum((2, 3)).flatten().tolist()))
    [0.0, 6.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)
