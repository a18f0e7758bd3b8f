"""What transforms do once their parameters are drawn, on an image (C, H, W) or on a whole batch (N, C, H, W) alike.

Images are uint8, float32 or float64. Functions that run as one compiled kernel have no gradient with respect to the image:
they raise an error for one that requires it. The others (`normalize` and what else is arithmetic) let gradients pass.
"""

import math
from enum import Enum
from numbers import Integral, Number

from tinygrad_lessons import _core
from tinygrad_lessons._core import float64, int64, randn, tensor
from tinygrad_lessons.transforms._arguments import padding_mode_number, pair, sides


class InterpolationMode(Enum):
    """How values between pixels are found: the nearest pixel's, or a weighted mean of the neighbours'."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


def is_bilinear(interpolation, name):
    """Whether the mode is bilinear; it may be named by its value."""
    try:
        return InterpolationMode(interpolation) is InterpolationMode.BILINEAR
    except ValueError:
        raise ValueError(
            f"{name}: interpolation must be NEAREST or BILINEAR, not {interpolation!r}"
        ) from None


def get_size(image):
    """[height, width] of an image or a batch."""
    return list(image.shape[-2:])


def get_dimensions(image):
    """[channels, height, width] of an image or a batch."""
    return list(image.shape[-3:])


# ---- affine maps ----


def middle(image, center, name):
    """Of the pixel (x, y), or the middle for None, how far it is from the middle."""
    if center is None:
        return (0.0, 0.0)
    if len(center) != 2 or not all(map(math.isfinite, center)):
        raise ValueError(f"{name}: center must be (x, y), finite, not {center!r}")
    height, width = get_size(image)
    return (float(center[0]) - 0.5 * width, float(center[1]) - 0.5 * height)


def affine(
    image,
    angle,
    translate,
    scale,
    shear,
    interpolation=InterpolationMode.NEAREST,
    fill=None,
    center=None,
):
    """The image sheared, scaled, turned clockwise about its centre, and shifted, in that order.

    A pixel of the result shows the place T(t) C R(angle) Sh(shear) S(scale) C⁻¹ takes there. Of pixels that are equally near,
    NEAREST takes the one further right or down (torchvision the even one). Places outside count as `fill`; at the border,
    BILINEAR weighs image and fill by their shares (torchvision, for a fill other than None, the image by its share squared).

    Args:
        image: (C, H, W) or (N, C, H, W) of uint8, float32 or float64.
        angle: in degrees.
        translate: (x, y) in pixels.
        scale: above 0.
        shear: in degrees along x, or (x, y); not a right angle.
        interpolation: an InterpolationMode.
        fill: a number, or one for each channel; 0 for None.
        center: (x, y) of the point that stays in place, from the upper left corner; the middle by default.

    Raises:
        ValueError: an argument is out of range, or not finite.

    >>> import tinygrad_lessons as tg
    >>> affine(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 90, (0, 0), 1.0, 0)
    tensor([[[3., 1.],
             [4., 2.]]])
    """
    if scale <= 0:
        raise ValueError(f"affine: scale must be positive, but is {scale}")
    if len(translate) != 2:
        raise ValueError(f"affine: translate must be (x, y), not {translate!r}")
    shears = (shear, 0.0) if isinstance(shear, Number) else (*shear, 0.0)[:2]
    check_shears(shears, "affine")
    parameters = [angle, *translate, scale, *shears]
    _check_finite("affine", *parameters)
    return _warp(
        "affine",
        image,
        parameters,
        interpolation,
        fill,
        middle(image, center, "affine"),
        get_size(image),
    )


def check_shears(shears, name):
    """Raises ValueError for right angles."""
    if any(shear % 180 == 90 for shear in shears):
        raise ValueError(
            f"{name}: a shear by 90 degrees leaves nothing of an image, but got {shears}"
        )


def rotate(
    image, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=None
):
    """The image turned counter-clockwise by `angle` degrees.

    With `expand`, the result has all pixels that the turned image touches, as Pillow's and torchvision's, around the middle;
    else it keeps the image's size.

    >>> import tinygrad_lessons as tg
    >>> rotate(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 90)
    tensor([[[2., 4.],
             [1., 3.]]])
    """
    _check_finite("rotate", angle)
    size, offset = get_size(image), middle(image, center, "rotate")
    if expand:
        size, offset = _turned_size(size, angle), (0.0, 0.0)
    return _warp(
        "rotate", image, [-angle, 0.0, 0.0, 1.0, 0.0, 0.0], interpolation, fill, offset, size
    )


def _turned_size(size, angle):
    """(height, width) of the pixels, where they lie in the image, that its turned corners reach."""
    height, width = size
    if angle % 90 == 0:
        return (height, width) if angle % 180 == 0 else (width, height)
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    spans = (width * sine + height * cosine, width * cosine + height * sine)
    return tuple(
        math.ceil((have + span) / 2) - math.floor((have - span) / 2)
        for have, span in zip(size, spans, strict=True)
    )


def _warp(name, image, parameters, interpolation, fill, offset, size):
    return _core.warp_affine(
        name, image, tensor([parameters], dtype=float64), None, None, is_bilinear(interpolation, name), fill, offset, size,
    )[0]  # fmt: skip


def _check_finite(name, *amounts):
    if not all(map(math.isfinite, amounts)):
        raise ValueError(f"{name}: expected finite numbers, but got {amounts}")


# ---- parts ----


def _crop(name, image, parameters, size, fill=0, padding=0):
    return _core.crop(
        name, image, tensor([parameters], dtype=int64), None, None, None, padding, fill, size
    )[0]


def horizontal_flip(image):
    """The image, left and right exchanged.

    >>> import tinygrad_lessons as tg
    >>> horizontal_flip(tg.tensor([[[1, 2, 3]]], dtype=tg.uint8))
    tensor([[[3, 2, 1]]], dtype=torch.uint8)
    """
    return _crop("horizontal_flip", image, (0, 0, 0, 1), get_size(image))


def vertical_flip(image):
    """The image upside down."""
    return _crop("vertical_flip", image, (0, 0, 1, 0), get_size(image))


hflip, vflip = horizontal_flip, vertical_flip


def crop(image, top, left, height, width):
    """The part from row `top` and column `left` on; zeros where that is outside.

    Raises:
        ValueError: the part has no pixels, or lies 2**31 pixels away or further.
    """
    return _crop("crop", image, (top, left, 0, 0), (height, width))


def center_crop(image, output_size):
    """The middle part; zeros around an image that is smaller."""
    size = pair(output_size, "center_crop")
    corner = [_centred(have, want) for have, want in zip(get_size(image), size, strict=True)]
    return _crop("center_crop", image, (*corner, 0, 0), size)


def _centred(have, want):
    return round((have - want) / 2) if want <= have else -((want - have) // 2)


def check_padding(image, around, mode, name):
    """Raises ValueError where a mode that mirrors would need more pixels than there are."""
    height, width = get_size(image)
    spare = {"reflect": 1, "symmetric": 0}.get(mode)
    if spare is not None and (
        max(around[0], around[2]) > width - spare or max(around[1], around[3]) > height - spare
    ):
        raise ValueError(
            f"{name}: padding_mode {mode!r} can add at most {height - spare} rows and {width - spare} columns to a side of "
            f"an image of {height} x {width}, but padding (left, top, right, bottom) is {tuple(around)}"
        )


def pad(image, padding, fill=0, padding_mode="constant"):
    """The image with a border.

    Args:
        padding: of all sides, of (left and right, top and bottom), or of (left, top, right, bottom); negative ones cut off.
        fill: what a constant border is made of: a number, or one for each channel; 0 for None.
        padding_mode: "constant", "edge" (the last pixel again), "reflect" (mirrored, without the last pixel) or "symmetric"
            (with it).

    >>> import tinygrad_lessons as tg
    >>> pad(tg.tensor([[[1.0, 2.0, 3.0]]]), (2, 0), padding_mode="reflect")
    tensor([[[3., 2., 1., 2., 3., 2., 1.]]])
    """
    left, top, right, bottom = around = sides(padding, "pad")
    height, width = get_size(image)
    mode = padding_mode_number(padding_mode, "pad")
    check_padding(image, around, padding_mode, "pad")
    return _crop(
        "pad", image, (-top, -left, 0, 0), (height + top + bottom, width + left + right), fill, mode
    )


# ---- sizes ----


def resize(image, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """The image brought to a size.

    Args:
        size: (height, width); or one number, for the shorter side, with the other in proportion; or None, for what
            `max_size` allows at most.
        interpolation: bilinear, or nearest.
        max_size: for a `size` of one number: the longer side is at most as long, and the other in proportion.
        antialias: when bilinear makes smaller, average over what falls into a pixel.

    >>> import tinygrad_lessons as tg
    >>> resize(tg.tensor([[[0.0, 1.0, 2.0, 3.0]]]), (1, 2))
    tensor([[[0.7143, 2.2857]]])
    """
    height, width = get_size(image)
    box = tensor([[0, 0, height, width]], dtype=int64)
    out = resized_size((height, width), size, max_size)
    return _core.resize(
        "resize", image, box, None, None, resize_filter(interpolation, antialias, "resize"), out
    )[0]


def resized_crop(
    image, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR, antialias=True
):
    """A part of the image, brought to a size (height, width)."""
    box = tensor([[top, left, height, width]], dtype=int64)
    filter = resize_filter(interpolation, antialias, "resized_crop")
    return _core.resize("resized_crop", image, box, None, None, filter, pair(size, "resized_crop"))[
        0
    ]


def resize_filter(interpolation, antialias, name):
    """The filter's number in the engine."""
    return 0 if not is_bilinear(interpolation, name) else 2 if antialias else 1


