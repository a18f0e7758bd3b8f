"""Optimizers at PyTorch's paths: a rule is a row of csrc/optim.def, a step one compiled call."""

from . import lr_scheduler, surfaces, swa_utils
from .adafactor import Adafactor
from .adagrad import Adadelta, Adagrad
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .adam_kin import AdaBelief, Adan, Yogi
from .asgd import ASGD
from .large_batch import LAMB, LARS
from .lbfgs import LBFGS, GradientDescent
from .lion import Lion
from .muon import Muon
from .optimizer import Optimizer
from .prodigy import Prodigy
from .rmsprop import RMSprop
from .rprop import Rprop
from .schedule_free import AdamWScheduleFree, SGDScheduleFree
from .sgd import SGD
from .sparse_adam import SparseAdam
from .wrappers import SAM, Lookahead

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "LBFGS",
    "SAM",
    "SGD",
    "AdaBelief",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "Adan",
    "GradientDescent",
    "Lion",
    "Lookahead",
    "Muon",
    "NAdam",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGDScheduleFree",
    "SparseAdam",
    "Yogi",
    "lr_scheduler",
    "surfaces",
    "swa_utils",
]
