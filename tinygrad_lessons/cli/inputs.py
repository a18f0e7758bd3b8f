"""Samples read from files, in the shape that a model takes."""

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import tinygrad_lessons as tg

REMEDY = (
    "reading images needs Pillow, which is not installed: pip install 'tinygrad_lessons[image]'"
)


class InputError(ValueError):
    """A file does not hold samples of the shape that the model takes."""


def read_inputs(path, shape, invert=False):
    """The samples of a file, float32 of shape (n, *shape).

    Args:
        path: an image, .npy or .csv file.
        shape: the shape of one sample.
        invert: turn the values of an image, from 0 to 1, around.

    Raises:
        OSError: the file cannot be read.
        InputError: it holds something else.
        ModuleNotFoundError: an image, and Pillow is not installed.
    """
    readers = {".npy": _array, ".csv": _table}
    reader = readers.get(Path(path).suffix.lower())
    values = _image(path, shape, invert) if reader is None else reader(path)
    size = math.prod(shape)
    one = values.shape == tuple(shape) or values.shape == (size,)
    many = values.shape[1:] == tuple(shape) or values.shape[1:] == (size,)
    if not (one or many):
        raise InputError(
            f"{path}: holds values of shape {values.shape}, but the model takes samples of shape "
            f"{tuple(shape)}"
        )
    if values.dtype == np.uint8:
        values = values / 255
    values = np.ascontiguousarray(values, np.float32)
    return tg.from_numpy(values.reshape(-1, *shape))


def _image(path, shape, invert):
    """Shape (C, H, W), resized and with as many channels as the model wants."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"{path}: the model takes samples of shape {tuple(shape)}, not images")
    if find_spec("PIL") is None:
        raise ModuleNotFoundError(REMEDY)
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        with Image.open(path) as image:
            image = image.convert("L" if channels == 1 else "RGB")
            image = image.resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.float32) / 255
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: is no image, .npy or .csv file") from error
    pixels = 1 - pixels if invert else pixels
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _array(path):
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: is no .npy file of numbers") from error
    if not (isinstance(values, np.ndarray) and values.dtype.kind in "buif"):
        raise InputError(f"{path}: is no .npy file of numbers")
    return values


def _table(path):
    """Rows of numbers; a first row of names is left out."""
    lines = [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append([float(value) for value in line.split(",")])
        except ValueError as error:
            if number > 1:
                raise InputError(
                    f"{path}: row {number} holds something that is no number"
                ) from error
    if not rows or len({len(row) for row in rows}) != 1:
        raise InputError(f"{path}: expected rows of numbers, all of one length")
    return np.array(rows)
