"""Where a value lies on an axis, which values are marked there, and how numbers are written."""

import math
import re

import numpy as np


def number(value, digits=4):
    """A number as a reader wants it: whole ones whole, others with a few significant digits.

    Example:
        >>> from tinygrad_lessons.report.scales import number
        >>> [number(value) for value in (12345, 0.98123456, 1e-7, float("nan"), None)]
        ['12,345', '0.9812', '1e-7', 'NaN', '–']
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return _exponent(f"{value:.{digits}g}")


def percent(value):
    """A share in percent; NaN where there is nothing to share."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def duration(seconds):
    """Seconds in the units that one would say.

    Example:
        >>> from tinygrad_lessons.report.scales import duration
        >>> [duration(seconds) for seconds in (0.25, 42.0, 185, 7300)]
        ['0.25 s', '42.0 s', '3 min 5 s', '2 h 1 min']
    """
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Scale:
    """An axis: maps values from low … high to start … end, linearly or by their logarithm.

    Args:
        values: what must lie on the axis; those that are not finite are left out (and those of 0
            or less on a logarithmic axis).
        start, end: where the axis begins and ends, in pixels.
        log: whether logarithmic; None decides by the span of the values.
        pad: how far the axis goes on beyond the values, as a share of it.
        whole: mark whole numbers only.

    Example:
        >>> from tinygrad_lessons.report.scales import Scale
        >>> axis = Scale([0, 10], 0, 100)
        >>> axis(5), axis.ticks(5)
        (50.0, [(0.0, '0'), (2.0, '2'), (4.0, '4'), (6.0, '6'), (8.0, '8'), (10.0, '10')])
    """

    def __init__(self, values, start, end, log=False, pad=0.0, whole=False):
        values = np.asarray(values, dtype=np.float64).ravel()
        values = values[np.isfinite(values)]
        if log is None:
            log = len(values) > 0 and values.min() > 0 and values.max() > 20 * values.min()
        if log:
            values = np.log10(values[values > 0])
        low, high = map(float, (values.min(), values.max()) if len(values) else (0, 1))
        if high - low < 1e-9 * max(abs(low), abs(high), 1e-300):
            room = 0.15 if log else max(abs(low) * 0.1, 1e-12) if low else 0.5
            low, high = low - room, high + room
        self.log, self.whole = bool(log), whole
        self.start, self.end = start, end
        self.low, self.high = low - pad * (high - low), high + pad * (high - low)

    def __call__(self, value):
        """The place of a value; NaN for one that has none."""
        if self.log:
            value = math.log10(value) if value > 0 else math.nan
        if not math.isfinite(value):
            return math.nan
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count):
        """About `count` round values, each with its text."""
        if self.log:
            return self._powers(count)
        step = (self.high - self.low) / count
        step = _round_step(max(1.0, step), (1, 2, 5, 10)) if self.whole else _round_step(step)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        digits += step * 10**digits % 1 > 1e-6  # 2.5 needs one more
        values = [i * step + 0.0 for i in range(first, last + 1)]
        largest = max((abs(value) for value in values), default=0)
        if largest and (largest >= 1e6 or largest < 1e-3):
            return [(value, _exponent(f"{value:.3g}")) for value in values]
        return [(value, f"{value:,.{digits}f}") for value in values]

    def _powers(self, count):
        decades = self.high - self.low
        if decades < 0.7:
            line = Scale([10**self.low, 10**self.high], 0, 1)
            return [(value, text) for value, text in line.ticks(count) if value > 0]
        mantissas = (1, 2, 5) if decades < 2 else (1, 3) if decades < 3 else (1,)
        stride = max(1, math.ceil(decades / (count + 1)))
        return [
            (value, _exponent(f"{value:g}"))
            for power in range(math.floor(self.low), math.ceil(self.high) + 1)
            if power % stride == 0
            for value in (mantissa * 10.0**power for mantissa in mantissas)
            if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9
        ]


def _round_step(step, mantissas=(1, 2, 2.5, 5, 10)):
    """The least of the mantissas times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in mantissas if k * power >= step * (1 - 1e-9))


def _exponent(text):
    """1e-07 as 1e-7."""
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].replace("+", ""), text)
