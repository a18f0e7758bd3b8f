"""Transforms that move pixels."""

from numbers import Number

from tinygrad_lessons import _core
from tinygrad_lessons.transforms import functional as F
from tinygrad_lessons.transforms._arguments import (
    interval,
    padding_mode_number,
    pair,
    probability,
    sides,
)
from tinygrad_lessons.transforms._transform import Transform, draw
from tinygrad_lessons.transforms.functional import InterpolationMode


class RandomAffine(Transform):
    """Turns, shifts, scales and shears, each image by amounts of its own, around a centre that stays.

    As `functional.affine`. A batch is one compiled call, which draws and moves.

    Args:
        degrees: the angle is uniform between two bounds; one number d means (-d, d).
        translate: (a, b): shifts are uniform within ± a · width and ± b · height, in whole pixels. None: none.
        scale: bounds of the factor. None: 1.
        shear: bounds of the shear along x in degrees, one number for both; or four, the last two along y; no right angles.
            None: none.
        interpolation: an `InterpolationMode`.
        fill: for places outside: a number, or one for each channel; 0 for None.
        center: (x, y) that stays in place, from the upper left corner; the middle by default.

    Raises:
        ValueError: an argument is out of range.

    >>> import tinygrad_lessons as tg
    >>> turn = RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1))
    >>> turn(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(
        self,
        degrees,
        translate=None,
        scale=None,
        shear=None,
        interpolation=InterpolationMode.NEAREST,
        fill=0,
        center=None,
    ):
        super().__init__()
        self.degrees = interval(degrees, "RandomAffine: degrees")
        self.translate, self.scale, self.center, self.fill = translate, scale, center, fill
        if translate is not None and (
            len(translate) != 2 or not all(0 <= part <= 1 for part in translate)
        ):
            raise ValueError(
                f"RandomAffine: translate must be two parts between 0 and 1, not {translate!r}"
            )
        if scale is not None:
            self.scale = interval(scale, "RandomAffine: scale")
            if self.scale[0] <= 0:
                raise ValueError(f"RandomAffine: scale must be positive, not {scale!r}")
        self.shear = None if shear is None else self._shears(shear)
        self.interpolation = InterpolationMode(interpolation)

    @staticmethod
    def _shears(shear):
        """(least x, most x, least y, most y)"""
        four = not isinstance(shear, Number) and len(shear) == 4
        x, y = (shear[:2], shear[2:]) if four else (shear, (0.0, 0.0))
        bounds = interval(x, "RandomAffine: shear") + interval(y, "RandomAffine: shear")
        F.check_shears(bounds, "RandomAffine")
        return bounds

    def transform(self, image):
        height, width = size = F.get_size(image)
        across, down = self.translate or (0.0, 0.0)
        scale, shear = self.scale or (1.0, 1.0), self.shear or (0.0, 0.0, 0.0, 0.0)
        least = (self.degrees[0], -across * width, -down * height, scale[0], shear[0], shear[2])
        most = (self.degrees[1], across * width, down * height, scale[1], shear[1], shear[3])
        bilinear = self.interpolation is InterpolationMode.BILINEAR
        offset = F.middle(image, self.center, "RandomAffine")
        return _core.warp_affine(
            "RandomAffine", image, None, least, most, bilinear, self.fill, offset, size
        )[0]


class RandomRotation(Transform):
    """Turns counter-clockwise, each image by an angle of its own.

    As `functional.rotate`. A batch is one compiled call.

    Args:
        degrees: the angle is uniform between two bounds; one number d means (-d, d).
        interpolation: an `InterpolationMode`.
        expand: make the result as large as what is turned; of single images only, as each has a size of its own.
        center: (x, y) that stays in place, from the upper left corner; the middle by default.
        fill: for places outside: a number, or one for each channel; 0 for None.

    >>> import tinygrad_lessons as tg
    >>> RandomRotation((90, 90))(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 4.],
             [1., 3.]]])
    """

    def __init__(
        self, degrees, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=0
    ):
        super().__init__()
        self.degrees = interval(degrees, "RandomRotation: degrees")
        self.interpolation = InterpolationMode(interpolation)
        self.expand, self.center, self.fill = expand, center, fill

    def transform(self, image):
        if self.expand:
            if image.ndim == 4:
                raise ValueError(
                    "RandomRotation: expand=True gives each image a size of its own: transform single images"
                )
            least, most = self.degrees
            angle = least + float(draw(image, 1)[0, 0]) * (most - least)
            return F.rotate(image, angle, self.interpolation, True, self.center, self.fill)
        still = (0.0, 0.0, 1.0, 0.0, 0.0)
        bilinear = self.interpolation is InterpolationMode.BILINEAR
        offset = F.middle(image, self.center, "RandomRotation")
        return _core.warp_affine(
            "RandomRotation", image, None, (-self.degrees[1], *still), (-self.degrees[0], *still), bilinear, self.fill,
            offset, F.get_size(image),
        )[0]  # fmt: skip


def _drawn_crop(name, image, least, most, flips, size, fill=0, padding=0):
    return _core.crop(name, image, None, least, most, flips, padding, fill, size)[0]


class RandomHorizontalFlip(Transform):
    """Exchanges left and right, with probability p, of each image by itself.

    >>> import tinygrad_lessons as tg
    >>> RandomHorizontalFlip(p=1.0)(tg.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 2., 1.]]])
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p = probability(p, "RandomHorizontalFlip")

    def transform(self, image):
        return _drawn_crop(
            "RandomHorizontalFlip", image, (0, 0), (0, 0), (0.0, self.p), F.get_size(image)
        )


