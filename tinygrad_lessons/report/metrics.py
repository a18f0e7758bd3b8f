"""What the metrics of a history are called, which are shares, and their values by epoch."""

import math

from tinygrad_lessons.report.run import is_number
from tinygrad_lessons.report.scales import number, percent

SHARES = ("accuracy", "top", "f1", "auc", "precision", "recall")  # metrics from 0 to 1
NO_METRICS = {"epoch", "step", "lr", "seconds", "momentum"}


def is_share(name):
    """Whether a metric is a share of 1, by its name with or without "train_", "val_", "test_".

    Example:
        >>> from tinygrad_lessons.report.metrics import is_share
        >>> is_share("val_accuracy"), is_share("top5"), is_share("val_loss")
        (True, True, False)
    """
    return any(part.startswith(SHARES) for part in (name, name.partition("_")[2]))


def written(name, value):
    """A metric's value as text: shares in percent.

    Example:
        >>> from tinygrad_lessons.report.metrics import written
        >>> written("val_accuracy", 0.98123), written("val_loss", 0.98123)
        ('98.1 %', '0.9812')
    """
    return percent(value) if is_share(name) and is_number(value) else number(value)


def metric_names(histories):
    """The names of metrics in some histories without "train_" and "val_", loss first.

    Example:
        >>> from tinygrad_lessons.report.metrics import metric_names
        >>> metric_names([[{"epoch": 1, "train_accuracy": 0.5, "val_loss": 1.0}]])
        ['loss', 'accuracy']
    """
    names = {}
    for line in (line for history in histories for line in history):
        for name, value in line.items():
            if name not in NO_METRICS and is_number(value):
                names[name.removeprefix("train_").removeprefix("val_")] = None
    return sorted(names, key=lambda name: name != "loss")


def series(history, name):
    """Epochs and a metric's values, NaN where it is missing; None if it never is a number.

    Example:
        >>> from tinygrad_lessons.report.metrics import series
        >>> series([{"epoch": 1, "lr": 0.1}, {"epoch": 2}], "lr")
        ([1, 2], [0.1, nan])
    """
    values = [line.get(name) for line in history]
    if not any(map(is_number, values)):
        return None
    epochs = [line.get("epoch", i) for i, line in enumerate(history, 1)]
    return epochs, [value if is_number(value) else math.nan for value in values]
