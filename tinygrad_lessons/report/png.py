"""Arrays as PNG images in data URIs, so that a page needs no other file and no image library."""

import base64
import struct
import zlib

import numpy as np

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels: grey, RGB, RGBA


def data_uri(pixels):
    """A data URI of a PNG.

    Args:
        pixels: bytes of shape (height, width, channels), channels 1, 3 or 4; uint8.

    Raises:
        ValueError: another shape or type.

    Example:
        >>> import numpy as np
        >>> from tinygrad_lessons.report.png import data_uri
        >>> data_uri(np.zeros((2, 2, 1), np.uint8))[:22]
        'data:image/png;base64,'
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES or pixels.dtype != np.uint8:
        raise ValueError(
            f"data_uri: got {pixels.dtype} of shape {pixels.shape}: "
            "expected uint8 of shape (height, width, 1, 3 or 4)"
        )
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    # each row begins with the number of its filter: 0, none
    rows = np.pad(pixels.reshape(height, width * channels), ((0, 0), (1, 0)))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(rows.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
