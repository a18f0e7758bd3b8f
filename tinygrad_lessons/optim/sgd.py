"""Stochastic gradient descent, with momentum."""

from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent; batch and mini-batch descent differ by the loader only.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        b ← momentum · b + (1 - dampening) · g            (b ← g in the first step)
        p ← p - lr · (g + momentum · b if nesterov else b)

    Without momentum, p ← p - lr · g. The state is `momentum_buffer`, b.

    Sources: Polyak 1964; Nesterov's form as in Sutskever et al. 2013, On the importance of
    initialization and momentum in deep learning.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, fused: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> sgd = tg.optim.SGD([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> sgd.step()
    >>> p.tolist()
    [0.5, -1.0]
    """

    _rule = "sgd"
    _gradients = ("dense", "sparse")

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
