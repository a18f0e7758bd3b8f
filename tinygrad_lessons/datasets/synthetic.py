"""Points in the plane and waves, drawn from our generator: problems whose answer can be seen."""

import math

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.datasets.base import check_split, split_indices
from tinygrad_lessons.utils.data import TensorDataset


def make_moons(samples=100, noise=0.0, generator=None):
    """Two half circles of radius 1 that reach into each other.

    The upper one is (cos t, sin t), the lower one (1 - cos t, 1/2 - sin t), t evenly from 0 to π.

    Args:
        samples: how many points; the first half are the upper ones.
        noise: standard deviation of what is added to each coordinate.
        generator: where the noise is drawn from; the default generator if None.

    Returns:
        Points (samples, 2), float32, and labels (samples,), int64.

    Example:
        >>> from tinygrad_lessons.datasets import make_moons
        >>> points, labels = make_moons(4)
        >>> labels
        tensor([0, 0, 1, 1])
    """
    upper = samples // 2
    a, b = np.linspace(0, math.pi, upper), np.linspace(0, math.pi, samples - upper)
    points = [_columns(np.cos(a), np.sin(a)), _columns(1 - np.cos(b), 0.5 - np.sin(b))]
    return _noisy(points, noise, generator)


def make_spirals(samples=100, noise=0.0, turns=1.5, classes=2, generator=None):
    """Spirals around the origin, one per class.

    Radius r evenly from 0 to 1, angle 2π (turns · r + class / classes).

    Args:
        samples: how many points, class by class.
        noise: standard deviation of what is added to each coordinate.
        turns: of each spiral.
        classes: how many spirals.
        generator: where the noise is drawn from; the default generator if None.

    Returns:
        Points (samples, 2), float32, and labels (samples,), int64.

    Example:
        >>> from tinygrad_lessons.datasets import make_spirals
        >>> points, labels = make_spirals(90, classes=3)
        >>> tuple(points.shape), labels[::30]
        ((90, 2), tensor([0, 1, 2]))
    """
    points = []
    for k, count in enumerate(_shares(samples, classes)):
        r = np.linspace(0, 1, count)
        angle = 2 * math.pi * (turns * r + k / classes)
        points.append(_columns(r * np.cos(angle), r * np.sin(angle)))
    return _noisy(points, noise, generator)


def make_blobs(samples=100, centers=3, std=1.0, box=(-10.0, 10.0), features=2, generator=None):
    """Normal clouds around centres that are drawn uniformly from a box, one per class.

    Args:
        samples: how many points, class by class.
        centers: how many classes, or their centres (classes, features).
        std: standard deviation of each cloud.
        box: from where to where each coordinate of a centre is drawn.
        features: coordinates of a point.
        generator: where centres and points are drawn from; the default generator if None.

    Returns:
        Points (samples, features), float32, and labels (samples,), int64.

    Example:
        >>> from tinygrad_lessons.datasets import make_blobs
        >>> points, labels = make_blobs(4, centers=[[0.0, 0.0], [5.0, 5.0]], std=0.0)
        >>> points[-1]
        tensor([5., 5.])
    """
    if isinstance(centers, int):
        low, high = box
        centers = low + (high - low) * tg.rand(centers, features, generator=generator)
    centers = np.asarray(centers.numpy() if isinstance(centers, tg.Tensor) else centers)
    counts = _shares(samples, len(centers))
    points = [np.tile(center, (n, 1)) for center, n in zip(centers, counts, strict=True)]
    return _noisy(points, std, generator)


def make_sines(samples=100, noise=0.0, frequencies=(1.0, 3.0), generator=None):
    """A sum of sines to regress: y = Σ sin(2π f x) / f, x drawn uniformly from [-1, 1).

    Args:
        samples: how many points.
        noise: standard deviation of what is added to y.
        frequencies: the f.
        generator: where x and the noise are drawn from; the default generator if None.

    Returns:
        x and y, both (samples, 1), float32.

    Example:
        >>> from tinygrad_lessons.datasets import make_sines
        >>> x, y = make_sines(5)
        >>> tuple(x.shape), tuple(y.shape)
        ((5, 1), (5, 1))
    """
    x = 2 * tg.rand(samples, 1, generator=generator, dtype=tg.float64) - 1
    waves = sum(np.sin(2 * math.pi * f * x.numpy()) / f for f in frequencies)
    y = tg.from_numpy(waves.astype(np.float32))
    return x.to(tg.float32), y + noise * tg.randn(samples, 1, generator=generator)


