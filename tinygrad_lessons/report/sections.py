"""The sections of a run's report, each made from one file of the run folder."""

import math

import numpy as np

from tinygrad_lessons.report import charts
from tinygrad_lessons.report.charts import TRAIN, VAL, Line, heat_chart, line_chart, shade
from tinygrad_lessons.report.configuration import flatten, plain
from tinygrad_lessons.report.markup import markup, tag
from tinygrad_lessons.report.metrics import is_share, metric_names, series, written
from tinygrad_lessons.report.page import grid, more, note, pairs, table, tiles
from tinygrad_lessons.report.png import data_uri
from tinygrad_lessons.report.run import is_number
from tinygrad_lessons.report.scales import duration, number, percent
from tinygrad_lessons.report.scores import score

CELLS = 25  # classes up to which a confusion matrix has its numbers
WORST = 24
PARAMETERS = 8  # with histograms that are shown at once
GREY_BLUE, GREY_ORANGE = (60, 130, 205), (224, 108, 64)


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


def predictions(run, images, classes):
    """Sections of a classifier's predictions: matrix and scores, and its worst mistakes."""
    if run.predictions is None:
        return []
    split = {"val": "validation", "train": "training"}.get(
        run.predictions.split, run.predictions.split
    )
    try:
        scores = score(run.predictions.logits, run.predictions.target)
    except ValueError as error:
        return [
            ("Predictions", note(f"predictions.safetensors: {str(error).removeprefix('score: ')}"))
        ]
    count = len(scores.counts)
    classes = (
        [str(name) for name in classes] if classes is not None else list(map(str, range(count)))
    )
    remark = None
    if len(classes) != count:
        remark = note(
            f"{len(classes)} names of classes were given for {count} classes: numbers stand instead."
        )
        classes = list(map(str, range(count)))
    said = (
        f"{len(scores.target):,} {split} samples, {percent(scores.accuracy)} of them right. "
        "Rows are true classes, columns what was predicted."
    )
    return [
        (
            "Predictions",
            markup(
                remark,
                tag("p", said, class_="hint"),
                grid(
                    _confusion(scores, classes), _per_class(scores, classes), class_="grid halves"
                ),
            ),
        ),
        ("Worst mistakes", _mistakes(scores, run.predictions.indices, images, classes)),
    ]


def _confusion(scores, classes):
    pairs_ = scores.confused(5)
    often = None
    if pairs_:
        told = [f"{classes[a]} taken for {classes[b]}: {n}×" for a, b, n in pairs_]
        often = tag("p", "Most often: " + "; ".join(told) + ".", class_="hint below")
    drawn = _matrix(scores, classes) if len(classes) <= CELLS else _matrix_image(scores)
    return tag("figure", tag("figcaption", "Confusion matrix"), drawn, often)


def _matrix(scores, classes):
    share = scores.counts / np.maximum(scores.support, 1)[:, None]
    long = max(map(len, classes)) > 2
    heads = [
        tag("th", tag("div", name, class_="long" if long else None), scope="col")
        for name in classes
    ]
    rows = []
    for i, name in enumerate(classes):
        cells = []
        for j, other in enumerate(classes):
            count = int(scores.counts[i, j])
            # one mistake in thirty must be seen, so the colour of mistakes is full at a fourth
            depth = 90 * share[i, j] if i == j else min(90, 10 + 360 * share[i, j])
            colour = "var(--hit)" if i == j else "var(--miss)"
            cells.append(
                tag(
                    "td",
                    count or "·",
                    class_=("full" if depth > 45 else "some") if count else None,
                    style=f"background:color-mix(in srgb,{colour} {depth:.0f}%,var(--card))"
                    if count
                    else None,
                    data_tip=f"true {name}, predicted {other}: {count}\n{percent(share[i, j])} of class {name}",
                )
            )
        rows.append(tag("tr", tag("th", name, scope="row"), cells))
    head = tag("thead", tag("tr", tag("th"), heads))
    return tag("div", tag("table", head, tag("tbody", rows), class_="matrix"), class_="scroll")


def _matrix_image(scores):
    """Too many classes for numbers: a picture, hits blue and mistakes orange."""
    share = scores.counts / np.maximum(scores.support, 1)[:, None]
    hit = np.eye(len(share), dtype=bool)
    pixels = np.zeros((*share.shape, 4), np.uint8)
    pixels[..., :3] = np.where(hit[..., None], GREY_BLUE, GREY_ORANGE)
    depth = np.where(hit, share, np.minimum(1, 4 * share))
    pixels[..., 3] = np.where(scores.counts > 0, 40 + 215 * depth, 0)
    return tag(
        "img", src=data_uri(pixels), class_="heat", alt="confusion matrix: rows are true classes"
    )


def _per_class(scores, classes):
    rows = []
    for i, name in enumerate(classes):
        shares = [float(values[i]) for values in (scores.precision, scores.recall, scores.f1)]
        rows.append([name, *[(_bar(share), share) for share in shares], int(scores.support[i])])
    with np.errstate(invalid="ignore"):
        means = [
            percent(float(np.nanmean(values))) if np.isfinite(values).any() else "–"
            for values in (scores.precision, scores.recall, scores.f1)
        ]
    last = ["mean", *means, int(scores.support.sum())]
    columns = ["class", "precision", "recall", "F1", "support"]
    return tag(
        "figure",
        tag("figcaption", "Scores per class"),
        table(columns, rows, last, numbers=range(1, 5)),
    )


