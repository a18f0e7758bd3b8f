"""Learning-rate schedules: PyTorch's, and a warm-up, inverse square root and WSD beside them.

Make one for an optimizer, then call its `step` after the optimizer's, each epoch or each batch.
`values` and `plot` show what it will do.
"""

from .base import LRScheduler
from .compose import ChainedScheduler, SequentialLR, WarmupLR
from .cycles import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .factors import (
    ConstantLR,
    ExponentialLR,
    InverseSqrtLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
    WarmupStableDecayLR,
)
from .plateau import ReduceLROnPlateau
from .preview import plot, values

_LRScheduler = (
    LRScheduler  # the name that schedules of one's own from before PyTorch 2.0 derive from
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "InverseSqrtLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupLR",
    "WarmupStableDecayLR",
    "plot",
    "values",
]
