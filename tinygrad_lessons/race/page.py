"""The race as an animation: one HTML file that needs nothing else."""

import base64
import io
import json
from html import escape
from importlib.resources import files

from tinygrad_lessons._figure import new_figure
from tinygrad_lessons.race.picture import CEILING, COLOURS, FLOOR, draw_contour


def page(surface, results, title) -> str:
    """The text of an HTML file in which the optimizers move over the contour, run by run.

    Args:
        surface: the one raced on.
        results: from `race`.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    data = {
        "domain": surface.domain,
        "minima": surface.minima,
        "limits": [FLOOR, CEILING],
        "racers": [
            {
                "name": result.name,
                "colour": COLOURS[result.name],
                "rate": f"{result.rate:.2g}",
                "last": [f"{gap:.2g}" for gap in result.last],
                "paths": [_rounded(run) for run in result.paths.tolist()],
                "gaps": [_rounded(run) for run in result.gaps.tolist()],
            }
            for result in results
        ],
    }
    fields = {
        "{{title}}": escape(title),
        "{{formula}}": escape(f"{surface.formula}: {surface.source}"),
        "{{contour}}": base64.b64encode(_contour(surface)).decode(),
        # a "<" could end the script
        "{{data}}": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    text = files("tinygrad_lessons.race").joinpath("page.html").read_text("utf-8")
    for field, value in fields.items():
        text = text.replace(field, value)
    return text


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
