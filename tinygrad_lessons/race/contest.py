"""The race itself: who runs, from where, with which learning rate, and what comes of it."""

from dataclasses import dataclass

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons.optim.surfaces import Surface

# name: (class, options); one gradient a step each, so that equal steps are equal budgets
RACERS = {
    name: (getattr(optim, kind), options)
    for name, kind, options in (
        ("sgd", "SGD", {}),
        ("momentum", "SGD", {"momentum": 0.9}),
        ("nesterov", "SGD", {"momentum": 0.9, "nesterov": True}),
        ("adagrad", "Adagrad", {}),
        ("adadelta", "Adadelta", {}),
        ("rmsprop", "RMSprop", {}),
        ("adam", "Adam", {}),
        ("amsgrad", "Adam", {"amsgrad": True}),
        ("adamax", "Adamax", {}),
        ("nadam", "NAdam", {}),
        ("radam", "RAdam", {}),
        ("rprop", "Rprop", {}),
    )
    if hasattr(optim, kind)
}
RATES = tuple(10 ** (k / 3) for k in range(-15, 4))  # 0.00001 to 10
OUT_OF_SIGHT = 1e9  # a coordinate beyond it counts as diverged
SCATTER = 0.02  # deviation of the starts, as a share of the domain


@dataclass(frozen=True)
class Result:
    """What one optimizer made of the race.

    A gap is a height above the minimum, infinite where the run diverged.

    Attributes:
        name: the optimizer, a key of `RACERS`.
        rate: its learning rate, tuned.
        tuning: quartiles of the last gaps of the tuning runs, an array (rates, 3).
        paths: the points of the race, an array (runs, budget + 1, 2).
        gaps: their gaps, an array (runs, budget + 1).
    """

    name: str
    rate: float
    tuning: np.ndarray
    paths: np.ndarray
    gaps: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """Quartiles of the last gaps: below, median, above."""
        return quartiles(self.gaps[:, -1])


def race(
    surface: Surface,
    names: list[str],
    budget: int = 300,
    runs: int = 5,
    noise: float = 0.0,
    seed: int = 0,
    rates: tuple[float, ...] = RATES,
) -> list[Result]:
    """Let optimizers descend a surface under one rule.

    All get the same number of gradients, in each run the same start and the same noise. The
    learning rate of each is the one of `rates` with the fewest diverged tuning runs, and among
    those with the least median of their last gaps; the race is made of as many other runs.

    Args:
        surface: of two dimensions, with a minimum.
        names: keys of `RACERS`.
        budget: gradients in each run.
        runs: how many to tune on, and how many to race.
        noise: deviation of the noise in each coordinate of the gradients.
        seed: of starts and noise; the same seed gives the same race.

    Raises:
        ValueError: the surface has no minimum, or not two dimensions.

    >>> from tinygrad_lessons.optim.surfaces import quadratic
    >>> from tinygrad_lessons.race import race
    >>> sgd, nesterov = race(quadratic(100.0), ["sgd", "nesterov"], budget=100)
    >>> bool(nesterov.last[1] < sgd.last[1])
    True
    """
    if not surface.minima or len(surface.domain) != 2:
        raise ValueError(f"race: {surface.name} must have a minimum and two dimensions")
    tuning, racing = (
        [_conditions(surface, [seed, part, run], run) for run in range(runs)] for part in (0, 1)
    )
    results = []
    for name in names:

        def descents(rate, conditions, name=name):
            paths = [_descend(surface, name, rate, budget, noise, *each) for each in conditions]
            return np.array(paths)

        tuned = [_gaps(surface, descents(rate, tuning)[:, -1]) for rate in rates]
        table = np.array([quartiles(gaps) for gaps in tuned])
        diverged = [np.isinf(gaps).sum() for gaps in tuned]
        best = min(range(len(rates)), key=lambda i: (diverged[i], *table[i, [1, 2, 0]]))
        paths = descents(rates[best], racing)
        results.append(Result(name, rates[best], table, paths, _gaps(surface, paths)))
    return results


def quartiles(values):
    """The lower quartile, median and upper quartile along the first axis: values that are there."""
    return np.quantile(values, [0.25, 0.5, 0.75], axis=0, method="nearest")


def _conditions(surface, seeds, run):
    """The start of a run, and the seed of its noise."""
    rng = np.random.default_rng(seeds)
    low, high = np.array(surface.domain).T
    start = surface.starts[run % len(surface.starts)]
    return start + SCATTER * (high - low) * rng.normal(size=2), int(rng.integers(2**62))


def _descend(surface, name, rate, budget, noise, start, noise_seed):
    """The points of a run, NaN where it is out of sight."""
    kind, options = RACERS[name]
    x = tg.tensor(start, requires_grad=True)
    optimizer = kind([x], lr=rate, **options)
    slope = surface.noisy(noise, tg.Generator().manual_seed(noise_seed)) if noise else surface
    path = np.full((budget + 1, 2), np.nan)
    path[0] = start
    for step in range(1, budget + 1):
        optimizer.zero_grad()
        slope(x).backward()
        optimizer.step()
        point = x.tolist()
        if not all(abs(coordinate) < OUT_OF_SIGHT for coordinate in point):
            break
        path[step] = point
    return path


def _gaps(surface, points):
    heights = surface(tg.tensor(points)).numpy() - surface.minimum
    return np.where(np.isnan(heights), np.inf, np.maximum(heights, 0))
