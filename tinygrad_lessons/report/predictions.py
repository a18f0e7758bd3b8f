"""The sections of predictions: matrix, scores per class, worst mistakes; of numbers, how far they are off."""

import math

import numpy as np

from tinygrad_lessons.report.charts import HIT, MISS, TRAIN, Line, line_chart
from tinygrad_lessons.report.markup import markup, tag
from tinygrad_lessons.report.page import grid, note, table
from tinygrad_lessons.report.png import data_uri
from tinygrad_lessons.report.run import class_names
from tinygrad_lessons.report.scales import number, percent
from tinygrad_lessons.report.scores import is_binary, score

CELLS = 25  # classes up to which a confusion matrix has its numbers
WORST = 24
POINTS = 1000  # predicted numbers that are drawn, evenly from all


def sections(run, images, classes):
    """Sections of predictions: of classes matrix, scores and the worst mistakes; of numbers a chart."""
    if run.predictions is None:
        return []
    split = run.predictions.split
    split = {"val": "validation", "train": "training"}.get(split, split)
    logits, target = run.predictions.logits, run.predictions.target
    if target.dtype.kind == "f" and logits.size == target.size and not is_binary(target):
        return [("Predictions", _numbers(logits.ravel(), target.ravel(), split))]
    try:
        scores = score(logits, target)
    except ValueError as error:
        told = str(error).removeprefix("score: ")
        return [("Predictions", note(f"predictions.safetensors: {told}"))]
    count = len(scores.counts)
    remark = None
    if classes is not None and len(classes) != count:
        remark = f"{len(classes)} names of classes were given for {count} classes."
    classes = class_names(run, count, classes)
    said = (
        f"{len(scores.target):,} {split} samples, {percent(scores.accuracy)} of them right. "
        "Rows are true classes, columns what was predicted."
    )
    return [
        (
            "Predictions",
            markup(
                note(remark) if remark else None,
                tag("p", said, class_="hint"),
                grid(_confusion(scores, classes), _per_class(scores, classes)),
            ),
        ),
        ("Worst mistakes", _mistakes(scores, run.predictions.indices, images, classes)),
    ]


def _numbers(values, target, split):
    """Predicted numbers against the true ones, which lie on a line where they agree."""
    errors = values.astype(np.float64) - target
    spread = float(((target - target.mean(dtype=np.float64)) ** 2).sum())
    r2 = 1 - float((errors**2).sum()) / spread if spread else math.nan
    said = (
        f"{len(target):,} {split} samples: mean absolute error {number(float(abs(errors).mean()))}, "
        f"R² {number(r2)}."
    )
    shown = np.linspace(0, len(target) - 1, min(len(target), POINTS)).astype(int)
    ends = [float(target.min()), float(target.max())]
    lines = [
        Line("equal", ends, ends, "var(--best)"),
        Line("predicted", target[shown].tolist(), values[shown].tolist(), TRAIN, "points"),
    ]
    chart = line_chart("predicted by true value", lines, x_label="true value")
    return markup(tag("p", said, class_="hint"), grid(chart))


def _confusion(scores, classes):
    often = None
    if confused := scores.confused(5):
        told = [f"{classes[a]} taken for {classes[b]}: {n}×" for a, b, n in confused]
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
    pixels[..., :3] = np.where(hit[..., None], HIT, MISS)
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
