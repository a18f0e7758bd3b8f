"""When to stop training, and which weights to keep."""

import math

from .base import Callback


def check_mode(name, mode):
    """Raise ValueError unless `mode` is one of the two."""
    if mode not in ("min", "max"):
        raise ValueError(f"{name}: got mode {mode!r}: expected 'min' or 'max'")


def monitored(name, metrics, monitor):
    """The monitored figure of an epoch, as a float.

    Raises:
        KeyError: there is none of this name.
        TypeError: it is not one number.
    """
    if monitor not in metrics:
        raise KeyError(f"{name}: no metric {monitor!r}: expected one of {sorted(metrics)}")
    try:
        return float(metrics[monitor])
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: {monitor!r} is a {type(metrics[monitor]).__name__}: expected a number, which "
            "can be compared with that of another epoch"
        ) from None


class EarlyStopping(Callback):
    """Stops when a metric has not improved for `patience` epochs in a row.

    An epoch improves when its metric is below the best by more than `min_delta` (above it for
    mode "max"); NaN never improves. As a callback it restores the best weights however training
    ends; without a trainer, `step` and `restore` do the same. Where `EMA` or `SWA` leave an average
    in the model, it is the best average that is restored, or none if averages were not validated.

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
        check_mode("EarlyStopping", mode)
        if patience < 1:
            raise ValueError(f"EarlyStopping: got patience {patience!r}: expected 1 or more")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: got min_delta {min_delta!r}: expected 0 or more")
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.reset()

    def reset(self):
        """Forget all epochs."""
        self.best = math.inf if self.mode == "min" else -math.inf
        self.best_epoch = 0
        self.epoch = 0
        self._best_state = None
        self._of_average = False  # whether these weights are an average

    @property
    def should_stop(self) -> bool:
        """Whether patience is at its end."""
        return self.epoch - self.best_epoch >= self.patience

    def step(self, metrics, model):
        """Take in one epoch's metrics; True when training should stop.

        Raises:
            KeyError: `metrics` lacks the monitored one.
        """
        value = monitored("EarlyStopping", metrics, self.monitor)
        self.epoch += 1
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch = value, self.epoch
            if self.restore_best:
                self._best_state = {
                    name: tensor.detach().clone() for name, tensor in model.state_dict().items()
                }
        return self.should_stop

    def restore(self, model):
        """Give `model` the best epoch's weights; without such a copy it stays as it is."""
        if self._best_state is not None:
            model.load_state_dict(self._best_state)

    def on_fit_start(self, trainer):
        """Begin anew, or stop at once if the run had been stopped."""
        if not trainer.resumed:
            self.reset()
        elif self.should_stop and self.epoch:
            trainer.stop("early stopping")

    def on_epoch_end(self, trainer):
        """Take in the epoch."""
        if self.step(trainer.history[-1], trainer.model):
            trainer.stop("early stopping")
        if self.best_epoch == self.epoch:
            self._of_average = trainer.averaged

    def on_fit_end(self, trainer):
        """Restore the best weights, but not in place of an average of them."""
        if self._of_average == trainer.averaged:
            self.restore(trainer.model)

    def state_dict(self):
        """The best figure, its weights, and the epochs since."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "epoch": self.epoch,
            "weights": self._best_state,
            "of_average": self._of_average,
        }

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self.best, self.best_epoch, self.epoch = state["best"], state["best_epoch"], state["epoch"]
        self._best_state, self._of_average = state["weights"], state["of_average"]
