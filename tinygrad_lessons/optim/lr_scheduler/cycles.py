"""Schedules along a cosine, and in cycles."""

import math

from .base import (
    LRScheduler,
    MomentumCycle,
    check_optimizer,
    half_cosine,
    of_groups,
    per_group,
    put,
    state_of_function,
    warn_outside_step,
)


class CosineAnnealingLR(LRScheduler):
    """Along a cosine from base_lr to `eta_min` in `T_max` epochs, and on, up again.

        lr[t] - eta_min = (base_lr - eta_min) · c(t),   c(t) = (1 + cos(π t / T_max)) / 2

    in the chainable form (lr[t] - eta_min) = (lr[t - 1] - eta_min) · c(t) / c(t - 1).

    Source: Loshchilov and Hutter 2017, SGDR: Stochastic gradient descent with warm restarts
    (without the restarts).

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=4)
    >>> tg.optim.lr_scheduler.values(schedule, 6).round(3).tolist()
    [[1.0, 0.854, 0.5, 0.146, 0.0, 0.146]]
    """

    def __init__(self, optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """The learning rates of the groups, moved on by a step of the cosine."""
        warn_outside_step(self)
        if self._is_initial:
            return of_groups(self.optimizer, "lr")
        groups, low = self.optimizer.param_groups, self.eta_min
        now = half_cosine(self.last_epoch / self.T_max)
        if (self.last_epoch - 1) % (2 * self.T_max) == self.T_max:
            # from the lowest point, whose c of 0 no ratio leads out of
            return [
                group["lr"] + (base_lr - low) * now
                for group, base_lr in zip(groups, self.base_lrs, strict=True)
            ]
        ratio = now / half_cosine((self.last_epoch - 1) / self.T_max)
        return [low + (group["lr"] - low) * ratio for group in groups]

    def _get_closed_form_lr(self):
        now = half_cosine(self.last_epoch / self.T_max)
        return [self.eta_min + (base_lr - self.eta_min) * now for base_lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Along a cosine from base_lr to `eta_min`, again and again, in periods T_0, T_0 · T_mult, …

        lr = eta_min + (base_lr - eta_min) · (1 + cos(π T_cur / T_i)) / 2

    T_cur counts the epochs since the last restart, T_i is the length of the period.

    Source: Loshchilov and Hutter 2017, SGDR: Stochastic gradient descent with warm restarts.

    Raises:
        ValueError: `T_0` or `T_mult` is not an integer of at least 1; `eta_min` is no number.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=2, T_mult=2)
    >>> tg.optim.lr_scheduler.values(schedule, 7).round(3).tolist()
    [[1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]]
    """

    def __init__(
        self, optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ):
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"CosineAnnealingWarmRestarts: {name} must be an integer of at least 1, but "
                    f"is {value!r}"
                )
        if not isinstance(eta_min, (float, int)):
            raise ValueError(
                f"CosineAnnealingWarmRestarts: eta_min must be a number, but is {eta_min!r}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """The learning rates at T_cur of a period T_i."""
        warn_outside_step(self)
        now = half_cosine(self.T_cur / self.T_i)
        return [self.eta_min + (base_lr - self.eta_min) * now for base_lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to any one; parts of an epoch are allowed.

        Raises:
            ValueError: `epoch` is below 0.

        >>> import tinygrad_lessons as tg
        >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
        >>> schedule = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=4)
        >>> schedule.step(6.0)
        >>> round(schedule.get_last_lr()[0], 3)
        0.5
        """
        if epoch is not None and epoch < 0:
            raise ValueError(f"CosineAnnealingWarmRestarts: epoch must be at least 0, got {epoch}")
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
        else:
            self.T_cur, self.T_i = epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur %= self.T_i
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        super()._update_lr(math.floor(epoch))


class CyclicLR(MomentumCycle, LRScheduler):
    """Up from `base_lr` to `max_lr` in a straight line, and down again, cycle after cycle.

        lr = base_lr + (max_lr - base_lr) · height · scale

    The height goes from 0 to 1 in `step_size_up` steps and back in `step_size_down`. The scale is
    1 ("triangular"), 1 / 2 ** (cycle - 1) ("triangular2") or gamma ** t ("exp_range"), or
    `scale_fn` of the cycle, counted from 1, or of t, as `scale_mode` says ("cycle",
    "iterations"). The momentum, or the first of the betas, goes the other way, from
    `max_momentum` down to `base_momentum`.

    Source: Smith 2017, Cyclical learning rates for training neural networks.

    Raises:
        ValueError: the mode is unknown and there is no `scale_fn`; a list has not one value per
            group; the optimizer has no momentum to cycle.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tg.optim.lr_scheduler.CyclicLR(sgd, 0.1, 0.5, step_size_up=2)
    >>> tg.optim.lr_scheduler.values(schedule, 6).round(3).tolist()
    [[0.1, 0.3, 0.5, 0.3, 0.1, 0.3]]
    """

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn=None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                put(group, "lr", lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        step_size_down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + step_size_down)
        self.step_ratio = step_size_up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                "CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', or scale_fn "
                f"be given, but mode is {mode!r}"
            )
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        if scale_fn is None:
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._begin_momentum(
                base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x):
        """By how much the cycle `x`, or the step `x`, is scaled."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 2.0 ** (1 - x)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def get_lr(self):
        """The learning rates of this step; sets the momentum as well."""
        warn_outside_step(self)
        cycle, x = divmod(self.last_epoch / self.total_size, 1)
        up = self.step_ratio
        height = x / up if x <= up else (1 - x) / (1 - up)
        height *= self.scale_fn(int(cycle) + 1 if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                self._put_momentum(group, high - (high - low) * height)
        return [
            low + (high - low) * height
            for low, high in zip(self.base_lrs, self.max_lrs, strict=True)
        ]

    def state_dict(self) -> dict:
        """As of any schedule; of `scale_fn` only what a callable object holds is in it."""
        saved = None if self._scale_fn_custom is None else state_of_function(self._scale_fn_custom)
        return {**super().state_dict(), "_scale_fn_custom": saved}

    def load_state_dict(self, state_dict: dict) -> None:
        """As of any schedule; the `scale_fn` must be the same one."""
        saved = state_dict["_scale_fn_custom"]
        if saved:
            vars(self._scale_fn_custom).update(saved)
        super().load_state_dict({**state_dict, "_scale_fn_custom": self._scale_fn_custom})


class OneCycleLR(MomentumCycle, LRScheduler):
    """Up from `max_lr` / `div_factor` to `max_lr`, then down to far below where it began.

    The first phase takes the share `pct_start` of the steps. With `three_phase`, the second comes
    back to where it began in as many steps, and a third goes down to that / `final_div_factor`;
    without, the second goes there at once. Each goes along half a cosine, or in a straight line.
    The momentum, or the first of the betas, goes the other way, from `max_momentum` down to
    `base_momentum` and back.

    Source: Smith and Topin 2018, Super-convergence: very fast training of neural networks using
    large learning rates.

    Args:
        total_steps: of the cycle; or else `epochs` · `steps_per_epoch`.
        anneal_strategy: "cos" or "linear".

    Raises:
        ValueError: the numbers of steps are not positive integers; `pct_start` is no float
            between 0 and 1; the strategy is unknown; a list has not one value per group; the
            optimizer has no momentum to cycle. From `step`: the cycle is over.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tg.optim.lr_scheduler.OneCycleLR(sgd, 1.0, total_steps=6, pct_start=0.5)
    >>> tg.optim.lr_scheduler.values(schedule, 6).round(3).tolist()
    [[0.04, 0.52, 1.0, 0.75, 0.25, 0.0]]
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        if total_steps is not None:
            counts = {"total_steps": total_steps}
        elif epochs is not None and steps_per_epoch is not None:
            counts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        else:
            raise ValueError(
                "OneCycleLR: give either total_steps, or both epochs and steps_per_epoch"
            )
        for name, value in counts.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"OneCycleLR: {name} must be a positive integer, but is {value!r}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(
                f"OneCycleLR: pct_start must be a float between 0 and 1, but is {pct_start!r}"
            )
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', but is {anneal_strategy!r}"
            )
        self.total_steps = math.prod(counts.values())
        top, end = pct_start * self.total_steps - 1, self.total_steps - 1
        if three_phase:
            self._schedule_phases = [
                _phase(top, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                _phase(2 * top, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                _phase(end, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._schedule_phases = [
                _phase(top, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                _phase(end, "max_lr", "min_lr", "base_momentum", "max_momentum"),
            ]
        self._anneal_func_type = anneal_strategy
        max_lrs = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, highest in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """The learning rates of this step; sets the momentum as well."""
        warn_outside_step(self)
        t, start = self.last_epoch, 0.0
        if t > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {t} is beyond the {self.total_steps} steps of the cycle; make a "
                "new schedule, or this one with more total_steps"
            )
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if t <= end or phase is self._schedule_phases[-1]:
                break
            start = end
        # a phase without length is at its end
        x = (t - start) / (end - start) if end != start else 1.0
        to_go = half_cosine(x) if self._anneal_func_type == "cos" else 1 - x

        def between(group, what):
            first, last = group[phase[f"start_{what}"]], group[phase[f"end_{what}"]]
            return last + (first - last) * to_go

        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                self._put_momentum(group, between(group, "momentum"))
        return [between(group, "lr") for group in self.optimizer.param_groups]


def _phase(end_step, start_lr, end_lr, start_momentum, end_momentum):
    """One phase of a OneCycleLR: its last step, and the group's options between which it goes."""
    return {
        "end_step": end_step,
        "start_lr": start_lr,
        "end_lr": end_lr,
        "start_momentum": start_momentum,
        "end_momentum": end_momentum,
    }
