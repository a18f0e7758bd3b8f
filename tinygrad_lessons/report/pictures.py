"""A run's pictures as matplotlib figures, for where a PNG is wanted; matplotlib is imported when one is drawn."""

import math

import numpy as np

from tinygrad_lessons._figure import new_figure
from tinygrad_lessons.report.metrics import is_share, metric_names, series
from tinygrad_lessons.report.run import class_names, read
from tinygrad_lessons.report.scores import score

TRAIN, VAL, BEST = "#2c6fbb", "#d4552a", "#777777"
HIT, MISS = "Blues", "Oranges"


def write_pictures(folder, classes=None):
    """Write `curves.png` and `confusion.png` into a run folder, as far as its files say; the paths.

    Args:
        folder: the run folder.
        classes: the names of the classes; those in result.json, or numbers, if None.

    Raises:
        FileNotFoundError: there is no such folder, or none of a run's files is in it.
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> import tempfile, pathlib
        >>> from tinygrad_lessons import report
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": 0.5}\\n')
        >>> [path.name for path in report.write_pictures(folder)]
        ['curves.png']
    """
    run = read(folder)
    name = run.path.resolve().name
    figures = {}
    if metric_names([run.history]):
        figures["curves.png"] = curves(run.history, run.best_epoch, f"{name}: training")
    if run.predictions is not None:
        try:
            scores = score(run.predictions.logits, run.predictions.target)
        except ValueError:  # no classifier's predictions
            pass
        else:
            names = class_names(run, len(scores.counts), classes)
            title = f"{name}: {run.predictions.split} accuracy {100 * scores.accuracy:.1f} %"
            figures["confusion.png"] = confusion(scores.counts, names, title)
    paths = [run.path / file for file in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path)
    return paths


def curves(history, best_epoch, title):
    """Each metric per epoch, in training and validation, with the best epoch marked.

    Args:
        history: a list of dicts with epoch and train_<metric>, val_<metric> or <metric>.
        best_epoch: the epoch whose weights were kept, or None.
        title: stands above the picture.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    names = metric_names([history])
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(title, width=5 * columns, height=0.4 + 3.8 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    for axes, name in zip(grid.flat, names, strict=False):
        parts = (("train_", "training", TRAIN), ("val_", "validation", VAL), ("", None, TRAIN))
        for prefix, label, colour in parts:
            found = series(history, prefix + name)
            if found:
                epochs, values = found
                values = np.array(values) * (100 if is_share(name) else 1)
                axes.plot(epochs, values, ".-", label=label, color=colour)
        if best_epoch:
            axes.axvline(best_epoch, label=f"best epoch: {best_epoch}", color=BEST, linestyle="--")
        _finish(axes, name, name == "loss")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return figure


def overlaid(runs, title):
    """Each metric per epoch, a line for each run.

    Args:
        runs: `Run`s.
        title: stands above the picture.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    keys = [
        prefix + name
        for name in metric_names([run.history for run in runs])
        for prefix in ("val_", "train_", "")
        if any(series(run.history, prefix + name) for run in runs)
    ]
    columns = min(3, max(1, len(keys)))
    rows = max(1, math.ceil(len(keys) / columns))
    figure = new_figure(title, width=5 * columns, height=0.8 + 3.8 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(keys) :]:
        axes.remove()
    for axes, key in zip(grid.flat, keys, strict=False):
        for run in runs:
            epochs, values = series(run.history, key) or ([], [])
            values = np.array(values) * (100 if is_share(key) else 1)
            axes.plot(epochs, values, label=run.path.resolve().name, linewidth=1.5)
        _finish(axes, key, key.endswith("loss"))
    if keys:
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small")
    return figure


def confusion(counts, classes, title):
    """A confusion matrix: row = true class, column = predicted class, each cell with its count.

    The colour is the share of the row's samples: hits in blue, mistakes in orange.

    Args:
        counts: whole numbers of shape (k, k), a tensor or an array.
        classes: the k names.
        title: stands above the picture.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure = new_figure(title, width=6.4, height=6.4)
    axes = figure.subplots()
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    hit = np.eye(len(counts), dtype=bool)
    axes.imshow(np.ma.masked_where(~hit, share), cmap=HIT, vmin=0, vmax=1.2)
    # one mistake in thirty must stand out, so the colour of mistakes is full at a fifth of the row
    axes.imshow(np.ma.masked_where(hit | (counts == 0), share), cmap=MISS, vmin=-0.05, vmax=0.2)
    if len(counts) <= 30:  # more would overlap
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if row == column and share[row, column] > 0.6 else "black"
            text = count if count else "·"
            axes.text(column, row, text, ha="center", va="center", color=colour if count else BEST)
        turn = 90 if max(len(str(name)) for name in classes) > 2 else 0
        axes.set_xticks(range(len(classes)), classes, rotation=turn)
        axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel="true class")
    return figure


def _finish(axes, name, log):
    share = is_share(name)
    axes.set(xlabel="epoch", ylabel=name.replace("_", " ") + (" (%)" if share else ""))
    axes.locator_params(axis="x", integer=True)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
