"""A run described by tables of options: read from TOML, overridden by flags, checked, and run."""

from tinygrad_lessons.train.config.build import build
from tinygrad_lessons.train.config.run import load_run, run
from tinygrad_lessons.train.config.schema import Config, Training, read_toml
from tinygrad_lessons.train.config.signature import ConfigError

__all__ = ["Config", "ConfigError", "Training", "build", "load_run", "read_toml", "run"]
