"""What a trainer's checkpoint says of its parts, and what differs from those that are there."""

import warnings

from tinygrad_lessons.utils.data.epoch import sources_of

from .checkpoints import CheckpointError


def kind_of(part) -> str | None:
    """The name of a class, with that of what it wraps: "SAM of SGD"."""
    if part is None:
        return None
    inner = getattr(part, "optimizer", None) if hasattr(part, "param_groups") else None
    name = type(part).__name__
    return name if inner is None else f"{name} of {kind_of(inner)}"


def kinds(trainer) -> dict:
    """What the parts of a trainer are."""
    return {
        "model": kind_of(trainer.model),
        "optimizer": kind_of(trainer.optimizer),
        "scheduler": kind_of(trainer.scheduler),
    }


def load_model(trainer, state):
    """Load the model's weights, all or none.

    Raises:
        CheckpointError: names the weights that differ.
    """
    try:
        trainer.model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint is of another model: {error}") from None


def check_optimizer(trainer, state):
    """Raise CheckpointError unless optimizer and scheduler are those of the checkpoint."""
    for part in ("optimizer", "scheduler"):
        here, there = kinds(trainer)[part], state["kinds"][part]
        if here != there:
            raise CheckpointError(
                f"the checkpoint is of another {part}: it holds the state of "
                f"{there or 'none'}, but the trainer has {here or 'none'}"
            )
    saved, groups = state["optimizer"]["param_groups"], trainer.optimizer.param_groups
    sizes = [[len(group["params"]) for group in some] for some in (saved, groups)]
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            f"the checkpoint is of another optimizer: it holds groups of {sizes[0]} parameters, "
            f"but the trainer's optimizer has groups of {sizes[1]}"
        )


def check_transform(trainer, state):
    """Raise CheckpointError unless the batch_transform draws from as much as that of the checkpoint."""
    saved, here = len(state["batch_transform"]), len(sources_of(trainer.batch_transform))
    if saved != here:
        raise CheckpointError(
            f"the checkpoint is of another batch_transform: it holds {saved} states and generators "
            f"of it, but that of the trainer has {here}"
        )


def check_metrics(trainer, state):
    """Raise CheckpointError unless an epoch under way has summed up these metrics."""
    if state["metrics"].keys() != trainer.metrics.keys():
        raise CheckpointError(
            f"the checkpoint is in the middle of an epoch with the metrics {sorted(state['metrics'])}, "
            f"but the trainer has {sorted(trainer.metrics)}"
        )


def callback_states(trainer):
    """The states of those callbacks that have any, each with the name of its class."""
    states = [(type(callback).__name__, callback.state_dict()) for callback in trainer.callbacks]
    return [[name, state] for name, state in states if state]


def load_callbacks(trainer, states):
    """Give each callback its state: that of the next of its class in the checkpoint.

    Those that the checkpoint does not know begin anew; those that are not there any more are named
    in a warning.
    """
    left = list(states)
    for callback in trainer.callbacks:
        for i, (name, state) in enumerate(left):
            if name == type(callback).__name__:
                callback.load_state_dict(state)
                del left[i]
                break
    if left:
        names = ", ".join(name for name, _ in left)
        warnings.warn(
            f"the checkpoint holds the state of callbacks that the trainer does not have: {names}",
            stacklevel=4,
        )
