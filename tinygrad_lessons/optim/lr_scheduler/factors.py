"""Schedules that multiply: the learning rate of a step is the one before times a ratio."""

import math
from bisect import bisect_right
from collections import Counter

from .base import LRScheduler, half_cosine, of_groups, state_of_function, warn_outside_step


class FactorLR(LRScheduler):
    """A schedule f(t) · base_lr, in the chainable form lr[t] = lr[t - 1] · f(t) / f(t - 1).

    A subclass says what f is. So the learning rate keeps what others multiply it by.
    """

    # Whether the ratio counts also in the first step of a schedule made with last_epoch >= 0;
    # PyTorch has it either way, from schedule to schedule.
    _moves_on_resume = False

    def _factor(self, epoch):
        raise NotImplementedError

    def _ratio(self, epoch):
        now, before = self._factor(epoch), self._factor(epoch - 1) if epoch > 0 else 1.0
        return 1.0 if now == before else now / before  # a learning rate of 0 stays 0

    def get_lr(self):
        """The learning rates of the groups, times the ratio of this step."""
        warn_outside_step(self)
        if self._is_initial and self.last_epoch > 0 and not self._moves_on_resume:
            return of_groups(self.optimizer, "lr")
        try:
            ratio = self._ratio(self.last_epoch)
        except ZeroDivisionError:  # no ratio leads up from a factor of 0
            return self._get_closed_form_lr()
        return [group["lr"] * ratio for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self):
        factor = self._factor(self.last_epoch)
        return [base_lr * factor for base_lr in self.base_lrs]


class _DecayLR(FactorLR):
    """f(t) = gamma ** (decays by then)."""

    def _decays(self, epoch):
        raise NotImplementedError

    def _factor(self, epoch):
        return self.gamma ** self._decays(epoch)

    def _ratio(self, epoch):
        # of the difference, because the powers themselves soon leave the range of floats
        return self.gamma ** (self._decays(epoch) - (self._decays(epoch - 1) if epoch > 0 else 0))


