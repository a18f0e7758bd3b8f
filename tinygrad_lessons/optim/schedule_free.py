"""Schedule-Free SGD and AdamW."""

from tinygrad_lessons._core import no_grad

from .optimizer import Optimizer


class _ScheduleFree(Optimizer):
    """What the two share: a parameter is y in train mode, where gradients belong, and x in eval mode."""

    def __init__(self, params, defaults):
        super().__init__(params, {**defaults, "train_mode": False})

    def _momentum(self, group):
        raise NotImplementedError

    @no_grad()
    def _move(self, train):
        for group in self.param_groups:
            if group["train_mode"] == train:
                continue
            beta = self._momentum(group)
            for p in group["params"]:
                if "z" in self.state.get(p, ()):
                    p.lerp_(self.state[p]["z"], 1 - beta if train else 1 - 1 / beta)
            group["train_mode"] = train

    def train(self) -> None:
        """Put y into the parameters; before training, beside `model.train()`."""
        self._move(True)

    def eval(self) -> None:
        """Put x, the average, into the parameters; before testing and saving the model."""
        self._move(False)

    def step(self, closure=None):
        """`Optimizer.step`, in train mode only.

        Raises:
            RuntimeError: in eval mode.
        """
        for group in self.param_groups:
            if not group["train_mode"]:
                raise RuntimeError(
                    f"{type(self).__name__}: step in eval mode, where gradients are not those that "
                    "the rule needs; call train() of the optimizer before training"
                )
        return super().step(closure)


class SGDScheduleFree(_ScheduleFree):
    """SGD that needs no learning rate schedule: it averages its iterates as it goes.

        g ← g + weight_decay · y, the gradient at y       (g ← -g first if maximize)
        γ = lr · min(1, t / warmup_steps),   w = tʳ · (largest γ so far)^weight_lr_power
        z ← z - γ · g
        x ← x + c · (z - x),   c = w / (sum of all w)
        y = (1 - momentum) · z + momentum · x

    The parameter is y while training and x when testing: call `train()` and `eval()` of the
    optimizer where you call those of the model. The state is `step` (t), `weight_sum`, `lr_max` and
    `z`. The running statistics of batch norm belong to y; pass some batches through the model in
    eval mode of the optimizer to make those of x.

    Source: Defazio et al. 2024, The road less scheduled, equations 5 to 7; weights and warm-up as in
    its authors' code.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.
        RuntimeError: `step` in eval mode.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> sgd = tg.optim.SGDScheduleFree([p], lr=0.25, momentum=0.5)
    >>> sgd.train()
    >>> for _ in range(2):
    ...     sgd.zero_grad()
    ...     (p * p).sum().backward()
    ...     sgd.step()
    >>> p.tolist()
    [0.3125]
    >>> sgd.eval()
    >>> p.tolist()
    [0.375]
    """

    _rule = "sgd_schedule_free"

    def __init__(
        self,
        params,
        lr=1.0,
        momentum: float = 0.9,
        weight_decay: float = 0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "warmup_steps": warmup_steps,
            "r": r,
            "weight_lr_power": weight_lr_power,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _momentum(self, group):
        return group["momentum"]

    def _check_group(self, group):
        super()._check_group(group)
        if not 0 < group["momentum"] < 1:
            raise ValueError(
                f"Invalid momentum value: {group['momentum']}; Schedule-Free needs one between 0 and 1"
            )


class AdamWScheduleFree(_ScheduleFree):
    """AdamW that needs no learning rate schedule: it averages its iterates as it goes.

        v ← betas[1] · v + (1 - betas[1]) · g²            (g ← -g first if maximize)
        d = g / (√(v / (1 - betas[1]ᵗ)) + eps) + weight_decay · y
        γ = lr · min(1, t / warmup_steps),   w = tʳ · (largest γ so far)^weight_lr_power
        z ← z - γ · d
        x ← x + c · (z - x),   c = w / (sum of all w)
        y = (1 - betas[0]) · z + betas[0] · x

    The parameter is y while training and x when testing, as in `SGDScheduleFree`. The state is
    `step` (t), `weight_sum`, `lr_max`, `z` and `exp_avg_sq` (v).

    Source: Defazio et al. 2024, The road less scheduled, algorithm 1; weights and warm-up as in its
    authors' code.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of their own.

    Raises:
        ValueError: an option is out of range, or there are no parameters.
        RuntimeError: `step` in eval mode.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> adamw = tg.optim.AdamWScheduleFree([p], lr=0.5)
    >>> adamw.train()
    >>> (p * p).sum().backward()
    >>> adamw.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    _rule = "adamw_schedule_free"

    def __init__(
        self,
        params,
        lr=2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "warmup_steps": warmup_steps,
            "r": r,
            "weight_lr_power": weight_lr_power,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _momentum(self, group):
        return group["betas"][0]

    def _check_group(self, group):
        super()._check_group(group)
        if group["betas"][0] == 0:
            raise ValueError(
                "Invalid beta parameter at index 0: 0; Schedule-Free needs one above 0"
            )
