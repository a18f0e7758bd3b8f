"""The IDX format of MNIST and its kin: magic number, big-endian sizes, then the elements."""

import gzip
import math
import zlib

import numpy as np

from tinygrad_lessons.datasets.base import DatasetError

GZIP = b"\x1f\x8b"
UINT8 = 0x08
MOST = 1 << 34  # elements that a header may announce
CHUNK = 1 << 20


def read_idx(name, path, ndim):
    """The uint8 array of `ndim` dimensions in a file, compressed by gzip or not.

    Raises:
        DatasetError: the file cannot be read, is damaged, truncated, or something else.
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == GZIP
            file.seek(0)
            if not compressed:
                return _read(name, path, file, ndim)
            with gzip.open(file) as unpacked:
                return _read(name, path, unpacked, ndim)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{name}: {path} is damaged ({error}): get it again") from error
    except OSError as error:
        raise DatasetError(f"{name}: {path} cannot be read ({error.strerror})") from error


def _read(name, path, file, ndim):
    head = file.read(4 + 4 * ndim)
    if head[:2] != b"\0\0" or len(head) < 4:
        raise DatasetError(f"{name}: {path} is no IDX file (it begins with {head[:4].hex(' ')})")
    if head[2] != UINT8 or head[3] != ndim:
        raise DatasetError(
            f"{name}: {path} has elements of type 0x{head[2]:02x} in {head[3]} dimensions: "
            f"expected uint8 (0x08) in {ndim}; are images and labels exchanged?"
        )
    if len(head) < 4 + 4 * ndim:
        raise DatasetError(f"{name}: {path} is damaged (it ends in its header): get it again")
    shape = tuple(np.frombuffer(head, ">u4", ndim, 4).tolist())
    expected = math.prod(shape)
    if expected > MOST:
        raise DatasetError(f"{name}: {path} is damaged (its header says shape {shape})")
    data = bytearray()
    while len(data) <= expected and (chunk := file.read(min(CHUNK, expected + 1 - len(data)))):
        data += chunk
    if len(data) != expected:
        found = "more" if len(data) > expected else f"only {len(data)}"
        raise DatasetError(
            f"{name}: {path} is damaged (its header says shape {shape}, {expected} bytes, but it "
            f"has {found}): get it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)
