"""Dropout layers."""

from tinygrad_lessons._core import Tensor

from . import functional as F
from .module import Module


class Dropout(Module):
    """In training, zeroes each element with probability `p` and scales the rest by 1 / (1 - p).

    In evaluation mode it returns its input. Raises ValueError unless 0 ≤ p ≤ 1.
    Source: Hinton et al. 2012, Improving neural networks by preventing co-adaptation.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> sorted(set(nn.Dropout(0.5)(tg.ones(1000)).tolist()))
    [0.0, 2.0]
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        F._check_probability(p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
