"""Pooling: gradients to second order, long sums, windows without elements, indices."""

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.autograd import gradcheck, gradgradcheck
from tinygrad_lessons.nn import functional as F

pytestmark = pytest.mark.kernel


POOLS = {
    "max 2x2": lambda x: F.max_pool2d(x, 2),
    "max with indices": lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)[0],
    "max overlapping": lambda x: F.max_pool2d(x, 3, 1, 1, 2, ceil_mode=True),
    "average": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
    "adaptive maximum": lambda x: F.adaptive_max_pool2d(x, (2, 3)),
}


@pytest.mark.parametrize("name", POOLS)
def test_gradients(rng, name):
    x = tg.tensor(rng.permutation(70).reshape(2, 5, 7) / 7.0, requires_grad=True)
    assert gradcheck(POOLS[name], [x])
    assert gradgradcheck(POOLS[name], [x])
    assert gradgradcheck(lambda x: POOLS[name](x * x), [x])


def test_writing_to_the_indices_leaves_the_gradient_alone():
    x = tg.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    out, indices = F.max_pool2d(x, 2, return_indices=True)
    indices.numpy()[...] = 10**12
    out.sum().backward()
    assert x.grad.flatten().nonzero().flatten().tolist() == [5, 7, 13, 15]


def test_global_average_of_many_equal_elements():
    average = F.adaptive_avg_pool2d(tg.full((1, 1024, 1024), 0.1), 1)
    assert average.shape == (1, 1, 1)
    assert average.item() == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1 << 22), (1024, 1026), (3, 1 << 20)])
@pytest.mark.parametrize("fill", [0.1, -0.3])
def test_averages_of_large_windows_lose_no_digits(shape, fill):
    """Where one chain of float32 additions would be off by a hundredth."""
    x = tg.full((1, shape[0], shape[1] + 1), fill)
    windows = F.avg_pool2d(x, shape, stride=1).flatten().tolist()
    windows += F.avg_pool2d(x, shape, padding=(0, 1), count_include_pad=False).flatten().tolist()
    windows += F.adaptive_avg_pool2d(x, (1, 2)).flatten().tolist()
    assert windows == pytest.approx([np.float32(fill)] * 5, rel=1e-6)


def test_the_error_of_an_average_stays_below_its_bound(rng):
    """(m + 1) u times the average of |x|; m: additions in a row, of 64 in a run, then a tree."""
    x = rng.normal(size=(2, 300, 500)).astype(np.float32)
    for kernel in ((8, 8), (5, 13), (300, 7), (37, 41), (1, 499)):
        m = np.prod(kernel) - 1 if np.prod(kernel) <= 64 else 64 + np.log2(np.prod(kernel))
        got = F.avg_pool2d(tg.tensor(x), kernel, 7).numpy()
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (1, 2))[:, ::7, ::7]
        expected, size = (f(windows.astype(float)).mean((-2, -1)) for f in (np.positive, np.abs))
        assert np.all(np.abs(got - expected) <= (m + 1) * 2.0**-24 * size)


@pytest.mark.parametrize("shape", [(1, 2, 1), (2, 1, 3, 3)])
def test_a_maximum_over_padding_alone_is_below_all_and_has_no_index(shape):
    """As in PyTorch, but for the index, which there points behind the input."""
    options = {"padding": (0, 1), "dilation": (1, shape[-1] + 1), "return_indices": True}
    x = tg.ones(*shape, requires_grad=True)
    y, indices = F.max_pool2d(x, (1, 2), 1, **options)
    assert y.shape == indices.shape == (*shape[:-1], 1)
    assert bool((y == -float("inf")).all()) and bool((indices == -1).all())
    g = tg.ones(*y.shape, requires_grad=True)
    (gx,) = tg.autograd.grad(y, x, g, create_graph=True)
    (gg,) = tg.autograd.grad(gx, g, tg.ones(*shape))
    assert bool((gx == 0).all()) and bool((gg == 0).all())
    plain = F.max_pool2d(x, (1, 2), 1, (0, 1), (1, shape[-1] + 1))
    assert bool((plain == y).all())
    plain.sum().backward()
    assert bool((x.grad == 0).all())
