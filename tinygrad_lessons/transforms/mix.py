"""Transforms that mix the images of a batch, and their labels: what they return goes to CrossEntropyLoss."""

import math

from tinygrad_lessons._core import float32, float64, one_hot, rand, randn
from tinygrad_lessons.transforms._transform import Transform


def log_gamma_draw(alpha):
    """The logarithm of a draw from Gamma(alpha, 1). Marsaglia and Tsang 2000, A simple method for generating gamma variables;
    below 1 through alpha + 1, in logarithms, as draws for a small alpha would underflow."""
    d = (alpha if alpha >= 1 else alpha + 1) - 1 / 3
    while True:
        x, u = randn(1, dtype=float64).item(), 1 - rand(1, dtype=float64).item()
        v = (1 + x / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
            break
    if alpha >= 1:
        return math.log(d * v)
    return math.log(d * v) + math.log(1 - rand(1, dtype=float64).item()) / alpha


def beta_draw(alpha):
    """A draw from Beta(alpha, alpha): a share of two gamma draws."""
    difference = log_gamma_draw(alpha) - log_gamma_draw(alpha)
    return 1 / (1 + math.exp(-difference)) if difference > -700 else 0.0


class Mixing(Transform):
    """What both share: a share λ from Beta(alpha, alpha), and labels mixed by it.

    Args:
        alpha: above 0; 1 makes λ uniform.
        num_classes: how many classes labels (N,) are of; None if labels come as (N, classes).
    """

    def __init__(self, *, alpha=1.0, num_classes=None):
        super().__init__()
        if not 0 < alpha < math.inf:
            raise ValueError(f"{type(self).__name__}: alpha must be positive, but is {alpha}")
        self.alpha, self.num_classes = float(alpha), num_classes

    def forward(self, images, labels):
        name = type(self).__name__
        if images.ndim != 4:
            raise ValueError(
                f"{name}: expected a batch (N, C, H, W), but got shape {tuple(images.shape)}"
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError(
                f"{name}: num_classes is needed for labels that are numbers of classes"
            )
        if labels.shape[0] != images.shape[0] or labels.ndim not in (1, 2):
            raise ValueError(
                f"{name}: expected a label for each of {images.shape[0]} images, (N,) or (N, classes), but got shape "
                f"{tuple(labels.shape)}"
            )
        if labels.ndim == 1:
            labels = one_hot(labels, self.num_classes).to(
                images.dtype if images.is_floating_point() else float32
            )
        images, share = self.mix(images, beta_draw(self.alpha))
        return images, labels * share + labels.roll(1, 0) * (1 - share)


class MixUp(Mixing):
    """λ · batch + (1 - λ) · the batch moved on by one, and labels alike (Zhang et al. 2017, mixup).

    One λ for the batch, from Beta(alpha, alpha). Of float images; gradients pass.

    >>> import tinygrad_lessons as tg
    >>> images, labels = MixUp(num_classes=10)(tg.rand(4, 1, 28, 28), tg.tensor([3, 1, 4, 1]))
    >>> images.shape, labels.shape, float(labels.sum())
    (torch.Size([4, 1, 28, 28]), torch.Size([4, 10]), 4.0)
    """

    def mix(self, images, share):
        """The images, and their share in what they became."""
        if not images.is_floating_point():
            raise TypeError(
                f"MixUp: expected float images, but got {images.dtype}; ToDtype(float32, scale=True) converts"
            )
        return images * share + images.roll(1, 0) * (1 - share), share


class CutMix(Mixing):
    """A rectangle of each image comes from the one before, labels by its share of the area (Yun et al. 2019, CutMix).

    One rectangle for the batch: its sides are √(1 - λ) of the image's, λ from Beta(alpha, alpha), around a uniform centre.

    >>> import tinygrad_lessons as tg
    >>> images, labels = CutMix(num_classes=10)(tg.rand(4, 1, 28, 28), tg.tensor([3, 1, 4, 1]))
    >>> images.shape, labels.shape, float(labels.sum())
    (torch.Size([4, 1, 28, 28]), torch.Size([4, 10]), 4.0)
    """

    def mix(self, images, share):
        """The images, and their share in what they became."""
        height, width = images.shape[-2:]
        x, y = rand(2, dtype=float64).tolist()
        half = 0.5 * math.sqrt(1 - share)
        top, bottom = self._span(int(y * height), int(half * height), height)
        left, right = self._span(int(x * width), int(half * width), width)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)

    @staticmethod
    def _span(middle, half, size):
        return max(0, middle - half), min(size, middle + half)
