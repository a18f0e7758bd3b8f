"""Adafactor."""

from tinygrad_lessons._core import float32, no_grad, tensor, zeros

from .optimizer import Optimizer


class Adafactor(Optimizer):
    """Adafactor: a mean square per row and per column instead of one per element, and relative steps.

        b = t^beta2_decay,   α = max(eps[1], rms(p)) · min(lr, 1 / √t)     (g ← -g first if maximize)
        p ← p - lr · weight_decay · p
        R ← (1 - b) · R + b · (mean of g² along rows),   C likewise along columns
        v = R · C / max(eps[0], mean of R)                (v ← (1 - b) · v + b · g² for vectors)
        u = g / √max(v, eps[0]²)
        p ← p - α · u / max(1, rms(u) / d)

    where rms is the root mean square of a whole tensor. eps[0] is the type's own if None. The state
    is `step` (t), and `row_var` (R) and `col_var` (C) over the last two dimensions, or `variance`
    (v) for vectors.

    Source: Shazeer and Stern 2018, Adafactor, algorithms 4 and 5, with PyTorch's min(lr, 1 / √t).

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.
        beta2_decay: how the decay of the means goes to 1.
        eps: the least mean square's root, and the least scale of the parameter.
        d: above this root mean square a step is scaled down.
        foreach: chooses among implementations in PyTorch; here there is one.

    Raises:
        ValueError: an option is out of range, or there are no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([[2.0, 2.0]], requires_grad=True)
    >>> adafactor = tg.optim.Adafactor([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> adafactor.step()
    >>> p.tolist()
    [[1.0, 1.0]]
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group):
        if not group["lr"] >= 0:
            raise ValueError(f"Learning rate should be >= 0 but is: {group['lr']}")
        if not group["beta2_decay"] <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {group['beta2_decay']}")
        for i, eps in enumerate(group["eps"], 1):
            if eps is not None and not eps >= 0:
                raise ValueError(f"epsilon{i} should be >= 0 but is: {eps}")
        if not group["d"] >= 1:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {group['d']}")
        if not group["weight_decay"] >= 0:
            raise ValueError(f"weight_decay should be >= 0 but is: {group['weight_decay']}")

    @no_grad()
    def _update(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update_one(p, -p.grad if group["maximize"] else p.grad, group)

    def _update_one(self, p, g, group):
        state, lr = self.state[p], float(group["lr"])
        eps = group["eps"][0]
        if eps is None:
            eps = 2.0**-23 if p.dtype == float32 else 2.0**-52
        state.setdefault("step", tensor(0.0)).add_(1)
        t = state["step"].item()
        fresh = t ** group["beta2_decay"]
        size = max(group["eps"][1], _rms(p)) * min(lr, t**-0.5)
        p.mul_(1 - lr * group["weight_decay"])
        squares = g * g
        if p.ndim > 1:
            *batch, rows, columns = p.shape
            for name, shape, dim in (("row_var", (rows, 1), -1), ("col_var", (1, columns), -2)):
                if name not in state:
                    state[name] = zeros(*batch, *shape, dtype=p.dtype)
                state[name].lerp_(squares.mean(dim, keepdim=True), fresh)
            r, c = state["row_var"], state["col_var"]
            v = r * c / r.mean(-2, keepdim=True).clamp(min=eps)
        else:
            if "variance" not in state:
                state["variance"] = zeros(*p.shape, dtype=p.dtype)
            v = state["variance"].lerp_(squares, fresh)
        u = g * v.clamp(min=eps * eps).rsqrt()
        p.sub_(u, alpha=size / max(1.0, _rms(u) / group["d"]))


def _rms(x):
    """The root mean square; 0 of nothing."""
    return x.norm().item() / max(1, x.numel()) ** 0.5
