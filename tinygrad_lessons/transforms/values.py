"""Transforms that change values in place."""

from tinygrad_lessons.transforms import functional as F
from tinygrad_lessons.transforms._transform import Transform


class Normalize(Transform):
    """(image - mean) / std, by channels, of float images. Gradients pass.

    Args:
        mean, std: a number for each channel.
        inplace: write into the image.

    >>> import tinygrad_lessons as tg
    >>> Normalize([0.5], [0.25])(tg.tensor([[[0.0, 0.5, 1.0]]]))
    tensor([[[-2.,  0.,  2.]]])
    """

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean, self.std, self.inplace = list(mean), list(std), inplace

    def transform(self, image):
        return F.normalize(image, self.mean, self.std, self.inplace)
