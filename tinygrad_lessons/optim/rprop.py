"""Rprop."""

from .optimizer import Optimizer


class Rprop(Optimizer):
    """Rprop: only signs count; an element's step grows while its gradient keeps its sign.

        s ← s · etas[1] if g has the sign it had, s · etas[0] if it has changed, within step_sizes
        g ← 0 where the sign has changed                  (g ← -g first if maximize)
        p ← p - sign(g) · s

    `lr` is the first step size. Meant for whole batches: noise turns signs. The state is `step`,
    `prev` (the last g) and `step_size` (s). As signs are compared, not products, tiny gradients
    count as well.

    Source: Riedmiller and Braun 1993, A direct adaptive method for faster backpropagation learning,
    in the form that does not go back when a sign has changed.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> rprop = tg.optim.Rprop([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> rprop.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "rprop"

    def __init__(
        self,
        params,
        lr=1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        down, up = group["etas"]
        if not 0 < down < 1 < up:
            raise ValueError(f"Invalid eta values: {down}, {up}")
