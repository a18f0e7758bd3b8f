"""Affine maps against SciPy's and Pillow's, and the amounts that are drawn against their ranges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import DTYPES, forward_matrix, image
from scipy import ndimage

import tinygrad_lessons as tg
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


def assert_same_pixels(got, expected, mode):
    """Equal up to rounding; of nearest pixels one in a thousand may lie just beyond an edge."""
    error = np.abs(got.astype(np.float64) - expected)
    if mode == "nearest":
        assert (error > 1e-6).mean() <= 1e-3
    elif got.dtype == np.uint8:
        assert error.max() <= 0.5 + 1e-3
    else:
        assert error.max() <= (2e-6 if got.dtype == np.float32 else 2e-7)


def test_the_comparison_sees_a_pixel():
    got = np.zeros((1, 20, 20), "float32")
    for mode in MODES:
        with pytest.raises(AssertionError):
            assert_same_pixels(got, np.eye(20)[None], mode)


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
    got = F.affine(
        x, angle, translate, scale, shear, mode, 0.25 if dtype != "uint8" else 7, center
    ).numpy()
    forward = forward_matrix(angle, translate, scale, shear, center or (width / 2, height / 2))
    expected = resampled(
        pixels, np.linalg.inv(forward), (height, width), mode, 0.25 if dtype != "uint8" else 7
    )
    if mode == "nearest":  # where a tie may go either way, what is next to it counts
        nudged = [np.linalg.inv(forward) + e * np.eye(3)[:, [2]] * 0 + np.array([[0, 0, dx], [0, 0, dy], [0, 0, 0]])
                  for e in (0,) for dx in (-1e-6, 1e-6) for dy in (-1e-6, 1e-6)]  # fmt: skip
        several = np.stack(
            [
                resampled(pixels, m, (height, width), mode, 0.25 if dtype != "uint8" else 7)
                for m in nudged
            ]
        )
        assert (np.abs(several - got) < 1e-6).any(0).all()
    else:
        assert_same_pixels(got, expected, mode)
