"""All parameters as one vector, and back."""

from collections.abc import Iterable

from tinygrad_lessons._core import Tensor, cat


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters one after the other as one vector; gradients flow through it.

    >>> import tinygrad_lessons as tg
    >>> tg.nn.utils.parameters_to_vector([tg.zeros(2, 2), tg.ones(1)]).tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0]
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the parameters, one after the other, be the slices of a vector; they share its memory.

    Raises TypeError for another type, ValueError when the vector has another length.

    >>> import tinygrad_lessons as tg
    >>> layer = tg.nn.Linear(2, 1)
    >>> tg.nn.utils.vector_to_parameters(tg.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a tensor, got {type(vec).__name__}")
    parameters = list(parameters)
    total = sum(parameter.numel() for parameter in parameters)
    if vec.numel() != total:
        raise ValueError(
            f"vector_to_parameters: the vector has {vec.numel()} elements, the parameters {total}"
        )
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = vec.detach()[start:end].view(parameter.shape)
        start = end
