"""How good predictions are."""

import tinygrad_lessons as tg


def hits(logits, target):
    """How many rows have their largest logit at the target."""
    return (logits.argmax(1) == target).sum().item()


def accuracy(logits, target):
    """The share of rows whose largest logit is the target's, as a Python float.

    Args:
        logits: shape (n, classes).
        target: class indices, int64 of shape (n,).

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import accuracy
        >>> accuracy(tg.tensor([[2.0, 1.0], [0.0, 3.0]]), tg.tensor([0, 0]))
        0.5
    """
    return hits(logits, target) / len(target)


def confusion_matrix(logits, target):
    """Counts, int64 of shape (classes, classes): row = true class, column = predicted class.

    Args:
        logits: shape (n, classes).
        target: class indices, int64 of shape (n,).

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import confusion_matrix
        >>> confusion_matrix(tg.tensor([[2.0, 1.0], [0.0, 3.0]]), tg.tensor([0, 0]))
        tensor([[1, 1],
                [0, 0]])
    """
    classes = logits.size(1)
    cells = target * classes + logits.argmax(1)
    counts = tg.zeros(classes * classes, dtype=tg.int64)
    counts.scatter_add_(0, cells, tg.ones_like(cells))
    return counts.view(classes, classes)
