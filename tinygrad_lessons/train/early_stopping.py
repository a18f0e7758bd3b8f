"""When to stop training, and which weights to keep."""

import math


class EarlyStopping:
    """Stops when a metric has not improved for `patience` epochs in a row.

    An epoch improves when its metric is below the best by more than `min_delta` (above it for
    mode "max"); NaN never improves.

    Args:
        monitor: the name of the metric.
        mode: "min" if less is better, "max" if more is.
        patience: how many epochs in a row may fail to improve before the last of them stops.
        min_delta: what counts as an improvement, >= 0.
        restore_best: keep a copy of the best epoch's weights for `restore`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> from tinygrad_lessons import nn
        >>> from tinygrad_lessons.train import EarlyStopping
        >>> model, stopper = nn.Linear(2, 1), EarlyStopping("val_loss", patience=2)
        >>> [stopper.step({"val_loss": loss}, model) for loss in (1.0, 0.5, 0.7, 0.6)]
        [False, False, False, True]
        >>> stopper.best, stopper.best_epoch
        (0.5, 2)
    """

    def __init__(
        self, monitor="val_loss", mode="min", patience=10, min_delta=0.0, restore_best=True
    ):
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: got mode {mode!r}: expected 'min' or 'max'")
        if patience < 1:
            raise ValueError(f"EarlyStopping: got patience {patience!r}: expected 1 or more")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: got min_delta {min_delta!r}: expected 0 or more")
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch = 0
        self.epoch = 0
        self._best_state = None

    def step(self, metrics, model):
        """Take in one epoch's metrics; True when training should stop.

        Raises:
            KeyError: `metrics` lacks the monitored one.
        """
        if self.monitor not in metrics:
            raise KeyError(
                f"EarlyStopping: no metric {self.monitor!r}: expected one of {sorted(metrics)}"
            )
        self.epoch += 1
        value = metrics[self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch = value, self.epoch
            if self.restore_best:
                self._best_state = {
                    name: tensor.detach().clone() for name, tensor in model.state_dict().items()
                }
        return self.epoch - self.best_epoch >= self.patience

    def restore(self, model):
        """Give `model` the best epoch's weights; without such a copy it stays as it is."""
        if self._best_state is not None:
            model.load_state_dict(self._best_state)
