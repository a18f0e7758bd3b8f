"""Rules after Adam that are not in PyTorch: Yogi, AdaBelief, Adan."""

from .optimizer import Optimizer


class Yogi(Optimizer):
    """Yogi: Adam whose mean square moves by steps of its own size, so that it cannot jump down.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        m ← betas[0] · m + (1 - betas[0]) · g
        v ← v - (1 - betas[1]) · sign(v - g²) · g²        (v is initial_accumulator_value at first)
        p ← p - lr · √(1 - betas[1]ᵗ) / (1 - betas[0]ᵗ) · m / (√v + eps)

    With `decoupled_weight_decay`, p ← p - lr · weight_decay · p before the step, and g stays as it
    is. The state is `step` (t), `exp_avg` (m) and `exp_avg_sq` (v).

    Source: Zaheer et al. 2018, Adaptive methods for nonconvex optimization, algorithm 2; start and
    bias correction as in its authors' code.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> yogi = tg.optim.Yogi([p], lr=0.5, eps=0.0, initial_accumulator_value=0.0)
    >>> (p * p).sum().backward()
    >>> yogi.step()
    >>> p.tolist()
    [0.5]
    """

    _rule = "yogi"

    def __init__(
        self,
        params,
        lr=1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: float = 0,
        initial_accumulator_value: float = 1e-6,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


class AdaBelief(Optimizer):
    """AdaBelief: Adam that measures gradients by how far they are from what was expected.

        m ← betas[0] · m + (1 - betas[0]) · g             (g ← -g first if maximize)
        s ← betas[1] · s + (1 - betas[1]) · (g - m)² + eps
        p ← p - lr · m̂ / (√ŝ + eps),   m̂ = m / (1 - betas[0]ᵗ),   ŝ = s / (1 - betas[1]ᵗ)

    Weight decay is AdamW's, p ← p - lr · weight_decay · p before the step, unless
    `decoupled_weight_decay` is False: then g ← g + weight_decay · p. With `amsgrad`, ŝ is made of
    the largest s so far. The state is `step` (t), `exp_avg` (m), `exp_avg_var` (s) and
    `max_exp_avg_var`.

    Source: Zhuang et al. 2020, AdaBelief optimizer, algorithm 2.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> adabelief = tg.optim.AdaBelief([p], lr=0.5, betas=(0.5, 0.75))
    >>> (p * p).sum().backward()
    >>> adabelief.step()
    >>> p.tolist()
    [0.0]
    """

    _rule = "adabelief"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


class Adan(Optimizer):
    """Adan: Adam with Nesterov's momentum, from means of the gradient and of its changes.

        d = g - (the g before; itself at first)           (g ← -g first if maximize)
        m ← betas[0] · m + (1 - betas[0]) · g
        v ← betas[1] · v + (1 - betas[1]) · d
        n ← betas[2] · n + (1 - betas[2]) · (g + betas[1] · d)²
        p ← p - lr · (m̂ + betas[1] · v̂) / (√n̂ + eps),   m̂ = m / (1 - betas[0]ᵗ) and so on
        p ← p / (1 + lr · weight_decay)

    With `no_prox`, p ← p - lr · weight_decay · p before the step instead of the last line. The state
    is `step` (t), `exp_avg` (m), `exp_avg_diff` (v), `exp_avg_sq` (n) and `pre_grad`.

    Source: Xie et al. 2022, Adan: adaptive Nesterov momentum algorithm, algorithm 1, whose β are
    1 - betas here; bias correction as in its authors' code.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> adan = tg.optim.Adan([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> adan.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "adan"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0,
        no_prox: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "no_prox": no_prox,
            "maximize": maximize,
        }
        super().__init__(params, defaults)
