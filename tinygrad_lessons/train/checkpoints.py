"""Files to go on from: written in one step, with a checksum, several of them in a folder."""

import copy
import os
import re
import warnings
from pathlib import Path

import numpy as np

import tinygrad_lessons as tg


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used: damaged, or of something else."""


class CheckpointWarning(UserWarning):
    """A checkpoint was damaged or could not be written, and training goes on without it."""


def save_checkpoint(state, path) -> None:
    """Write a checkpoint: nested dicts, lists, numbers and tensors, as `tg.save` takes them.

    NumPy's numbers, which a metric or a learning rate may be, become plain ones.
    A killed process leaves the old file or the new one, and `load_checkpoint` notices damage.

    Raises:
        OSError: the file cannot be written (the disk is full, the folder is read-only); what was
            there before is still there.
        TypeError: `state` holds something else.

    Example:
        >>> import os, tempfile
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import load_checkpoint, save_checkpoint
        >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
        >>> save_checkpoint({"epoch": 3, "weights": tg.ones(2)}, path)
        >>> load_checkpoint(path)
        {'epoch': 3, 'weights': tensor([1., 1.])}
    """
    tg.save(_with_plain_numbers(state), path)


def _with_plain_numbers(state):
    """The same nested state without NumPy's numbers."""
    if isinstance(state, np.generic):
        return state.item()
    if isinstance(state, tuple):
        return tuple(map(_with_plain_numbers, state))
    if not isinstance(state, (dict, list)):
        return state
    plain = copy.copy(state)
    for key, value in state.items() if isinstance(state, dict) else enumerate(state):
        plain[key] = _with_plain_numbers(value)
    return plain


def load_checkpoint(path):
    """Read a checkpoint: of a file, or the newest of a folder that is whole.

    Of a run's folder, those in its `checkpoints/` are meant. Damaged files of a folder are passed
    over with a warning.

    Raises:
        CheckpointError: the file is damaged, or so are all of the folder.
        FileNotFoundError: there is no checkpoint.

    Example:
        >>> import os, tempfile
        >>> from tinygrad_lessons.train import Checkpoints, load_checkpoint
        >>> folder = tempfile.mkdtemp()
        >>> _ = Checkpoints(folder).save({"epoch": 1}, 10)
        >>> load_checkpoint(folder)
        {'epoch': 1}
    """
    path = Path(path)
    if path.is_dir():
        inner = path / "checkpoints"
        return Checkpoints(inner if inner.is_dir() else path).load()
    try:
        return tg.load(path)
    except RuntimeError as error:
        raise CheckpointError(
            f"{error}; give the folder {str(path.parent)!r} instead, and the newest whole "
            "checkpoint in it is taken"
        ) from None


class Checkpoints:
    """The checkpoints in a folder, `step-00000123.safetensors` by the step they were taken at.

    Args:
        folder: is made if it is not there.

    Example:
        >>> import tempfile
        >>> from tinygrad_lessons.train import Checkpoints
        >>> checkpoints = Checkpoints(tempfile.mkdtemp())
        >>> for step in (10, 20, 30):
        ...     _ = checkpoints.save({"step": step}, step)
        >>> checkpoints.keep([20, 30])
        >>> checkpoints.steps()
        [20, 30]
        >>> checkpoints.load()
        {'step': 30}
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def path(self, step) -> Path:
        """Where the checkpoint of a step is or would be."""
        return self.folder / f"step-{step:08d}.safetensors"

    def steps(self) -> list:
        """The steps there are checkpoints of, in order."""
        if not self.folder.is_dir():
            return []
        found = (re.fullmatch(r"step-(\d+)\.safetensors", p.name) for p in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def save(self, state, step) -> Path:
        """Write the checkpoint of a step; see `save_checkpoint`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(state, self.path(step))
        return self.path(step)

    def load(self):
        """The newest checkpoint that is whole; damaged ones are passed over with a warning.

        Raises:
            FileNotFoundError: there is none.
            CheckpointError: all are damaged.
        """
        steps = self.steps()
        if not steps:
            raise FileNotFoundError(f"no checkpoint in {str(self.folder)!r}")
        for step in reversed(steps):
            try:
                return tg.load(self.path(step))
            except RuntimeError as error:
                reason = error
                before = [other for other in steps if other < step]
                if before:
                    warnings.warn(
                        f"{error}; going on from the one before it, {self.path(before[-1]).name}",
                        CheckpointWarning,
                        stacklevel=2,
                    )
        raise CheckpointError(f"{reason}; no checkpoint in {str(self.folder)!r} is whole")

    def keep(self, steps) -> None:
        """Remove all checkpoints but those of these steps."""
        for step in set(self.steps()) - set(steps):
            self.path(step).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what killed processes left half written."""
        for path in self.folder.glob(".step-*.tmp"):
            path.unlink(missing_ok=True)

    def __repr__(self):
        return f"Checkpoints({os.fspath(self.folder)!r})"
