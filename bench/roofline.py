"""The roofline of this machine (Williams, Waterman & Patterson 2009) with every kernel that was measured on it."""

from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from math import atan2, degrees, log10

from .targets import OURS

REMEDY = (
    "the roofline needs matplotlib, which is not installed: pip install 'tinygrad_lessons[bench]'"
)
COLOURS = {
    "ops": "#1f5fa8", "reductions": "#2a8a57", "random": "#8a4fa3", "indexing": "#7a5c3a",
    "optimizers": "#c2478b", "layers": "#d9820f", "matmul": "#c1272d",
}  # fmt: skip
INK, PAPER, FAINT, GRID = "#20242a", "#fcfcfa", "#8b929c", "#e6e8ea"
WIDTH, HEIGHT, DPI = 17, 11.5, 130
PIXELS = DPI / 72  # in a point
FONT, LEADING = 7.2, 8.8
ASIDE = 26  # points from a crowd's dots to their names
COLUMN = 92  # points from one column of names to the next
SPLIT = 0.75  # operations a byte: below it, the axis is stretched, as most kernels stand there
CROWD = 4  # dots above one another: with more, names stand in columns beside them
CLOSE, NEAR = 4, 55  # pixels between dots above one another; points between those of one crowd
# Where another name may stand, in points from its dot, and how much higher for each point aside.
REACHES = (7, 14, 24, 36, 50, 66, 84, 104, 130)
SLOPES = (0, 0.3, -0.3, 0.6, -0.6, 1, -1, 1.7, -1.7, 3, -3)


def available():
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def points(results):
    """(name, theme, operations a byte, operations a second) of what ours measured on one thread."""
    found = []
    for name, info in results.info.items():
        seconds, theme = results.figure(name, OURS), results.themes[name]
        if seconds and info.get("moved") and theme in COLOURS:
            operations = info["operations"]
            found.append((name, theme, operations / info["moved"], operations / seconds))
    return found


