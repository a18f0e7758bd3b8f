"""Which class an output chooses, and which class a target is."""


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


def check_classes(name, output):
    """Raise ValueError unless there are logits (n, classes), or one a sample."""
    if output.dim() not in (1, 2) or output.numel() == 0:
        raise ValueError(
            f"{name}: got outputs of shape {tuple(output.shape)}: expected logits of shape "
            "(n, classes), or (n,) for two classes, with n of 1 or more"
        )
