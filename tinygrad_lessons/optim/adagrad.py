"""Adagrad and Adadelta: step sizes from the squares of all gradients, or of the recent ones."""

from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Adagrad: each element's step shrinks with the root of the sum of its squared gradients.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        s ← s + g²                                        (s is initial_accumulator_value at first)
        p ← p - lr / (1 + (t - 1) · lr_decay) · g / (√s + eps)

    The state is `step` (t) and `sum` (s); as in PyTorch it is there from the start.

    Source: Duchi, Hazan and Singer 2011, Adaptive subgradient methods.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, fused: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> adagrad = tg.optim.Adagrad([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> adagrad.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "adagrad"
    _gradients = ("dense", "sparse")

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for step, group in zip(self._compiled(), self.param_groups, strict=True):
            step.begin_all(group, self.state)


class Adadelta(Optimizer):
    """Adadelta: steps in the unit of the parameter, from the mean squares of steps and gradients.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        v ← rho · v + (1 - rho) · g²
        d ← √(u + eps) / √(v + eps) · g
        u ← rho · u + (1 - rho) · d²
        p ← p - lr · d

    The state is `step`, `square_avg` (v) and `acc_delta` (u).

    Source: Zeiler 2012, ADADELTA: an adaptive learning rate method, algorithm 1.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> adadelta = tg.optim.Adadelta([p], rho=0.75, eps=1.0)
    >>> (p * 2).sum().backward()
    >>> adadelta.step()
    >>> print(p)
    tensor([-0.4142], requires_grad=True)
    """

    _rule = "adadelta"

    def __init__(
        self,
        params,
        lr=1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        if not group["rho"] <= 1:
            raise ValueError(f"Invalid rho value: {group['rho']}")
