"""How good predictions are: functions of all outputs and targets, and classes that take in batches."""

from collections.abc import Mapping

from .base import Collected, Metric
from .classification import (
    AUC,
    F1,
    Accuracy,
    ConfusionMatrix,
    TopKAccuracy,
    accuracy,
    auc,
    confusion_matrix,
    f1_score,
    top_k_accuracy,
)
from .regression import (
    MAE,
    MSE,
    R2,
    RMSE,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)

METRICS = {
    "accuracy": Accuracy,
    "top5": TopKAccuracy,
    "f1": F1,
    "confusion": ConfusionMatrix,
    "auc": AUC,
    "mae": MAE,
    "mse": MSE,
    "rmse": RMSE,
    "r2": R2,
}


def named_metrics(metrics) -> dict:
    """Name → `Metric`, of such a dict (functions are `Collected`), a list of names, or None.

    Raises:
        ValueError: an unknown name.
        TypeError: something that is neither a metric nor a function, or has no name.

    >>> from tinygrad_lessons.train.metrics import named_metrics
    >>> [type(metric).__name__ for metric in named_metrics(["accuracy", "f1"]).values()]
    ['Accuracy', 'F1']
    """
    if metrics is None:
        return {}
    if isinstance(metrics, Mapping):
        return {
            name: metric if isinstance(metric, Metric) else Collected(metric)
            for name, metric in metrics.items()
        }
    if isinstance(metrics, str):
        raise TypeError(
            f"metrics: got {metrics!r}: expected a list of names, as [{metrics!r}], or a dict"
        )
    for name in metrics:
        if not isinstance(name, str):
            raise TypeError(
                f"metrics: got {type(name).__name__} in a list, where names are expected: give it "
                f"one in a dict, as {{'{type(name).__name__.lower()}': …}}"
            )
        if name not in METRICS:
            raise ValueError(f"metrics: got {name!r}: expected some of {sorted(METRICS)}")
    return {name: METRICS[name]() for name in metrics}
