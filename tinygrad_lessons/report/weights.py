"""The section of weights and gradients: norms, ratios, dead units, histograms, by epoch."""

import math

import numpy as np

from tinygrad_lessons.report.charts import HIT, MISS, Line, heat_chart, line_chart, shade
from tinygrad_lessons.report.markup import markup, tag
from tinygrad_lessons.report.page import grid, more
from tinygrad_lessons.report.run import is_number
from tinygrad_lessons.report.scales import number

RULE_OF_THUMB = [(1e-3, "0.001, a rule of thumb")]
PARAMETERS = 8  # with histograms that are shown at once


def gradients(run):
    """Norms and update-to-weight ratios per parameter and epoch, dead units, histograms."""
    lines = [line for line in run.gradients if isinstance(line.get("parameters"), dict)]
    if not lines:
        return None
    epochs = [line.get("epoch", i) for i, line in enumerate(lines, 1)]
    names = list(dict.fromkeys(name for line in lines for name in line["parameters"]))
    pictures = []
    for key, title, options in (
        ("grad_norm", "gradient norms", {"log": True}),
        ("update_ratio", "update-to-weight ratios", {"log": True, "references": RULE_OF_THUMB}),
        ("weight_norm", "weight norms", {"log": True}),
        ("dead_units", "dead units", {"shares": True}),
    ):
        drawn = _per_name(lines, epochs, names, key)
        if drawn:
            pictures.append(line_chart(title, drawn, x_label="epoch", **options))
    histograms = [picture for name in names for picture in _histograms(lines, epochs, name)]
    shown, rest = histograms[: 2 * PARAMETERS], histograms[2 * PARAMETERS :]
    return markup(
        grid(*pictures),
        tag("p", "Each column below is the histogram of an epoch.", class_="hint below")
        if shown
        else None,
        tag("div", shown, class_="small"),
        more(f"{len(rest)} more histograms", tag("div", rest, class_="small")) if rest else None,
    )


def _per_name(lines, epochs, names, key):
    """A `Line` per parameter, coloured from the first to the last."""
    drawn = []
    for i, name in enumerate(names):
        values = [(line["parameters"].get(name) or {}).get(key) for line in lines]
        values = [value if is_number(value) else math.nan for value in values]
        if any(map(math.isfinite, values)):
            drawn.append(Line(name, epochs, values, shade(i, len(names))))
    return drawn


def _histograms(lines, epochs, name):
    """Heat maps of a parameter's weights and gradients."""
    for key, colour in (("weight", HIT), ("gradient", MISS)):
        found = [(line["parameters"].get(name) or {}).get(key) for line in lines]
        kept = [
            (epoch, *_checked(histogram, name))
            for epoch, histogram in zip(epochs, found, strict=True)
            if histogram and any(histogram["counts"])
        ]
        if kept:
            shares, edges = common_histogram([pair[1:] for pair in kept])
            yield heat_chart(
                f"{name}: {key}s",
                shares,
                edges,
                x_label="epoch",
                first=number(kept[0][0]),
                last=number(kept[-1][0]),
                colour=colour,
            )


def _checked(histogram, name):
    """Edges and counts as arrays."""
    edges, counts = (np.asarray(histogram[key], float) for key in ("edges", "counts"))
    fit = edges.ndim == counts.ndim == 1 and len(edges) == len(counts) + 1
    if not (
        fit
        and np.isfinite([*edges, *counts]).all()
        and (np.diff(edges) >= 0).all()
        and (counts >= 0).all()
    ):
        raise ValueError(f"edges and counts of the histograms of {name} do not fit")
    return edges, counts


def common_histogram(histograms, bins=48):
    """Histograms with edges of their own on common ones; each column relative to its largest bin.

    The values of a bin are taken to be spread evenly in it. The common edges leave out the
    outermost 0.1 % of each histogram at either end.

    Args:
        histograms: pairs (edges of n + 1 values that rise, counts of n values with a sum above 0).
        bins: how many common bins.

    Returns:
        An array (bins, histograms), the lowest bin first, and the pair of the outer edges.

    Example:
        >>> import numpy as np
        >>> from tinygrad_lessons.report.weights import common_histogram
        >>> shares, edges = common_histogram([(np.array([0.0, 1.0, 2.0]), np.array([1, 3]))], bins=2)
        >>> shares.round(2).tolist()
        [[0.33], [1.0]]
    """
    sums = [
        (edges, np.concatenate([[0], np.cumsum(counts)]) / counts.sum())
        for edges, counts in histograms
    ]
    low = min(np.interp(0.001, total, edges) for edges, total in sums)
    high = max(np.interp(0.999, total, edges) for edges, total in sums)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    common = np.linspace(low, high, bins + 1)
    shares = np.stack([np.diff(np.interp(common, edges, total)) for edges, total in sums], axis=1)
    return shares / np.maximum(shares.max(0), 1e-300), (low, high)
