"""Axes, lines, histograms and images, against what they stand for."""

import base64
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tinygrad_lessons.report.charts import POINTS, Line, _thinned, line_chart
from tinygrad_lessons.report.markup import Markup, markup, tag
from tinygrad_lessons.report.png import data_uri
from tinygrad_lessons.report.scales import Scale, duration, number, percent
from tinygrad_lessons.report.weights import common_histogram

finite = st.floats(-1e12, 1e12)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_linear_axis(values, whole):
    scale = Scale(values, 10, 110, whole=whole)
    for value in values:
        assert 10 - 1e-6 <= scale(value) <= 110 + 1e-6
    ticks = scale.ticks(5)
    assert len(ticks) <= 11
    assert len({text for _, text in ticks}) == len(ticks)  # no two look the same
    for value, text in ticks:
        assert 10 - 1e-3 <= scale(value) <= 110 + 1e-3
        assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-2, abs=1e-300)
        assert not whole or value == round(value)


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=20))
def test_logarithmic_axis(values):
    scale = Scale(values, 0, 100, log=True)
    low, high = min(values), max(values)
    if high > low * 1.1:
        assert scale(low) == pytest.approx(0, abs=1e-6)
        assert scale(high) == pytest.approx(100)
        middle = math.exp((math.log(low) + math.log(high)) / 2)
        assert scale(middle) == pytest.approx(50)
    assert math.isnan(scale(0)) and math.isnan(scale(-1))
    for value, text in scale.ticks(5):
        assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-2)
        assert -0.1 <= scale(value) <= 100.1


def test_ticks_are_what_one_would_write():
    assert [text for _, text in Scale([0, 25], 0, 1, whole=True).ticks(6)] == list("0") + [
        str(i) for i in range(5, 26, 5)
    ]
    assert [text for _, text in Scale([0, 1], 0, 1).ticks(5)] == [
        "0.0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1.0",
    ]
    assert [text for _, text in Scale([1e-3, 1e3], 0, 1, log=True).ticks(5)] == [
        "0.001", "0.01", "0.1", "1", "10", "100", "1000",
    ]  # fmt: skip


def test_an_axis_decides_by_the_span_whether_it_is_logarithmic():
    assert Scale([1, 21], 0, 1, log=None).log
    assert not Scale([1, 19], 0, 1, log=None).log
    assert not Scale([0, 100], 0, 1, log=None).log
    assert not Scale([], 0, 1, log=None).log


def test_numbers_as_text():
    assert [percent(value) for value in (0.98123, 1.0, math.nan, None)] == [
        "98.1 %",
        "100.0 %",
        "–",
        "–",
    ]
    assert [number(value) for value in (math.inf, -math.inf, True, 1.0, -2.5e-9)] == [
        "∞", "-∞", "True", "1", "-2.5e-9",
    ]  # fmt: skip
    assert duration(59.99) == "60.0 s"
    assert duration(3599.7) == "1 h 0 min"


def test_thinning_keeps_the_extremes():
    y = np.random.default_rng(0).normal(size=10_000)
    y[1234], y[8765], y[5000] = 50, -60, math.nan
    thin = _thinned(Line("a", list(range(10_000)), y.tolist(), "red"))
    assert len(thin.x) <= POINTS + 2
    assert dict(zip(thin.x, thin.y, strict=True))[1234] == 50
    assert dict(zip(thin.x, thin.y, strict=True))[8765] == -60
    assert (thin.x[0], thin.x[-1]) == (0, 9999)
    assert thin.x == sorted(thin.x)
    for x, value in zip(thin.x, thin.y, strict=True):
        assert value == y[x] or math.isnan(value)


@pytest.mark.parametrize(
    "values",
    [[math.nan] * 3, [math.inf, 1.0, -math.inf], [0.0, 0.0, 0.0], [1e300, -1e300, 0], [-1, -2, -3]],
)
def test_charts_of_odd_values(values):
    for log in (False, True, None):
        text = line_chart("odd", [Line("a", [1, 2, 3], values, "red")], x_label="x", log=log)
        assert "nan" not in text.replace("nan,", "") and "inf" not in text


def test_images_as_png():
    rng = np.random.default_rng(0)
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        pixels = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
        kind, data = data_uri(pixels).split(",")
        assert kind == "data:image/png;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    for wrong in (np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 1))):
        with pytest.raises(ValueError, match="data_uri: got"):
            data_uri(wrong)


def test_histograms_on_common_edges():
    """Of values spread evenly, with edges that do not agree."""
    even = (np.linspace(0, 1, 11), np.full(10, 7.0))
    narrow = (np.array([0.25, 0.5, 0.75]), np.array([1.0, 3.0]))
    shares, (low, high) = common_histogram([even, narrow], bins=100)
    assert (low, high) == pytest.approx((0.001, 0.999))
    np.testing.assert_allclose(shares[:, 0], 1, rtol=1e-9)
    centres = np.linspace(low, high, 201)[1::2]
    inside = (centres > 0.27) & (centres < 0.48)
    np.testing.assert_allclose(shares[inside, 1], 1 / 3, rtol=1e-6)
    inside = (centres > 0.52) & (centres < 0.73)
    np.testing.assert_allclose(shares[inside, 1], 1, rtol=1e-6)
    outside = (centres < 0.23) | (centres > 0.77)
    np.testing.assert_array_equal(shares[outside, 1], 0)
    same = (np.array([2.0, 2.0]), np.array([5.0]))  # all values are equal
    shares, (low, high) = common_histogram([same], bins=3)
    assert low < 2 < high
    assert shares.sum() > 0


def test_markup_escapes_what_is_not_markup():
    assert tag("p", "<b>", Markup("<i/>"), [1, None, "&"], title='"<') == (
        '<p title="&quot;&lt;">&lt;b&gt;<i/>1&amp;</p>'
    )
    assert isinstance(markup("a"), Markup)
