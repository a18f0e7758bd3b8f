"""Colours against colorsys and formulas, blur against SciPy, noise and erasing against their distributions."""

import colorsys

import numpy as np
import pytest
from images import DTYPES, image
from scipy import ndimage, stats

import tinygrad_lessons as tg
from tinygrad_lessons import transforms as T
from tinygrad_lessons.transforms import functional as F

pytestmark = pytest.mark.kernel
GRAY = np.array([0.2989, 0.587, 0.114])


def expected_colours(pixels, kind, factor):
    """In float64, uint8 cut off as torchvision does."""
    top = 255 if pixels.dtype == np.uint8 else 1
    whole = np.floor if top == 255 else np.asarray
    x = pixels.astype("float64")
    gray = whole(np.tensordot(GRAY, x, 1)) if len(x) == 3 else x[0]
    if kind == "brightness":
        x = x * factor
    elif kind == "contrast":
        x = factor * x + (1 - factor) * gray.mean()
    elif kind == "saturation":
        x = factor * x + (1 - factor) * gray
    else:
        turned = np.empty_like(x)
        for place in np.ndindex(x.shape[1:]):
            h, s, v = colorsys.rgb_to_hsv(*(x[(slice(None), *place)] / top))
            turned[(slice(None), *place)] = colorsys.hsv_to_rgb((h + factor) % 1, s, v)
        return np.floor(turned * 255.999) if top == 255 else turned
    return whole(np.clip(x, 0, top))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation", "hue"])
def test_colours_are_their_formulas(kind, dtype):
    x, pixels = image(3, 12, 11, dtype=dtype)
    for factor in (-0.4, 0.13, 0.5) if kind == "hue" else (0, 0.6, 1, 1.7):
        got = getattr(F, f"adjust_{kind}")(x, factor).numpy().astype("float64")
        error = np.abs(got - expected_colours(pixels, kind, factor))
        if dtype == "uint8":  # float32 may fall just below a whole number
            assert error.max() <= 1 and (error > 0).mean() <= 0.02
        else:
            assert error.max() <= (3e-6 if dtype == "float32" else 1e-13)


def test_the_comparison_of_colours_sees_them():
    x, pixels = image(3, 12, 11)
    assert np.abs(F.adjust_hue(x, 0.1).numpy() - expected_colours(pixels, "hue", 0.12)).max() > 1e-3


def test_one_channel_has_no_colour():
    x, pixels = image(1, 6, 7)
    assert np.array_equal(F.adjust_hue(x, 0.3).numpy(), pixels)
    assert np.array_equal(F.adjust_saturation(x, 0.3).numpy(), pixels)
    assert np.allclose(F.adjust_contrast(x, 0.5).numpy(), 0.5 * pixels + 0.5 * pixels.mean())


def test_jitter_draws_factors_and_order():
    tg.manual_seed(0)
    core = tg._core.core
    least, most = (0.5, 0.8, None, -0.1), (1.5, 0.9, None, 0.3)
    _, amounts = core.jitter("test", tg.zeros(6000, 3, 1, 1), None, least, most)
    amounts = amounts.numpy()
    for k in (0, 1, 3):
        uniform = stats.uniform(least[k], most[k] - least[k])
        assert stats.kstest(amounts[:, 4 + k], uniform.cdf).pvalue > 1e-3
    orders = [tuple(row[row >= 0].astype(int)) for row in amounts[:, :4]]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6 and stats.chisquare(counts).pvalue > 1e-3


def test_jitter_does_one_after_the_other():
    x, _ = image(3, 5, 5)
    jitter = T.ColorJitter((1.2, 1.2), (0.7, 0.7))
    got = jitter(x).numpy()
    orders = (
        F.adjust_contrast(F.adjust_brightness(x, 1.2), 0.7),
        F.adjust_brightness(F.adjust_contrast(x, 0.7), 1.2),
    )
    assert any(np.array_equal(got, each.numpy()) for each in orders)
    assert T.ColorJitter(brightness=0).brightness is None
    assert T.ColorJitter(brightness=1.5).brightness == (0, 2.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kernel, sigma", [((3, 5), (0.7, 1.2)), ((7, 7), (2.0, 2.0)), ((1, 9), (1, 0.4))]
)
def test_blur_is_scipys(kernel, sigma, dtype):
    x, pixels = image(2, 14, 90, dtype=dtype)
    expected = pixels.astype("float64")
    for axis, taps, deviation in ((2, kernel[0], sigma[0]), (1, kernel[1], sigma[1])):
        w = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / deviation) ** 2)
        expected = ndimage.correlate1d(expected, w / w.sum(), axis, mode="mirror")
    tolerance = {"uint8": 0.5001, "float32": 1e-6, "float64": 1e-14}[dtype]
    assert np.abs(F.gaussian_blur(x, kernel, sigma).numpy() - expected).max() <= tolerance


