"""Helpers on whole sets of parameters: clipping, penalties, parameters as one vector."""

from .clip_grad import (
    add_grad_noise_,
    clip_grad_adaptive_,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from .convert_parameters import parameters_to_vector, vector_to_parameters
from .weight_penalty import clip_unit_norm_, weight_penalty

__all__ = [
    "add_grad_noise_",
    "clip_grad_adaptive_",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "clip_unit_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
    "weight_penalty",
]
