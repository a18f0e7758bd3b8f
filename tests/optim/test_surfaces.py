"""Test functions: known values, minima, gradients by differences, and who reaches the bottom."""

import math

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons.autograd import gradcheck
from tinygrad_lessons.optim import surfaces
from tinygrad_lessons.optim.surfaces import SURFACES

CHOSEN = [
    *SURFACES.values(),
    *(surface.in_dimensions(5) for surface in SURFACES.values() if surface.any_dimensions),
    surfaces.quadratic(1e4, dimensions=5),
    surfaces.quadratic(1e4, dimensions=5, rotated=True),
]


def each(which=CHOSEN):
    return pytest.mark.parametrize("surface", which, ids=lambda s: f"{s.name}-{len(s.domain)}")


def point(values, **options):
    return tg.tensor(values, dtype=tg.float64, **options)


def somewhere(surface, count=1, seed=0):
    low, high = np.array(surface.domain).T
    return np.random.default_rng(seed).uniform(low, high, (count, len(low)))


# Heights computed by hand or known from the literature.
KNOWN = {
    "rosenbrock": [((-1.2, 1.0), 24.2), ((0.0, 0.0), 1.0), ((2.0, 3.0), 101.0)],
    "beale": [((1.0, 1.0), 14.203125), ((0.0, 0.0), 14.203125), ((2.0, 0.0), 0.703125)],
    "himmelblau": [((0.0, 0.0), 170.0), ((1.0, 2.0), 68.0)],
    "booth": [((0.0, 0.0), 74.0), ((-8.0, -5.0), 1301.0)],
    "rastrigin": [((0.5, 0.5), 40.5), ((1.0, -2.0), 5.0)],
    "ackley": [((1.0, 1.0), 3.6253849384403627), ((0.5, -0.5), 4.253654026568411)],
    "quadratic": [((1.0, 1.0), 50.5), ((2.0, 0.1), 2.5)],
    # the reflection takes (1, 1) / √2 to the first axis, (1, -1) / √2 to the second
    "rotated_quadratic": [((1.0, 1.0), 1.0), ((1.0, -1.0), 100.0)],
    "saddle": [((2.0, 1.0), 3.0), ((0.0, 2.0), -4.0)],
    "double_well": [((2.0, 2.0), 4.0), ((0.0, 0.0), 0.0)],
}


@each(SURFACES.values())
def test_known_heights(surface):
    assert set(KNOWN) == set(SURFACES)
    for place, height in KNOWN[surface.name]:
        assert surface(point(place)).item() == pytest.approx(height, rel=1e-13)


@each()
def test_minima(surface):
    """The height there, no slope, and nothing lower around."""
    assert all(len(minimum) == len(surface.domain) for minimum in surface.minima)
    assert bool(surface.minima) == math.isfinite(surface.minimum)
    for minimum in surface.minima:
        x = point(minimum, requires_grad=True)
        height = surface(x)
        assert height.item() == pytest.approx(surface.minimum, abs=1e-14)
        height.backward()
        np.testing.assert_allclose(x.grad.numpy(), 0, atol=1e-9)
        for radius in (1e-3, 0.1, 2.0):
            steps = np.random.default_rng(0).normal(size=(200, len(minimum)))
            steps *= radius / np.linalg.norm(steps, axis=1, keepdims=True)
            assert (surface(point(np.array(minimum) + steps)).numpy() > surface.minimum).all()
    if surface.minima:
        assert (surface(point(somewhere(surface, 3000))).numpy() > surface.minimum).all()


@each()
def test_gradient_by_differences(surface):
    for place in somewhere(surface, 5):
        assert gradcheck(surface, (point(place, requires_grad=True),))


@each()
def test_many_points_at_once(surface):
    places = somewhere(surface, 6)
    heights = surface(point(places.reshape(2, 3, -1)))
    assert heights.shape == (2, 3)
    single = [surface(point(place)).item() for place in places]
    np.testing.assert_allclose(heights.numpy().ravel(), single, rtol=1e-13)
    assert surface(tg.tensor(places, dtype=tg.float32)).dtype is tg.float32


@each()
def test_starts_and_domain(surface):
    for low, high in surface.domain:
        assert low < high
    assert len(surface.starts) == 3
    for start in surface.starts + surface.minima:
        assert len(start) == len(surface.domain)
        assert all(low <= x <= high for x, (low, high) in zip(start, surface.domain, strict=True))
    for start in surface.starts:
        x = point(start, requires_grad=True)
        surface(x).backward()
        assert x.grad.norm().item() > 1e-3
    assert surface.formula
    assert surface.source


