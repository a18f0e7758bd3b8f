"""Adam and its kin: AdamW, Adamax, NAdam, RAdam."""

from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam: steps along the mean gradient, measured by its root mean square, element by element.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        m ← betas[0] · m + (1 - betas[0]) · g
        v ← betas[1] · v + (1 - betas[1]) · g²
        p ← p - lr · m̂ / (√v̂ + eps),   m̂ = m / (1 - betas[0]ᵗ),   v̂ = v / (1 - betas[1]ᵗ)

    With `amsgrad`, v̂ is made of the largest v so far. With `decoupled_weight_decay` the decay is
    AdamW's: p ← p - lr · weight_decay · p before the step, and g stays as it is. The state is
    `step` (t, a 0-d float32 tensor), `exp_avg` (m), `exp_avg_sq` (v) and `max_exp_avg_sq`.

    Sources: Kingma and Ba 2015, Adam, algorithm 1; Reddi, Kale and Kumar 2018, On the convergence
    of Adam and beyond.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, fused, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> adam = tg.optim.Adam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> adam.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "adam"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← p - lr · weight_decay · p, then Adam's step.

    The decay does not pass through m and v, so that every weight shrinks at the same rate.
    Options, state and errors are `Adam`'s.

    Source: Loshchilov and Hutter 2019, Decoupled weight decay regularization, algorithm 2.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> adamw = tg.optim.AdamW([p], lr=0.5, weight_decay=0.5)
    >>> (p * 0).sum().backward()
    >>> adamw.step()
    >>> p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:  # whatever a loaded state dict says
            group["decoupled_weight_decay"] = True


class Adamax(Optimizer):
    """Adamax: Adam with the largest recent gradient in place of the root mean square.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        m ← betas[0] · m + (1 - betas[0]) · g
        u ← max(betas[1] · u, |g| + eps)
        p ← p - lr / (1 - betas[0]ᵗ) · m / u

    The state is `step` (t), `exp_avg` (m) and `exp_inf` (u).

    Source: Kingma and Ba 2015, Adam, algorithm 2.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> adamax = tg.optim.Adamax([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> adamax.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "adamax"

    def __init__(
        self,
        params,
        lr=2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's look-ahead.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        m ← betas[0] · m + (1 - betas[0]) · g
        v ← betas[1] · v + (1 - betas[1]) · g²
        μₜ = betas[0] · (1 - 0.96^(t · momentum_decay) / 2),   Πₜ = μ₁ · … · μₜ
        m̂ = (1 - μₜ) · g / (1 - Πₜ) + μₜ₊₁ · m / (1 - Πₜ₊₁),   v̂ = v / (1 - betas[1]ᵗ)
        p ← p - lr · m̂ / (√v̂ + eps)

    With `decoupled_weight_decay`, p ← p - lr · weight_decay · p before the step, and g stays as it
    is. The state is `step` (t), `mu_product` (Πₜ, in float32), `exp_avg` (m) and `exp_avg_sq` (v).

    Source: Dozat 2016, Incorporating Nesterov momentum into Adam.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> nadam = tg.optim.NAdam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> nadam.step()
    >>> print(p.detach())
    tensor([ 0.4718, -1.4718])
    """

    _rule = "nadam"

    def __init__(
        self,
        params,
        lr=2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)


class RAdam(Optimizer):
    """RAdam: Adam that waits with its denominator until the variance of it can be known.

        g ← g + weight_decay · p                          (g ← -g first if maximize)
        m ← betas[0] · m + (1 - betas[0]) · g,   m̂ = m / (1 - betas[0]ᵗ)
        v ← betas[1] · v + (1 - betas[1]) · g²
        ρ = ρ∞ - 2t · betas[1]ᵗ / (1 - betas[1]ᵗ),   ρ∞ = 2 / (1 - betas[1]) - 1
        r = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ))
        p ← p - lr · m̂ · r · √(1 - betas[1]ᵗ) / (√v + eps)    if ρ > 5
        p ← p - lr · m̂                                        otherwise

    With `decoupled_weight_decay`, p ← p - lr · weight_decay · p before the step, and g stays as it
    is. The state is `step` (t), `exp_avg` (m) and `exp_avg_sq` (v).

    Source: Liu et al. 2020, On the variance of the adaptive learning rate and beyond, algorithm 2;
    ρ > 5 as in its authors' code.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        foreach, capturable: choose among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> radam = tg.optim.RAdam([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> radam.step()
    >>> print(p.detach())
    tensor([ 0.5000, -1.0000])
    """

    _rule = "radam"

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)
