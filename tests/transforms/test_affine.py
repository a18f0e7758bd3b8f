"""Affine maps against SciPy's and Pillow's, and the amounts that are drawn against their ranges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import DTYPES, forward_matrix, image
from PIL import Image
from scipy import ndimage, stats

import tinygrad_lessons as tg
from tinygrad_lessons import transforms as T
from tinygrad_lessons.transforms import functional as F

pytestmark = pytest.mark.kernel
MODES = ("nearest", "bilinear")
core = tg._core.core


def resampled(pixels, inverse, out_shape, mode, fill=0.0):
    """SciPy's affine map of each channel in float64; `inverse` on (x, y, 1), coordinates from pixel corners."""
    swapped = inverse[:2, :2][::-1, ::-1]
    offset = inverse[:2, 2][::-1] + swapped @ [0.5, 0.5] - 0.5
    return np.stack([
        ndimage.affine_transform(
            plane.astype(np.float64), swapped, offset, out_shape, order=MODES.index(mode), mode="grid-constant", cval=fill
        )
        for plane in pixels
    ])  # fmt: skip


def affine_tolerance(dtype):
    """Of bilinear results: coordinates have 31 bits behind the point, and uint8 is rounded."""
    return {"uint8": 0.5 + 1e-3, "float32": 2e-6, "float64": 2e-7}[dtype]


def nudged(inverse):
    """The map, and the same moved by next to nothing: what is nearest where two pixels are equally near."""
    for dx in (-1e-6, 1e-6):
        for dy in (-1e-6, 1e-6):
            yield inverse + np.array([[0, 0, dx], [0, 0, dy], [0, 0, 0]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70)),
    st.floats(-400, 400), st.tuples(st.integers(-9, 9), st.integers(-9, 9)), st.floats(0.3, 3),
    st.tuples(st.floats(-60, 60), st.floats(-60, 60)), st.tuples(st.floats(-5, 75), st.floats(-5, 75)) | st.none(),
)  # fmt: skip
def test_affine_is_scipys(dtype, mode, shape, angle, translate, scale, shear, center):
    x, pixels = image(*shape, dtype=dtype)
    height, width = shape[1:]
    fill = 7 if dtype == "uint8" else 0.25
    got = F.affine(x, angle, translate, scale, shear, mode, fill, center).numpy().astype("float64")
    inverse = np.linalg.inv(
        forward_matrix(angle, translate, scale, shear, center or (width / 2, height / 2))
    )
    if mode == "nearest":
        ties = np.stack(
            [resampled(pixels, m, (height, width), mode, fill) for m in nudged(inverse)]
        )
        assert (np.abs(ties - got) < 1e-6).any(0).all()
    else:
        expected = resampled(pixels, inverse, (height, width), mode, fill)
        assert np.abs(got - expected).max() <= affine_tolerance(dtype)


def test_the_comparison_sees_a_pixel():
    x, pixels = image(1, 20, 20)
    moved = forward_matrix(0, (1, 0), 1, (0, 0), (10, 10))
    expected = resampled(pixels, np.linalg.inv(moved), (20, 20), "nearest")
    assert np.abs(F.affine(x, 0, (1, 0), 1, 0).numpy() - expected).max() == 0
    assert np.abs(x.numpy() - expected).max() > 0.1


@pytest.mark.parametrize("mode", MODES)
def test_rotation_is_pillows(mode):
    # Pillow rounds to 8 bits, and blends its outermost pixels otherwise.
    x, pixels = image(1, 33, 40, dtype="uint8")
    pillow = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}[mode]
    for angle in (-75, 10, 30.5, 123):
        got = F.rotate(x, angle, mode).numpy()[0].astype(int)
        theirs = np.asarray(Image.fromarray(pixels[0]).rotate(angle, pillow)).astype(int)
        reached = F.rotate(tg.ones(1, 33, 40), angle, "bilinear").numpy()[0] > 1 - 1e-6
        assert (np.abs(got - theirs)[reached] <= (0 if mode == "nearest" else 1)).mean() >= 0.995


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2, 7, 7), (1, 8, 8), (3, 5, 8)])
def test_quarter_turns_are_exact(shape, mode, dtype):
    x, pixels = image(*shape, dtype=dtype)
    for quarters in range(-3, 5):
        got = F.rotate(x, 90 * quarters, mode, expand=True).numpy()
        assert np.array_equal(got, np.rot90(pixels, quarters, (1, 2)))


