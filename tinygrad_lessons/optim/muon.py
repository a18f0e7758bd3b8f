"""Muon."""

from math import sqrt

from tinygrad_lessons._core import no_grad, zeros_like

from .optimizer import Optimizer


def orthogonalized(g, coefficients, steps, eps):
    """About U Vᵀ of g = U S Vᵀ, by Newton and Schulz's iteration: X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X."""
    a, b, c = coefficients
    wide = g.shape[0] <= g.shape[1]
    x = g if wide else g.t()
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.t()
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x if wide else x.t()


class Muon(Optimizer):
    """Muon: momentum whose matrices are made orthogonal, so that every direction moves alike.

        b ← momentum · b + (1 - momentum) · g
        u = (1 - momentum) · g + momentum · b if nesterov else b
        p ← p - lr · weight_decay · p
        p ← p - lr · f · (U Vᵀ of u = U S Vᵀ, about)

    f is √max(1, rows / columns), or 0.2 · √max(rows, columns) with `adjust_lr_fn="match_rms_adamw"`.
    For the matrices of hidden layers; give the other parameters to AdamW. The state is
    `momentum_buffer` (b). PyTorch computes U Vᵀ in bfloat16, here it is in the parameter's type.

    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks; rates of
    Liu et al. 2025, Muon is scalable for LLM training.

    Args:
        params: matrices, (name, matrix) pairs, or dicts with "params" and options of their own.
        ns_coefficients, ns_steps: of Newton and Schulz's iteration.
        eps: the least norm that u is divided by.
        adjust_lr_fn: None, "original" or "match_rms_adamw".

    Raises:
        ValueError: a parameter that is no matrix, an option out of range, or no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.zeros(2, 2, requires_grad=True)
    >>> muon = tg.optim.Muon([p], lr=1.0)
    >>> (p * tg.tensor([[3.0, 0.0], [0.0, -4.0]])).sum().backward()
    >>> muon.step()
    >>> (p.abs() - tg.eye(2)).abs().max().item() < 0.35
    True
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        for name, what in (
            ("lr", "Learning rate"),
            ("momentum", "momentum"),
            ("weight_decay", "weight decay"),
        ):
            if not group[name] >= 0:
                raise ValueError(f"{what} should be >= 0 but is: {group[name]}")
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Adjust learning rate function {group['adjust_lr_fn']} is not supported"
            )
        if group["ns_steps"] >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                )

    @no_grad()
    def _update(self):
        for group in self.param_groups:
            lr, momentum = float(group["lr"]), group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = zeros_like(p)
                b = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
                u = p.grad.lerp(b, momentum) if group["nesterov"] else b
                u = orthogonalized(u, group["ns_coefficients"], group["ns_steps"], group["eps"])
                rows, columns = p.shape
                if group["adjust_lr_fn"] == "match_rms_adamw":
                    factor = 0.2 * sqrt(max(rows, columns))
                else:
                    factor = sqrt(max(1, rows / columns))
                p.mul_(1 - lr * group["weight_decay"]).sub_(u, alpha=lr * factor)
