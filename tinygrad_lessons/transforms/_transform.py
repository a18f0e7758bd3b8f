"""What all transforms share."""

from tinygrad_lessons import nn
from tinygrad_lessons._core import float64, rand


class Transform(nn.Module):
    """A function of an image (C, H, W) or a batch (N, C, H, W); what else it is given, say labels, it hands back.

    A class says in `transform()` what it does to images. Random parameters come from the default generator, with the same bits
    for any number of threads. Of a transform that draws once, image n of a batch has a part of the stream of its own: its bits
    do not depend on the other images, and a single image gets those of the first in a batch. In one that draws several times
    (`Compose`, `RandomApply`, `RandomChoice`, `RandomErasing` with noise), what is drawn later begins where the draw before
    ended, which depends on the size of the batch and on what was chosen for the others.
    """

    def forward(self, image, *others):
        image = self.transform(image)
        return (image, *others) if others else image

    def transform(self, image):
        """The image, changed."""
        raise NotImplementedError(f"{type(self).__name__}: transform() is not written")

    def extra_repr(self):
        shown = {
            name: value
            for name, value in vars(self).items()
            if name[0] != "_" and name != "training"
        }
        return ", ".join(f"{name}={value}" for name, value in shown.items())


def draw(image, count):
    """Random numbers from [0, 1), `count` for each image: an array (N, count) of float64."""
    images = image.shape[0] if image.ndim == 4 else 1
    return rand(images, count, dtype=float64).numpy()
