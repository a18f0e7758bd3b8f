"""Models by name, for the command line: each from the shape of a sample and the number of outputs."""

import math

from tinygrad_lessons import nn


def mlp(
    shape,
    outputs: int,
    *,
    hidden: list[int] = (256, 128),
    dropout: float = 0.3,
    batch_norm: bool = True,
    activation: str = "ReLU",
):
    """A multi-layer perceptron: linear, batch norm, activation and dropout per hidden layer.

    Args:
        shape: the shape of one sample, or its number of values.
        outputs: number of classes; the model returns logits (batch, outputs).
        hidden: the widths of the hidden layers.
        dropout: the share of hidden values that is dropped.
        batch_norm: normalise what comes out of each hidden layer.
        activation: the name of a class in `nn`.

    Raises:
        ValueError: a width below 1, a dropout outside of 0 to 1, no such activation.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import mlp
        >>> tuple(mlp(64, 10)(tg.zeros(2, 1, 8, 8)).shape)
        (2, 10)
    """
    _check_widths("mlp", "hidden", hidden)
    act, drop = _activation("mlp", activation), _dropout("mlp", dropout)
    width = shape if isinstance(shape, int) else math.prod(shape)
    layers = _dense(width, hidden, batch_norm, act, drop)
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden[-1] if hidden else width, outputs))


def cnn(
    shape,
    outputs: int,
    *,
    channels: list[int] = (32, 64),
    convolutions: int = 2,
    hidden: list[int] = (128,),
    dropout: float = 0.3,
    batch_norm: bool = True,
    activation: str = "ReLU",
):
    """A convolutional net: blocks that halve the image, then an `mlp` on what is left of it.

    A block is `convolutions` times 3x3 convolution, batch norm and activation, then max-pooling
    of 2x2. Dropout follows the last block and each hidden layer.

    Args:
        shape: the shape (channels, height, width) of one image.
        outputs: number of classes; the model returns logits (batch, outputs).
        channels: the channels of each block.
        convolutions: how many of them in a block.
        hidden: the widths of the hidden layers behind the blocks.
        dropout: the share of values that is dropped.
        batch_norm: normalise what comes out of each convolution and hidden layer.
        activation: the name of a class in `nn`.

    Raises:
        ValueError: `shape` is no image's, or too small for so many blocks; else as `mlp`.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import cnn
        >>> tuple(cnn((1, 8, 8), 10, channels=[4, 8])(tg.zeros(2, 1, 8, 8)).shape)
        (2, 10)
    """
    _check_widths("cnn", "channels", channels)
    _check_widths("cnn", "hidden", hidden)
    _check_widths("cnn", "convolutions", [convolutions])
    act, drop = _activation("cnn", activation), _dropout("cnn", dropout)
    if isinstance(shape, int) or len(shape) != 3:
        raise ValueError(f"cnn: got samples of shape {shape}: expected (channels, height, width)")
    width, *size = shape
    if min(size) < 2 ** len(channels):
        raise ValueError(
            f"cnn: {len(channels)} blocks, each of which halves the image, leave nothing of "
            f"{size[0]}x{size[1]} pixels: name fewer channels"
        )
    layers = []
    for channel in channels:
        for _ in range(convolutions):
            layers.append(nn.Conv2d(width, channel, 3, padding=1, bias=not batch_norm))
            layers += [nn.BatchNorm2d(channel), act()] if batch_norm else [act()]
            width = channel
        layers.append(nn.MaxPool2d(2))
    width *= math.prod(edge >> len(channels) for edge in size)
    layers += [nn.Flatten(), *drop()]
    layers += _dense(width, hidden, batch_norm, act, drop)
    return nn.Sequential(*layers, nn.Linear(hidden[-1] if hidden else width, outputs))


def _dense(width, hidden, batch_norm, act, drop):
    """The hidden layers of a perceptron."""
    layers = []
    for next_width in hidden:
        layers.append(nn.Linear(width, next_width))
        layers += [nn.BatchNorm1d(next_width)] if batch_norm else []
        layers += [act(), *drop()]
        width = next_width
    return layers


def _dropout(model, share):
    """Makes [Dropout], or [] for a share of 0."""
    if not 0 <= share < 1:
        raise ValueError(f"{model}: got dropout {share}: expected a number from 0 to below 1")
    return lambda: [nn.Dropout(share)] if share else []


def _activation(model, name):
    kind = getattr(nn, name, None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"{model}: got activation {name!r}: expected a class of nn, as 'ReLU'")
    return kind


def _check_widths(model, name, widths):
    for width in widths:
        if not 1 <= width <= 65536:
            raise ValueError(f"{model}: got {name} of {width}: expected 1 to 65536")


MODELS = {"mlp": mlp, "cnn": cnn}
