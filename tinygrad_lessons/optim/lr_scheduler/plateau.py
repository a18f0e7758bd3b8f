"""A schedule that follows a measured quantity."""

import math

from .base import LRScheduler, check_optimizer, of_groups, put, warn_of_epoch


class ReduceLROnPlateau(LRScheduler):
    """Multiply the learning rates by `factor` when a metric has not improved for `patience` steps.

    A step is bad if its metric is not better than the best so far by the threshold:
    below best · (1 - threshold) for mode "min" and threshold_mode "rel", below best - threshold
    for "abs", above with the other sign for "max". NaN is bad. After more than `patience` bad
    steps in a row the learning rates go down, though not below `min_lr` nor by less than `eps`,
    and for `cooldown` steps none counts as bad.

    Args:
        min_lr: one value, or a list with one per group.

    Raises:
        ValueError: `factor` is not below 1; a mode is unknown; `min_lr` has not one value per
            group.
        TypeError: `optimizer` is none.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr=0,
        eps: float = 1e-8,
    ):
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, but is {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', but is {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                "ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', but is "
                f"{threshold_mode!r}"
            )
        check_optimizer(optimizer)
        groups, several = len(optimizer.param_groups), isinstance(min_lr, (list, tuple))
        if several and len(min_lr) != groups:
            raise ValueError(
                f"ReduceLROnPlateau: min_lr has {len(min_lr)} values, but the optimizer has "
                f"{groups} groups"
            )
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.default_min_lr = None if several else min_lr
        self.min_lrs = list(min_lr) if several else [min_lr] * groups
        self.eps = eps
        self.last_epoch = 0
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._last_lr = of_groups(optimizer, "lr")

    @property
    def in_cooldown(self) -> bool:
        """Whether bad steps do not count yet."""
        return self.cooldown_counter > 0

    def step(self, metrics, epoch: int | None = None) -> None:
        """Take note of a metric, a number or a tensor of one element.

        Args:
            epoch: the number to count it under. Deprecated.

        Raises:
            RuntimeError: groups were added, and `min_lr` was a list.
        """
        current = float(metrics)
        if epoch is not None:
            warn_of_epoch()
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = of_groups(self.optimizer, "lr")

    def _is_better(self, current):
        margin = self.threshold if self.mode == "max" else -self.threshold
        relative = self.threshold_mode == "rel"
        bound = self.best * (1 + margin) if relative else self.best + margin
        return current > bound if self.mode == "max" else current < bound

    def _reduce(self):
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"ReduceLROnPlateau: the optimizer has {len(groups)} groups now, but min_lr "
                    f"was given for {len(self.min_lrs)}; extend the schedule's min_lrs"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, lowest)
            if old - new > self.eps:
                put(group, "lr", new)
