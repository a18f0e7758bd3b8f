"""Convolution and padding: gradients of gradients, the same bits for any number of threads, long sums, sizes."""

import numpy as np
import pytest
from nn_cases import convolution

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.autograd import gradgradcheck
from tinygrad_lessons.nn import functional as F

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("seed", range(12))
def test_gradients_of_gradients(seed):
    rng = np.random.default_rng([9, seed])
    while True:
        x, w, options = convolution(rng, 1 + seed % 2)
        if np.prod(x) * np.prod(w) < 2500 and 0 not in x:
            break
    leaves = [tg.tensor(rng.normal(size=s), requires_grad=True) for s in (x, w, w[:1])]
    function = F.conv1d if seed % 2 == 0 else F.conv2d
    assert gradgradcheck(lambda *xs: function(*xs, **options), leaves)


def test_threads_give_the_same_bits():
    rng = np.random.default_rng(3)
    x, w = (
        tg.tensor(rng.normal(size=s), dtype=tg.float32) for s in ((40, 8, 30, 30), (40, 8, 3, 3))
    )
    before, results = tg.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            tg.set_num_threads(threads)
            a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
            y = F.conv2d(a, b, padding=1, stride=2)
            y.square().sum().backward()
            results.append([t.detach().numpy().tobytes() for t in (y, a.grad, b.grad)])
    finally:
        tg.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_without_channels_only_the_bias_is_left():
    y = F.conv2d(tg.zeros(2, 0, 3, 3), tg.zeros(4, 0, 2, 2), tg.arange(4.0))
    assert y[1, :, 0, 1].tolist() == [0.0, 1.0, 2.0, 3.0] and y.shape == (2, 4, 2, 2)


def test_starting_values_spread_as_torchs():
    tg.manual_seed(0)
    layer = nn.Conv2d(8, 64, 3, groups=2)
    bound = 1 / np.sqrt(4 * 9)
    for parameter in (layer.weight, layer.bias):
        values = parameter.detach().numpy()
        assert np.abs(values).max() <= bound and np.abs(values).max() > 0.9 * bound
        np.testing.assert_allclose(values.std(), bound / np.sqrt(3), rtol=0.15)


def test_gradients_that_sum_many_equal_terms():
    """Where one chain of float32 additions would be off by a thousandth."""
    terms = 1 << 20
    w, b = tg.ones(1, 1, 1, requires_grad=True), tg.ones(1, requires_grad=True)
    (F.conv1d(tg.ones(1, 1, terms), w, b) * 0.1).sum().backward()
    assert w.grad.item() == pytest.approx(0.1 * terms, rel=1e-5)
    assert b.grad.item() == pytest.approx(0.1 * terms, rel=1e-5)


def test_pad_with_a_value_keeps_the_type():
    assert F.pad(tg.tensor([1, 2]), (1, 1), value=7).tolist() == [7, 1, 2, 7]


@pytest.mark.parametrize("padding", [0, "same"])
def test_a_kernel_that_spans_more_than_64_bits_count_is_refused(padding):
    """A weight repeated by strides takes no memory, so the check must come before a copy of it."""
    for size, dilation in ((1 << 40, 1 << 24), (1 << 33, 1 << 30), ((1 << 40) + 1, 1 << 24)):
        weight = tg.ones(1, 1, 1).expand(1, 1, size)
        with pytest.raises(RuntimeError, match="conv1d.*span.*dilation"):
            F.conv1d(tg.ones(1, 1, 3), weight, dilation=dilation, padding=padding)


def test_an_empty_batch_of_inputs_too_long_to_be_counted_is_refused():
    x = tg.ones(0, 1, (1 << 63) - 1)
    for call in (
        lambda: F.conv1d(x, tg.ones(1, 1, 1), padding=5),
        lambda: F.max_pool1d(x, 2, 2, 1),
        lambda: F.avg_pool1d(x, 2, ceil_mode=True),
    ):
        with pytest.raises(RuntimeError, match="too large"):
            call()


@pytest.mark.parametrize("pad", [(-5, 4), (4, -5), (-2, -2), (1, 1, -5, 4)])
@pytest.mark.parametrize("mode", ["constant", "circular"])
def test_padding_cannot_cut_more_than_there_is(pad, mode):
    with pytest.raises(RuntimeError, match="pad: .* too small"):
        F.pad(tg.ones(2, 3, 3), pad, mode=mode)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_padding_that_repeats_must_leave_something(mode):
    with pytest.raises(RuntimeError, match="pad: .* too small"):
        F.pad(tg.ones(1, 1, 3), (-3, 0), mode=mode)
