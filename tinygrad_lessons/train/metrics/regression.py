"""How good a regression is: mean absolute and squared error, R².

Each is a function of all outputs and targets, of equal shape, and a class that takes them in batch
by batch. All is summed up in float64; of nothing, each is NaN.
"""

import math

from .base import Metric
from .classes import share


def _pair(name, output, target):
    output, target = output.detach().double(), target.detach().double()
    if output.shape != target.shape:
        # (n, 1) beside (n,) would broadcast to all pairs
        if {output.shape, target.shape} != {(len(target),), (len(target), 1)}:
            raise ValueError(
                f"{name}: outputs of shape {tuple(output.shape)} and targets of shape "
                f"{tuple(target.shape)} do not fit: expected equal shapes, or (n, 1) and (n,)"
            )
        output = output.reshape(target.shape)
    return output, target


class MSE(Metric):
    """The mean squared error of all elements of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import MSE
    >>> metric = MSE()
    >>> metric.update(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    >>> metric.compute()
    2.0
    """

    def reset(self):
        """Forget all batches."""
        self.total, self.count = 0.0, 0

    def update(self, output, target):
        """Add a batch's errors."""
        output, target = _pair(type(self).__name__, output, target)
        self.total += self._sum(output - target)
        self.count += target.numel()

    def _sum(self, error):
        return (error * error).sum().item()

    def compute(self):
        """The mean; NaN of nothing."""
        return share(self.total, self.count)


class RMSE(MSE):
    """The root of the mean squared error of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import RMSE
    >>> metric = RMSE()
    >>> metric.update(tg.tensor([3.0, 0.0]), tg.tensor([0.0, 3.0]))
    >>> metric.compute()
    3.0
    """

    def compute(self):
        """The root of the mean; NaN of nothing."""
        return math.sqrt(super().compute())


class MAE(MSE):
    """The mean absolute error of all elements of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import MAE
    >>> metric = MAE()
    >>> metric.update(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    >>> metric.compute()
    1.0
    """

    def _sum(self, error):
        return error.abs().sum().item()


class R2(Metric):
    """R² = 1 - Σ(y - ŷ)² / Σ(y - mean y)², the mean over the columns of the target.

    A column that is constant counts 1 if it is met exactly, else 0. The sums of squares of batches
    are joined around their means, so that a large mean costs no digits.

    Source: Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import R2
    >>> metric = R2()
    >>> metric.update(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 2.0]))
    >>> metric.update(tg.tensor([4.0]), tg.tensor([3.0]))
    >>> metric.compute()
    0.5
    """

    def reset(self):
        """Forget all batches."""
        self.count, self.mean, self.spread, self.error = 0, 0.0, 0.0, 0.0

    def update(self, output, target):
        """Add a batch's sums of squares."""
        output, target = _pair("R2", output, target)
        count = len(target)
        if not count:
            return
        output, target = (x.reshape(count, -1) for x in (output, target))
        mean = target.mean(0)
        step = mean - self.mean
        total = self.count + count
        self.spread = (
            self.spread
            + (target - mean).square().sum(0)
            + step * step * (self.count * count / total)
        )
        self.mean = self.mean + step * (count / total)
        self.error = self.error + (output - target).square().sum(0)
        self.count = total

    def compute(self):
        """The share of the variance that is explained; NaN of fewer than two samples."""
        if self.count < 2:
            return math.nan
        scores = [
            1 - error / spread if spread > 0 else float(error == 0)
            for error, spread in zip(self.error.tolist(), self.spread.tolist(), strict=True)
        ]
        return sum(scores) / len(scores)


def _of(metric, output, target):
    metric.update(output, target)
    return metric.compute()


def mean_squared_error(output, target):
    """The mean of (output - target)², as a Python float.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import mean_squared_error
    >>> mean_squared_error(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    2.0
    """
    return _of(MSE(), output, target)


def root_mean_squared_error(output, target):
    """The root of the mean of (output - target)², as a Python float.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import root_mean_squared_error
    >>> root_mean_squared_error(tg.tensor([3.0, 0.0]), tg.tensor([0.0, 3.0]))
    3.0
    """
    return _of(RMSE(), output, target)


def mean_absolute_error(output, target):
    """The mean of |output - target|, as a Python float.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import mean_absolute_error
    >>> mean_absolute_error(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    1.0
    """
    return _of(MAE(), output, target)


def r2_score(output, target):
    """R², the share of the targets' variance that the outputs explain, as a Python float; see `R2`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import r2_score
    >>> r2_score(tg.tensor([1.0, 2.0, 4.0]), tg.tensor([1.0, 2.0, 3.0]))
    0.5
    """
    return _of(R2(), output, target)