def resized_size(have, size, max_size=None):
    """(height, width) that `resize` makes of an image of (height, width)."""
    short, long = sorted(have)
    if size is None:
        if max_size is None:
            raise ValueError("resize: size=None needs a max_size")
        new_long, _ = pair(max_size, "resize: max_size")
        new_short = max(1, int(new_long * short / long))
    else:
        sizes = [size] if isinstance(size, Integral) else list(size)
        if len(sizes) == 2:
            if max_size is not None:
                raise ValueError(
                    f"resize: max_size goes with a size of one number, not with {size}"
                )
            return pair(sizes, "resize")
        (new_short, _), new_long = pair(sizes, "resize"), int(sizes[0] * long / short)
        if max_size is not None and max_size <= new_short:
            raise ValueError(
                f"resize: max_size must be larger than size, but they are {max_size} and {size}"
            )
        if max_size is not None and new_long > max_size:
            new_short, new_long = max(1, int(max_size * new_short / new_long)), max_size
    return (new_short, new_long) if have[0] <= have[1] else (new_long, new_short)


# ---- values ----


def gaussian_blur(image, kernel_size, sigma=None):
    """The image as means weighted by a normal density; mirrored at the border.

    Args:
        kernel_size: odd, of both axes or (x, y).
        sigma: the standard deviation in pixels, of both or (x, y); 0.15 · kernel_size + 0.35 by default.

    >>> import tinygrad_lessons as tg
    >>> gaussian_blur(tg.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]]), (3, 1), 1.0)
    tensor([[[0.0000, 0.2741, 0.4519, 0.2741, 0.0000]]])
    """
    x, y = kernel_sizes(kernel_size, "gaussian_blur")
    if sigma is None:
        sigma = (0.15 * x + 0.35, 0.15 * y + 0.35)
    sigmas = [float(each) for each in (sigma if hasattr(sigma, "__len__") else [sigma])]
    if len(sigmas) == 1:
        sigmas *= 2
    if len(sigmas) != 2 or not all(0 < each < math.inf for each in sigmas):
        raise ValueError(f"gaussian_blur: sigma must be positive, one or (x, y), not {sigma!r}")
    return _core.gaussian_blur(
        "gaussian_blur", image, (y, x), tensor([sigmas[::-1]], dtype=float64), None
    )[0]


