"""Images before and after a transform, side by side."""

import numpy as np

from tinygrad_lessons._core import Tensor, no_grad, stack
from tinygrad_lessons._figure import new_figure

GAP, LARGEST = 1, 8.0  # pixels between images; inches


def show(images, transform, versions=6, title=None):
    """A figure with the images on the left, and beside each what the transform made of it, several times.

    Args:
        images: (N, C, H, W), or a list of images (C, H, W), with 1 or 3 channels.
        transform: what is drawn anew for each version.
        versions: how many columns.
        title: over it; the transform's name by default.

    Returns:
        A matplotlib Figure; `.savefig(path)` writes it. Values outside of 0 to 1 are brought into that range.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import datasets, transforms as T
    >>> figure = T.show(tg.rand(4, 1, 28, 28), T.RandomAffine(20))
    >>> [axes.get_title() for axes in figure.axes]
    ['before', 'after']
    """
    images = images if isinstance(images, Tensor) else stack(list(images))
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.shape[0]:
        raise ValueError(
            f"show: expected images (N, C, H, W) of 1 or 3 channels, but got shape {tuple(images.shape)}"
        )
    if versions < 1:
        raise ValueError(f"show: expected one version or more, not {versions}")
    with no_grad():
        after = [transform(images) for _ in range(versions)]
    sheets = [mosaic([images]), mosaic(after)]
    across, down = sum(sheet.shape[1] for sheet in sheets), max(sheet.shape[0] for sheet in sheets)
    scale = LARGEST / max(across, down)
    name = getattr(transform, "__name__", type(transform).__name__)
    figure = new_figure(title or name, max(4.0, across * scale), max(2.5, down * scale) + 0.8)
    axes = figure.subplots(1, 2, width_ratios=[sheet.shape[1] for sheet in sheets])
    for each, sheet, label in zip(axes, sheets, ("before", "after"), strict=True):
        each.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        each.set_title(label)
        each.set_axis_off()
    return figure


def mosaic(columns):
    """An array (height, width, 3) of batches as columns, with white lines between, scaled to 0 to 1."""
    columns = [column.detach().numpy().transpose(0, 2, 3, 1) for column in columns]
    top = 255 if columns[0].dtype == np.uint8 else 1
    columns = [column.astype("float64") / top for column in columns]
    least, most = (
        min(0.0, *(column.min() for column in columns)),
        max(1.0, *(column.max() for column in columns)),
    )
    count, height, width, _ = columns[0].shape
    sheet = np.ones((count * (height + GAP) - GAP, len(columns) * (width + GAP) - GAP, 3))
    for k, column in enumerate(columns):
        for n, image in enumerate(column):
            row, left = n * (height + GAP), k * (width + GAP)
            sheet[row : row + height, left : left + width] = (image - least) / (most - least)
    return sheet