def test_expanded_rotations_hold_everything():
    for height, width, angle in (
        (20, 31, 30),
        (28, 28, 10),
        (28, 28, 30),
        (7, 50, -133.5),
        (5, 5, 270),
    ):
        got = F.rotate(tg.ones(1, height, width), angle, "bilinear", expand=True)
        theirs = Image.new("L", (width, height)).rotate(angle, expand=True)
        assert tuple(got.shape[1:]) == theirs.size[::-1]
        assert got.sum().item() == pytest.approx(height * width, rel=0.01)


def test_fill_of_any_form():
    x = tg.zeros(2, 3, 3)
    for fill in (np.array([1.0, 2.0]), tg.tensor([1, 2]), [1, 2]):
        for change in (
            T.RandomAffine((0, 0), translate=(0, 0), center=(-99, 0), fill=fill, scale=(9, 9)),
            T.RandomCrop((3, 1), padding=(9, 0, -8, 0), fill=fill),
        ):
            assert change(x).amax((1, 2)).tolist() == [1, 2]
    for change in (T.RandomAffine(9, fill=None), T.RandomRotation(9, fill=None),
                   T.RandomCrop(3, 1, fill=None), T.Pad(1, None)):  # fmt: skip
        assert not change(x).any()
    assert F.affine(x, 0, (9, 0), 1, 0, fill=np.float32(5)).amin().item() == 5


def test_nan_and_infinity_stay_where_they_are():
    x = tg.zeros(1, 9, 9)
    x[0, 4, 4] = float("nan")
    x[0, 2, 2] = float("inf")
    got = F.affine(x, 0, (1, 0), 1, 0).numpy()[0]
    assert np.isnan(got[4, 5]) and np.isinf(got[2, 3])
    assert np.isfinite(got).sum() == 79


# ---- what is drawn ----


def drawn(transform, count, size=(20, 30)):
    """The amounts that a transform draws for so many images, by its own ranges."""
    seen = []

    def watch(*arguments):
        result = core_warp(*arguments)
        seen.append(result[1].numpy())
        return result

    core_warp, T.geometry._core.warp_affine = core.warp_affine, watch
    try:
        transform(tg.zeros(count, 1, *size))
    finally:
        T.geometry._core.warp_affine = core_warp
    return seen[0]


def test_amounts_are_uniform_within_their_bounds():
    tg.manual_seed(0)
    transform = T.RandomAffine((-10, 30), (0.1, 0.2), (0.5, 2.0), (-5, 15, 1, 3))
    amounts = drawn(transform, 4000)
    for column, least, most in ((0, -10, 30), (3, 0.5, 2), (4, -5, 15), (5, 1, 3)):
        uniform = stats.uniform(least, most - least)
        assert stats.kstest(amounts[:, column], uniform.cdf).pvalue > 1e-3
    for column, reach in (
        (1, 3),
        (2, 4),
    ):  # 0.1 of 30, 0.2 of 20; whole pixels, the ends half as often
        counts = [(amounts[:, column] == k).sum() for k in range(-reach, reach + 1)]
        shares = np.array([0.5] + [1] * (2 * reach - 1) + [0.5]) / (2 * reach)
        assert sum(counts) == 4000
        assert stats.chisquare(counts, 4000 * shares).pvalue > 1e-3
    assert np.abs(np.corrcoef(amounts.T) - np.eye(6)).max() < 0.08