def kernel_sizes(kernel_size, name):
    """(x, y), odd."""
    sizes = pair(kernel_size, f"{name}: kernel_size")
    if not all(each % 2 for each in sizes):
        raise ValueError(f"{name}: kernel_size must be odd, but is {kernel_size}")
    return sizes


def gaussian_noise(image, mean=0.0, sigma=0.1, clip=True):
    """The image plus normal noise, cut off at 0 and 1 with `clip`. Of float images; gradients pass."""
    if not image.is_floating_point():
        raise TypeError(
            f"gaussian_noise: expected a float image, but got {image.dtype}; ToDtype(float32, scale=True) converts"
        )
    if sigma < 0:
        raise ValueError(f"gaussian_noise: sigma must not be negative, but is {sigma}")
    noisy = image + (randn(*image.shape, dtype=image.dtype) * sigma + mean)
    return noisy.clamp(0, 1) if clip else noisy


BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


def _jitter(name, image, kind, factor):
    order, factors = [-1.0] * 4, [0.0] * 4
    order[0], factors[kind] = kind, factor
    return _core.jitter(name, image, tensor([order + factors], dtype=float64), None, None)[0]


def _factor(name, factor):
    if not 0 <= factor < math.inf:
        raise ValueError(f"{name}: the factor must not be negative, but is {factor}")
    return float(factor)


