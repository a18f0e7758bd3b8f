"""What optimizers want of a training loop: a closure, or to be told when training pauses."""

import inspect
from contextlib import contextmanager


def wants_closure(optimizer) -> bool:
    """Whether `step` cannot do without a closure, as that of `LBFGS` and `SAM`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import wants_closure
    >>> p = tg.zeros(1, requires_grad=True)
    >>> wants_closure(tg.optim.LBFGS([p])), wants_closure(tg.optim.SGD([p]))
    (True, False)
    """
    while optimizer is not None:  # a wrapper may pass its closure on
        closure = inspect.signature(type(optimizer).step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            return True
        optimizer = getattr(optimizer, "optimizer", None)
    return False


def set_mode(optimizer, mode: str) -> None:
    """Call `train()` or `eval()` of an optimizer that has it, or of the one that it wraps.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import set_mode
    >>> sgd = tg.optim.SGDScheduleFree([tg.zeros(1, requires_grad=True)])
    >>> set_mode(sgd, "train")
    >>> sgd.param_groups[0]["train_mode"]
    True
    """
    while optimizer is not None:
        if hasattr(optimizer, mode):
            getattr(optimizer, mode)()
        optimizer = getattr(optimizer, "optimizer", None)


@contextmanager
def paused(optimizer):
    """A block in the optimizer's eval mode; after it, the optimizer is in the mode it was in."""
    training = any(group.get("train_mode") for group in optimizer.param_groups)
    set_mode(optimizer, "eval")
    try:
        yield
    finally:
        if training:
            set_mode(optimizer, "train")
