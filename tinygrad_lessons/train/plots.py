"""Pictures of a run, as matplotlib figures; matplotlib is imported when one is drawn."""

import numpy as np

from tinygrad_lessons._figure import new_figure

TRAIN, VAL, BEST, HIT, MISS = "#4477aa", "#cc3311", "#777777", "Blues", "Reds"


def curves(history, best_epoch, title):
    """Loss and accuracy per epoch, in training and validation, with the best epoch marked.

    Args:
        history: a list of dicts with epoch, train_loss, val_loss, train_accuracy, val_accuracy.
        best_epoch: the epoch whose weights were kept.
        title: stands above the picture.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure = new_figure(title, width=10, height=4.2)
    epochs = [metrics["epoch"] for metrics in history]
    for axes, name, unit in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("cross-entropy", "%"), strict=True
    ):
        for part, label, colour in (("train", "training", TRAIN), ("val", "validation", VAL)):
            values = np.array([metrics[f"{part}_{name}"] for metrics in history])
            axes.plot(epochs, values * (100 if unit == "%" else 1), ".-", label=label, color=colour)
        axes.axvline(best_epoch, label=f"best epoch: {best_epoch}", color=BEST, linestyle="--")
        axes.set(xlabel="epoch", ylabel=f"{name} ({unit})")
        axes.set_xlim(0, epochs[-1] + 1)
        axes.locator_params(axis="x", integer=True)
        if name == "loss":
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def confusion(counts, classes, title):
    """A confusion matrix: row = true class, column = predicted class, each cell with its count.

    The colour is the share of the row's samples: hits in blue, mistakes in red.

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
    # one mistake in thirty must stand out, so red is full at a fifth of the row
    axes.imshow(np.ma.masked_where(hit | (counts == 0), share), cmap=MISS, vmin=-0.05, vmax=0.2)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if row == column and share[row, column] > 0.6 else "black"
        text = count if count else "·"
        axes.text(column, row, text, ha="center", va="center", color=colour if count else BEST)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel="true class")
    return figure
