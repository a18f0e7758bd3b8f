"""What all schedules share: counting, writing the learning rates, state, the order of the calls."""

import math
import warnings
from types import FunctionType

from tinygrad_lessons._core import Tensor

from ..optimizer import Optimizer


class LRScheduler:
    """Base of all schedules: sets each group's "lr" when made, and anew in each `step`.

    `last_epoch` counts the steps from 0; whether a step is an epoch or a batch is up to the caller.
    A schedule of one's own defines `get_lr`, which returns a learning rate per group: from
    `self.last_epoch` and `self.base_lrs`, or chainable, from what `self.optimizer.param_groups`
    hold, so that changes by others stay. If it defines `_get_closed_form_lr` as well,
    `step(epoch)` uses that.

    Args:
        optimizer: whose groups to schedule; "initial_lr" is noted in each, unless it is there.
        last_epoch: -1 to begin; else the epoch after which to go on, in groups that have an
            "initial_lr".

    Raises:
        TypeError: `optimizer` is none.
        KeyError: a group has no "initial_lr", and `last_epoch` is not -1.

    >>> import tinygrad_lessons as tg
    >>> class Halving(tg.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr / 2**self.last_epoch for lr in self.base_lrs]
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = Halving(sgd)
    >>> sgd.step()
    >>> schedule.step()
    >>> sgd.param_groups[0]["lr"], schedule.get_last_lr()
    (0.5, [0.5])
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer, last_epoch: int = -1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", own(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: to go on after last_epoch={last_epoch}, param_groups"
                    f"[{i}] must have an 'initial_lr'; load the optimizer's state dict first, or "
                    "begin with last_epoch=-1"
                )
        self.base_lrs = of_groups(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch_first_step(optimizer)
        self._initial_step()

    # ---- what a composition of schedules calls ----

    def _initial_step(self):
        """Come to the epoch to begin with."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _take_back(self):
        """Take the initial step back, until the composition says `_begin` or `_restart`."""
        self.last_epoch -= 1

    def _begin(self):
        """Make the initial step again, from the initial learning rates."""
        self._initial_step()

    def _restart(self):
        """Come to epoch 0, whatever the learning rates are now."""
        self._update_lr(0)

    # ---- stepping ----

    def get_lr(self) -> list:
        """The next learning rate of each group; for `step` to call. See `get_last_lr`."""
        raise NotImplementedError(f"{type(self).__name__}: get_lr is not defined")

    def get_last_lr(self) -> list:
        """The learning rates of the groups as the last step left them; tensors are copies."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch; call it after the optimizer's `step`, which it warns about once.

        Args:
            epoch: where to go instead, by the closed form if there is one. Deprecated.
        """
        if self._step_count == 1:
            _check_order(self.optimizer)
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        self._get_lr_called_within_step = True
        try:
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            closed = epoch is not None and hasattr(self, "_get_closed_form_lr")
            lrs = self._get_closed_form_lr() if closed else self.get_lr()
        finally:
            self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            put(group, "lr", lr)
        self._last_lr = of_groups(self.optimizer, "lr")

    # ---- state ----

    def state_dict(self) -> dict:
        """All attributes but the optimizer, in a dict with PyTorch's keys."""
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what a `state_dict` holds, also one of PyTorch's.

        The learning rates themselves are in the optimizer's state dict.
        """
        vars(self).update(state_dict)


def check_optimizer(optimizer):
    """Raise TypeError unless it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def own(value):
    """The value; of a tensor, a copy that nobody else writes to."""
    return value.clone() if isinstance(value, Tensor) else value


def of_groups(optimizer, key):
    """The option `key` of each group."""
    return [own(group[key]) for group in optimizer.param_groups]


def put(group, key, value):
    """Set a group's option; a tensor is written to, so that whoever holds it sees the change."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def per_group(name, optimizer, value):
    """A value per group, of one value or of a list with one for each."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [own(value) for _ in range(groups)]
    if len(value) != groups:
        raise ValueError(
            f"{name} has {len(value)} values, but the optimizer has {groups} groups; give one "
            "value, or as many as there are groups"
        )
    return [own(item) for item in value]


def half_cosine(x):
    """From 1 at x = 0 down to 0 at x = 1."""
    return (1 + math.cos(math.pi * x)) / 2


class MomentumCycle:
    """Where an optimizer keeps its momentum: in "momentum", or first among "betas"."""

    def _begin_momentum(self, base, highest, last_epoch):
        """Note the bounds in the groups, and begin with the higher one; returns both per group."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError(
                f"{type(self).__name__}: {type(self.optimizer).__name__} has neither momentum nor "
                "betas to cycle; pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in defaults
        bases = per_group("base_momentum", self.optimizer, base)
        highests = per_group("max_momentum", self.optimizer, highest)
        if last_epoch == -1:
            for group, low, high in zip(self.optimizer.param_groups, bases, highests, strict=True):
                group["max_momentum"], group["base_momentum"] = high, low
                self._put_momentum(group, high)
        return bases, highests

    def _put_momentum(self, group, value):
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


def state_of_function(function):
    """What a state dict keeps of a function: the attributes of a callable object, else None."""
    return None if isinstance(function, FunctionType) else dict(getattr(function, "__dict__", {}))


def warn_outside_step(schedule):
    """Warn whoever calls `get_lr`, which computes the next learning rate, to see the last one."""
    if not schedule._get_lr_called_within_step:
        warnings.warn(
            "get_lr() computes the next learning rate; for the last one, use get_last_lr()",
            stacklevel=3,
        )


def warn_of_epoch():
    """Warn that `step` is given an epoch."""
    warnings.warn(
        "step(epoch): giving the epoch is deprecated; it takes the closed form of a schedule "
        "where there is one, and forgets what others did to the learning rate. Use step()",
        stacklevel=3,
    )


def _watch_first_step(optimizer):
    """Have the optimizer's first step noted, by a hook that is gone after it."""
    if hasattr(optimizer, "_opt_called"):
        return

    def note(optimizer, args, kwargs):
        optimizer._opt_called = True
        handle.remove()
        del optimizer._watched_step
        optimizer._unwatch()  # later steps cost what they did

    handle = optimizer.register_step_post_hook(note)
    optimizer._opt_called = False
    optimizer._watched_step = optimizer.step


def _check_order(optimizer):
    """Warn if the optimizer has not stepped yet: its first step would miss the first learning rate.

    A copy of an optimizer is not watched, and is taken to be right.
    """
    if getattr(optimizer, "_opt_called", True):
        return
    if optimizer.step != optimizer._watched_step:
        message = (
            "optimizer.step was replaced after the schedule was made, so nobody knows whether it "
            "was called before lr_scheduler.step(), as it should be"
        )
    else:
        message = (
            "lr_scheduler.step() was called before optimizer.step(); call them in the other order, "
            "or the first learning rate of the schedule is skipped"
        )
    warnings.warn(message, stacklevel=3)
