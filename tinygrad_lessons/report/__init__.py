"""What came out of training, as pages that need nothing else: one run, several compared, a study."""

from tinygrad_lessons.report.comparison import compare, find, format_table, overlay
from tinygrad_lessons.report.pictures import write_pictures
from tinygrad_lessons.report.run import Predictions, Run, read
from tinygrad_lessons.report.scores import Scores, score
from tinygrad_lessons.report.study import write_study
from tinygrad_lessons.report.write import write

__all__ = [
    "Predictions",
    "Run",
    "Scores",
    "compare",
    "find",
    "format_table",
    "overlay",
    "read",
    "score",
    "write",
    "write_pictures",
    "write_study",
]
