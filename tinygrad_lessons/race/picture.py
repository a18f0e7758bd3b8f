"""The race as a picture."""

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons._figure import new_figure
from tinygrad_lessons.race.contest import RATES, quartiles

COLOURS = {  # each optimizer has its own in every race; those that often run together are far apart
    "sgd": "#cc3311",
    "momentum": "#0077bb",
    "nesterov": "#009988",
    "asgd": "#e07b91",
    "adagrad": "#999933",
    "adadelta": "#ddaa33",
    "rmsprop": "#aa3377",
    "adam": "#ee7733",
    "amsgrad": "#332288",
    "adamax": "#882255",
    "nadam": "#33bbee",
    "radam": "#117733",
    "rprop": "#555555",
    "lion": "#8c510a",
    "yogi": "#6a51a3",
    "adabelief": "#41ab5d",
    "adan": "#045a8d",
}
FLOOR, CEILING = 1e-16, 1e8  # of the heights that are drawn


def picture(course, results, title, rates=RATES):
    """A matplotlib figure: heights by gradients, last heights by learning rate, paths if on a surface.

    The paths are those of the first run, on the contour. Lines are medians, bands reach from
    quartile to quartile; a ring marks the tuned learning rate.

    Args:
        course: the one raced on.
        results: from `race`.
        rates: those that were tuned among.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    if results[0].paths is None:
        figure = new_figure(title, width=12.5, height=4.6)
        course_axes, tuning = figure.subplots(1, 2)
    else:
        figure = new_figure(title, width=12.5, height=6.4)
        grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
        _draw_paths(figure.add_subplot(grid[:, 0]), course.surface, results)
        course_axes, tuning = (figure.add_subplot(grid[row, 1]) for row in (0, 1))
    budget = results[0].heights.shape[1] - 1
    for result in results:
        colour = COLOURS[result.name]
        line = _band(course_axes, np.arange(budget + 1), quartiles(result.heights), colour)
        line.set_label(f"{result.name}, lr {result.rate:.2g}")
        _band(tuning, rates, result.tuning.T, colour)
        at = list(rates).index(result.rate)
        median = np.clip(result.tuning[at, 1], FLOOR, CEILING)
        tuning.plot(result.rate, median, "o", color=colour, fillstyle="none", markersize=9)
    course_axes.set(xlabel="gradients", ylabel=course.measure, yscale="log", xlim=(0, budget))
    tuning.set(
        xlabel="learning rate",
        ylabel=f"{course.measure}\nafter {budget} gradients",
        xscale="log",
        yscale="log",
    )
    if any(np.isinf(result.tuning).any() for result in results):
        tuning.text(rates[-1], CEILING / 2, "diverged", ha="right", va="top")
    for axes in (course_axes, tuning):
        axes.grid(alpha=0.3)
    course_axes.legend(fontsize="small")
    return figure


def _draw_paths(axes, surface, results):
    draw_contour(axes, surface)
    axes.set(xlim=surface.domain[0], ylim=surface.domain[1], xlabel="x", ylabel="y")
    for minimum in surface.minima:
        axes.plot(*minimum, "*", color="black", markersize=11, zorder=4)
    for result in results:
        axes.plot(
            *result.paths[0].T,
            ".-",
            color=COLOURS[result.name],
            linewidth=1.4,
            markersize=3,
            zorder=3,
        )
    axes.plot(*results[0].paths[0, 0], "o", color="black", markersize=5, zorder=5)


def draw_contour(axes, surface):
    """Fill axes with the surface, dark where it is high, on a scale that shows the valleys."""
    (x_low, x_high), (y_low, y_high) = surface.domain
    x, y = np.linspace(x_low, x_high, 300), np.linspace(y_low, y_high, 300)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    heights = surface(tg.tensor(points)).numpy() - surface.minimum
    heights = np.log(np.maximum(heights, 0) + np.quantile(heights, 0.02))
    axes.contourf(x, y, heights, levels=24, cmap="Greys", alpha=0.55)
    axes.contour(x, y, heights, levels=24, colors="white", linewidths=0.4)


def _band(axes, x, values, colour):
    low, median, high = np.clip(values, FLOOR, CEILING)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    return axes.plot(x, median, color=colour, linewidth=1.5)[0]
