"""Rules for large batches, with a rate of its own for every tensor: LARS and LAMB."""

from .optimizer import Optimizer


class LARS(Optimizer):
    """LARS: momentum whose step in a tensor is measured by the tensor's own length.

        λ = trust_coefficient · |p| / (|g| + weight_decay · |p| + eps)      (1 where |p| or |g| is 0)
        b ← momentum · b + lr · λ · (g + weight_decay · p)                  (g ← -g if maximize)
        p ← p - b                                 (p - momentum · b - lr · λ · (…) if nesterov)

    where |·| is the Euclidean norm of a whole tensor. In groups with `adapt` False, λ is 1: for
    biases and the weights of norms. The state is `momentum_buffer` (b).

    Source: You, Gitman and Ginsburg 2017, Large batch training of convolutional networks,
    algorithm 1.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([3.0, -4.0], requires_grad=True)
    >>> lars = tg.optim.LARS([p], lr=0.5, trust_coefficient=1.0)
    >>> (p * p).sum().backward()
    >>> lars.step()
    >>> print(p.detach())
    tensor([ 1.5000, -2.0000])
    """

    _rule = "lars"

    def __init__(
        self,
        params,
        lr=1.0,
        momentum: float = 0.9,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        adapt: bool = True,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "adapt": adapt,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        if group["nesterov"] and group["momentum"] == 0:
            raise ValueError("Nesterov momentum requires a momentum")


class LAMB(Optimizer):
    """LAMB: Adam whose step in a tensor is measured by the tensor's own length.

        m, v, m̂, v̂ as in Adam                                              (g ← -g first if maximize)
        d = m̂ / (√v̂ + eps) + weight_decay · p
        p ← p - lr · |p| / |d| · d                                          (1 for |p| / |d| if one is 0)

    where |·| is the Euclidean norm of a whole tensor. In groups with `adapt` False the ratio is 1:
    for biases and the weights of norms. The state is `step`, `exp_avg` (m) and `exp_avg_sq` (v).

    Source: You et al. 2020, Large batch optimization for deep learning: training BERT in 76
    minutes, algorithm 2.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([3.0, -4.0], requires_grad=True)
    >>> lamb = tg.optim.LAMB([p], lr=0.5, eps=0.0)
    >>> (p * p).sum().backward()
    >>> lamb.step()
    >>> print(p.detach())
    tensor([ 1.2322, -2.2322])
    """

    _rule = "lamb"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        adapt: bool = True,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "adapt": adapt,
            "maximize": maximize,
        }
        super().__init__(params, defaults)
