"""Convolutions, and the padding before them."""

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple = 1,
    padding: int | tuple | str = 0,
    dilation: int | tuple = 1,
    groups: int = 1,
) -> Tensor:
    """y[o, i] = bias[o] + Σ weight[o, c, k] x[c, i · stride + k · dilation - padding].

    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,); float32 or float64. `padding`
    counts the zeros before and behind, 'same' keeps the length (at stride 1), 'valid' is none.
    With groups, the first O / groups outputs see the first C / groups channels, and so on. Raises
    RuntimeError when shapes, dtypes or options do not fit.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1.0, 2.0, 4.0]])
    >>> tg.nn.functional.conv1d(x, tg.tensor([[[-1.0, 1.0]]])).tolist()
    [[1.0, 2.0]]
    """
    return _core.conv1d(input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple = 1,
    padding: int | tuple | str = 0,
    dilation: int | tuple = 1,
    groups: int = 1,
) -> Tensor:
    """conv1d over two dimensions: input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW).

    `stride`, `padding` and `dilation` are one number, or one for each of height and width. Raises
    RuntimeError when shapes, dtypes or options do not fit.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.conv2d(tg.ones(1, 3, 3), tg.ones(1, 1, 2, 2), padding="same").tolist()
    [[[4.0, 4.0, 2.0], [4.0, 4.0, 2.0], [2.0, 2.0, 1.0]]]
    """
    return _core.conv2d(input, weight, bias, stride, padding, dilation, groups)


def pad(input: Tensor, pad: tuple, mode: str = "constant", value: float | None = None) -> Tensor:
    """Widens the last dimensions: `pad` is (before, behind) of the last, then of the one before it …

    Modes: 'constant' puts `value` (0), 'reflect' mirrors at the outermost elements, 'replicate'
    repeats these, 'circular' goes on at the other end; all but the first leave the leading one or
    two dimensions alone. Negative numbers cut off. Raises RuntimeError or ValueError where the
    input is too small.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([[1, 2, 3]])
    >>> tg.nn.functional.pad(x, (1, 2)).tolist()
    [[0, 1, 2, 3, 0, 0]]
    >>> tg.nn.functional.pad(x, (2, 1), mode="reflect").tolist()
    [[3, 2, 1, 2, 3, 2]]
    """
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(
            f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', not {mode!r}"
        )
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"pad: expected two numbers for each of at most {input.ndim} dimensions, got {pad}"
        )
    if mode != "constant":
        if value not in (None, 0):
            raise ValueError(f"pad: mode {mode!r} does not take a value, got {value}")
        if input.ndim - len(pad) // 2 not in (1, 2):
            raise NotImplementedError(
                f"pad: mode {mode!r} leaves the leading one or two dimensions alone; pad {pad} "
                f"does not fit an input of shape {tuple(input.shape)}"
            )
    for i in range(len(pad) // 2):
        before, behind = pad[2 * i], pad[2 * i + 1]
        if before or behind:
            input = _pad_dim(input, input.ndim - 1 - i, before, behind, mode, value or 0)
    return input


def _pad_dim(x, dim, before, behind, mode, value):
    """One dimension. What is cut off is still there for 'reflect' and 'replicate' to repeat."""
    cut = max(-before, 0), max(-behind, 0)
    widen = max(before, 0), max(behind, 0)
    size = x.shape[dim]
    left = size - sum(cut)
    fits = {
        "constant": left >= 0,
        "reflect": max(widen) < size and left + sum(widen) > 0,
        "replicate": size > 0 and left + sum(widen) > 0,
        "circular": max(widen) <= left,
    }
    if not fits[mode]:
        raise RuntimeError(
            f"pad: an input of shape {tuple(x.shape)} is too small in dimension {dim} for padding "
            f"{before, behind} in mode {mode!r}"
        )

    def constant(n):
        shape = [*x.shape]
        shape[dim] = n
        return _core.full(shape, value, dtype=x.dtype)

    def repeated(start, n):
        shape = [*x.shape]
        shape[dim] = n
        return x.narrow(dim, start, min(n, 1)).expand(shape)

    if mode in ("constant", "circular") and any(cut):
        x, size, cut = x.narrow(dim, cut[0], left), left, (0, 0)
    if any(widen):
        if mode == "constant":
            ends = constant(widen[0]), constant(widen[1])
        elif mode == "reflect":
            ends = (
                x.narrow(dim, 1, widen[0]).flip(dim),
                x.narrow(dim, size - 1 - widen[1], widen[1]).flip(dim),
            )
        elif mode == "replicate":
            ends = repeated(0, widen[0]), repeated(size - 1, widen[1])
        else:
            ends = x.narrow(dim, size - widen[0], widen[0]), x.narrow(dim, 0, widen[1])
        x = _core.cat([ends[0], x, ends[1]], dim)
    return x.narrow(dim, cut[0], left + sum(widen)) if any(cut) else x