@pytest.mark.parametrize("n", [2, 3, 10])
def test_more_dimensions(n):
    scipy = pytest.importorskip("scipy.optimize")
    places = np.random.default_rng(n).normal(size=(20, n))

    def heights(surface):
        return surface.in_dimensions(n)(point(places)).numpy()

    np.testing.assert_allclose(
        heights(surfaces.rosenbrock), [scipy.rosen(x) for x in places], rtol=1e-12
    )
    expected = 10 * n + np.sum(places**2 - 10 * np.cos(2 * np.pi * places), axis=1)
    np.testing.assert_allclose(heights(surfaces.rastrigin), expected, rtol=1e-12)
    root, waves = np.sqrt((places**2).mean(1)), np.cos(2 * np.pi * places).mean(1)
    expected = -20 * np.exp(-0.2 * root) - np.exp(waves) + 20 + np.e
    np.testing.assert_allclose(heights(surfaces.ackley), expected, rtol=1e-12)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_curvatures(n, rotated):
    """The Hessian's eigenvalues, column by column from gradients; turned, no axis is its own."""
    surface = surfaces.quadratic(1000.0, n, rotated)
    columns = []
    for axis in np.eye(n):
        x = point(axis, requires_grad=True)
        surface(x).backward()
        columns.append(x.grad.numpy().copy())
    hessian = np.array(columns)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), np.geomspace(1, 1000, n), rtol=1e-9)
    off = np.abs(hessian - np.diag(np.diag(hessian))).max()
    assert off > 10 if rotated else off == 0


def test_saddles_are_saddles():
    for surface in (surfaces.saddle, surfaces.double_well, surfaces.saddle.in_dimensions(4)):
        x = point([0.0] * len(surface.domain), requires_grad=True)
        surface(x).backward()
        assert not x.grad.numpy().any()
        axes = 0.1 * np.eye(len(surface.domain))
        heights = surface(point(axes)).numpy()
        assert (heights[:-1] > 0).all()
        assert heights[-1] < 0


def test_noise():
    deviation, n = 0.7, 4000
    surface = surfaces.rosenbrock.noisy(deviation, tg.Generator().manual_seed(3))
    start = surface.starts[0]
    x = point(start, requires_grad=True)
    surfaces.rosenbrock(x).backward()
    exact = x.grad.numpy().copy()
    many = point([start] * n, requires_grad=True)
    heights = surface(many)
    np.testing.assert_allclose(heights.detach().numpy(), 24.2, rtol=1e-14)
    heights.sum().backward()
    noise = many.grad.numpy() - exact
    assert np.abs(noise.mean(0)).max() < 4 * deviation / math.sqrt(n)
    np.testing.assert_allclose(noise.std(0), deviation, rtol=0.05)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.06

    def drawn(seed):
        x = point(start, requires_grad=True)
        surfaces.rosenbrock.noisy(1.0, tg.Generator().manual_seed(seed))(x).backward()
        return x.grad.tolist()

    assert drawn(1) == drawn(1) != drawn(2)
    again = surface.in_dimensions(3)(tg.zeros(3, requires_grad=True))
    again.backward()
    assert again.item() == 2.0


SOLVED = {
    "sgd": lambda p: optim.SGD(p, lr=1e-3),
    "momentum": lambda p: optim.SGD(p, lr=2e-4, momentum=0.9),
    "nesterov": lambda p: optim.SGD(p, lr=2e-4, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.02),
}


@pytest.mark.parametrize("make", SOLVED.values(), ids=SOLVED)
@each([s for s in SURFACES.values() if s.minima and s.name not in ("rastrigin", "ackley")])
def test_reaches_a_minimum(surface, make):
    """From every start; those with many local minima need more than a descent."""
    for start in surface.starts:
        x = point(start, requires_grad=True)
        optimizer = make([x])
        for _ in range(30000):
            optimizer.zero_grad()
            height = surface(x)
            height.backward()
            optimizer.step()
            distance = min(np.linalg.norm(x.detach().numpy() - m) for m in surface.minima)
            if distance < 1e-2:
                break
        assert distance < 1e-2


def test_errors():
    with pytest.raises(ValueError, match=r"beale: points have 2 coordinates.*shape \(3,\)"):
        surfaces.beale(tg.zeros(3))
    with pytest.raises(ValueError, match="points have 2 coordinates"):
        surfaces.rosenbrock(tg.tensor(1.0))
    with pytest.raises(ValueError, match="defined for 2 dimensions only"):
        surfaces.booth.in_dimensions(3)
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        surfaces.ackley.in_dimensions(1)
    with pytest.raises(ValueError, match="deviation must not be below 0"):
        surfaces.ackley.noisy(-1.0)
    with pytest.raises(ValueError, match="condition must be at least 1"):
        surfaces.quadratic(0.5)
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        surfaces.quadratic(dimensions=1)
