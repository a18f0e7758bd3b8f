"""Adam for row-sparse gradients."""

from .optimizer import Optimizer


class SparseAdam(Optimizer):
    """Adam for row-sparse gradients: rows that a gradient does not have stay as they are.

    In the rows that the gradient has, with g summed up over the times that a row comes:

        m ← betas[0] · m + (1 - betas[0]) · g             (g ← -g first if maximize)
        v ← betas[1] · v + (1 - betas[1]) · g²
        p ← p - lr · √(1 - betas[1]ᵗ) / (1 - betas[0]ᵗ) · m / (√v + eps)

    So a row's means do not fade in steps in which it is not looked up, as Adam's would, and a step
    costs what the rows cost, however large the table is. The state is `step` (t, of the whole
    tensor), `exp_avg` (m) and `exp_avg_sq` (v).

    Source: Kingma and Ba 2015, Adam: a method for stochastic optimization, section 2, with eps as in
    the variant at its end.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.
        RuntimeError: `step` with a gradient that is not sparse.

    >>> import tinygrad_lessons as tg
    >>> table = tg.nn.Embedding.from_pretrained(tg.ones(4, 2), freeze=False, sparse=True)
    >>> adam = tg.optim.SparseAdam(table.parameters(), lr=0.25, eps=1e-12)
    >>> table(tg.tensor([1, 3, 1])).sum().backward()
    >>> adam.step()
    >>> print(table.weight.detach())
    tensor([[1.0000, 1.0000],
            [0.7500, 0.7500],
            [1.0000, 1.0000],
            [0.7500, 0.7500]])
    """

    _rule = "sparse_adam"
    _gradients = ("sparse",)

    def __init__(
        self,
        params,
        lr=1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        super().__init__(params, defaults)

    def _check_group(self, group):
        super()._check_group(group)
        for name, what in (("lr", "learning rate"), ("eps", "epsilon value")):
            if not group[name] > 0:
                raise ValueError(f"Invalid {what}: {group[name]}")

    def state_dict(self) -> dict:
        """`Optimizer.state_dict`, with `step` as an int, as PyTorch has it for this rule."""
        packed = super().state_dict()
        for entry in packed["state"].values():
            if "step" in entry:
                entry["step"] = int(entry["step"])
        return packed
