"""Training a classifier: the loop, early stopping, metrics, and the folder a run leaves behind."""

from tinygrad_lessons.train.early_stopping import EarlyStopping
from tinygrad_lessons.train.loop import fit, predict
from tinygrad_lessons.train.metrics import accuracy, confusion_matrix
from tinygrad_lessons.train.models import mlp
from tinygrad_lessons.train.run_folder import RunFolder

__all__ = [
    "EarlyStopping",
    "RunFolder",
    "accuracy",
    "confusion_matrix",
    "fit",
    "mlp",
    "predict",
]
