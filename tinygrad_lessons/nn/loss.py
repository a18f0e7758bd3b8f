"""Losses as modules; the formulas stand in `functional`."""

from tinygrad_lessons._core import Tensor

from . import functional as F
from .module import Module


class _Loss(Module):
    """What losses share: `reduction` is "mean", "sum" or "none"."""

    def __init__(self, *, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction


class MSELoss(_Loss):
    """Mean of (input - target)²; see `functional.mse_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Mean of |input - target|; see `functional.l1_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.L1Loss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    1.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """Square near 0, linear beyond `delta`; see `functional.huber_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.HuberLoss()(tg.tensor([1.0, 4.0]), tg.zeros(2)).item()
    2.0
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(_Loss):
    """Square near 0, with slope 1 beyond `beta`; see `functional.smooth_l1_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.SmoothL1Loss(beta=2.0)(tg.tensor([1.0, 4.0]), tg.zeros(2)).item()
    1.625
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction=reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class NLLLoss(_Loss):
    """Negative log-likelihood of class indices, given log-probabilities; see `functional.nll_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.NLLLoss()(tg.tensor([[-0.5, -1.0]]), tg.tensor([1])).item()
    1.0
    """

    def __init__(
        self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
    ):
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits with class indices or probabilities; see `functional.cross_entropy`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> round(nn.CrossEntropyLoss()(tg.zeros(1, 2), tg.tensor([1])).item(), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities; see `functional.binary_cross_entropy`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> round(nn.BCELoss()(tg.full((3,), 0.5), tg.ones(3)).item(), 4)
    0.6931
    """

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits; see `functional.binary_cross_entropy_with_logits`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> round(nn.BCEWithLogitsLoss()(tg.zeros(3), tg.ones(3)).item(), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence of the target from log-probabilities; see `functional.kl_div`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> p, q = tg.tensor([[0.5, 0.5]]), tg.tensor([[0.25, 0.75]])
    >>> round(nn.KLDivLoss(reduction="batchmean")(q.log(), p).item(), 4)
    0.1438
    """

    def __init__(self, *, reduction: str = "mean", log_target: bool = False):
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(_Loss):
    """Negative log-likelihood of a normal distribution; see `functional.gaussian_nll_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.GaussianNLLLoss()(tg.zeros(2), tg.tensor([1.0, 3.0]), tg.ones(2)).item()
    2.5
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(
            input, target, var, self.full, self.eps, reduction=self.reduction
        )


class PoissonNLLLoss(_Loss):
    """Negative log-likelihood of a Poisson distribution; see `functional.poisson_nll_loss`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> nn.PoissonNLLLoss()(tg.zeros(1), tg.tensor([3.0])).item()
    1.0
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: str = "mean",
    ):
        super().__init__(reduction=reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )
