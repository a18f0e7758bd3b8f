"""Where optimizers race: on a test function, or on the weights of a small net."""

from collections.abc import Callable

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.datasets import Digits
from tinygrad_lessons.optim.surfaces import Surface

OUT_OF_SIGHT = 1e9  # a coordinate or a loss beyond it counts as diverged
SCATTER = 0.02  # deviation of the starts, as a share of the domain


class SurfaceCourse:
    """Descents on a test function, from near its starts, by gradients with or without noise.

    Args:
        surface: of two dimensions, with a minimum.
        noise: deviation of the noise in each coordinate of the gradients.

    Raises:
        ValueError: the surface has no minimum, or not two dimensions.

    >>> from tinygrad_lessons import optim
    >>> from tinygrad_lessons.race import SurfaceCourse
    >>> course = SurfaceCourse(optim.surfaces.booth)
    >>> heights, points = course.run(lambda params: optim.SGD(params, lr=0.1), 20, 0, 0)
    >>> heights.shape, points.shape, bool(heights[-1] < heights[0])
    ((21,), (21, 2), True)
    """

    measure = "height above the minimum"

    def __init__(self, surface: Surface, noise: float = 0.0):
        if not surface.minima or len(surface.domain) != 2:
            raise ValueError(f"race: {surface.name} must have a minimum and two dimensions")
        self.surface = surface
        self.noise = noise
        self.name = surface.name
        self.about = f"{surface.formula}: {surface.source}"

    def run(self, make: Callable, budget: int, seeds, number: int):
        """One run: heights (budget + 1), infinite from where it diverged, and points, NaN there.

        Args:
            make: an optimizer of a list of parameters.
            budget: how many gradients.
            seeds: of the start and the noise, for NumPy's generator.
            number: of the run, which says near which start it begins.
        """
        surface, rng = self.surface, np.random.default_rng(seeds)
        low, high = np.array(surface.domain).T
        start = surface.starts[number % len(surface.starts)]
        points = np.full((budget + 1, 2), np.nan)
        points[0] = start + SCATTER * (high - low) * rng.normal(size=2)
        if self.noise:
            generator = tg.Generator().manual_seed(int(rng.integers(2**62)))
            surface = surface.noisy(self.noise, generator)
        x = tg.tensor(points[0], requires_grad=True)
        optimizer = make([x])
        for step in range(1, budget + 1):
            optimizer.zero_grad()
            surface(x).backward()
            optimizer.step()
            point = x.tolist()
            if not all(abs(coordinate) < OUT_OF_SIGHT for coordinate in point):
                break
            points[step] = point
        heights = self.surface(tg.tensor(points)).numpy() - surface.minimum
        return np.where(np.isnan(heights), np.inf, np.maximum(heights, 0)), points


class DigitsCourse:
    """The training of a small net on the digits, measured by its loss on the validation images.

    Each run has weights and batches of its own, the same for all optimizers.

    >>> from tinygrad_lessons import optim
    >>> from tinygrad_lessons.race import DigitsCourse
    >>> course = DigitsCourse()
    >>> losses, _ = course.run(lambda params: optim.Adam(params, lr=0.01), 50, 0, 0)
    >>> losses.shape, bool(losses[-1] < losses[0] / 2)
    ((51,), True)
    """

    measure = "validation loss"
    name = "digits"
    hidden, batch_size = 32, 32

    def __init__(self):
        self.train, self.val = Digits("train"), Digits("val")
        self.about = (
            f"Cross-entropy of a net of 64, {self.hidden} and 10 values with ReLU, by batches of "
            f"{self.batch_size} images, measured on {len(self.val)} others"
        )

    def run(self, make: Callable, budget: int, seeds, number: int):
        """One run: losses (budget + 1), infinite from where it diverged, and None for points.

        Args:
            make: an optimizer of a list of parameters.
            budget: how many gradients.
            seeds: of the weights and batches, for NumPy's generator.
            number: of the run, which makes no difference here.
        """
        rng = np.random.default_rng(seeds)
        model = self._model(int(rng.integers(2**62)))
        batches = tg.tensor(rng.integers(0, len(self.train), (budget, self.batch_size)))
        optimizer, loss_fn = make(list(model.parameters())), nn.CrossEntropyLoss()
        losses = np.full(budget + 1, np.inf)
        for step in range(budget + 1):
            if step > 0:
                batch = batches[step - 1]
                optimizer.zero_grad()
                loss_fn(model(self.train.images[batch]), self.train.labels[batch]).backward()
                optimizer.step()
            with tg.no_grad():
                loss = loss_fn(model(self.val.images), self.val.labels).item()
            if not loss < OUT_OF_SIGHT:
                break
            losses[step] = loss
        return losses, None

    def _model(self, seed):
        """The net with its first weights; the default generator stays as it is."""
        state = tg.get_rng_state()
        tg.manual_seed(seed)
        try:
            return nn.Sequential(
                nn.Flatten(), nn.Linear(64, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 10)
            )
        finally:
            tg.set_rng_state(state)
