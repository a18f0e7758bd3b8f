"""Forms that arguments come in, as torchvision takes them."""

import math
from numbers import Integral, Number


def pair(value, name):
    """(height, width) of a number, or of one or two in a sequence."""
    values = [value] if isinstance(value, Integral) else list(value)
    if len(values) == 1:
        values *= 2
    if len(values) != 2 or not all(isinstance(each, Integral) and each > 0 for each in values):
        raise ValueError(f"{name}: expected a positive int, or (height, width), not {value!r}")
    return tuple(values)


def interval(value, name, least=None):
    """(-value, value) of a number, or the two of a sequence: finite, in order and not below `least`."""
    if isinstance(value, Number):
        if value < 0:
            raise ValueError(f"{name}: a single number must not be negative, but is {value}")
        value = (-value, value)
    values = tuple(float(each) for each in value)
    if len(values) != 2 or not -math.inf < values[0] <= values[1] < math.inf:
        raise ValueError(f"{name}: expected a finite number, or two in order, not {value!r}")
    if least is not None and values[0] < least:
        raise ValueError(f"{name}: expected values of at least {least}, not {value!r}")
    return values


def probability(p, name):
    """p, checked."""
    if not isinstance(p, Number) or not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be a number between 0 and 1, not {p!r}")
    return float(p)


def sides(padding, name):
    """(left, top, right, bottom) of a number for all, of two for left-right and top-bottom, or of four."""
    values = [padding] if isinstance(padding, Integral) else list(padding)
    if len(values) not in (1, 2, 4) or not all(isinstance(each, Integral) for each in values):
        raise ValueError(
            f"{name}: padding must be an int, or a sequence of 1, 2 or 4, not {padding!r}"
        )
    return tuple(values * (4 // len(values)))


PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def padding_mode_number(mode, name):
    """The mode's number in the engine."""
    if mode not in PADDING_MODES:
        raise ValueError(
            f"{name}: padding_mode must be one of {', '.join(PADDING_MODES)}, not {mode!r}"
        )
    return PADDING_MODES.index(mode)
