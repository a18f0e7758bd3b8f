"""What may happen on the way of a `Trainer`."""

from .averaging import EMA, SWA
from .base import Callback
from .budgets import StepBudget, TimeBudget
from .checkpoint import ModelCheckpoint
from .early_stopping import EarlyStopping
from .gradient_stats import GradientStats
from .gradients import GradientAccumulation, GradientClipping
from .loggers import CSVLogger, JSONLLogger, LRMonitor
from .progress import Progress
from .tensorboard import TensorBoardLogger

__all__ = [
    "CSVLogger",
    "Callback",
    "EMA",
    "EarlyStopping",
    "GradientAccumulation",
    "GradientClipping",
    "GradientStats",
    "JSONLLogger",
    "LRMonitor",
    "ModelCheckpoint",
    "Progress",
    "SWA",
    "StepBudget",
    "TensorBoardLogger",
    "TimeBudget",
]
