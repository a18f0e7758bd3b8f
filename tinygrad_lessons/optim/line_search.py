"""The loss along a line, and searches for a good point on it."""

from dataclasses import dataclass
from math import sqrt

from tinygrad_lessons._core import Tensor, cat, enable_grad, zeros_like


@dataclass
class Point:
    """Where t steps along the direction lead: the loss, its gradient, and the slope along the line."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


def evaluate(closure, params):
    """The loss that the closure returns, and the gradients it leaves, as one vector."""
    with enable_grad():
        loss = closure()
    parts = [zeros_like(p) if p.grad is None else p.grad.to_dense() for p in params]
    return loss, cat([part.reshape(-1) for part in parts])


class Line:
    """The points start + t · direction, for parameters that stand at the start; evaluations are counted."""

    def __init__(self, closure, params, direction):
        self.closure, self.params, self.direction = closure, params, direction
        self.start = [p.detach().clone() for p in params]
        self.evaluations = 0

    def go(self, t):
        """Put the parameters there."""
        offset = 0
        for p, start in zip(self.params, self.start, strict=True):
            part = self.direction[offset : offset + p.numel()].view_as(p)
            p.copy_(start).add_(part, alpha=t)
            offset += p.numel()

    def at(self, t):
        """Go there and look; if that fails, the parameters are at the start again."""
        self.go(t)
        try:
            loss, gradient = evaluate(self.closure, self.params)
        except BaseException:
            for p, start in zip(self.params, self.start, strict=True):
                p.copy_(start)
            raise
        self.evaluations += 1
        return Point(t, float(loss), gradient, gradient.dot(self.direction).item())


def cubic_minimum(a, b, bounds):
    """Where the cubic with the losses and slopes of two points has its minimum, within the bounds.

    Nocedal and Wright 2006, equation 3.59; the middle of the bounds where there is no minimum.
    """
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    low, high = bounds
    if not square >= 0:
        return (low + high) / 2
    d2 = sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, low), high)


def strong_wolfe(line, start, t, *, c1=1e-4, c2=0.9, tolerance=1e-9, most=25):
    """A point where the loss has fallen enough and the slope has become flat enough.

        loss(t) ≤ loss(0) + c1 · t · slope(0),   |slope(t)| ≤ c2 · |slope(0)|

    Nocedal and Wright 2006, algorithms 3.5 (until two points enclose one) and 3.6 (closing in),
    with cubic interpolation; at most `most` points beyond the first, which is t.
    """

    def too_high(point):
        return point.loss > start.loss + c1 * point.t * start.slope

    def flat(point):
        return abs(point.slope) <= -c2 * start.slope

    before, point, looks = start, line.at(t), 0
    while True:
        if looks == most:
            bracket = [start, point]
            break
        if too_high(point) or (looks > 1 and point.loss >= before.loss):
            bracket = [before, point]
            break
        if flat(point):
            return point
        if point.slope >= 0:
            bracket = [before, point]
            break
        bounds = point.t + 0.01 * (point.t - before.t), 10 * point.t
        t = cubic_minimum(before, point, bounds)
        before, point, looks = point, line.at(t), looks + 1

    length = line.direction.abs().max().item()
    low = int(bracket[0].loss > bracket[1].loss)
    stuck = False
    while looks < most:
        left, right = sorted(point.t for point in bracket)
        if (right - left) * length < tolerance:
            break
        t = cubic_minimum(*bracket, (left, right))
        margin = 0.1 * (right - left)
        if (
            min(right - t, t - left) < margin
        ):  # near an end: once is allowed, then it must be inside
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point, looks = line.at(t), looks + 1
        if too_high(point) or point.loss >= bracket[low].loss:
            bracket[1 - low] = point
            low = int(bracket[0].loss > bracket[1].loss)
            continue
        if flat(point):
            return point
        if point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = point
    return bracket[low]


def backtracking(line, start, t, *, c1=1e-4, shrink=0.5, most=60):
    """The first of t, t · shrink, t · shrink², … whose loss has fallen enough (Armijo 1966).

    The start, if `most` points were not enough.
    """
    for _ in range(most):
        point = line.at(t)
        if point.loss <= start.loss + c1 * t * start.slope:
            return point
        t *= shrink
    return start


def exact(line, start, t, *, tolerance=1e-8, most=60):
    """The minimum along the line: where the slope is at most `tolerance` of what it was.

    Steps double until one is too long; then secants of the slope and bisections, in turn, close in.
    On a quadratic the first secant is the minimum.
    """

    def too_long(point):
        return point.slope >= 0 or not point.loss <= start.loss

    low, high = start, line.at(t)
    while not too_long(high) and line.evaluations < most:
        low, high = high, line.at(2 * high.t)
    part, secant = high, True
    while abs(part.slope) > -tolerance * start.slope and line.evaluations < 2 * most:
        share = low.slope / (low.slope - high.slope) if secant and high.slope > 0 else 0.5
        part, secant = line.at(low.t + share * (high.t - low.t)), not secant
        if too_long(part):
            high = part
        else:
            low = part
    return part if part.loss <= low.loss else low
