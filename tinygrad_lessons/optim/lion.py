"""Lion."""

from .optimizer import Optimizer


class Lion(Optimizer):
    """Lion: steps of one size in every element, along the sign of a momentum; half of Adam's state.

        p ← p - lr · weight_decay · p                     (g ← -g first if maximize)
        p ← p - lr · sign(betas[0] · m + (1 - betas[0]) · g)
        m ← betas[1] · m + (1 - betas[1]) · g

    Its steps are larger than Adam's: take a learning rate 3 to 10 times smaller, and a weight decay
    as much larger. The state is `exp_avg` (m).

    Source: Chen et al. 2023, Symbolic discovery of optimization algorithms, program 1.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> lion = tg.optim.Lion([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> lion.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "lion"

    def __init__(
        self,
        params,
        lr=1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "decoupled_weight_decay": True,
        }
        super().__init__(params, defaults)
