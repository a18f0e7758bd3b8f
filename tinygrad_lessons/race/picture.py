"""The race as a picture."""

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons._figure import new_figure
from tinygrad_lessons.race.contest import RATES, quartiles

COLOURS = {  # each optimizer has its own in every race; those that often run together are far apart
    "sgd": "#cc3311",
    "momentum": "#0077bb",
    "nesterov": "#009988",
    "adagrad": "#999933",
    "adadelta": "#ddaa33",
    "rmsprop": "#aa3377",
    "adam": "#ee7733",
    "amsgrad": "#332288",
    "adamax": "#882255",
    "nadam": "#33bbee",
    "radam": "#117733",
    "rprop": "#555555",
}
FLOOR, CEILING = 1e-16, 1e8  # of the gaps that are drawn


def picture(surface, results, title, rates=RATES):
    """A matplotlib figure: paths on the contour, gaps by gradients, last gaps by learning rate.

    The paths are those of the first run. Lines are medians, bands reach from quartile to
    quartile; a ring marks the tuned learning rate.

    Args:
        surface: the one raced on.
        results: from `race`.
        rates: those that were tuned among.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure = new_figure(title, width=12.5, height=6.4)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
    plane, course, tuning = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )
    (x_low, x_high), (y_low, y_high) = surface.domain
    draw_contour(plane, surface)
    plane.set(xlim=(x_low, x_high), ylim=(y_low, y_high), xlabel="x", ylabel="y")
    for minimum in surface.minima:
        plane.plot(*minimum, "*", color="black", markersize=11, zorder=4)
    budget = results[0].gaps.shape[1] - 1
    for result in results:
        colour = COLOURS[result.name]
        path = result.paths[0]
        plane.plot(*path.T, "-", color=colour, linewidth=1.4, zorder=3)
        plane.plot(*path.T, ".", color=colour, markersize=3, zorder=3)
        line = _band(course, np.arange(budget + 1), quartiles(result.gaps), colour)
        line.set_label(f"{result.name}, lr {result.rate:.2g}")
        _band(tuning, rates, result.tuning.T, colour)
        at = list(rates).index(result.rate)
        median = np.clip(result.tuning[at, 1], FLOOR, CEILING)
        tuning.plot(result.rate, median, "o", color=colour, fillstyle="none", markersize=9)
    plane.plot(*results[0].paths[0, 0], "o", color="black", markersize=5, zorder=5)
    course.set(
        xlabel="gradients", ylabel="height above the minimum", yscale="log", xlim=(0, budget)
    )
    tuning.set(
        xlabel="learning rate",
        ylabel=f"height after {budget} gradients",
        xscale="log",
        yscale="log",
    )
    if any(np.isinf(result.tuning).any() for result in results):
        tuning.text(rates[-1], CEILING / 2, "diverged", ha="right", va="top")
    for axes in (course, tuning):
        axes.grid(alpha=0.3)
    course.legend(fontsize="small")
    return figure


def draw_contour(axes, surface):
    """Fill axes with the surface, dark where it is high, on a scale that shows the valleys."""
    (x_low, x_high), (y_low, y_high) = surface.domain
    x, y = np.linspace(x_low, x_high, 300), np.linspace(y_low, y_high, 300)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    gaps = surface(tg.tensor(points)).numpy() - surface.minimum
    heights = np.log(np.maximum(gaps, 0) + np.quantile(gaps, 0.02))
    axes.contourf(x, y, heights, levels=24, cmap="Greys", alpha=0.55)
    axes.contour(x, y, heights, levels=24, colors="white", linewidths=0.4)


def _band(axes, x, values, colour):
    low, median, high = np.clip(values, FLOOR, CEILING)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    return axes.plot(x, median, color=colour, linewidth=1.5)[0]
