"""What may happen on the way of a `Trainer`."""

from .base import Callback
from .checkpoint import ModelCheckpoint
from .early_stopping import EarlyStopping
from .loggers import CSVLogger, JSONLLogger, LRMonitor
from .progress import Progress

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "JSONLLogger",
    "LRMonitor",
    "ModelCheckpoint",
    "Progress",
]
