"""Which class an output chooses, and which class a target is."""

import math


def chosen(output):
    """The class of the largest logit: along dimension 1; with one logit a sample, 1 if it is above 0."""
    if output.dim() > 1 and output.size(1) > 1:
        return output.argmax(1)
    return (output.flatten() > 0).long()


def true(target):
    """The class of each target: of probabilities the largest, of one number a sample whether above ½."""
    if not target.is_floating_point():
        return target.long() if target.dim() == 1 else target.squeeze(1).long()
    if target.dim() > 1 and target.size(1) > 1:
        return target.argmax(1)
    return (target.flatten() > 0.5).long()


def is_soft(target):
    """Whether the target is a row of probabilities a sample, as `MixUp` makes them."""
    return target.is_floating_point() and target.dim() > 1 and target.size(1) > 1


def share(part, whole):
    """part / whole; NaN of nothing."""
    return part / whole if whole else math.nan


def classes_of(name, output, target, classes=None):
    """The target's class of each sample, and how many classes there are.

    Raises:
        ValueError: the outputs are not (n, classes) or (n,), or there is not a class below
            `classes` for each.
    """
    if output.dim() not in (1, 2) or output.shape[1:] == (0,):
        raise ValueError(
            f"{name}: got outputs of shape {tuple(output.shape)}: expected logits of shape "
            "(n, classes), or (n,) for two classes"
        )
    if classes is None:
        classes = max(2, output.size(1)) if output.dim() == 2 else 2
    wanted = true(target)
    low, high = (wanted.min().item(), wanted.max().item()) if wanted.numel() else (0, 0)
    if wanted.shape != output.shape[:1] or low < 0 or high >= classes:
        raise ValueError(
            f"{name}: got outputs of shape {tuple(output.shape)} and targets of shape "
            f"{tuple(target.shape)} from {low} to {high}: expected "
            f"a class from 0 to {classes - 1} for each output"
        )
    return wanted, classes
