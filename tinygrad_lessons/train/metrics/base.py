"""What streaming metrics share."""

import copy
import math
from collections.abc import Mapping

import tinygrad_lessons as tg


class Metric:
    """A figure of all batches since `reset`: `update` takes one in, `compute` gives the figure.

    A metric of one's own defines the three and keeps in its attributes what it sums up; those are
    what `state_dict` saves, so they are numbers, tensors, or lists and dicts of these.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import Metric
        >>> class Largest(Metric):
        ...     def reset(self):
        ...         self.largest = 0.0
        ...     def update(self, output, target):
        ...         self.largest = max(self.largest, (output - target).abs().max().item())
        ...     def compute(self):
        ...         return self.largest
        >>> metric = Largest()
        >>> metric.update(tg.tensor([1.0, 2.0]), tg.tensor([0.0, 5.0]))
        >>> metric.compute()
        3.0
    """

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__}: reset is not defined")

    def update(self, output, target) -> None:
        """Take in a batch: what the model gave, and what was wanted."""
        raise NotImplementedError(f"{type(self).__name__}: update is not defined")

    def compute(self):
        """The figure: a number, or a tensor of some."""
        raise NotImplementedError(f"{type(self).__name__}: compute is not defined")

    def state_dict(self) -> dict:
        """What was summed up, for a checkpoint in the middle of an epoch."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping) -> None:
        """Go on from a `state_dict`."""
        vars(self).update(state)

    def fresh(self) -> "Metric":
        """A metric like this one that has seen nothing."""
        twin = copy.copy(self)
        twin.reset()
        return twin


class Collected(Metric):
    """The streaming form of a function (output, target) → figure: keeps all batches for the end.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import Collected, auc
    >>> metric = Collected(auc)
    >>> metric.update(tg.tensor([0.1, 0.7]), tg.tensor([0, 1]))
    >>> metric.update(tg.tensor([0.4]), tg.tensor([1]))
    >>> metric.compute()
    1.0
    """

    def __init__(self, function):
        if not callable(function):
            raise TypeError(
                f"Collected: expected a function (output, target), got {type(function).__name__}"
            )
        self._function = function
        super().__init__()

    def reset(self):
        """Forget all batches."""
        self.outputs, self.targets = [], []

    def update(self, output, target):
        """Keep a batch."""
        self.outputs.append(output.detach())
        self.targets.append(target)

    def compute(self):
        """The function of all outputs and all targets; NaN of none."""
        if not self.outputs:
            return math.nan
        return self._function(tg.cat(self.outputs), tg.cat(self.targets))

    def state_dict(self):
        """The batches so far."""
        return {"outputs": self.outputs, "targets": self.targets}
