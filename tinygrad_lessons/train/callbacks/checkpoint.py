"""Checkpoints while training."""

import math
import warnings

from ..checkpoints import Checkpoints, CheckpointWarning
from .base import Callback
from .early_stopping import check_mode, monitored


class ModelCheckpoint(Callback):
    """Saves the trainer's whole state, to go on from with `fit(resume=folder)`.

    Files are written in one step and hold a checksum. One that cannot be written in the middle of
    training (a full disk) is a warning, and tried again with the next; in the end it is an error.
    Kept are the newest `keep_last` (so that there is one to fall back on), and the best `keep_best`.

    Args:
        folder: `checkpoints/` in a run's folder.
        every_epochs: save after so many epochs; None: not by epochs.
        every_steps: save after so many steps, in the middle of epochs too.
        keep_last: how many of the newest to keep; None: all.
        keep_best: how many of the best epochs to keep.
        monitor: what the best is best in; val_loss, or train_loss without validation, if None.
        mode: "min" if less is better, "max" if more is.

    Raises:
        ValueError: an argument is out of range.
        OSError: the folder cannot be written, at the start or in the end.
        FileExistsError: there are checkpoints in the folder, and training does not go on from one.

    Example:
        >>> import tempfile
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import ModelCheckpoint, Trainer
        >>> folder = tempfile.mkdtemp()
        >>> def trainer():
        ...     tg.manual_seed(0)
        ...     model = tg.nn.Linear(1, 1)
        ...     sgd = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        ...     return Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[ModelCheckpoint(folder)])
        >>> data = [(tg.ones(2, 1), tg.zeros(2, 1))]
        >>> first = trainer().fit(data, epochs=2)
        >>> history = trainer().fit(data, epochs=4, resume=folder)
        >>> [record["epoch"] for record in history], history[:2] == first
        ([1, 2, 3, 4], True)
    """

    order = 2  # what others keep must be up to date

    def __init__(
        self,
        folder,
        *,
        every_epochs: int | None = 1,
        every_steps: int | None = None,
        keep_last: int | None = 2,
        keep_best: int = 1,
        monitor: str | None = None,
        mode: str = "min",
    ):
        check_mode("ModelCheckpoint", mode)
        for name, value, least in (
            ("every_epochs", every_epochs, 1),
            ("every_steps", every_steps, 1),
            ("keep_last", keep_last, 1),
            ("keep_best", keep_best, 0),
        ):
            if value is not None and value < least:
                raise ValueError(
                    f"ModelCheckpoint: got {name}={value!r}: expected at least {least}"
                )
        self.checkpoints = Checkpoints(folder)
        self.every_epochs = every_epochs
        self.every_steps = every_steps
        self.keep_last = keep_last
        self.keep_best = keep_best
        self.monitor = monitor
        self.mode = mode
        self.best = []  # [figure, step], best first
        self._saved = None

    @property
    def best_path(self):
        """The checkpoint of the best epoch; None before the first."""
        return self.checkpoints.path(self.best[0][1]) if self.best else None

    def on_setup(self, trainer):
        """Refuse to write over another run."""
        if not trainer.resumed and self.checkpoints.steps():
            raise FileExistsError(
                f"ModelCheckpoint: {str(self.checkpoints.folder)!r} holds the checkpoints of "
                "another run: go on from them with fit(resume=…), or name another folder"
            )

    def on_fit_start(self, trainer):
        """Save the beginning, which also tells whether the folder can be written."""
        if trainer.resumed:
            self._saved = self._place(trainer)
            self.checkpoints.tidy()
            return
        self.best = []
        self._save(trainer)

    def on_step_end(self, trainer):
        """Save, every so many steps."""
        if self.every_steps is not None and trainer.step % self.every_steps == 0:
            self._try(trainer)

    def on_epoch_end(self, trainer):
        """Save, every so many epochs and when the epoch is among the best."""
        among_best = self._rank(trainer)
        due = self.every_epochs is not None and trainer.epoch % self.every_epochs == 0
        if due or among_best:
            self._try(trainer)

    def on_train_end(self, trainer):
        """Save the end, or say by an OSError that it cannot be done."""
        if self._saved != self._place(trainer):
            self._save(trainer)

    def _rank(self, trainer):
        """Put the epoch among the best, if it is one of them."""
        if not self.keep_best:
            return False
        monitor = self.monitor
        if monitor is None:
            monitor = "val_loss" if trainer.val_data is not None else "train_loss"
        figure = monitored("ModelCheckpoint", trainer.record, monitor)
        if math.isnan(figure):
            return False
        entry = [figure, trainer.step]
        better = sorted([*self.best, entry], key=lambda e: e[0] if self.mode == "min" else -e[0])
        self.best = better[: self.keep_best]
        return entry in self.best

    @staticmethod
    def _place(trainer):
        """What tells checkpoints of a run apart."""
        return trainer.step, len(trainer.history)

    def _try(self, trainer):
        try:
            self._save(trainer)
        except OSError as error:
            warnings.warn(
                f"ModelCheckpoint: {error}; training goes on, and the next one is tried again",
                CheckpointWarning,
                stacklevel=2,
            )

    def _save(self, trainer):
        self.checkpoints.save(trainer.state_dict(), trainer.step)
        self._saved = self._place(trainer)
        if self.keep_last is not None:
            newest = [step for step in self.checkpoints.steps() if step <= trainer.step]
            self.checkpoints.keep([*newest[-self.keep_last :], *(step for _, step in self.best)])

    def state_dict(self):
        """Which epochs are the best."""
        return {"best": self.best}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self.best = [list(entry) for entry in state["best"]]
