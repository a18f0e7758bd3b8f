"""A schedule seen before training: its values, and their picture."""

from copy import deepcopy
from types import SimpleNamespace

import numpy as np

from tinygrad_lessons._figure import new_figure


def values(schedule, steps: int) -> np.ndarray:
    """The learning rates of the next `steps` optimizer steps: an array (groups, steps) of float64.

    The first column is what the groups have now. The schedule and its optimizer stay as they are.

    Args:
        schedule: any that steps without a metric.

    Raises:
        TypeError: the schedule's `step` needs a metric.
        ValueError: the schedule is over before that (`OneCycleLR`).

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> tg.optim.lr_scheduler.values(schedule, 4)
    array([[1.   , 0.5  , 0.25 , 0.125]])
    """
    optimizer = schedule.optimizer
    groups = [
        {key: deepcopy(value) for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]
    stand_in = SimpleNamespace(param_groups=groups, defaults=optimizer.defaults)
    twin = deepcopy(schedule, {id(optimizer): stand_in})
    result = np.empty((len(groups), steps))
    for step in range(steps):
        if step > 0:
            twin.step()
        result[:, step] = [float(group["lr"]) for group in groups]
    return result


def plot(schedule, steps: int):
    """Draw `values`: a line per group. Returns a matplotlib figure; `savefig` writes it to a file.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        TypeError, ValueError: as `values`.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=50)
    >>> figure = tg.optim.lr_scheduler.plot(schedule, 50)
    """
    rates = values(schedule, steps)
    figure = new_figure(type(schedule).__name__, width=6.4, height=3.6)
    axes = figure.subplots()
    for i, rate in enumerate(rates):
        axes.step(np.arange(steps), rate, where="post", label=f"group {i}")
    axes.set(xlabel="step", ylabel="learning rate", xlim=(0, max(steps - 1, 1)))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if len(rates) > 1:
        axes.legend()
    return figure