class StepLR(_DecayLR):
    """Decay by `gamma` every `step_size` epochs: lr = base_lr · gamma ** (t // step_size).

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.StepLR(sgd, step_size=2, gamma=0.5)
    >>> tg.optim.lr_scheduler.values(schedule, 5).tolist()
    [[1.0, 1.0, 0.5, 0.5, 0.25]]
    """

    _moves_on_resume = True

    def __init__(self, optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _decays(self, epoch):
        return epoch // self.step_size


class MultiStepLR(_DecayLR):
    """Decay by `gamma` at each of the milestones, as often as it is listed.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.MultiStepLR(sgd, milestones=[1, 4], gamma=0.5)
    >>> tg.optim.lr_scheduler.values(schedule, 5).tolist()
    [[1.0, 0.5, 0.5, 0.5, 0.25]]
    """

    _moves_on_resume = True

    def __init__(self, optimizer, milestones, gamma: float = 0.1, last_epoch: int = -1):
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _decays(self, epoch):
        return bisect_right(sorted(self.milestones.elements()), epoch)


class ExponentialLR(_DecayLR):
    """Decay by `gamma` every epoch: lr = base_lr · gamma ** t.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> tg.optim.lr_scheduler.values(schedule, 4).tolist()
    [[1.0, 0.5, 0.25, 0.125]]
    """

    def __init__(self, optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _decays(self, epoch):
        return epoch


class ConstantLR(FactorLR):
    """lr = base_lr · factor for `total_iters` epochs, then base_lr.

    Raises:
        ValueError: `factor` is not between 0 and 1.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ConstantLR(sgd, factor=0.5, total_iters=2)
    >>> tg.optim.lr_scheduler.values(schedule, 4).tolist()
    [[0.5, 0.5, 1.0, 1.0]]
    """

    _moves_on_resume = True

    def __init__(
        self, optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ):
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be between 0 and 1, but is {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        return self.factor if epoch < self.total_iters else 1.0


class LinearLR(FactorLR):
    """From base_lr · start_factor in a straight line to base_lr · end_factor, in `total_iters` epochs.

    Raises:
        ValueError: `start_factor` is not above 0 and at most 1; `end_factor` not between 0 and 1.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.LinearLR(sgd, start_factor=0.25, total_iters=3)
    >>> tg.optim.lr_scheduler.values(schedule, 5).tolist()
    [[0.25, 0.5, 0.75, 1.0, 1.0]]
    """

    def __init__(
        self,
        optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1:
            raise ValueError(
                f"LinearLR: start_factor must be above 0 and at most 1, but is {start_factor}"
            )
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be between 0 and 1, but is {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        way = share(epoch, self.total_iters)
        return self.start_factor + (self.end_factor - self.start_factor) * way


class PolynomialLR(FactorLR):
    """lr = base_lr · (1 - t / total_iters) ** power until it is 0.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.PolynomialLR(sgd, total_iters=4, power=2.0)
    >>> tg.optim.lr_scheduler.values(schedule, 6).tolist()
    [[1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]]
    """

    def __init__(self, optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        return (1.0 - share(epoch, self.total_iters)) ** self.power


class InverseSqrtLR(FactorLR):
    """Up in a straight line for `warmup_steps`, then down with the root of the steps.

        lr = base_lr · min(s / warmup_steps, √(warmup_steps / s)),   s = t + 1

    base_lr is the highest value; the paper's is (width · warmup_steps) ** -0.5. PyTorch has no
    such schedule.

    Source: Vaswani et al. 2017, Attention is all you need, equation 3.

    Raises:
        ValueError: `warmup_steps` is below 1.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.InverseSqrtLR(sgd, warmup_steps=2)
    >>> tg.optim.lr_scheduler.values(schedule, 8).round(3).tolist()
    [[0.5, 1.0, 0.816, 0.707, 0.632, 0.577, 0.535, 0.5]]
    """

    def __init__(self, optimizer, warmup_steps: int, last_epoch: int = -1):
        if not warmup_steps >= 1:
            raise ValueError(
                f"InverseSqrtLR: warmup_steps must be at least 1, but is {warmup_steps}"
            )
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        ratio = (epoch + 1) / self.warmup_steps
        return min(ratio, ratio**-0.5)


SHAPES = {
    "linear": lambda x: 1 - x,
    "cosine": half_cosine,
    "sqrt": lambda x: 1 - math.sqrt(x),
}


class WarmupStableDecayLR(FactorLR):
    """WSD: up in a straight line, then base_lr, then down to base_lr · final_factor.

        lr = base_lr · (t + 1) / (warmup_steps + 1)                       while t < warmup_steps
        lr = base_lr                                                      for stable_steps
        lr = base_lr · (final_factor + (1 - final_factor) · shape(x))     for decay_steps
        shape(x) = 1 - x, (1 + cos πx) / 2 or 1 - √x;   x = (t - warmup_steps - stable_steps) / decay_steps

    Training may go on from before the decay, which a cosine's fixed end does not allow. PyTorch
    has no such schedule.

    Sources: Hu et al. 2024, MiniCPM; the shape 1 - √x: Hägele et al. 2024, Scaling laws and
    compute-optimal training beyond fixed training durations.

    Args:
        decay_shape: "linear", "cosine" or "sqrt".

    Raises:
        ValueError: a number of steps is below 0, `final_factor` is not between 0 and 1, or
            `decay_shape` is none of the three.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.WarmupStableDecayLR(sgd, 1, 2, 4)
    >>> tg.optim.lr_scheduler.values(schedule, 9).tolist()
    [[0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]]
    """

    def __init__(
        self,
        optimizer,
        warmup_steps: int,
        stable_steps: int,
        decay_steps: int,
        final_factor: float = 0.0,
        decay_shape: str = "linear",
        last_epoch: int = -1,
    ):
        self.warmup_steps = warmup_steps
        self.stable_steps = stable_steps
        self.decay_steps = decay_steps
        for name in ("warmup_steps", "stable_steps", "decay_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"WarmupStableDecayLR: {name} must not be below 0, but is {getattr(self, name)}"
                )
        if not 0 <= final_factor <= 1:
            raise ValueError(
                f"WarmupStableDecayLR: final_factor must be between 0 and 1, but is {final_factor}"
            )
        if decay_shape not in SHAPES:
            raise ValueError(
                f"WarmupStableDecayLR: decay_shape must be one of {', '.join(SHAPES)}, but is "
                f"{decay_shape!r}"
            )
        self.final_factor = final_factor
        self.decay_shape = decay_shape
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch):
        if epoch < self.warmup_steps:
            return (epoch + 1) / (self.warmup_steps + 1)
        decaying = epoch - self.warmup_steps - self.stable_steps
        if decaying < 0:
            return 1.0
        way = share(decaying, self.decay_steps)
        return self.final_factor + (1 - self.final_factor) * SHAPES[self.decay_shape](way)


def share(epoch, total):
    """How much of `total` epochs is over: from 0 to 1."""
    return min(epoch, total) / max(total, 1)


class _FunctionLR(LRScheduler):
    """A function of the epoch per group."""

    def __init__(self, optimizer, lr_lambda, last_epoch: int = -1):
        groups = len(optimizer.param_groups)
        if not isinstance(lr_lambda, (list, tuple)):
            lr_lambda = [lr_lambda] * groups
        if len(lr_lambda) != groups:
            raise ValueError(
                f"{type(self).__name__}: got {len(lr_lambda)} functions for {groups} groups; give "
                "one function, or as many as there are groups"
            )
        for function in lr_lambda:
            if not callable(function):
                raise TypeError(
                    f"{type(self).__name__}: lr_lambda must be a function of the epoch, but is "
                    f"{type(function).__name__}"
                )
        self.lr_lambdas = list(lr_lambda)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict:
        """As of any schedule; of `lr_lambdas` only what callable objects hold is in it."""
        functions = [state_of_function(function) for function in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": functions}

    def load_state_dict(self, state_dict: dict) -> None:
        """As of any schedule; the functions must be the same ones."""
        for function, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if saved:
                vars(function).update(saved)
        super().load_state_dict({**state_dict, "lr_lambdas": self.lr_lambdas})


class LambdaLR(_FunctionLR):
    """lr = base_lr · lr_lambda(t), with one function or a list with one per group.

    Raises:
        ValueError: the number of functions is not that of the groups.
        TypeError: one is not callable.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.LambdaLR(sgd, lambda epoch: 1 / (1 + epoch))
    >>> tg.optim.lr_scheduler.values(schedule, 4).round(3).tolist()
    [[1.0, 0.5, 0.333, 0.25]]
    """

    def get_lr(self):
        """The initial learning rates, times what the functions give."""
        warn_outside_step(self)
        return [
            base_lr * function(self.last_epoch)
            for function, base_lr in zip(self.lr_lambdas, self.base_lrs, strict=True)
        ]


class MultiplicativeLR(_FunctionLR):
    """lr[t] = lr[t - 1] · lr_lambda(t), with one function or a list with one per group.

    Raises:
        ValueError: the number of functions is not that of the groups.
        TypeError: one is not callable.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.MultiplicativeLR(sgd, lambda epoch: 0.5)
    >>> tg.optim.lr_scheduler.values(schedule, 4).tolist()
    [[1.0, 0.5, 0.25, 0.125]]
    """

    def get_lr(self):
        """The learning rates of the groups, times what the functions give."""
        warn_outside_step(self)
        if self._is_initial:
            return of_groups(self.optimizer, "lr")
        groups = self.optimizer.param_groups
        return [
            group["lr"] * function(self.last_epoch)
            for function, group in zip(self.lr_lambdas, groups, strict=True)
        ]
