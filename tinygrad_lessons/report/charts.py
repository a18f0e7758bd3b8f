"""Charts as SVG: lines, points, heat maps, bars. Colours are the page's, so they follow its theme."""

import json
import math
from dataclasses import dataclass

import numpy as np

from tinygrad_lessons.report.markup import Markup, markup, tag
from tinygrad_lessons.report.png import data_uri
from tinygrad_lessons.report.scales import Scale, number, percent

WIDTH, HEIGHT = 460, 260  # shown at about this size on any screen: narrow ones have one column
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 20, 36
POINTS = 400  # more than these in a line would be thinner than a pixel
TRAIN, VAL = "var(--train)", "var(--val)"
HIT, MISS = (60, 130, 205), (224, 108, 64)  # in pixels, which know no theme
NAMED = 8  # more lines than these get no names beside the chart, only on touch


@dataclass
class Line:
    """A named series: y over x, drawn as a line, as `steps` or as `points`, or with a band.

    NaN and infinity leave a gap.
    """

    name: str
    x: list
    y: list
    colour: str
    style: str = "line"
    band: tuple | None = None
    tips: list | None = None


def palette(i):
    """The colour of the i-th of a few things without order."""
    return f"var(--c{i % 8})"


def shade(i, count):
    """The colour of the i-th of many things in order, from the first to the last."""
    place = 2 * i / max(1, count - 1)
    low, high = ("first", "middle") if place <= 1 else ("middle", "last")
    share = place if place <= 1 else place - 1
    return f"color-mix(in oklab, var(--{high}) {100 * share:.0f}%, var(--{low}))"


def line_chart(
    title, lines, *, x_label, log=False, shares=False, marks=(), references=(), ends=None
):
    """A figure of lines over a common axis; the pointer and arrow keys read values.

    Args:
        title: stands above it.
        lines: `Line`s; names are listed where there are two to eight.
        x_label: what the lower axis counts.
        log: whether the y axis is logarithmic; None decides by the values.
        shares: the values are shares and read in percent.
        marks: pairs (x, text): vertical lines.
        references: pairs (y, text): horizontal lines.
        ends: what the first and the last of many lines are called; their names if None.
    """
    lines = [_thinned(line) for line in lines]
    x_values = np.concatenate([np.asarray(line.x, float) for line in lines])
    y_values = [np.asarray(line.y, float) for line in lines]
    y_values += [np.asarray(part, float) for line in lines if line.band for part in line.band]
    whole = bool(np.all(x_values == np.round(x_values)))
    x = Scale(x_values, LEFT, WIDTH - RIGHT, whole=whole)
    y = Scale(np.concatenate(y_values), HEIGHT - BOTTOM, TOP, log=log, pad=0.05)
    write = percent if shares else number
    drawn = [_axes(x, y, x_label, shares)]
    for value, text in marks:
        drawn.append(_rule(x(value), TOP, x(value), HEIGHT - BOTTOM))
        drawn.append(_text(x(value), TOP - 6, text, "middle"))
    drawn += [_draw(line, x, y) for line in lines]
    for value, text in references:
        if TOP <= y(value) <= HEIGHT - BOTTOM:
            drawn.append(_rule(LEFT, y(value), WIDTH - RIGHT, y(value)))
            drawn.append(_text(WIDTH - RIGHT - 4, y(value) - 5, text, "end", "halo"))
    series = [
        {"name": line.name, "colour": line.colour, "points": _read(line, x, y, write)}
        for line in lines
    ]
    note = " · logarithmic" if y.log else ""
    return figure(
        title + note,
        legend(lines, ends) if len(lines) > 1 or lines[0].band else None,
        svg(drawn, title, f"{title} by {x_label}"),
        {"x": x_label, "series": series},
    )


def figure(title, *content, chart_data=None):
    """A titled picture; the last of the content may be a dict: what its pointer reads."""
    content = list(content)
    if content and isinstance(content[-1], dict):
        chart_data = content.pop()
    script = None
    if chart_data is not None:
        text = json.dumps(chart_data, separators=(",", ":"), ensure_ascii=False)
        # nothing in a string may end the script
        script = tag("script", Markup(text.replace("<", "\\u003c")), type="application/json")
    return tag("figure", tag("figcaption", title), content, script)


def legend(lines, ends=None):
    """Names of lines with their colours; where there are many, those of the first and the last."""
    if len(lines) > NAMED:
        return ramp(*(ends or (lines[0].name, lines[-1].name)))
    keys = [tag("span", tag("i", style=f"background:{line.colour}"), line.name) for line in lines]
    return tag("p", keys, class_="legend")


def ramp(first, last):
    """The colours of many things in order, between the names of their ends."""
    ends = [tag("span", name) for name in (first, last)]
    return tag("p", ends[0], tag("span", class_="ramp"), ends[1], class_="legend")


