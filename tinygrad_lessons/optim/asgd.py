"""Averaged stochastic gradient descent."""

from .optimizer import Optimizer


class ASGD(Optimizer):
    """Stochastic gradient descent whose iterates are averaged on the side.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        p ← (1 - lambd · η) · p - η · g
        a ← a + μ · (p - a)
        η ← lr / (1 + lambd · lr · t)^alpha,   μ ← 1 / max(1, t - t0)

    The state is `step` (t), `eta` (η, lr at first), `mu` (μ, 1 at first) and `ax` (a), the average
    from step t0 on, to be copied into the parameter in the end.

    Sources: Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging; the
    rates of Bottou 2012, Stochastic gradient descent tricks, section 5.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> asgd = tg.optim.ASGD([p], lr=0.25, lambd=0.0, t0=0)
    >>> for _ in range(2):
    ...     asgd.zero_grad()
    ...     (p * p).sum().backward()
    ...     asgd.step()
    >>> p.tolist(), asgd.state[p]["ax"].tolist()
    ([0.25], [0.25])
    """

    _rule = "asgd"

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)
