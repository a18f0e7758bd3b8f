"""Transforms that change values, not places."""

import math
from numbers import Number

import numpy as np

from tinygrad_lessons import _core
from tinygrad_lessons._core import from_numpy, randn, tensor, where
from tinygrad_lessons.transforms import functional as F
from tinygrad_lessons.transforms._arguments import interval, probability
from tinygrad_lessons.transforms._transform import Transform, draw


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


class ColorJitter(Transform):
    """Other brightness, contrast, saturation and hue, by random factors and in a random order, each image its own.

    A batch is one compiled call. uint8, or floats between 0 and 1; of one channel, saturation and hue change nothing.

    Args:
        brightness, contrast, saturation: bounds of the factor; one number b means (max(0, 1 - b), 1 + b). None: none.
        hue: bounds of the turn, between -0.5 and 0.5; one number h means (-h, h). None: none.

    >>> import tinygrad_lessons as tg
    >>> ColorJitter(brightness=0.2, hue=0.1)(tg.rand(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(self, brightness=None, contrast=None, saturation=None, hue=None):
        super().__init__()
        self.brightness = self._bounds("brightness", brightness)
        self.contrast = self._bounds("contrast", contrast)
        self.saturation = self._bounds("saturation", saturation)
        self.hue = self._bounds("hue", hue)

    @staticmethod
    def _bounds(name, value):
        """(least, most), or None where nothing would change."""
        if value is None:
            return None
        neutral, least, most = (0.0, -0.5, 0.5) if name == "hue" else (1.0, 0.0, math.inf)
        if isinstance(value, Number):
            if value < 0:
                raise ValueError(
                    f"ColorJitter: {name} of one number must not be negative, but is {value}"
                )
            value = (
                neutral - value if name == "hue" else max(0.0, neutral - value),
                neutral + value,
            )
        bounds = interval(tuple(value), f"ColorJitter: {name}")
        if not least <= bounds[0] <= bounds[1] <= most or bounds[1] == math.inf:
            raise ValueError(
                f"ColorJitter: {name} must lie between {least} and {most}, not {bounds}"
            )
        return None if bounds == (neutral, neutral) else bounds

    def transform(self, image):
        bounds = (self.brightness, self.contrast, self.saturation, self.hue)
        least, most = ([None if b is None else b[k] for b in bounds] for k in (0, 1))
        return _core.jitter("ColorJitter", image, None, least, most)[0]


class GaussianBlur(Transform):
    """Means weighted by a normal density of random width, each image its own; as `functional.gaussian_blur`.

    Args:
        kernel_size: odd, of both axes or (x, y).
        sigma: bounds of the standard deviation in pixels, or one number.

    >>> import tinygrad_lessons as tg
    >>> GaussianBlur(5)(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = F.kernel_sizes(kernel_size, "GaussianBlur")
        self.sigma = interval(
            (sigma, sigma) if isinstance(sigma, Number) else tuple(sigma), "GaussianBlur: sigma"
        )
        if not 0 < self.sigma[0] <= self.sigma[1] < math.inf:
            raise ValueError(f"GaussianBlur: sigma must be positive, not {sigma!r}")

    def transform(self, image):
        return _core.gaussian_blur("GaussianBlur", image, self.kernel_size[::-1], None, self.sigma)[
            0
        ]


class GaussianNoise(Transform):
    """Adds normal noise to float images, cut off at 0 and 1 with `clip`; as `functional.gaussian_noise`. Gradients pass.

    >>> import tinygrad_lessons as tg
    >>> GaussianNoise(sigma=0.05)(tg.rand(8, 1, 28, 28)).max() <= 1
    tensor(True)
    """

    def __init__(self, mean=0.0, sigma=0.1, clip=True):
        super().__init__()
        if sigma < 0:
            raise ValueError(f"GaussianNoise: sigma must not be negative, but is {sigma}")
        self.mean, self.sigma, self.clip = mean, sigma, clip

    def transform(self, image):
        return F.gaussian_noise(image, self.mean, self.sigma, self.clip)


class RandomErasing(Transform):
    """Overwrites a rectangle with probability p, in each image another (Zhong et al. 2017). Gradients pass.

    The area's share and the logarithm of height over width are uniform; a rectangle that does not fit in is drawn again, up to
    ten times, and then left out.

    Args:
        p: the probability.
        scale: bounds of the rectangle's share of the area.
        ratio: bounds of height over width.
        value: what it is filled with: a number, one for each channel, or "random" for normal noise in every pixel.
        inplace: write into the image.

    >>> import tinygrad_lessons as tg
    >>> (RandomErasing(p=1.0)(tg.ones(8, 1, 28, 28)) == 0).any((1, 2, 3)).all()
    tensor(True)
    """

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.0, inplace=False):
        super().__init__()
        self.p = probability(p, "RandomErasing")
        self.scale = interval(tuple(scale), "RandomErasing: scale")
        self.ratio = interval(tuple(ratio), "RandomErasing: ratio")
        if not (self.scale[0] >= 0 and self.scale[1] <= 1 and self.ratio[0] > 0):
            raise ValueError(
                f"RandomErasing: expected scale between 0 and 1 and ratio above 0, not {scale} and {ratio}"
            )
        if isinstance(value, str) and value != "random":
            raise ValueError(
                f"RandomErasing: value must be a number, one for each channel or 'random', not {value!r}"
            )
        self.value, self.inplace = value, inplace

    def transform(self, image):
        if image.ndim not in (3, 4):
            raise ValueError(
                f"RandomErasing: expected (C, H, W) or (N, C, H, W), but got shape {tuple(image.shape)}"
            )
        top, left, height, width = self._boxes(image)
        rows, columns = (np.arange(size)[None] for size in image.shape[-2:])
        down = (rows >= top[:, None]) & (rows < (top + height)[:, None])
        across = (columns >= left[:, None]) & (columns < (left + width)[:, None])
        inside = (down[:, :, None] & across[:, None, :])[:, None]
        erased = where(
            from_numpy(inside if image.ndim == 4 else inside[0]), self._filling(image), image
        )
        return image.copy_(erased) if self.inplace else erased

    def _boxes(self, image):
        """Arrays (N,) of top, left, height, width; height 0 where nothing is erased."""
        tries = 10
        u = draw(image, 3 + 2 * tries)
        H, W = image.shape[-2:]
        area = H * W * (self.scale[0] + u[:, 3::2] * (self.scale[1] - self.scale[0]))
        least, most = np.log(self.ratio)
        ratio = np.exp(least + u[:, 4::2] * (most - least))
        heights, widths = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (heights < H) & (widths < W)
        first, each = fits.argmax(1), np.arange(len(u))
        erases = fits.any(1) & (u[:, 0] < self.p)
        height = np.where(erases, heights[each, first], 0)
        width = np.where(erases, widths[each, first], 0)
        top, left = np.floor(u[:, 1] * (H - height + 1)), np.floor(u[:, 2] * (W - width + 1))
        return top, left, height, width

    def _filling(self, image):
        if isinstance(self.value, str):
            if not image.is_floating_point():
                raise TypeError(
                    f"RandomErasing: value='random' fills float images, but got {image.dtype}"
                )
            return randn(*image.shape, dtype=image.dtype)
        values = [self.value] if isinstance(self.value, Number) else list(self.value)
        if len(values) not in (1, image.shape[-3]):
            raise ValueError(
                f"RandomErasing: expected one value or {image.shape[-3]}, one for each channel, not {self.value}"
            )
        return tensor(values, dtype=image.dtype).reshape(-1, 1, 1)