def adjust_brightness(image, brightness_factor):
    """The image times a factor, cut off at white.

    >>> import tinygrad_lessons as tg
    >>> adjust_brightness(tg.tensor([[[0.25, 0.75]]]), 2.0)
    tensor([[[0.5000, 1.0000]]])
    """
    return _jitter(
        "adjust_brightness", image, BRIGHTNESS, _factor("adjust_brightness", brightness_factor)
    )


def adjust_contrast(image, contrast_factor):
    """factor · image + (1 - factor) · its mean gray, cut off at black and white."""
    return _jitter("adjust_contrast", image, CONTRAST, _factor("adjust_contrast", contrast_factor))


def adjust_saturation(image, saturation_factor):
    """factor · image + (1 - factor) · its gray, cut off at black and white; of one channel, the image."""
    return _jitter(
        "adjust_saturation", image, SATURATION, _factor("adjust_saturation", saturation_factor)
    )


def adjust_hue(image, hue_factor):
    """The image with its hues turned by so many turns, from -0.5 to 0.5; of one channel, the image."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(
            f"adjust_hue: the factor must lie between -0.5 and 0.5, but is {hue_factor}"
        )
    return _jitter("adjust_hue", image, HUE, float(hue_factor))


def erase(image, i, j, h, w, v, inplace=False):
    """The image with v from row i and column j on, h rows and w columns; gradients pass."""
    image = image if inplace else image.clone()
    image[..., i : i + h, j : j + w] = v
    return image


def normalize(image, mean, std, inplace=False):
    """(image - mean) / std, by channels. Of float images; gradients pass.

    Raises:
        TypeError: the image is not of a float type.
        ValueError: a std is 0, or there are not as many as channels.
    """
    if not image.is_floating_point():
        raise TypeError(
            f"normalize: expected a float image, but got {image.dtype}; ToDtype(float32, scale=True) converts"
        )
    channels = image.shape[-3] if image.ndim >= 3 else 0
    values = [
        tensor(
            [float(each) for each in (given if hasattr(given, "__len__") else [given])],
            dtype=image.dtype,
        )
        for given in (mean, std)
    ]
    for name, value in zip(("mean", "std"), values, strict=True):
        if value.numel() not in (1, channels):
            raise ValueError(
                f"normalize: expected one {name} or {channels}, not {value.numel()}, for shape {tuple(image.shape)}"
            )
    mean, std = (value.reshape(-1, 1, 1) for value in values)
    if (std == 0).any():
        raise ValueError("normalize: std must not be zero")
    return image.sub_(mean).div_(std) if inplace else (image - mean) / std
