"""Optimizers at PyTorch's paths: a rule is a row of csrc/optim.def, a step one compiled call."""

from . import lr_scheduler, surfaces, swa_utils
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler", "surfaces", "swa_utils"]