def heat_chart(title, shares, edges, *, x_label, first, last, colour):
    """A figure of histograms side by side: each column is one of them, darker where there is more.

    Args:
        title: stands above it.
        shares: array (bins, columns), each column relative to its largest; row 0 is the lowest.
        edges: lowest and highest value.
        x_label, first, last: the lower axis: what it counts, and its ends.
        colour: red, green and blue.
    """
    width, height, left, bottom = 300, 170, 52, 24
    alpha = np.round(255 * np.sqrt(np.clip(shares, 0, 1))).astype(np.uint8)
    pixels = np.empty((*alpha.shape, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = alpha
    y = Scale(edges, height - bottom, 6)
    drawn = [
        tag(
            "image",
            href=data_uri(pixels[::-1]),
            x=left,
            y=6,
            width=width - left - 8,
            height=height - bottom - 6,
            preserveAspectRatio="none",
        )
    ]
    for value, text in y.ticks(4):
        drawn.append(tag("line", x1=left, x2=width - 8, **_same("y", y(value)), class_="grid"))
        drawn.append(_text(left - 6, y(value) + 4, text, "end"))
    drawn.append(_text(left, height - 8, f"{x_label} {first}", "start"))
    if last != first:
        drawn.append(_text(width - 8, height - 8, last, "end"))
    return figure(title, svg(drawn, title, f"histograms of {title}", width, height))


def bar_chart(title, bars, *, colour):
    """A figure of horizontal bars.

    Args:
        title: stands above it.
        bars: pairs (name, share of 0 to 1).
        colour: of all bars.
    """
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag(
                "td",
                tag("span", class_="bar", style=f"width:{100 * share:.1f}%;background:{colour}"),
            ),
            tag("td", percent(share)),
        )
        for name, share in bars
    ]
    return figure(title, tag("table", rows, class_="bars"))


def svg(drawn, title, about, width=WIDTH, height=HEIGHT):
    """The picture itself, which scales with its column."""
    return tag(
        "svg",
        drawn,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=about,
    )


def _axes(x, y, x_label, shares):
    """Grid, numbers and the name of the lower axis."""
    low, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    drawn = []
    for value, text in y.ticks(5):
        if shares:
            text = f"{100 * value:.3g} %"
        drawn.append(tag("line", x1=LEFT, x2=right, **_same("y", y(value)), class_="grid"))
        drawn.append(_text(LEFT - 7, y(value) + 4, text, "end"))
    for value, text in x.ticks(6):
        drawn.append(_text(x(value), low + 16, text, "middle"))
        drawn.append(tag("line", **_same("x", x(value)), y1=low, y2=low + 4, class_="axis"))
    drawn.append(tag("line", x1=LEFT, x2=right, y1=low, y2=low, class_="axis"))
    drawn.append(_text(right, HEIGHT - 4, x_label, "end"))
    return drawn


def _draw(line, x, y):
    places = [(x(a), y(b)) for a, b in zip(line.x, line.y, strict=True)]
    drawn = []
    if line.band:
        low, high = (
            [(x(a), y(b)) for a, b in zip(line.x, part, strict=True)] for part in line.band
        )
        ring = [place for place in low + high[::-1] if all(map(math.isfinite, place))]
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in ring)
        drawn.append(tag("path", d=path + "Z", class_="band", style=f"fill:{line.colour}"))
    alone = sum(math.isfinite(b) for _, b in places) == 1
    if line.style == "points" or alone:
        drawn += [
            tag("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=3, style=f"fill:{line.colour}")
            for a, b in places
            if math.isfinite(b)
        ]
    else:
        drawn.append(_path(places, line.colour, steps=line.style == "steps"))
    return markup(*drawn)


def _path(places, colour, steps=False):
    parts, pen, height = [], "M", None
    for a, b in places:
        if not math.isfinite(b) or not math.isfinite(a):
            pen = "M"
            continue
        if steps and pen == "L":
            parts.append(f"L{a:.1f} {height:.1f}")
        parts.append(f"{pen}{a:.1f} {b:.1f}")
        pen, height = "L", b
    return tag("path", d="".join(parts), class_="line", style=f"stroke:{colour}")


def _read(line, x, y, write):
    """What the pointer finds along a line: place, x and value as text."""
    tips = line.tips or [None] * len(line.x)
    return [
        [round(x(a), 1), round(y(b), 1), number(a), write(b) if tip is None else tip]
        for a, b, tip in zip(line.x, line.y, tips, strict=True)
        if math.isfinite(x(a)) and math.isfinite(y(b))
    ]


def _thinned(line):
    """The line with its lowest and highest point of each piece, if it has more than can be seen."""
    n = len(line.x)
    if n <= POINTS or line.style == "points":
        return line
    y = np.asarray(line.y, float)
    bounds = np.linspace(0, n, POINTS // 2 + 1).astype(int)
    kept = {0, n - 1}
    for low, high in zip(bounds, bounds[1:], strict=False):
        piece = y[low:high]
        if np.isfinite(piece).any():
            kept |= {low + int(np.nanargmin(piece)), low + int(np.nanargmax(piece))}
        else:
            kept.add(low)
    kept = sorted(kept)
    band = line.band and tuple([part[i] for i in kept] for part in line.band)
    x, y = ([values[i] for i in kept] for values in (line.x, line.y))
    return Line(line.name, x, y, line.colour, line.style, band)


def _same(axis, value):
    return {f"{axis}{i}": f"{value:.1f}" for i in (1, 2)}


def _rule(x1, y1, x2, y2):
    return tag(
        "line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_="mark"
    )


def _text(x, y, text, anchor, class_=None):
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)
