"""Races of optimizers on test functions, fair and drawn: what `tgl race` does."""

from tinygrad_lessons.race.contest import RACERS, RATES, Result, race
from tinygrad_lessons.race.page import page
from tinygrad_lessons.race.picture import picture

__all__ = ["RACERS", "RATES", "Result", "page", "picture", "race"]