def draw(limits, points):
    """The picture as a matplotlib figure, which needs no display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=PAPER)
    low = figure.add_axes((0.045, 0.055, 0.575, 0.865), facecolor=PAPER)
    high = figure.add_axes((0.628, 0.055, 0.36, 0.865), facecolor=PAPER, sharey=low)
    low.set_xlim(0.7 * min(SPLIT / 20, *(p[2] for p in points)), SPLIT)
    high.set_xlim(SPLIT, 4 * max(SPLIT * 20, *(p[2] for p in points)))
    low.set_ylim(0.5 * min(p[3] for p in points) / 1e9, 2 * limits.peak / 1e9)
    for axes in (low, high):
        axes.set(xscale="log", yscale="log")
        axes.minorticks_off()
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK, which="both", width=0.6)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
    low.set_xticks([0.05, 0.1, 0.2, 0.5])
    high.spines["left"].set_visible(False)
    high.tick_params(axis="y", which="both", left=False, labelleft=False)
    taken = roofs(low, high, limits)
    for axes, these in ((low, below(points)), (high, above(points))):
        dots(axes, these)
        names(axes, [p for p in these if not backward(p)], taken)
    low.set_ylabel("billion operations a second", color=INK)
    low.set_xlabel("operations for each byte that must be moved (stretched)", color=INK)
    high.set_xlabel("operations for each byte that must be moved", color=INK)
    legend(figure, high)
    return figure


def below(points):
    return [p for p in points if p[2] < SPLIT]


def above(points):
    return [p for p in points if p[2] >= SPLIT]


def backward(point):
    return point[0].endswith(", backward")


def legend(figure, axes):
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=colour, label=theme)
        for theme, colour in COLOURS.items()
    ]
    axes.legend(handles=marks, loc="lower right", frameon=False, fontsize=9.5, labelcolor=INK)
    figure.text(0.045, 0.965, "Roofline of one core", fontsize=17, weight="bold", color=INK)
    figure.text(
        0.045, 0.94, color=FAINT, fontsize=9.5,
        s="One thread, float32. Each dot is a call from Python with its overhead, on 4096 elements where the name "
        "does not say otherwise. A function such as exp counts as one operation. Small rings: forward and backward.",
    )  # fmt: skip


def roofs(low, high, limits):
    """Draws the ceilings with their names; returns the boxes of the names."""
    peak = limits.peak / 1e9
    texts, style = [], {"color": INK, "fontsize": 9.5, "rotation_mode": "anchor", "va": "bottom"}
    (left, _), (_, right), (bottom, _) = low.get_xlim(), high.get_xlim(), low.get_ylim()
    for level, bandwidth in limits.bandwidths.items():
        rate = bandwidth / 1e9
        for axes in (low, high):
            axes.plot([left, peak / rate], [left * rate, peak], color=INK, linewidth=1.1, zorder=2)
        start = max(left * 1.1, bottom / rate * 1.3)
        name = f"{level}  {rate:.0f} GB/s"
        texts.append(low.text(start, start * rate * 1.03, name, rotation=slope(low), **style))
    ridge = peak * 1e9 / max(limits.bandwidths.values())
    for axes in (low, high):
        axes.plot([ridge, right], [peak, peak], color=INK, linewidth=1.6, zorder=2)
    name = f"fused multiply-adds  {peak:.0f} GFLOP/s"
    texts.append(high.text(right * 0.97, peak * 1.03, name, ha="right", **style))
    return [text.get_window_extent() for text in texts]


def slope(axes):
    """The angle at which the axes show a line of constant bandwidth."""
    box = axes.get_window_extent()
    wide, tall = (log10(end / start) for start, end in (axes.get_xlim(), axes.get_ylim()))
    return degrees(atan2(box.height / tall, box.width / wide))


def dots(axes, points):
    for point in points:
        ring, colour = backward(point), COLOURS[point[1]]
        axes.scatter(
            point[2], point[3] / 1e9, s=9 if ring else 26, facecolor=PAPER if ring else colour,
            edgecolor=colour if ring else PAPER, linewidth=0.7, zorder=3 if ring else 4,
        )  # fmt: skip


def names(axes, points, taken):
    """Names the dots: those of crowds in columns beside them, the others where there is room."""
    from matplotlib.transforms import Bbox

    places = {p: axes.transData.transform((p[2], p[3] / 1e9)) for p in points}
    taken += [
        Bbox.from_bounds(x - 3 * PIXELS, y - 3 * PIXELS, 6 * PIXELS, 6 * PIXELS)
        for x, y in places.values()
    ]
    crowds = list(find_crowds(places))
    for i, (crowd, middle) in enumerate(crowds):
        # to the left only what stands at the left of the first: further right, there is another's column
        left = [p for p in crowd if i == 0 and places[p][0] < middle - CLOSE]
        right = [p for p in crowd if p not in left]
        for side, these in ((-1, left), (1, right)):
            edge = max((side * places[p][0] for p in these), default=0) + ASIDE * PIXELS
            columns = 1 + int(len(these) * LEADING * PIXELS / axes.get_window_extent().height)
            for k in range(columns):
                x = side * (edge + k * COLUMN * PIXELS)
                column = these[k::columns]
                for point, y in zip(column, heights(axes, column, places), strict=True):
                    taken.append(name(axes, point, places[point], x, y, side))
    crowded = {point for crowd, _ in crowds for point in crowd}
    for point in points:
        if point not in crowded:
            taken.append(name_where_room(axes, point, places[point], taken))


def find_crowds(places):
    """Dots by height that stand with less than NEAR between them in breadth, if many are above one another; and where."""
    ordered = sorted(places, key=lambda p: places[p][0])
    starts = [
        i
        for i, point in enumerate(ordered)
        if i == 0 or places[point][0] - places[ordered[i - 1]][0] > NEAR * PIXELS
    ]
    for start, end in pairwise([*starts, len(ordered)]):
        crowd = ordered[start:end]
        columns = Counter(round(places[p][0] / CLOSE) for p in crowd)
        column, count = columns.most_common(1)[0]
        if count > CROWD:
            yield sorted(crowd, key=lambda p: places[p][1]), column * CLOSE


def heights(axes, points, places):
    """Where the names of a column of points stand: beside them as far as there is room, all within the axes."""
    gap, frame = LEADING * PIXELS, axes.get_window_extent()
    found = spread([places[p][1] for p in points], gap)
    top, bottom = frame.y1 - gap / 2, frame.y0 + gap / 2
    found = [min(y, top - (len(found) - 1 - i) * gap) for i, y in enumerate(found)]
    return [max(y, bottom + i * gap) for i, y in enumerate(found)]


def spread(heights, gap):
    """Heights in the same order, at least a gap apart, and as near to those given as can be."""
    blocks = []  # of neighbours that touch: (sum of wishes for the lowest, how many)
    for height in heights:
        wish, count = height, 1
        while blocks and blocks[-1][0] / blocks[-1][1] + gap * blocks[-1][1] > wish / count:
            total, members = blocks.pop()
            wish, count = total + wish - gap * members * count, members + count
        blocks.append((wish, count))
    return [wish / count + gap * i for wish, count in blocks for i in range(count)]


def name(axes, point, place, x, y, side):
    """Writes the name at a place, with a line to its dot if that is away; returns its box."""
    from matplotlib.patheffects import withStroke

    text = axes.annotate(
        point[0].removesuffix(" of 4096"), (x, y), xycoords="figure pixels",
        fontsize=FONT, color=COLOURS[point[1]], va="center", ha="left" if side > 0 else "right",
        zorder=5, path_effects=[withStroke(linewidth=2.2, foreground=PAPER)],
    )  # fmt: skip
    if abs(x - place[0]) + abs(y - place[1]) > 9 * PIXELS:
        axes.annotate(
            "", place, (x - side * 2 * PIXELS, y), xycoords="figure pixels", zorder=2.5,
            arrowprops={
                "arrowstyle": "-", "color": COLOURS[point[1]], "linewidth": 0.5, "alpha": 0.55,
                "shrinkA": 0, "shrinkB": 3,
            },
        )  # fmt: skip
    return text.get_window_extent()


def name_where_room(axes, point, place, taken):
    from matplotlib.transforms import Bbox

    text = axes.annotate(
        point[0].removesuffix(" of 4096"), place, xycoords="figure pixels", fontsize=FONT
    )
    width, height = text.get_window_extent().size
    text.remove()
    frame = axes.get_window_extent()
    for x, y, side in (
        (place[0] + side * reach * PIXELS, place[1] + reach * slope * PIXELS, side)
        for reach in REACHES
        for slope in SLOPES
        for side in (1, -1)
    ):
        start = x if side > 0 else x - width
        box = Bbox.from_bounds(start, y - height / 2, width, height)
        inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
        if inside and not any(box.overlaps(other) for other in taken):
            break
    return name(axes, point, place, x, y, side)
