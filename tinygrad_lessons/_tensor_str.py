"""How tensors print: number formats and layout as in PyTorch."""

import math
from dataclasses import dataclass

import numpy as np

from . import _core

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
):
    """Set how tensors print, from here on.

    Args:
        precision: digits after the decimal point (4).
        threshold: with more elements than this, only the edges are printed (1000).
        edgeitems: how many elements an edge has, in each dimension (3).
        linewidth: characters in a line (80).
        profile: `"default"`, `"short"` or `"full"`; the arguments above override it.
        sci_mode: scientific notation always (True), never (False), or when the values call for
            it (None). Unlike the others it goes back to None where it is not given.

    Raises:
        ValueError: an unknown profile.

    Example:
        >>> import tinygrad_lessons as tg
        >>> tg.set_printoptions(precision=2)
        >>> tg.tensor([0.125, 2.5])
        tensor([0.12, 2.50])
        >>> tg.set_printoptions(profile="default")
    """
    if profile is not None and profile not in _PROFILES:
        raise ValueError(
            f"set_printoptions: profile is {profile!r}, expected one of {', '.join(_PROFILES)}"
        )
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    settings = _PROFILES.get(profile, {}) | {k: v for k, v in given.items() if v is not None}
    for name, value in settings.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


class _Formatter:
    """Turns one element into text; all texts are as wide as the widest of `values`."""

    def __init__(self, values):
        self.text = str
        if values.dtype.kind == "f":
            # Zeros, infinities and NaNs do not take part in the choice of a format.
            values = values[np.isfinite(values) & (values != 0)]
            self.text = self._float_format(values.astype(np.float64))
        self.width = max((len(self.text(v)) for v in values.ravel().tolist()), default=1)

    def __call__(self, value):
        return self.text(value).rjust(self.width)

    @staticmethod
    def _float_format(values):
        whole = bool((values == np.ceil(values)).all())
        scientific = False
        if values.size:
            magnitude = np.abs(values)
            low, high = float(magnitude.min()), float(magnitude.max())
            scientific = high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole)
            if _options.sci_mode is not None:
                scientific = _options.sci_mode
        if scientific:
            return f"{{:.{_options.precision}e}}".format
        if whole:
            return lambda v: f"{v:.0f}." if math.isfinite(v) else str(v)
        return f"{{:.{_options.precision}f}}".format


def _edges(size):
    """The indices of `size` elements that a summary shows."""
    edge = _options.edgeitems
    return [*range(size)] if size <= 2 * edge else [*range(edge), *range(size - edge, size)]


def _layout(array, indent, summarize, formatter):
    """The elements of `array` in nested brackets; continued lines start at column `indent` + 1."""
    if array.ndim == 0:
        return formatter(array.item())
    one_line = array.ndim == 1
    indices = _edges(len(array)) if summarize else range(len(array))
    parts = [_layout(array[i], indent + 1, summarize, formatter) for i in indices]
    if len(indices) < len(array):
        parts.insert(_options.edgeitems, " ..." if one_line else "...")
    if one_line:
        count = max(1, (_options.linewidth - indent) // (formatter.width + 2))
        parts = [", ".join(parts[i : i + count]) for i in range(0, len(parts), count)]
    newlines = "\n" * max(1, array.ndim - 1)
    return f"[{(',' + newlines + ' ' * (indent + 1)).join(parts)}]"


def _suffixes(t, array):
    if array.size == 0 and array.ndim != 1:
        yield f"size={array.shape}"
    # Elements tell integers and bools from the default float type; an empty tensor has none.
    inferred = t.dtype == _core.get_default_dtype()
    if not inferred and not (array.size and array.dtype.name in ("int64", "bool")):
        yield f"dtype={t.dtype}"
    if t.grad_fn is not None:
        yield f"grad_fn=<{t.grad_fn.name()}>"
    elif t.requires_grad:
        yield "requires_grad=True"


def _elements(array, indent):
    """The elements in brackets, on lines that start at column `indent` + 1."""
    if not array.size:
        return "[]"
    summarize = array.size > _options.threshold
    shown = array[np.ix_(*map(_edges, array.shape))] if summarize else array
    return _layout(array, indent, summarize, _Formatter(np.asarray(shown)))


def row_sparse_str(g):
    """The text that `repr` gives for a row-sparse gradient."""
    lines = []
    for name, part in (("indices", g._indices()), ("values", g._values())):
        array, start = part.numpy(), f"{name}=tensor("
        size = "" if array.size else f", size={array.shape}"
        lines.append(f"{start}{_elements(array, len('tensor(') + len(start))}{size})")
    last = f"size={tuple(g.shape)}, nnz={g._nnz()}"
    if g.dtype != _core.get_default_dtype():
        last += f", dtype={g.dtype}"
    joint = ",\n" + " " * len("tensor(")
    return f"tensor({joint.join([*lines, last])}, layout=torch.sparse_coo)"


def tensor_str(t):
    """The text that `repr` gives for a tensor: values, then what they alone do not tell."""
    # A Parameter stands under its heading as the plain tensor that it holds.
    heading = "Parameter containing:\n" if isinstance(t, _core.Parameter) else ""
    array = t.detach().numpy()
    indent = len("tensor(")
    text = "tensor(" + _elements(array, indent)
    column = len(text) - text.rfind("\n") + 1
    for suffix in _suffixes(t, array):
        if column + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return heading + text + ")"