def test_defaults_do_nothing_else():
    amounts = drawn(T.RandomAffine(10), 100)
    assert np.array_equal(amounts[:, 1:], np.tile([0.0, 0, 1, 0, 0], (100, 1)))
    assert np.ptp(amounts[:, 0]) > 10
    amounts = drawn(T.RandomAffine(0, shear=20), 100)
    assert np.ptp(amounts[:, 4]) > 20 and not amounts[:, [0, 1, 2, 5]].any()


def test_random_rotation_turns_the_other_way():
    x = tg.arange(16.0).reshape(1, 4, 4)
    assert np.array_equal(T.RandomRotation((90, 90))(x).numpy(), np.rot90(x.numpy(), 1, (1, 2)))
    amounts = drawn(T.RandomRotation((10, 30)), 2000)[:, 0]
    assert stats.kstest(amounts, stats.uniform(-30, 20).cdf).pvalue > 1e-3


# ---- errors ----


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: F.affine(x, 0, (0, 0), 0, 0), ValueError, "scale must be positive"),
        (lambda x: F.affine(x, 0, (0,), 1, 0), ValueError, "translate"),
        (lambda x: F.affine(x, math.nan, (0, 0), 1, 0), ValueError, "finite"),
        (lambda x: F.affine(x, 0, (0, math.inf), 1, 0), ValueError, "finite"),
        (lambda x: F.affine(x, 0, (0, 0), 1, 0, center=(0, math.nan)), ValueError, "finite"),
        (lambda x: F.rotate(x, math.inf, expand=True), ValueError, "finite"),
        (lambda x: F.affine(x, 0, (0, 0), 1, 90), ValueError, "90 degrees"),
        (lambda x: F.affine(x, 0, (0, 0), 1, (0, -270.0)), ValueError, "90 degrees"),
        (lambda x: T.RandomAffine(0, shear=(90, 90)), ValueError, "90 degrees"),
        (lambda x: T.RandomAffine(0, shear=(0, 0, -90, 3)), ValueError, "90 degrees"),
        (lambda x: T.RandomRotation(math.inf), ValueError, "finite"),
        (lambda x: T.RandomAffine((math.nan, 3)), ValueError, "finite"),
        (lambda x: F.affine(x, 0, (0, 0), 1, 0, "bicubic"), ValueError, "interpolation"),
        (lambda x: F.affine(x, 0, (0, 0), 1, 0, fill=(1, 2)), ValueError, "each of 3 channels"),
        (lambda x: F.affine(x[0], 0, (0, 0), 1, 0), ValueError, "channels, height, width"),
        (lambda x: F.affine(x.long(), 0, (0, 0), 1, 0), TypeError, "int64"),
        (lambda x: F.affine(x.numpy(), 0, (0, 0), 1, 0), TypeError, "Tensor"),
        (lambda x: F.affine(x.requires_grad_(), 0, (0, 0), 1, 0), RuntimeError, "no gradient"),
        (lambda x: F.affine(tg.zeros(1, 1, 20000), 0, (0, 0), 1, 0), ValueError, "16384"),
        (lambda x: F.rotate(tg.zeros(1, 0, 4), 1), ValueError, "pixels"),
        (lambda x: F.rotate(tg.zeros(1, 2, 2, dtype=tg.uint8), 1, fill=300), ValueError, "255"),
        (lambda x: T.RandomRotation(9, expand=True)(x[None]), ValueError, "single images"),
        (lambda x: T.RandomAffine(-1), ValueError, "negative"),
        (lambda x: T.RandomAffine((3, 1)), ValueError, "in order"),
        (lambda x: T.RandomAffine(1, translate=(0.1, 2)), ValueError, "between 0 and 1"),
        (lambda x: T.RandomAffine(1, scale=(0, 1)), ValueError, "positive"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(tg.zeros(3, 4, 5))
