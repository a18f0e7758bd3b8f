"""Transforms of transforms."""

import math

import numpy as np

from tinygrad_lessons._core import from_numpy, where
from tinygrad_lessons.transforms._arguments import probability
from tinygrad_lessons.transforms._transform import Transform, draw


class Several(Transform):
    """What containers share: a list of transforms."""

    def __init__(self, transforms):
        super().__init__()
        self.transforms = list(transforms)
        if not self.transforms or not all(callable(each) for each in self.transforms):
            raise TypeError(
                f"{type(self).__name__}: expected a list of one transform or more, not {transforms!r}"
            )

    def __repr__(self):
        lines = [f"    {line}" for each in self.transforms for line in repr(each).split("\n")]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


class Compose(Several):
    """One transform after the other. What is given beside the image goes through all of them.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import transforms as T
    >>> augment = T.Compose([T.RandomCrop(28, padding=2), T.Normalize([0.5], [0.5])])
    >>> augment(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def forward(self, *inputs):
        for each in self.transforms:
            outputs = each(*inputs)
            inputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return outputs


def select(chosen, changed, image, name):
    """Of a batch, the changed images where `chosen` (N,) says so; of a single image, the one or the other."""
    if image.ndim != 4:
        return changed if chosen[0] else image
    if changed.shape != image.shape or changed.dtype != image.dtype:
        raise ValueError(
            f"{name}: in a batch, where some images are changed and some are not, both must be alike, but {image.dtype} in "
            f"{tuple(image.shape)} became {changed.dtype} in {tuple(changed.shape)}; transform single images"
        )
    return where(from_numpy(chosen.reshape(-1, 1, 1, 1)), changed, image)


class RandomApply(Several):
    """All the transforms, with probability p; in a batch, of each image by itself.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import transforms as T
    >>> T.RandomApply([T.GaussianBlur(3)], p=0.3)(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(self, transforms, p=0.5):
        super().__init__(transforms)
        self.p = probability(p, "RandomApply")

    def transform(self, image):
        chosen = draw(image, 1)[:, 0] < self.p
        changed = image
        if chosen.any():
            for each in self.transforms:
                changed = each(changed)
        return select(chosen, changed, image, "RandomApply")


class RandomChoice(Several):
    """One of the transforms; in a batch, each image has its own.

    Args:
        transforms: the list of them.
        p: weights; the same for all by default.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import transforms as T
    >>> T.RandomChoice([T.RandomRotation(10), T.GaussianBlur(3)])(tg.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        weights = [1.0] * len(self.transforms) if p is None else [float(each) for each in p]
        if (
            len(weights) != len(self.transforms)
            or min(weights) < 0
            or not 0 < sum(weights) < math.inf
        ):
            raise ValueError(
                f"RandomChoice: p must be a weight for each of {len(self.transforms)} transforms, not {p!r}"
            )
        self.p = [each / sum(weights) for each in weights]

    def transform(self, image):
        picked = np.searchsorted(np.cumsum(self.p)[:-1], draw(image, 1)[:, 0], side="right")
        if image.ndim != 4:
            return self.transforms[picked[0]](image)
        result = image
        for k, each in enumerate(self.transforms):
            if (picked == k).any():
                result = select(picked == k, each(image), result, "RandomChoice")
        return result


class Lambda(Transform):
    """A function of the image as a transform.

    >>> import tinygrad_lessons as tg
    >>> Lambda(lambda x: 1 - x)(tg.zeros(1, 1, 2))
    tensor([[[1., 1.]]])
    """

    def __init__(self, lambd):
        super().__init__()
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, not {type(lambd).__name__}")
        self.lambd = lambd

    def transform(self, image):
        return self.lambd(image)
