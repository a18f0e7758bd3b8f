"""Crops, borders, mirrors and sizes against NumPy, PyTorch and Pillow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import DTYPES, image
from PIL import Image
from scipy import stats

import tinygrad_lessons as tg
from tinygrad_lessons import transforms as T
from tinygrad_lessons.transforms import functional as F

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("dtype", DTYPES)
def test_flips_are_numpys(dtype):
    x, pixels = image(4, 3, 5, 6, dtype=dtype)
    assert np.array_equal(F.hflip(x).numpy(), pixels[..., ::-1])
    assert np.array_equal(F.vflip(x[0]).numpy(), pixels[0, :, ::-1])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@given(
    st.tuples(st.integers(1, 3), st.integers(6, 20), st.integers(6, 20)),
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
)
def test_borders_are_numpys(mode, shape, around):
    x, pixels = image(*shape)
    left, top, right, bottom = around
    options = {"constant_values": 0.5} if mode == "constant" else {}
    expected = np.pad(pixels, ((0, 0), (top, bottom), (left, right)), mode, **options)
    assert np.array_equal(F.pad(x, around, 0.5, mode).numpy(), expected)


@given(st.integers(-9, 30), st.integers(-9, 30), st.integers(1, 40), st.integers(1, 40))
def test_crops_have_zeros_outside(top, left, height, width):
    x, pixels = image(2, 12, 17)
    wide = np.pad(pixels, ((0, 0), (100, 100), (100, 100)))
    expected = wide[:, 100 + top : 100 + top + height, 100 + left : 100 + left + width]
    assert np.array_equal(F.crop(x, top, left, height, width).numpy(), expected)


@pytest.mark.parametrize("far", [-(2**63), 1 - 2**63, -(2**31), 2**31, 2**63 - 1])
def test_places_too_far_out_are_refused(far):
    """Sums with them would overflow."""
    for place in ((0, far), (far, 0)):
        with pytest.raises(ValueError, match="first row and column"):
            F.crop(tg.zeros(1, 28, 28), *place, 5, 5)
    for place in ((0, 2**31 - 1), (1 - 2**31, 0)):
        assert not F.crop(tg.ones(1, 28, 28), *place, 5, 5).any()
    with pytest.raises(ValueError, match="first row and column"):
        T.RandomCrop(5, padding=2**40)(tg.zeros(1, 28, 28))


@pytest.mark.parametrize(
    "call",
    [lambda x: F.pad(x, -14), lambda x: F.crop(x, 3, 3, 0, 0), lambda x: T.Pad(-15)(x)],
)
def test_nothing_is_no_image(call):
    with pytest.raises(ValueError, match="at least 1"):
        call(tg.zeros(1, 28, 28))


def test_numpys_numbers_are_numbers():
    x, _ = image(2, 12, 17)
    n = np.int64(4)
    for ours, numpys in (
        (F.pad(x, 4), F.pad(x, n)), (F.pad(x, [4, 1]), F.pad(x, np.array([4, 1]))),
        (F.resize(x, 4), F.resize(x, n)), (F.resize(x, None, max_size=4), F.resize(x, None, max_size=n)),
        (F.center_crop(x, 4), F.center_crop(x, n)),
        (F.affine(x, 9, (0, 0), 1, 4), F.affine(x, 9, (0, 0), 1, n)),
        (F.affine(x, 9, (0, 0), 1, 0.5), F.affine(x, 9, (0, 0), 1, np.float32(0.5))),
    ):  # fmt: skip
        assert tg.equal(ours, numpys)


def test_center_crops():
    x, pixels = image(1, 11, 14)
    assert np.array_equal(
        F.center_crop(x, (4, 6)).numpy(), pixels[:, 4:8, 4:10]
    )  # 3.5 is rounded to even
    grown = F.center_crop(x, (13, 4)).numpy()
    assert np.array_equal(grown[:, 1:12], pixels[:, :, 5:9]) and not grown[:, [0, 12]].any()


def weights(n, out, antialias):
    """A row for each output: triangles around the middles, each in all 1."""
    scale = n / out
    width = max(scale, 1) if antialias else 1
    w = np.maximum(
        0, 1 - np.abs(np.arange(n) + 0.5 - (np.arange(out)[:, None] + 0.5) * scale) / width
    )
    return w / w.sum(1, keepdims=True)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@given(st.tuples(*[st.integers(1, 40)] * 4))
def test_resizing_is_two_products(dtype, antialias, sizes):
    x, pixels = image(2, *sizes[:2], dtype=dtype)
    got = F.resize(x, sizes[2:], antialias=antialias).numpy()
    down, across = (weights(n, out, antialias) for n, out in zip(sizes[:2], sizes[2:], strict=True))
    tolerance = {"uint8": 0.5001, "float32": 1e-6, "float64": 1e-14}[dtype]
    assert np.abs(got - down @ pixels.astype("float64") @ across.T).max() <= tolerance


def test_nearest_pixels_are_exact():
    """Output i of m is pixel i n / m, rounded down, of n: also where the quotient is a whole number."""
    for n in range(1, 60):
        x = tg.arange(float(n)).reshape(1, 1, n)
        for out in range(1, 60):
            got = F.resize(x, (1, out), "nearest").long().tolist()
            assert got == [[[i * n // out for i in range(out)]]]


@given(
    st.tuples(*[st.integers(1, 40)] * 4), st.booleans(), st.sampled_from(["nearest", "bilinear"])
)
def test_resizing_is_torchs(sizes, antialias, mode):
    torch = pytest.importorskip("torch")
    x, pixels = image(1, 2, *sizes[:2])
    options = {} if mode == "nearest" else {"antialias": antialias, "align_corners": False}
    theirs = torch.nn.functional.interpolate(torch.tensor(pixels), sizes[2:], mode=mode, **options)
    assert (
        np.abs(F.resize(x, sizes[2:], mode, antialias=antialias).numpy() - theirs.numpy()).max()
        <= 1e-14
    )


def test_antialiased_resizing_is_pillows():
    x, pixels = image(1, 40, 31, dtype="uint8")
    theirs = np.asarray(Image.fromarray(pixels[0]).resize((12, 20), Image.Resampling.BILINEAR))
    assert (
        np.abs(F.resize(x, (20, 12)).numpy()[0].astype(int) - theirs).max() <= 1
    )  # it rounds between the axes


@pytest.mark.parametrize(
    "have, size, max_size, expected",
    [
        ((20, 30), 10, None, (10, 15)), ((30, 20), 10, None, (15, 10)), ((20, 20), [7], None, (7, 7)),
        ((20, 31), 10, None, (10, 15)), ((20, 60), 10, 20, (6, 20)), ((20, 30), (5, 6), None, (5, 6)),
        ((20, 40), None, 20, (10, 20)), ((100, 33), None, 10, (10, 3)), ((3, 100), None, 10, (1, 10)),
        ((20, 20), None, 10, (10, 10)), ((1, 300), 2, 100, (1, 100)),
    ],
)  # fmt: skip
def test_sizes(have, size, max_size, expected):
    assert T.Resize(size, max_size=max_size)(tg.zeros(1, *have)).shape[1:] == expected


# ---- what is drawn ----


def test_flips_come_with_their_probability():
    tg.manual_seed(0)
    x = tg.arange(2.0).reshape(1, 1, 1, 2).expand(4000, 1, 1, 2)
    for p in (0.0, 0.3, 1.0):
        flipped = int((T.RandomHorizontalFlip(p)(x)[:, 0, 0, 0] == 1).sum())
        assert abs(flipped - 4000 * p) <= 4 * np.sqrt(4000 * p * (1 - p))
    y = x.transpose(2, 3)
    assert abs(int((T.RandomVerticalFlip(0.3)(y)[:, 0, 0, 0] == 1).sum()) - 1200) < 120


def test_crops_are_everywhere_alike():
    tg.manual_seed(0)
    x = tg.arange(36.0).reshape(1, 1, 6, 6).expand(6000, 1, 6, 6)
    corner = T.RandomCrop(4, padding=1)(x)[:, 0, 1, 1].long().numpy()
    rows, columns = corner // 6, corner % 6
    assert (
        set(rows) == set(columns) == set(range(5))
    )  # one behind the part's first, of 5 places each
    counts = np.bincount(rows * 5 + columns, minlength=25)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_crop_pads_what_is_missing():
    out = T.RandomCrop(10, pad_if_needed=True, fill=2)(tg.ones(50, 1, 6, 12))
    assert out.shape == (50, 1, 10, 10)
    assert ((out == 1).sum((1, 2, 3)) == 60).all()
    assert len({each.tobytes() for each in out.numpy()}) > 1


def test_resized_crops_have_their_area_and_shape():
    tg.manual_seed(0)
    core = tg._core.core
    _, boxes = core.resize(
        "test", tg.zeros(4000, 1, 200, 200), None, (0.2, 0.5), (0.5, 2.0), 1, (1, 1)
    )
    height, width = boxes.numpy()[:, 2], boxes.numpy()[:, 3]
    assert stats.kstest(height * width / 40000, stats.uniform(0.2, 0.3).cdf).statistic < 0.03
    assert (
        stats.kstest(np.log(width / height) / np.log(2), stats.uniform(-1, 2).cdf).statistic < 0.03
    )
    top, left = boxes.numpy()[:, 0], boxes.numpy()[:, 1]
    assert (top + height <= 200).all() and (left + width <= 200).all()
    assert stats.kstest((top + 0.5) / (201 - height), "uniform").statistic < 0.03
    # what never fits becomes the largest of the nearest ratio, in the middle
    _, boxes = core.resize("test", tg.zeros(3, 1, 10, 100), None, (0.9, 1.0), (0.5, 2.0), 1, (1, 1))
    assert boxes.tolist() == [[0, 40, 10, 20]] * 3


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x: T.RandomCrop(9)(x), "does not fit"),
        (lambda x: T.RandomCrop(4, padding=4, padding_mode="reflect")(x), "at most 3 rows"),
        (lambda x: F.pad(x, 5, padding_mode="symmetric"), "at most 4 rows"),
        (lambda x: F.pad(x, 1, padding_mode="wrap"), "padding_mode"),
        (lambda x: F.pad(x, (1, 2, 3)), "sequence of 1, 2 or 4"),
        (lambda x: F.crop(x, 0, 0, 0, 3), "at least 1"),
        (lambda x: F.resized_crop(x, 2, 2, 4, 4, 3), "does not lie inside"),
        (lambda x: F.resize(x, 4, max_size=3), "larger than size"),
        (lambda x: T.Resize(10, max_size=10), "larger than size"),
        (lambda x: F.resize(x, None, max_size=0), "positive"),
        (lambda x: F.resize(x, None), "needs a max_size"),
        (lambda x: F.resize(x, (0, 3)), "positive"),
        (lambda x: T.RandomHorizontalFlip(1.5), "between 0 and 1"),
        (lambda x: T.RandomResizedCrop(3, scale=(0, 1)), "positive"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call(tg.zeros(1, 4, 5))
