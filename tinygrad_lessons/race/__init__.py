"""Races of optimizers on test functions and on a net, fair and drawn: what `tgl race` does."""

from tinygrad_lessons.race.contest import RACERS, RATES, Result, race
from tinygrad_lessons.race.courses import DigitsCourse, SurfaceCourse
from tinygrad_lessons.race.page import page
from tinygrad_lessons.race.picture import picture

__all__ = [
    "RACERS",
    "RATES",
    "DigitsCourse",
    "Result",
    "SurfaceCourse",
    "page",
    "picture",
    "race",
]
