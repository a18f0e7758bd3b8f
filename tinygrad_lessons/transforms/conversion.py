"""Transforms between kinds of images and types of elements."""

import numpy as np

from tinygrad_lessons._core import Tensor, float32, tensor, uint8
from tinygrad_lessons.transforms._transform import Transform


class ToImage(Transform):
    """A tensor (C, H, W) of an array (H, W) or (H, W, C), or of a Pillow image; a tensor as it is.

    >>> import numpy as np
    >>> ToImage()(np.zeros((28, 20, 3), "uint8")).shape
    torch.Size([3, 28, 20])
    """

    def transform(self, image):
        if isinstance(image, Tensor):
            return image
        pixels = np.asarray(image)
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.ndim != 3:
            raise ValueError(
                f"ToImage: expected an image (H, W) or (H, W, C), but got shape {pixels.shape}"
            )
        return tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class ToDtype(Transform):
    """Another type of elements; with `scale`, 0 to 255 of uint8 becomes 0 to 1 of floats, and back.

    >>> import tinygrad_lessons as tg
    >>> ToDtype(tg.float32, scale=True)(tg.tensor([[[0, 51, 255]]], dtype=tg.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """

    def __init__(self, dtype, scale=False):
        super().__init__()
        if scale and not (dtype.is_floating_point or dtype == uint8):
            raise ValueError(
                f"ToDtype: scale=True converts between uint8 and float types, not to {dtype}"
            )
        self.dtype, self.scale = dtype, scale

    def transform(self, image):
        if not self.scale or image.is_floating_point() == self.dtype.is_floating_point:
            return image.to(self.dtype)
        if self.dtype.is_floating_point:
            if image.dtype != uint8:
                raise TypeError(
                    f"ToDtype: scale=True converts uint8 to floats, but got {image.dtype}"
                )
            return image.to(self.dtype) / 255
        return (image.clamp(0, 1) * (256 - 1e-3)).to(
            self.dtype
        )  # as torchvision: equal shares for all 256


class ToTensor(Transform):
    """What `Compose([ToImage(), ToDtype(float32, scale=True)])` does: pixels of uint8 as float32 from 0 to 1.

    >>> import numpy as np
    >>> ToTensor()(np.full((2, 2), 255, "uint8"))
    tensor([[[1., 1.],
             [1., 1.]]])
    """

    def transform(self, image):
        image = ToImage()(image)
        return ToDtype(float32, scale=image.dtype == uint8)(image)
