"""The race itself: who runs, with which learning rate, and what comes of it."""

from dataclasses import dataclass

import numpy as np

from tinygrad_lessons import optim

# name: (class, options); one gradient a step each, so that equal steps are equal budgets
RACERS = {
    name: (getattr(optim, kind), options)
    for name, kind, options in (
        ("sgd", "SGD", {}),
        ("momentum", "SGD", {"momentum": 0.9}),
        ("nesterov", "SGD", {"momentum": 0.9, "nesterov": True}),
        ("asgd", "ASGD", {}),
        ("adagrad", "Adagrad", {}),
        ("adadelta", "Adadelta", {}),
        ("rmsprop", "RMSprop", {}),
        ("adam", "Adam", {}),
        ("amsgrad", "Adam", {"amsgrad": True}),
        ("adamax", "Adamax", {}),
        ("nadam", "NAdam", {}),
        ("radam", "RAdam", {}),
        ("rprop", "Rprop", {}),
        ("lion", "Lion", {}),
        ("yogi", "Yogi", {}),
        ("adabelief", "AdaBelief", {}),
        ("adan", "Adan", {}),
    )
    if hasattr(optim, kind)
}
RATES = tuple(10 ** (k / 3) for k in range(-15, 4))  # 0.00001 to 10


@dataclass(frozen=True)
class Result:
    """What one optimizer made of the race.

    Heights are what the course measures, infinite where a run diverged.

    Attributes:
        name: the optimizer, a key of `RACERS`.
        rate: its learning rate, tuned.
        tuning: quartiles of the last heights of the tuning runs, an array (rates, 3).
        heights: those of the race, an array (runs, budget + 1).
        paths: the points of the race, an array (runs, budget + 1, 2), or None on a net.
    """

    name: str
    rate: float
    tuning: np.ndarray
    heights: np.ndarray
    paths: np.ndarray | None

    @property
    def last(self) -> np.ndarray:
        """Quartiles of the last heights: below, median, above."""
        return quartiles(self.heights[:, -1])


def race(
    course,
    names: list[str],
    budget: int = 300,
    runs: int = 5,
    seed: int = 0,
    rates: tuple[float, ...] = RATES,
) -> list[Result]:
    """Let optimizers race under one rule.

    All get the same number of gradients, in each run from the same start, with the same noise or
    batches. The learning rate of each is the one of `rates` with the fewest diverged tuning runs,
    and among those with the least median of their last heights; the race is made of as many
    other runs.

    Args:
        course: a `SurfaceCourse` or `DigitsCourse`.
        names: keys of `RACERS`.
        budget: gradients in each run.
        runs: how many to tune on, and how many to race.
        seed: the same seed gives the same race.

    >>> from tinygrad_lessons.optim.surfaces import quadratic
    >>> from tinygrad_lessons.race import SurfaceCourse, race
    >>> sgd, nesterov = race(SurfaceCourse(quadratic(100.0)), ["sgd", "nesterov"], budget=100)
    >>> bool(nesterov.last[1] < sgd.last[1])
    True
    """
    results = []
    for name in names:
        kind, options = RACERS[name]

        def heights_and_paths(rate, part, kind=kind, options=options):
            def make(params):
                return kind(params, lr=rate, **options)

            done = [course.run(make, budget, [seed, part, run], run) for run in range(runs)]
            return tuple(zip(*done, strict=True))

        tuned = [np.array(heights_and_paths(rate, 0)[0])[:, -1] for rate in rates]
        table = np.array([quartiles(last) for last in tuned])
        diverged = [np.isinf(last).sum() for last in tuned]
        best = min(range(len(rates)), key=lambda i: (diverged[i], *table[i, [1, 2, 0]]))
        heights, paths = heights_and_paths(rates[best], 1)
        paths = None if paths[0] is None else np.array(paths)
        results.append(Result(name, rates[best], table, np.array(heights), paths))
    return results


def quartiles(values):
    """The lower quartile, median and upper quartile along the first axis: values that are there."""
    return np.quantile(values, [0.25, 0.5, 0.75], axis=0, method="nearest")
