"""Schedules made of schedules: one after the other, all at once, a warm-up in front of any."""

from bisect import bisect_right

from .base import LRScheduler, of_groups, put
from .factors import FactorLR
from .plateau import ReduceLROnPlateau


class _Composition(LRScheduler):
    """Several schedules of one optimizer."""

    def _compose(self, optimizer, schedulers):
        name = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(
                    f"{name}: schedule {i} is a {type(scheduler).__name__}, no schedule"
                )
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name}: schedule {i} is a ReduceLROnPlateau, whose step needs a metric; step "
                    "it on its own"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name}: schedule {i}, a {type(scheduler).__name__}, has another optimizer; "
                    "all must have the same"
                )
        self._schedulers = schedulers
        self.optimizer = optimizer

    def _take_back(self):
        for scheduler in self._schedulers:
            scheduler._take_back()

    def state_dict(self) -> dict:
        """As of any schedule, with the state dicts of its schedules in "_schedulers"."""
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict) -> None:
        """As of any schedule; the schedules must be of the same kinds in the same order."""
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({**state_dict, "_schedulers": self._schedulers})


class SequentialLR(_Composition):
    """One schedule after the other: each begins anew at its milestone.

    Args:
        schedulers: of the same optimizer.
        milestones: the epochs at which the second, third, … begin.

    Raises:
        ValueError: there are not one more schedules than milestones, or none; one is a
            `ReduceLROnPlateau` or has another optimizer.
        TypeError: one is no schedule.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.optim import lr_scheduler
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> first = lr_scheduler.ConstantLR(sgd, factor=0.25, total_iters=9)
    >>> second = lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> schedule = lr_scheduler.SequentialLR(sgd, [first, second], milestones=[2])
    >>> lr_scheduler.values(schedule, 5).tolist()
    [[0.25, 0.25, 1.0, 0.5, 0.25]]
    """

    def __init__(self, optimizer, schedulers: list, milestones: list[int], last_epoch: int = -1):
        if not schedulers:
            raise ValueError("SequentialLR: there must be at least one schedule")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: got {len(milestones)} milestones for {len(schedulers)} schedules; "
                "there must be one schedule more than milestones"
            )
        self._compose(optimizer, schedulers)
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            put(group, "lr", group["initial_lr"])
        self._take_back()
        self._begin()

    def _scheduler_at(self, epoch):
        return self._schedulers[bisect_right(self._milestones, epoch)]

    def _begin(self):
        first = self._scheduler_at(0)
        first._begin()
        self._last_lr = first.get_last_lr()

    def _restart(self):
        self.last_epoch = 0
        first = self._scheduler_at(0)
        first._restart()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Go to the next epoch of the schedule whose turn it is."""
        self.last_epoch += 1
        scheduler = self._scheduler_at(self.last_epoch)
        if self.last_epoch in self._milestones:
            scheduler._restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composition):
    """All schedules in every step: what they multiply the learning rate by is multiplied.

    Args:
        schedulers: chainable ones, of the same optimizer; others overwrite what those before did.
        optimizer: that of the first if None.

    Raises:
        ValueError: there is no schedule; one is a `ReduceLROnPlateau` or has another optimizer.
        TypeError: one is no schedule.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.optim import lr_scheduler
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> one = lr_scheduler.ConstantLR(sgd, factor=0.5, total_iters=2)
    >>> two = lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> lr_scheduler.values(lr_scheduler.ChainedScheduler([one, two]), 4).tolist()
    [[0.5, 0.25, 0.25, 0.125]]
    """

    def __init__(self, schedulers, optimizer=None):
        if not schedulers:
            raise ValueError("ChainedScheduler: there must be at least one schedule")
        self._compose(optimizer or getattr(schedulers[0], "optimizer", None), schedulers)
        self._last_lr = of_groups(self.optimizer, "lr")

    def _begin(self):
        for scheduler in self._schedulers:
            scheduler._begin()
        self._last_lr = of_groups(self.optimizer, "lr")

    def _restart(self):
        first, *others = self._schedulers
        first._restart()
        for scheduler in others:  # on top of the first
            scheduler._begin()
        self._last_lr = of_groups(self.optimizer, "lr")

    def step(self) -> None:
        """Step every schedule."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = of_groups(self.optimizer, "lr")


class WarmupLR(FactorLR):
    """A warm-up in front of any schedule: up in a straight line to where that begins.

        lr = begin · (start_factor + (1 - start_factor) · t / warmup_steps)     while t < warmup_steps

    where begin are the learning rates that the schedule has set when it is given. It stands still
    until they are reached, and goes on from there. Arguments of `step` are handed to it, so that
    it may be a `ReduceLROnPlateau`. PyTorch has no such schedule.

    Source: Goyal et al. 2017, Accurate, large minibatch SGD, section 2.2.

    Args:
        schedule: of any kind, or a composition.
        start_factor: 1 / (warmup_steps + 1) if None: equal steps from 0, without one at 0.

    Raises:
        ValueError: `warmup_steps` is below 0, or `start_factor` is not above 0 and at most 1.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.optim import lr_scheduler
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = lr_scheduler.WarmupLR(lr_scheduler.CosineAnnealingLR(sgd, T_max=4), 3)
    >>> lr_scheduler.values(schedule, 8).round(3).tolist()
    [[0.25, 0.5, 0.75, 1.0, 0.854, 0.5, 0.146, 0.0]]
    """

    def __init__(self, schedule, warmup_steps: int, start_factor: float | None = None):
        if not isinstance(schedule, LRScheduler):
            raise TypeError(f"WarmupLR: {type(schedule).__name__} is not a schedule")
        if not warmup_steps >= 0:
            raise ValueError(f"WarmupLR: warmup_steps must not be below 0, but is {warmup_steps}")
        if start_factor is None:
            start_factor = 1 / (warmup_steps + 1)
        if not 0 < start_factor <= 1:
            raise ValueError(
                f"WarmupLR: start_factor must be above 0 and at most 1, but is {start_factor}"
            )
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.start_factor = start_factor
        super().__init__(schedule.optimizer)

    def _factor(self, epoch):
        if epoch >= self.warmup_steps:
            return 1.0
        return self.start_factor + (1 - self.start_factor) * epoch / self.warmup_steps

    def _take_back(self):
        self.schedule._take_back()
        super()._take_back()

    def _begin(self):
        self.schedule._begin()
        super()._begin()

    def _restart(self):
        self.schedule._restart()
        super()._begin()

    def step(self, *args, **kwargs) -> None:
        """Go to the next step of the warm-up, or of the schedule, which gets the arguments."""
        if self.last_epoch < self.warmup_steps:
            super().step()
        else:
            self.last_epoch += 1
            self.schedule.step(*args, **kwargs)
            self._last_lr = of_groups(self.optimizer, "lr")

    def state_dict(self) -> dict:
        """As of any schedule, with the state dict of the schedule behind the warm-up."""
        return {**super().state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        """As of any schedule; the one behind the warm-up must be of the same kind."""
        self.schedule.load_state_dict(state_dict["schedule"])
        super().load_state_dict({**state_dict, "schedule": self.schedule})
