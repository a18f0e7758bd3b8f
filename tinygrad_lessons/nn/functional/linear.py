"""Linear maps, and rows looked up."""

from tinygrad_lessons import _core
from tinygrad_lessons._core import Tensor, no_grad, where


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b with x (*, in), W (out, in) and b (out,).

    >>> import tinygrad_lessons as tg
    >>> tg.nn.functional.linear(tg.ones(1, 2), tg.ones(3, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    return _core.linear(input, weight, bias)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) that `input` (*, int64 or int32) names, as (*, D).

    Args:
        padding_idx: the row that gets no gradient; negative ones count from the end.
        max_norm: first, rows to be looked up whose norm is greater are scaled to it, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: each row's gradient is divided by how often `input` names the row.
        sparse: the gradient holds only the rows that were looked up, and which they are.

    Raises:
        AssertionError: `padding_idx` is no row of the weight.
        IndexError: an index is below 0, or not below V.
        RuntimeError: `input` holds no integers, or `weight` is no matrix. In backward: a sparse
            gradient is to be scaled by frequency, or differentiated again.

    >>> import tinygrad_lessons as tg
    >>> weight = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> tg.nn.functional.embedding(tg.tensor([2, 0]), weight).tolist()
    [[5.0, 6.0], [1.0, 2.0]]
    """
    if max_norm is not None:
        with no_grad():
            rows = embedding(input, weight, padding_idx)
            norm = rows.norm(norm_type, -1, keepdim=True)
            weight[input] = where(norm > max_norm, rows * (max_norm / (norm + 1e-7)), rows)
    return _core.embedding(input, weight, padding_idx, scale_grad_by_freq, sparse)
