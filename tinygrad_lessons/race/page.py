"""The race as an animation: one HTML file that needs nothing else."""

import base64
import io
import json
from html import escape
from importlib.resources import files

from tinygrad_lessons._figure import new_figure
from tinygrad_lessons.race.picture import CEILING, COLOURS, FLOOR, draw_contour
from tinygrad_lessons.report.markup import Markup
from tinygrad_lessons.report.page import page as frame


def page(course, results, title) -> str:
    """The text of an HTML file in which the race goes on run by run, on the contour of a surface.

    Args:
        course: the one raced on.
        results: from `race`.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    data = {
        "limits": [FLOOR, CEILING],
        "racers": [
            {
                "name": result.name,
                "colour": COLOURS[result.name],
                "rate": f"{result.rate:.2g}",
                "last": [f"{height:.2g}" for height in result.last],
                "heights": _rounded(result.heights.tolist()),
                "paths": None if result.paths is None else _rounded(result.paths.tolist()),
            }
            for result in results
        ],
    }
    if results[0].paths is not None:
        png = base64.b64encode(_contour(course.surface)).decode()
        data["plane"] = {
            "domain": course.surface.domain,
            "minima": course.surface.minima,
            "contour": f"data:image/png;base64,{png}",
        }
    fields = {
        "{{measure}}": escape(course.measure),
        "{{data}}": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    text = files("tinygrad_lessons.race").joinpath("page.html").read_text("utf-8")
    for field, value in fields.items():
        text = text.replace(field, value)
    return frame(title, course.about, [(None, Markup(text))])


def _contour(surface):
    """A PNG of the contour alone, from edge to edge."""
    figure = new_figure("", width=5, height=5)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    draw_contour(axes, surface)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _rounded(values):
    """Numbers of five digits; None for those that are not finite."""
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    rounded = float(f"{values:.5g}")
    return rounded if abs(rounded) < float("inf") else None
