"""Transforms of transforms."""

from tinygrad_lessons import nn
from tinygrad_lessons._core import tensor, where
from tinygrad_lessons.transforms._arguments import probability
from tinygrad_lessons.transforms._transform import Transform, draw


class Compose(Transform):
    """One transform after the other. What is given beside the image goes through all of them, too.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import transforms as T
    >>> augment = T.Compose([T.RandomCrop(28, padding=2), T.Normalize([0.5], [0.5])])
    >>> augment(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(self, transforms):
        super().__init__()
        self.transforms = list(transforms)
        if not self.transforms or not all(callable(each) for each in self.transforms):
            raise TypeError(f"Compose: expected a list of transforms with one at least, not {transforms!r}")

    def forward(self, *inputs):
        for each in self.transforms:
            outputs = each(*inputs)
            inputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return outputs

    def __repr__(self):
        lines = [f"    {line}" for each in self.transforms for line in repr(each).split("\n")]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])
