"""Models by name, for the command line."""

from tinygrad_lessons import nn


def mlp(in_features, out_features, hidden=(256, 128), dropout=0.3):
    """A multi-layer perceptron: linear, batch norm, ReLU and dropout per hidden layer.

    Args:
        in_features: values in one sample, whatever its shape.
        out_features: number of classes; the model returns logits (batch, out_features).
        hidden: the widths of the hidden layers.
        dropout: the share of hidden values that is dropped.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import mlp
        >>> tuple(mlp(64, 10)(tg.zeros(2, 1, 8, 8)).shape)
        (2, 10)
    """
    layers, width = [nn.Flatten()], in_features
    for next_width in hidden:
        layers += [
            nn.Linear(width, next_width),
            nn.BatchNorm1d(next_width),
            nn.ReLU(),
            nn.Dropout(dropout),
        ]
        width = next_width
    return nn.Sequential(*layers, nn.Linear(width, out_features))


MODELS = {"mlp": mlp}