def _columns(*columns):
    return np.stack(columns, 1)


def _shares(samples, classes):
    return [samples // classes + (k < samples % classes) for k in range(classes)]


def _noisy(points, noise, generator):
    """The points of each class as one tensor, with noise, and their labels."""
    labels = np.repeat(np.arange(len(points)), [len(part) for part in points])
    points = tg.from_numpy(np.concatenate(points).astype(np.float32))
    drawn = noise * tg.randn(*points.shape, generator=generator)
    return points + drawn, tg.from_numpy(labels)


class Synthetic(TensorDataset):
    """What a `make_...` function makes of a seed, and one of its splits.

    Splits keep the share of each class, do not overlap, and depend on the seed alone.
    """

    classes = ()
    _make = None

    def __init__(self, split="train", samples=1000, noise=0.1, seed=0, **options):
        check_split(type(self).__name__, split)
        generator = tg.Generator().manual_seed(seed)
        features, labels = type(self)._make(samples, noise, generator=generator, **options)
        if split != "all":
            groups = labels.numpy() if self.classes else np.zeros(samples, int)
            # another seed than the points': a permutation sorts the stream that they were drawn from
            chosen = tg.from_numpy(split_indices(groups, seed + 1)[split])
            features, labels = features[chosen], labels[chosen]
        self.features, self.labels = features, labels
        super().__init__(features, labels)


class Moons(Synthetic):
    """Two half moons, by `make_moons`: sample i is (point, label).

    Args:
        split: "train" (70 %), "val" (15 %), "test" (15 %) or "all".
        samples: points in all splits together.
        noise: standard deviation of what is added to each coordinate.
        seed: of the points and of the splits.

    Example:
        >>> from tinygrad_lessons.datasets import Moons
        >>> len(Moons("test", samples=200)), Moons.classes
        (30, ('upper', 'lower'))
    """

    classes = ("upper", "lower")
    _make = staticmethod(make_moons)


class Spirals(Synthetic):
    """Two spirals, by `make_spirals`: sample i is (point, label). Arguments as in `Moons`; further
    ones go to `make_spirals`.

    Example:
        >>> from tinygrad_lessons.datasets import Spirals
        >>> tuple(Spirals("all", noise=0.02).features.shape)
        (1000, 2)
    """

    _make = staticmethod(make_spirals)

    def __init__(self, split="train", samples=1000, noise=0.1, seed=0, *, classes=2, **options):
        self.classes = tuple(map(str, range(classes)))
        super().__init__(split, samples, noise, seed, classes=classes, **options)


class Blobs(Synthetic):
    """Three normal clouds, by `make_blobs`: sample i is (point, label). Arguments as in `Moons`,
    `noise` being the clouds' standard deviation; further ones go to `make_blobs`.

    Example:
        >>> from tinygrad_lessons.datasets import Blobs
        >>> Blobs(centers=4).classes
        ('0', '1', '2', '3')
    """

    def __init__(self, split="train", samples=1000, noise=1.0, seed=0, *, centers=3, **options):
        count = centers if isinstance(centers, int) else len(centers)
        self.classes = tuple(map(str, range(count)))
        super().__init__(split, samples, noise, seed, centers=centers, **options)

    @staticmethod
    def _make(samples, noise, **options):
        return make_blobs(samples, std=noise, **options)


class Sines(Synthetic):
    """A sum of sines to regress, by `make_sines`: sample i is (x, y). Arguments as in `Moons`;
    further ones go to `make_sines`.

    Example:
        >>> from tinygrad_lessons.datasets import Sines
        >>> x, y = Sines(noise=0.0)[0]
        >>> tuple(x.shape), tuple(y.shape)
        ((1,), (1,))
    """

    _make = staticmethod(make_sines)