def test_blur_draws_its_width():
    tg.manual_seed(0)
    _, sigmas = tg._core.core.gaussian_blur(
        "test", tg.zeros(3000, 1, 3, 3), (3, 3), None, (0.1, 2.0)
    )
    sigmas = sigmas.numpy()
    assert np.array_equal(sigmas[:, 0], sigmas[:, 1])
    assert stats.kstest(sigmas[:, 0], stats.uniform(0.1, 1.9).cdf).pvalue > 1e-3


def test_noise_is_normal_and_cut_off():
    tg.manual_seed(0)
    noise = (T.GaussianNoise(0.1, 0.3, clip=False)(tg.zeros(4, 1, 64, 64))).numpy().ravel()
    assert stats.kstest(noise, stats.norm(0.1, 0.3).cdf).pvalue > 1e-3
    clipped = T.GaussianNoise(0.1, 3.0)(tg.zeros(4, 1, 64, 64))
    assert clipped.min() == 0 and clipped.max() == 1


def test_normalize():
    x, pixels = image(2, 3, 4, 5)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]
    expected = (pixels - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert np.abs(F.normalize(x, mean, std).numpy() - expected).max() <= 1e-15
    assert T.Normalize(mean, std, inplace=True)(x) is x
    assert np.abs(x.numpy() - expected).max() <= 1e-15
    leaf = tg.ones(3, 2, 2, requires_grad=True)
    T.Normalize(mean, std)(leaf).sum().backward()
    assert leaf.grad[:, 0, 0].tolist() == [2, 4, 0.5]


def rectangles(images):
    """Of zeros in ones: how many there are, height and width of what is between the outermost."""
    for plane in (images == 0).all(1).numpy():
        rows, columns = plane.any(1).nonzero()[0], plane.any(0).nonzero()[0]
        if len(rows):
            yield plane.sum(), np.ptp(rows) + 1, np.ptp(columns) + 1


def test_erased_rectangles_have_their_area_and_shape():
    tg.manual_seed(0)
    found = np.array(
        list(rectangles(T.RandomErasing(0.4, (0.05, 0.2), (0.5, 2.0))(tg.ones(2000, 2, 64, 64))))
    )
    count, height, width = found.T
    assert abs(len(found) - 800) < 90
    assert np.array_equal(count, height * width)
    assert stats.kstest(count / 64**2, stats.uniform(0.05, 0.15).cdf).statistic < 0.06
    assert stats.kstest(np.log2(height / width), stats.uniform(-1, 2).cdf).statistic < 0.07


def test_erasing_values():
    x = tg.ones(3, 8, 8)
    out = T.RandomErasing(1.0, value=[2, 3, 4])(x)
    assert [sorted(set(plane.ravel())) for plane in out.numpy()] == [[1, 2], [1, 3], [1, 4]]
    noise = T.RandomErasing(1.0, (0.3, 0.3), (1, 1), "random")(tg.ones(3, 64, 64)).numpy()
    assert stats.kstest(noise[noise != 1], "norm").pvalue > 1e-3
    assert T.RandomErasing(1.0, inplace=True)(x) is x and (x == 0).any()
    assert np.array_equal(F.erase(tg.ones(1, 4, 4), 1, 2, 2, 1, 5).numpy()[0].nonzero()[0][:1], [0])
    assert (F.erase(tg.ones(1, 4, 4), 1, 2, 2, 1, 5) == 5).sum() == 2


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: F.normalize(x.byte(), [0], [1]), TypeError, "float"),
        (lambda x: F.normalize(x, [0, 0], [1]), ValueError, "one mean or 3"),
        (lambda x: F.normalize(x, [0], [0]), ValueError, "zero"),
        (lambda x: F.gaussian_blur(x, 4), ValueError, "odd"),
        (lambda x: F.gaussian_blur(x, 13), ValueError, "mirrored"),
        (lambda x: F.gaussian_blur(x, 3, 0), ValueError, "positive"),
        (lambda x: F.gaussian_blur(x, 3, ()), ValueError, "one or .x, y."),
        (lambda x: F.adjust_hue(x, 0.6), ValueError, "0.5"),
        (lambda x: F.adjust_contrast(x, -1), ValueError, "negative"),
        (lambda x: F.adjust_contrast(x[:2], 1), ValueError, "1 or 3 channels"),
        (lambda x: T.ColorJitter(hue=0.7), ValueError, "hue"),
        (lambda x: T.GaussianNoise(sigma=-1), ValueError, "negative"),
        (lambda x: T.RandomErasing(value="noise"), ValueError, "random"),
        (lambda x: T.RandomErasing(1.0, value="random")(x.byte()), TypeError, "float"),
        (lambda x: T.RandomErasing(1.0, value=[1, 2])(x), ValueError, "each channel"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(tg.ones(3, 6, 7))