class RandomVerticalFlip(Transform):
    """Turns upside down, with probability p, each image by itself."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = probability(p, "RandomVerticalFlip")

    def transform(self, image):
        return _drawn_crop(
            "RandomVerticalFlip", image, (0, 0), (0, 0), (self.p, 0.0), F.get_size(image)
        )


class RandomCrop(Transform):
    """A part of the given size, of each image at a place of its own.

    Args:
        size: of the part, (height, width) or one number for both.
        padding: a border added before, as in `functional.pad`.
        pad_if_needed: also add to both sides what the image is too small by.
        fill, padding_mode: what the border is made of, as in `functional.pad`.

    Raises:
        ValueError: the part is larger than the padded image.

    >>> import tinygrad_lessons as tg
    >>> RandomCrop(28, padding=2)(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = pair(size, "RandomCrop: size")
        self.padding = None if padding is None else sides(padding, "RandomCrop")
        self.pad_if_needed, self.fill, self.padding_mode = pad_if_needed, fill, padding_mode
        self._mode = padding_mode_number(padding_mode, "RandomCrop")

    def transform(self, image):
        left, top, right, bottom = self.padding or (0, 0, 0, 0)
        height, width = F.get_size(image)
        if self.pad_if_needed:
            down = max(0, self.size[0] - (height + top + bottom))
            across = max(0, self.size[1] - (width + left + right))
            left, top, right, bottom = left + across, top + down, right + across, bottom + down
        F.check_padding(image, (left, top, right, bottom), self.padding_mode, "RandomCrop")
        last = (height + bottom - self.size[0], width + right - self.size[1])
        if last[0] < -top or last[1] < -left:
            raise ValueError(
                f"RandomCrop: a part of {self.size} does not fit into an image of {(height, width)} with padding "
                f"{(left, top, right, bottom)} (left, top, right, bottom); pad_if_needed=True adds what is missing"
            )
        return _drawn_crop(
            "RandomCrop", image, (-top, -left), last, (0.0, 0.0), self.size, self.fill, self._mode
        )


class CenterCrop(Transform):
    """The middle part of the given size; zeros around an image that is smaller."""

    def __init__(self, size):
        super().__init__()
        self.size = pair(size, "CenterCrop: size")

    def transform(self, image):
        return F.center_crop(image, self.size)


class Pad(Transform):
    """Adds a border, as `functional.pad`.

    >>> import tinygrad_lessons as tg
    >>> Pad(2)(tg.zeros(1, 28, 28)).shape
    torch.Size([1, 32, 32])
    """

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        self.padding, self.fill, self.padding_mode = sides(padding, "Pad"), fill, padding_mode
        padding_mode_number(padding_mode, "Pad")

    def transform(self, image):
        return F.pad(image, self.padding, self.fill, self.padding_mode)


class Resize(Transform):
    """Brings to a size, as `functional.resize`.

    >>> import tinygrad_lessons as tg
    >>> Resize(16)(tg.rand(8, 3, 32, 48)).shape
    torch.Size([8, 3, 16, 24])
    """

    def __init__(
        self, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True
    ):
        super().__init__()
        F.resized_size((1, 1), size, max_size)  # checks
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = InterpolationMode(interpolation)

    def transform(self, image):
        return F.resize(image, self.size, self.interpolation, self.max_size, self.antialias)


class RandomResizedCrop(Transform):
    """A part of random area and shape at a random place, brought to a size; of each image another.

    The area's share and the logarithm of width over height are uniform; a part that does not fit in is drawn again, up to ten
    times, then it is the largest in the middle with a ratio within bounds (Szegedy et al. 2015).

    Args:
        size: of the result, (height, width) or one number for both.
        scale: bounds of the area's share.
        ratio: bounds of width over height.
        interpolation, antialias: as in `functional.resize`.

    >>> import tinygrad_lessons as tg
    >>> RandomResizedCrop(28, scale=(0.5, 1.0))(tg.rand(8, 1, 32, 32)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(
        self,
        size,
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
    ):
        super().__init__()
        self.size = pair(size, "RandomResizedCrop: size")
        self.scale = interval(tuple(scale), "RandomResizedCrop: scale")
        self.ratio = interval(tuple(ratio), "RandomResizedCrop: ratio")
        if self.scale[0] <= 0 or self.ratio[0] <= 0:
            raise ValueError(
                f"RandomResizedCrop: scale and ratio must be positive, but are {scale} and {ratio}"
            )
        self.interpolation, self.antialias = InterpolationMode(interpolation), antialias

    def transform(self, image):
        filter = F.resize_filter(self.interpolation, self.antialias, "RandomResizedCrop")
        return _core.resize(
            "RandomResizedCrop", image, None, self.scale, self.ratio, filter, self.size
        )[0]
