"""Figures for TensorBoard, written by its own package, which is imported when used."""

import math
import time
from pathlib import Path

from .base import Callback
from .loggers import rates

REMEDY = (
    "TensorBoardLogger needs tensorboard, which is not installed: "
    "pip install 'tinygrad_lessons[log]'"
)


class TensorBoardLogger(Callback):
    """Writes event files: each epoch's figures, and every so many steps loss, lr and momentum.

    After a checkpoint, TensorBoard is told to forget what the killed run had written behind it.

    Args:
        folder: for `tensorboard --logdir`.
        every: write the loss of each so-manieth step.

    Raises:
        ModuleNotFoundError: tensorboard is not installed.
        ValueError: `every` is below 1.

    >>> import os, tempfile
    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import TensorBoardLogger, Trainer
    >>> model, folder = tg.nn.Linear(1, 1), tempfile.mkdtemp()
    >>> sgd = tg.optim.SGD(model.parameters())
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[TensorBoardLogger(folder)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=1)
    >>> [name.split(".")[0] for name in os.listdir(folder)]
    ['events']
    """

    def __init__(self, folder, every: int = 1):
        if every < 1:
            raise ValueError(f"TensorBoardLogger: got every={every!r}: expected 1 or more")
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise ModuleNotFoundError(REMEDY) from error
        self._events, self._summaries, self._open = event_pb2, summary_pb2, EventFileWriter
        self.folder = Path(folder)
        self.every = every
        self._writer = None

    def on_fit_start(self, trainer):
        """Open a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer = self._open(str(self.folder))
        if trainer.resumed:
            start = self._events.SessionLog(status=self._events.SessionLog.START)
            self._add(trainer.step + 1, session_log=start)

    def _add(self, step, **content):
        event = self._events.Event(wall_time=time.time(), step=step, **content)
        self._writer.add_event(event)

    def _scalars(self, step, figures):
        value = self._summaries.Summary.Value
        values = [value(tag=tag, simple_value=figure) for tag, figure in figures.items()]
        self._add(step, summary=self._summaries.Summary(value=values))

    def on_step_end(self, trainer):
        """Write the step."""
        if trainer.step % self.every == 0:
            lr, momentum = rates(trainer.optimizer)
            figures = {"step/loss": trainer.step_loss}
            for name, value in (("lr", lr), ("momentum", momentum)):
                several = isinstance(value, list)
                for i, item in enumerate(value if several else [value]):
                    if item is not None:
                        figures[f"step/{name}/{i}" if several else f"step/{name}"] = item
            self._scalars(trainer.step, figures)

    def on_epoch_end(self, trainer):
        """Write the epoch's figures, at its last step."""
        record = trainer.history[-1]
        figures = {
            f"epoch/{name}": figure
            for name, figure in record.items()
            if isinstance(figure, (int, float)) and name not in ("epoch", "step")
        }
        self._scalars(trainer.step, {k: v for k, v in figures.items() if not math.isnan(v)})
        self._writer.flush()

    def on_fit_end(self, trainer):
        """Close the file."""
        self._writer.close()
