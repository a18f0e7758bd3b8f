"""`Parameter` at the path where PyTorch has it; the class itself is part of the engine."""

from tinygrad_lessons._core import Parameter

__all__ = ["Parameter"]
