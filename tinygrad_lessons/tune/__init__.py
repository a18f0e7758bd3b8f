"""Search for good settings, on Optuna: `tune`, and the spaces it searches."""

from tinygrad_lessons.tune.choices import PRUNERS, SAMPLERS
from tinygrad_lessons.tune.run import best_config, tune
from tinygrad_lessons.tune.space import checked as checked_space
from tinygrad_lessons.tune.space import default_space

__all__ = ["PRUNERS", "SAMPLERS", "best_config", "checked_space", "default_space", "tune"]