def _bar(share):
    width = f"{100 * share:.1f}%" if math.isfinite(share) else "0"
    return markup(
        percent(share), tag("span", class_="bar", style=f"width:{width};background:var(--hit)")
    )


def _mistakes(scores, indices, images, classes):
    worst = scores.worst(WORST)
    if not len(worst):
        return tag("p", "None: every prediction is right.", class_="hint")
    wrong = int((scores.predicted != scores.target).sum())
    which = f"The {len(worst)} of {wrong}" if wrong > len(worst) else f"All {wrong}"
    said = f"{which} with the highest loss first: the true class → what was predicted, how surely."
    pictures, remark = None, None
    if images is not None:
        chosen = indices[worst]
        if chosen.min() < 0 or chosen.max() >= len(images):
            remark = note(
                f"The indices reach {chosen.max()}, but {len(images)} images were given: none are shown."
            )
        else:
            pictures, remark = _pictures(images, chosen)
    cards = []
    for place, i in enumerate(worst):
        true, guess = classes[scores.target[i]], classes[scores.predicted[i]]
        about = f"sample {indices[i]}: {true}, taken for {guess}"
        cards.append(
            tag(
                "figure",
                tag("img", src=pictures[place], alt=about) if pictures else None,
                tag(
                    "p",
                    tag("span", true, class_="right"),
                    " → ",
                    tag("span", guess, class_="wrong"),
                    tag("small", f"{percent(float(scores.confidence[i]))} sure"),
                    tag("small", f"loss {scores.loss[i]:.2f}, sample {indices[i]}"),
                ),
            )
        )
    return markup(remark, tag("p", said, class_="hint"), tag("div", cards, class_="mistakes"))


def _pictures(images, chosen):
    """Data URIs of some images (N, C, H, W), or a note why there are none."""
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] not in (1, 3):
        return None, note(
            f"Images of shape {shape} cannot be shown: expected (N, 1 or 3, height, width)."
        )
    shown = np.stack([np.asarray(images[int(i)]) for i in chosen])
    if shown.dtype != np.uint8:
        shown = shown.astype(np.float64)
        finite = shown[np.isfinite(shown)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        shown = np.nan_to_num((shown - low) / ((high - low) or 1.0), posinf=1.0, neginf=0.0)
        shown = np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    return [data_uri(image.transpose(1, 2, 0)) for image in shown], None


def gradients(run):
    """Norms and update-to-weight ratios per parameter and epoch, dead units, histograms."""
    lines = [line for line in run.gradients if isinstance(line.get("parameters"), dict)]
    if not lines:
        return None
    epochs = [line.get("epoch", i) for i, line in enumerate(lines, 1)]
    names = list(dict.fromkeys(name for line in lines for name in line["parameters"]))
    pictures = []
    for key, title, references in (
        ("grad_norm", "gradient norms", ()),
        ("update_ratio", "update-to-weight ratios", [(1e-3, "about 0.001 is usual")]),
        ("weight_norm", "weight norms", ()),
    ):
        drawn = _per_name(lines, epochs, names, "parameters", key)
        if drawn:
            pictures.append(
                line_chart(title, drawn, x_label="epoch", log=True, references=references)
            )
    layers = list(dict.fromkeys(name for line in lines for name in line.get("dead_units") or ()))
    drawn = _per_name(lines, epochs, layers, "dead_units", None)
    if drawn:
        pictures.append(line_chart("dead units", drawn, x_label="epoch", shares=True))
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


def _per_name(lines, epochs, names, part, key):
    """A `Line` per parameter or layer, coloured from the first to the last."""
    drawn = []
    for i, name in enumerate(names):
        values = []
        for line in lines:
            value = (line.get(part) or {}).get(name)
            if key is not None and value is not None:
                value = value.get(key)
            values.append(value if is_number(value) else math.nan)
        if any(map(math.isfinite, values)):
            drawn.append(Line(name, epochs, values, shade(i, len(names))))
    return drawn


def _histograms(lines, epochs, name):
    """Heat maps of a parameter's weights and gradients."""
    for key, colour in (("weight", GREY_BLUE), ("gradient", GREY_ORANGE)):
        found = [(line["parameters"].get(name) or {}).get(key) for line in lines]
        kept = [
            (epoch, np.asarray(h["edges"], float), np.asarray(h["counts"], float))
            for epoch, h in zip(epochs, found, strict=True)
            if isinstance(h, dict) and sum(h.get("counts") or ()) > 0
        ]
        if kept:
            shares, edges = common_histogram([pair[1:] for pair in kept])
            yield heat_chart(
                f"{name}: {'weights' if key == 'weight' else 'gradients'}",
                shares,
                edges,
                x_label="epoch",
                first=number(kept[0][0]),
                last=number(kept[-1][0]),
                colour=colour,
            )


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
        >>> from tinygrad_lessons.report.sections import common_histogram
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
