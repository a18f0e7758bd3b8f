"""RMSprop."""

from .optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop: gradients measured by their recent root mean square, element by element.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        v ← alpha · v + (1 - alpha) · g²
        m ← alpha · m + (1 - alpha) · g                   (centered)
        d ← g / (√v + eps)                                (g / (√(v - m²) + eps) if centered)
        b ← momentum · b + d                              (momentum)
        p ← p - lr · d                                    (p - lr · b with momentum)

    The state is `step`, `square_avg` (v), `momentum_buffer` (b) and `grad_avg` (m). Where rounding
    leaves v - m² below zero it counts as zero; PyTorch's root is NaN there.

    Sources: Tieleman and Hinton 2012, Coursera, lecture 6.5; centered: Graves 2013, Generating
    sequences with recurrent neural networks, equations 38 to 45.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> rmsprop = tg.optim.RMSprop([p], lr=0.5, alpha=0.75)
    >>> (p * p).sum().backward()
    >>> rmsprop.step()
    >>> p.tolist()
    [0.0, -1.0]
    """

    _rule = "rmsprop"

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        if not group["alpha"] >= 0:
            raise ValueError(f"Invalid alpha value: {group['alpha']}")
