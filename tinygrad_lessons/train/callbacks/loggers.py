"""Figures of epochs and of steps, as lines of a file."""

import csv
import io
import json

from ..lines import Lines, json_line, plain
from .base import Callback


class _EpochLog(Callback):
    """One line per epoch; after a checkpoint, the file is written anew from the history."""

    def __init__(self, path):
        self._lines = Lines(path, type(self).__name__)

    @property
    def path(self):
        """The file."""
        return self._lines.path

    def on_fit_start(self, trainer):
        """Begin the file with the epochs that there are."""
        self._lines.open(0)
        for record in trainer.history:
            self._add(record)

    def on_epoch_end(self, trainer):
        """Add the epoch's line."""
        self._add(trainer.history[-1])

    def on_fit_end(self, trainer):
        """Write what could not be written before, or say so by an OSError."""
        self._lines.close()


class JSONLLogger(_EpochLog):
    """Writes each epoch's record as a line of JSON; null stands for NaN and infinities.

    Args:
        path: the file, `metrics.jsonl` in a run's folder.

    Raises:
        OSError: at the start or in the end, if the file cannot be written; in between, lines that
            cannot be written are kept, with a warning.

    >>> import json, os, tempfile
    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import JSONLLogger, Trainer
    >>> model = tg.nn.Linear(1, 1)
    >>> path = os.path.join(tempfile.mkdtemp(), "metrics.jsonl")
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.5)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[JSONLLogger(path)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=2)
    >>> with open(path) as file:
    ...     [json.loads(line)["lr"] for line in file]
    [0.5, 0.5]
    """

    def _add(self, record):
        self._lines.add(json_line(record))


class CSVLogger(_EpochLog):
    """Writes each epoch's record as a line of a CSV file, below a line of names.

    Args:
        path: the file.

    Raises:
        OSError: as `JSONLLogger`.

    >>> import os, tempfile
    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import CSVLogger, Trainer
    >>> model = tg.nn.Linear(1, 1)
    >>> path = os.path.join(tempfile.mkdtemp(), "metrics.csv")
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.5)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[CSVLogger(path)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=1)
    >>> with open(path) as file:
    ...     file.readline()
    'epoch,step,train_loss,lr,seconds\\n'
    """

    def on_fit_start(self, trainer):
        """Begin the file with the epochs that there are."""
        self._names = []
        super().on_fit_start(trainer)

    def _add(self, record):
        if not self._names:
            self._names = list(record)
            self._lines.add(self._row(self._names))
        row = [plain(record.get(name)) for name in self._names]
        self._lines.add(self._row(["" if value is None else value for value in row]))

    def _row(self, values):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        return text.getvalue()


class LRMonitor(Callback):
    """Writes a line of JSON per step: step, epoch, loss, and what was used of lr and momentum.

    Momentum is the group's "momentum", or the first of its "betas"; null where there is neither.
    With several groups, lr and momentum are lists with a value each.

    Args:
        path: the file, `steps.jsonl` in a run's folder.
        every: only each so-manieth step.

    Raises:
        ValueError: `every` is below 1.
        OSError: as `JSONLLogger`.

    >>> import os, tempfile
    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import LRMonitor, Trainer
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> _ = tg.nn.init.constant_(model.weight, 2.0)
    >>> path = os.path.join(tempfile.mkdtemp(), "steps.jsonl")
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.5)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[LRMonitor(path)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=1)
    >>> with open(path) as file:
    ...     file.read()
    '{"step": 1, "epoch": 1, "loss": 1.0, "lr": 0.5, "momentum": 0.0}\\n'
    """

    def __init__(self, path, every: int = 1):
        if every < 1:
            raise ValueError(f"LRMonitor: got every={every!r}: expected 1 or more")
        self._lines = Lines(path, "LRMonitor", waiting=256)
        self.every = every
        self._size = 0
        self._used = None

    @property
    def path(self):
        """The file."""
        return self._lines.path

    def on_fit_start(self, trainer):
        """Begin the file, or cut it to where the checkpoint was taken."""
        self._lines.open(self._size if trainer.resumed else 0)

    def on_step_start(self, trainer):
        """Note what the step uses; a scheduler may change it behind the step."""
        if (trainer.step + 1) % self.every == 0:
            self._used = rates(trainer.optimizer)

    def on_step_end(self, trainer):
        """Add the step's line."""
        if trainer.step % self.every == 0:
            lr, momentum = self._used
            record = {
                "step": trainer.step,
                "epoch": trainer.epoch,
                "loss": trainer.step_loss,
                "lr": lr,
                "momentum": momentum,
            }
            self._lines.add(json.dumps(record) + "\n")  # all of it is finite

    def on_epoch_end(self, trainer):
        """Write the lines that wait."""
        self._lines.write()

    def on_fit_end(self, trainer):
        """Write the lines that wait, or say by an OSError that it cannot be done."""
        self._lines.close()

    def state_dict(self):
        """How long the file is."""
        return {"size": self._lines.sync()}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self._size = state["size"]


def rates(optimizer):
    """Learning rate and momentum: of the one group, or a list each of those of several."""
    lrs, momenta = [], []
    for group in optimizer.param_groups:
        lrs.append(float(group["lr"]))
        momentum = group.get("momentum")
        if momentum is None and "betas" in group:
            momentum = group["betas"][0]
        momenta.append(None if momentum is None else float(momentum))
    return (lrs[0], momenta[0]) if len(lrs) == 1 else (lrs, momenta)
