"""Test functions for optimizers: known formulas with known minima, of two dimensions or more.

>>> import tinygrad_lessons as tg
>>> from tinygrad_lessons.optim import surfaces
>>> surface = surfaces.SURFACES["rosenbrock"]
>>> x = tg.tensor(surface.starts[0], requires_grad=True)
>>> sgd = tg.optim.SGD([x], lr=1e-3, momentum=0.9)
>>> for _ in range(3000):
...     sgd.zero_grad()
...     surface(x).backward()
...     sgd.step()
>>> x.detach().round(decimals=2), surface.minima
(tensor([1., 1.]), ((1.0, 1.0),))
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from tinygrad_lessons._core import Generator, Tensor, tensor

__all__ = [
    "SURFACES",
    "Surface",
    "ackley",
    "beale",
    "booth",
    "double_well",
    "himmelblau",
    "quadratic",
    "rastrigin",
    "rosenbrock",
    "saddle",
]


@dataclass(frozen=True)
class Surface:
    """A function of points, and what is known about it.

    Calling it with a tensor (…, n), a point along the last dimension, gives the heights (…).

    Attributes:
        name: what it is called.
        formula: as text, with points (x, y) or x₁ … xₙ.
        source: where it is from.
        function: the heights of a tensor of points.
        domain: (low, high) of each coordinate, where it is usually looked at.
        minima: all points of least height; none if there is no bound.
        minimum: that height, -inf if there is no bound.
        starts: points from which to descend.
        any_dimensions: whether there is a form of it in more dimensions.

    >>> import tinygrad_lessons as tg
    >>> booth = tg.optim.surfaces.booth
    >>> booth(tg.tensor([[1.0, 3.0], [0.0, 0.0]]))
    tensor([ 0., 74.])
    """

    name: str
    formula: str
    source: str
    function: Callable[[Tensor], Tensor]
    domain: tuple[tuple[float, float], ...]
    minima: tuple[tuple[float, ...], ...]
    minimum: float
    starts: tuple[tuple[float, ...], ...]
    any_dimensions: bool = False

    def __call__(self, points: Tensor) -> Tensor:
        n = len(self.domain)
        if points.ndim == 0 or points.shape[-1] != n:
            raise ValueError(
                f"{self.name}: points have {n} coordinates, along the last dimension, but got "
                f"shape {tuple(points.shape)}"
            )
        return self.function(points)

    def in_dimensions(self, n: int) -> "Surface":
        """The surface over points of `n` coordinates: all but the last are as the first.

        Raises:
            ValueError: there is no such form, or `n` is below 2.

        >>> import tinygrad_lessons as tg
        >>> tg.optim.surfaces.rosenbrock.in_dimensions(4)(tg.zeros(4))
        tensor(3.)
        """
        if not self.any_dimensions:
            raise ValueError(f"{self.name}: is defined for {len(self.domain)} dimensions only")
        if n < 2:
            raise ValueError(f"{self.name}: needs at least 2 dimensions, but got {n}")

        def stretched(values):
            return (values[0],) * (n - 1) + values[-1:]

        return replace(
            self,
            domain=stretched(self.domain),
            minima=tuple(map(stretched, self.minima)),
            starts=tuple(map(stretched, self.starts)),
        )

    def noisy(self, deviation: float, generator: Generator | None = None) -> "Surface":
        """The surface with gradients that are off by normal noise; heights are exact.

        Each call draws anew: the gradient with respect to the points gets `deviation` · N(0, 1) added in
        every coordinate, times what comes from above.

        Raises:
            ValueError: `deviation` is below 0.

        >>> import tinygrad_lessons as tg
        >>> surface = tg.optim.surfaces.booth.noisy(0.5, tg.Generator().manual_seed(0))
        >>> x = tg.tensor([1.0, 3.0], requires_grad=True)
        >>> height = surface(x)
        >>> height.backward()
        >>> height.item(), x.grad.abs().min().item() > 0
        (0.0, True)
        """
        if not deviation >= 0:
            raise ValueError(f"{self.name}: deviation must not be below 0, but is {deviation}")

        def function(points):
            noise = points.new_empty(points.shape).normal_(0, deviation, generator=generator)
            # 0 in value, with the noise for a gradient
            return self.function(points) + (noise * (points - points.detach())).sum(-1)

        return replace(self, function=function)


def _rosenbrock(points):
    x, following = points[..., :-1], points[..., 1:]
    return (100 * (following - x.square()).square() + (1 - x).square()).sum(-1)


def _beale(points):
    x, y = points.unbind(-1)
    return (
        (1.5 - x + x * y).square()
        + (2.25 - x + x * y.square()).square()
        + (2.625 - x + x * y**3).square()
    )


def _himmelblau(points):
    x, y = points.unbind(-1)
    return (x.square() + y - 11).square() + (x + y.square() - 7).square()


def _booth(points):
    x, y = points.unbind(-1)
    return (x + 2 * y - 7).square() + (2 * x + y - 5).square()


def _rastrigin(points):
    return (points.square() + 10 * (1 - (2 * math.pi * points).cos())).sum(-1)


def _ackley(points):
    # by the norm, whose gradient at 0 is 0
    distance = points.norm(dim=-1) / math.sqrt(points.shape[-1])
    waves = (2 * math.pi * points).cos().mean(-1)
    return 20 - 20 * (-0.2 * distance).exp() + math.e - waves.exp()


def _saddle(points):
    return points[..., :-1].square().sum(-1) - points[..., -1].square()


def _double_well(points):
    y = points[..., -1].square()
    return points[..., :-1].square().sum(-1) / 2 + y.square() / 4 - y / 2


rosenbrock = Surface(
    "rosenbrock",
    "Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)²",
    "Rosenbrock 1960, An automatic method for finding the greatest or least value of a function",
    _rosenbrock,
    domain=((-2.0, 2.0), (-1.0, 3.0)),
    minima=((1.0, 1.0),),
    minimum=0.0,
    starts=((-1.2, 1.0), (-0.5, 2.5), (1.8, -0.5)),
    any_dimensions=True,
)
beale = Surface(
    "beale",
    "(1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)²",
    "Beale 1958, On an iterative method for finding a local minimum of a function",
    _beale,
    domain=((-4.5, 4.5), (-4.5, 4.5)),
    minima=((3.0, 0.5),),
    minimum=0.0,
    starts=((1.0, 1.0), (-1.0, -1.0), (0.0, -1.5)),
)
himmelblau = Surface(
    "himmelblau",
    "(x² + y - 11)² + (x + y² - 7)²",
    "Himmelblau 1972, Applied nonlinear programming",
    _himmelblau,
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    ),
    minimum=0.0,
    starts=((0.0, 0.0), (-1.0, 4.5), (-0.5, -4.0)),
)
booth = Surface(
    "booth",
    "(x + 2y - 7)² + (2x + y - 5)²",
    "Jamil and Yang 2013, A literature survey of benchmark functions for global optimisation problems",
    _booth,
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((1.0, 3.0),),
    minimum=0.0,
    starts=((-8.0, -5.0), (8.0, 8.0), (-6.0, 9.0)),
)
rastrigin = Surface(
    "rastrigin",
    "Σ xᵢ² + 10 (1 - cos 2πxᵢ)",
    "Rastrigin 1974, Systems of extremal control; in n dimensions Mühlenbein et al. 1991, The "
    "parallel genetic algorithm as function optimizer",
    _rastrigin,
    domain=((-5.12, 5.12), (-5.12, 5.12)),
    minima=((0.0, 0.0),),
    minimum=0.0,
    starts=((-4.3, 3.6), (2.8, 4.4), (3.7, -2.6)),
    any_dimensions=True,
)
ackley = Surface(
    "ackley",
    "20 + e - 20 exp(-0.2 √(Σ xᵢ² / n)) - exp(Σ cos(2πxᵢ) / n)",
    "Ackley 1987, A connectionist machine for genetic hillclimbing",
    _ackley,
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    minimum=0.0,
    starts=((-4.3, 3.6), (2.8, 4.4), (3.7, -2.6)),
    any_dimensions=True,
)
saddle = Surface(
    "saddle",
    "x₁² + … + xₙ₋₁² - xₙ²",
    "the hyperbolic paraboloid, which falls without bound from its saddle at 0",
    _saddle,
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    minima=(),
    minimum=-math.inf,
    starts=((-1.5, 1e-3), (1.5, -1e-6), (1.0, 0.1)),
    any_dimensions=True,
)
double_well = Surface(
    "double_well",
    "(x₁² + … + xₙ₋₁²) / 2 + xₙ⁴ / 4 - xₙ² / 2",
    "Nesterov 2004, Introductory lectures on convex optimization, example 1.2.2: a saddle at 0 "
    "between two minima",
    _double_well,
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    minima=((0.0, 1.0), (0.0, -1.0)),
    minimum=-0.25,
    starts=((-1.5, 1e-3), (1.5, -1e-6), (1.0, 0.1)),
    any_dimensions=True,
)


def quadratic(condition: float = 100.0, dimensions: int = 2, rotated: bool = False) -> Surface:
    """½ Σ λᵢ xᵢ², with curvatures λ from 1 to `condition` in equal ratios.

    `rotated` turns the axes of curvature away from those of the coordinates, which a rule that
    works element by element depends on, by the reflection that takes the first axis to the
    diagonal (1, …, 1).

    Raises:
        ValueError: `condition` is below 1, or `dimensions` below 2.

    >>> import tinygrad_lessons as tg
    >>> tg.optim.surfaces.quadratic(condition=10.0)(tg.tensor([1.0, 1.0]))
    tensor(5.5000)
    """
    if not condition >= 1:
        raise ValueError(f"quadratic: condition must be at least 1, but is {condition}")
    if dimensions < 2:
        raise ValueError(f"quadratic: needs at least 2 dimensions, but got {dimensions}")
    curvatures = [condition ** (i / (dimensions - 1)) for i in range(dimensions)]
    # the reflection 1 - 2 vvᵀ / vᵀv, v = first axis - diagonal
    normal = [(i == 0) - dimensions**-0.5 for i in range(dimensions)]
    length = sum(part * part for part in normal)

    def function(points):
        if rotated:
            v = tensor(normal, dtype=points.dtype)
            points = points - (2 / length) * (points * v).sum(-1, keepdim=True) * v
        return (tensor(curvatures, dtype=points.dtype) * points.square()).sum(-1) / 2

    return Surface(
        "rotated_quadratic" if rotated else "quadratic",
        f"½ Σ λᵢ xᵢ², λ from 1 to {condition:g}" + (", turned" if rotated else ""),
        "the textbook case; Nocedal and Wright 2006, Numerical optimization, section 3.3",
        function,
        domain=((-2.0, 2.0),) * dimensions,
        minima=((0.0,) * dimensions,),
        minimum=0.0,
        starts=tuple(
            (x,) * (dimensions - 1) + (y,) for x, y in ((-1.8, 1.0), (1.5, 1.7), (1.9, -0.4))
        ),
    )


SURFACES = {
    surface.name: surface
    for surface in (
        rosenbrock,
        beale,
        himmelblau,
        booth,
        rastrigin,
        ackley,
        quadratic(),
        quadratic(rotated=True),
        saddle,
        double_well,
    )
}
