"""What happens to a batch in training: augmentation, mixing, smoothed targets."""

import tinygrad_lessons as tg
from tinygrad_lessons import transforms
from tinygrad_lessons.nn import functional as F

STRENGTHS = (
    "degrees",
    "translate",
    "shear",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "sigma",
)


class BatchTransform:
    """(x, y) → (x, y): transforms of the images, then MixUp or CutMix, then label smoothing.

    The targets stay class indices unless they are mixed or smoothed; then they are shares of
    classes, float32 (n, classes), which cross-entropy takes. Validation has neither, so its loss
    compares between runs that differ in them.

    Args:
        augment: transforms of a batch of images.
        classes: how many.
        mixup, cutmix: their alpha; 0 leaves them out; with both, each batch draws one of them.
        label_smoothing: share of each target that is spread evenly.
    """

    def __init__(self, augment, classes, mixup=0.0, cutmix=0.0, label_smoothing=0.0):
        self.augment, self.classes, self.label_smoothing = augment, classes, label_smoothing
        self.mixing = []
        if mixup:
            self.mixing.append(transforms.MixUp(alpha=mixup, num_classes=classes))
        if cutmix:
            self.mixing.append(transforms.CutMix(alpha=cutmix, num_classes=classes))

    def __call__(self, x, y):
        """The batch as the model is to see it."""
        for transform in self.augment:
            x = transform(x)
        if self.mixing:
            drawn = tg.randint(len(self.mixing), ()).item() if len(self.mixing) > 1 else 0
            x, y = self.mixing[drawn](x, y)
        if self.label_smoothing:
            shares = y if y.is_floating_point() else F.one_hot(y, self.classes).float()
            y = shares * (1 - self.label_smoothing) + self.label_smoothing / self.classes
        return x, y


def strengthen(options, factor):
    """The options of a transform with its strengths times a factor.

    Angles, shifts and amounts are multiplied, a range of scales is stretched around 1, and a
    probability is multiplied up to 1.

    Example:
        >>> from tinygrad_lessons.train.config.augment import strengthen
        >>> strengthen({"degrees": 10, "scale": [0.75, 1.25], "p": 0.6, "fill": 0}, 2.0)
        {'degrees': 20.0, 'scale': [0.5, 1.5], 'p': 1.0, 'fill': 0}
    """
    if factor == 1:
        return options
    return {name: _strengthened(name, value, factor) for name, value in options.items()}


def _strengthened(name, value, factor):
    if isinstance(value, list):
        return [_strengthened(name, one, factor) for one in value]
    if name in STRENGTHS:
        return value * factor
    if name == "scale":
        return max(1 + (value - 1) * factor, 0.01)
    return min(value * factor, 1.0) if name == "p" else value
