"""Prodigy: Adam that finds its learning rate."""

from .optimizer import Optimizer


class Prodigy(Optimizer):
    """Prodigy: Adam that estimates how far the solution is, and makes that its learning rate.

        m ← betas[0] · m + (1 - betas[0]) · d · g                 (g ← -g first if maximize)
        v ← betas[1] · v + (1 - betas[1]) · d² · g²
        r ← √betas[1] · r + w · ⟨g, p₀ - p⟩,   w = d / d0 · lr · d
        s ← √betas[1] · s + w · g
        p ← p - lr · d · (m / (√v + d · eps) + weight_decay · p)
        d ← max(d, d_coef · Σ r / Σ |s|₁)

    The estimate d begins at `d0` and only rises; it is common to all groups, each of which has it as
    `group["d"]`. Both sums are over the tensors that have a gradient. Leave `lr` at 1 and let a
    schedule, cosine annealing above all, lower it from there. The state is `step`, `d_numerator`
    (r, a number of each tensor), `exp_avg` (m), `exp_avg_sq` (v), `s`, and `p0`, the parameter
    as it was at first.

    Source: Mishchenko and Defazio 2023, Prodigy: an expeditiously adaptive parameter-free learner,
    algorithm 4; bias correction, safeguard and decay as in its authors' code.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        decoupled_weight_decay: if not, g ← g + weight_decay · p before all, as in Adam.
        use_bias_correction: for lr · d take lr · d · √(1 - betas[1]ᵗ) / (1 - betas[0]ᵗ).
        safeguard_warmup: in s, but not in r, leave lr out of w; for schedules that warm up.
        d0: the first estimate; it need only be small.
        d_coef: a factor of the estimate, to move it where it is off.

    Raises:
        ValueError: an option is out of range, or there are no parameters.
        RuntimeError: `step`, if the groups have different lr other than 0.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> prodigy = tg.optim.Prodigy([p])
    >>> for _ in range(200):
    ...     prodigy.zero_grad()
    ...     (p * p).sum().backward()
    ...     prodigy.step()
    >>> bool(prodigy.param_groups[0]["d"] > 0.01 and p.norm() < 0.1)
    True
    """

    _rule = "prodigy"

    def __init__(
        self,
        params,
        lr=1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        decoupled_weight_decay: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "use_bias_correction": use_bias_correction,
            "safeguard_warmup": safeguard_warmup,
            "d0": d0,
            "d_coef": d_coef,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        for name in ("d0", "d_coef"):
            if not group[name] > 0:
                raise ValueError(f"Invalid {name} value: {group[name]}")

    def add_param_group(self, param_group: dict) -> None:
        """`Optimizer.add_param_group`; the group takes over the estimate of the others."""
        super().add_param_group(param_group)
        first = self.param_groups[0]
        param_group.setdefault("d", first.get("d", first["d0"]))

    def step(self, closure=None):
        """`Optimizer.step`.

        Raises:
            RuntimeError: groups have different lr other than 0.
        """
        rates = {float(group["lr"]) for group in self.param_groups} - {0.0}
        if len(rates) > 1:
            raise RuntimeError(
                f"Prodigy: step with learning rates {sorted(rates)}, of which only one may differ from "
                "0, as there is one estimate for all groups"
            )
        return super().step(closure)
