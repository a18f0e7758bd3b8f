"""A table of vectors, looked up by index."""

from tinygrad_lessons._core import Parameter, Tensor, empty, no_grad

from . import functional as F
from . import init
from .module import Module


class Embedding(Module):
    """Looks up rows of `weight` (num_embeddings, embedding_dim): indices (*) give (*, embedding_dim).

    The weight starts normally distributed, with zeros at `padding_idx`.

    Args:
        num_embeddings: how many vectors there are; indices run from 0 to num_embeddings - 1.
        embedding_dim: how long each is.
        padding_idx: the row that gets no gradient; negative ones count from the end.
        max_norm: rows whose norm is greater are scaled to it, in place, before they are looked up.
        norm_type: the p of that norm.
        scale_grad_by_freq: each row's gradient is divided by how often the row was looked up.
        sparse: `weight.grad` is row-sparse: it holds only the rows that were looked up, and which
            they are. `weight.grad.coalesce()` has each row once, `weight.grad.to_dense()` all.
        _weight: the weight to begin with, instead of a drawn one.
        _freeze: whether the weight is to stay as it is, without gradient.

    Raises:
        AssertionError: `padding_idx` is no row, or the shape of `_weight` another.
        IndexError: in the call, when an index names no row.

    >>> import tinygrad_lessons as tg
    >>> embedding = tg.nn.Embedding(10, 3, padding_idx=0)
    >>> embedding(tg.tensor([[1, 5], [0, 0]])).shape
    torch.Size([2, 2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise AssertionError(
                    "Padding_idx must be within num_embeddings: "
                    f"{padding_idx} is not within {num_embeddings}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            weight = empty(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.weight = Parameter(weight, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if _weight.shape != (num_embeddings, embedding_dim):
                raise AssertionError(
                    "Shape of weight does not match num_embeddings and embedding_dim: "
                    f"{tuple(_weight.shape)}, not {(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> "Embedding":
        """An embedding whose weight is `embeddings` (num_embeddings, embedding_dim) itself.

        With `freeze` it is not trained. The other options are those of the class. Raises
        AssertionError unless `embeddings` has two dimensions.

        >>> import tinygrad_lessons as tg
        >>> embedding = tg.nn.Embedding.from_pretrained(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> embedding(tg.tensor(1)).tolist()
        [3.0, 4.0]
        """
        if embeddings.ndim != 2:
            raise AssertionError(
                "Embeddings parameter is expected to be 2-dimensional, "
                f"but has shape {tuple(embeddings.shape)}"
            )
        return cls(
            *embeddings.shape,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def reset_parameters(self) -> None:
        """Draw the weight anew; its row at `padding_idx` becomes zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        return text + (", sparse=True" if self.sparse else "")
