"""The sections of a run's result, curves, steps and configuration."""

import numpy as np

from tinygrad_lessons.report import charts
from tinygrad_lessons.report.charts import TRAIN, VAL, Line, line_chart
from tinygrad_lessons.report.configuration import flatten, plain
from tinygrad_lessons.report.markup import markup, tag
from tinygrad_lessons.report.metrics import is_share, metric_names, series, written
from tinygrad_lessons.report.page import grid, pairs, tiles
from tinygrad_lessons.report.run import is_number
from tinygrad_lessons.report.scales import duration, number


def headline(run):
    """Tiles: what came out, when it was best, how long it took."""
    entries = []
    tests = [name for name in run.result if name.startswith("test_")]
    for name in sorted(tests, key=lambda name: not is_share(name)):
        entries.append((name.replace("_", " "), written(name, run.result[name]), None))
    best = run.best_epoch
    at_best = next((line for line in run.history if line.get("epoch") == best), {})
    for name in sorted(at_best, key=lambda name: not is_share(name)):
        if name.startswith("val_") and is_number(at_best[name]):
            remark = f"in epoch {best}" if best else None
            entries.append(
                (
                    name.replace("val_", "validation ").replace("_", " "),
                    written(name, at_best[name]),
                    remark,
                )
            )
    epochs = run.result.get("epochs") or len(run.history)
    if best:
        entries.append(("best epoch", number(best), f"of {number(epochs)}"))
    elif epochs:
        entries.append(("epochs", number(epochs), None))
    seconds = run.seconds
    if seconds is not None:
        per_epoch = f"{duration(seconds / epochs)} an epoch" if epochs else None
        entries.append(("time", duration(seconds), per_epoch))
    stopped = run.result.get("stopped_by")
    known = {*tests, "best_epoch", "epochs", "seconds", "stopped_by"}
    entries += [
        (name.replace("_", " "), written(name, value), None)
        for name, value in run.result.items()
        if name not in known and is_number(value)
    ]
    told = tag("p", f"Stopped by: {stopped}.", class_="hint") if stopped else None
    return markup(tiles(entries), told) if entries else None


def configuration(run):
    """The nested configuration as cards, one to a table of config.toml."""
    if not run.config:
        return None
    single = {name: value for name, value in run.config.items() if not isinstance(value, dict)}
    cards = [("run", single)] if single else []
    cards += [(name, value) for name, value in run.config.items() if isinstance(value, dict)]
    return grid(
        *[
            tag(
                "div",
                tag("h3", name),
                pairs([(key, plain(value)) for key, value in flatten(content)]),
                class_="card",
            )
            for name, content in cards
            if content
        ],
        class_="small",
    )


def curves(run):
    """Each metric per epoch, in training and validation, with the best epoch marked."""
    pictures = []
    best = run.best_epoch
    for name in metric_names([run.history]):
        lines = []
        for key, part, colour in (
            (f"train_{name}", "training", TRAIN),
            (f"val_{name}", "validation", VAL),
            (name, name, TRAIN),
        ):
            found = series(run.history, key)
            if found:
                lines.append(Line(part, *found, colour))
        if not lines:
            continue
        marks = [(best, f"best epoch: {best}")] if is_number(best) else []
        log = None if name == "loss" else False
        pictures.append(
            line_chart(
                name.replace("_", " "),
                lines,
                x_label="epoch",
                log=log,
                shares=is_share(name),
                marks=marks,
            )
        )
    return grid(*pictures) if pictures else None


def steps(run):
    """Loss, learning rate and momentum per step; per epoch where there is no file of steps."""
    lines = run.steps or run.history
    unit = "step" if run.steps else "epoch"
    pictures = []
    if run.steps:
        found = _by_step(lines, "loss", unit)
        if found:
            pictures.append(_loss_by_step(*found[0][1:]))
    for name, title, log in (("lr", "learning rate", False), ("momentum", "momentum", False)):
        found = _by_step(lines, name, unit)
        if any(any(values) for _, _, values in found):  # a momentum of 0 is none
            drawn = [
                Line(label if len(found) > 1 else title, x, y, charts.palette(i))
                for i, (label, x, y) in enumerate(found)
            ]
            pictures.append(line_chart(title, drawn, x_label=unit, log=log))
    return grid(*pictures) if pictures else None


def _by_step(lines, name, unit):
    """Triples (name, steps, values): one, or one per parameter group where there are several."""
    kept = [(line.get(unit, i), line.get(name)) for i, line in enumerate(lines, 1)]
    kept = [(x, value if isinstance(value, list) else [value]) for x, value in kept]
    kept = [(x, values) for x, values in kept if values and all(map(is_number, values))]
    groups = max((len(values) for _, values in kept), default=0)
    found = []
    for group in range(groups):
        points = [(x, values[group]) for x, values in kept if len(values) > group]
        found.append((f"group {group}", *map(list, zip(*points, strict=True))))
    same = len(found) > 1 and all(other[1:] == found[0][1:] for other in found)
    return found[:1] if same else found


def _loss_by_step(x, loss):
    """The mean of each piece of steps, in a band from its lowest to its highest loss."""
    pieces = min(len(loss), 150)
    bounds = np.linspace(0, len(loss), pieces + 1).astype(int)
    loss = np.asarray(loss, float)
    parts = [loss[low:high] for low, high in zip(bounds, bounds[1:], strict=False)]
    ends = [x[high - 1] for high in bounds[1:]]
    low, high = ([float(of(part)) for part in parts] for of in (np.min, np.max))
    band = (low, high) if len(loss) > pieces else None
    each = len(loss) // pieces
    name = f"mean of {each} steps; band: least to most" if band else "loss"
    line = Line(name, ends, [float(part.mean()) for part in parts], TRAIN, band=band)
    return line_chart("training loss", [line], x_label="step", log=None)
