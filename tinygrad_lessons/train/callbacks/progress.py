"""How far training is, for who watches."""

import sys
from importlib.util import find_spec

from .base import Callback


def _in_notebook():
    """Whether this runs in a notebook that can show a bar of its own."""
    if "IPython" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


class Progress(Callback):
    """Shows a bar on a terminal and in a notebook, and a line per epoch in a file.

    Args:
        style: "bar", "notebook" or "lines"; chosen by where the output goes if None.
        file: where it goes; standard error if None.

    Raises:
        ValueError: another style.

    >>> import sys
    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import Progress, Trainer
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> _ = tg.nn.init.constant_(model.weight, 2.0)
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.5)
    >>> progress = Progress(file=sys.stdout)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[progress])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=2)
    epoch   1/2: loss 1.0000
    epoch   2/2: loss 0.0000
    """

    def __init__(self, style: str | None = None, file=None):
        if style not in (None, "bar", "notebook", "lines"):
            raise ValueError(
                f"Progress: got style {style!r}: expected 'bar', 'notebook', 'lines' or None"
            )
        self.style = style
        self.file = file
        self._bar = None

    def on_fit_start(self, trainer):
        """Open the bar."""
        file = sys.stderr if self.file is None else self.file
        style = self.style
        if style is None:
            style = "bar" if file.isatty() else "lines"
            style = "notebook" if self.file is None and _in_notebook() else style
        if style == "lines":
            return
        if style == "notebook":
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
        try:
            total = trainer.epochs * -(-len(trainer.train_data) // trainer.accumulate)
        except TypeError:  # the loader does not know how long it is
            total = None
        self._bar = tqdm(
            total=total, initial=trainer.step, unit="step", dynamic_ncols=True, file=file
        )
        self._name_epoch(trainer, trainer.epoch)

    def _name_epoch(self, trainer, epoch):
        self._bar.set_description(f"epoch {epoch}/{trainer.epochs}", refresh=False)

    def on_epoch_start(self, trainer):
        """Name the epoch."""
        if self._bar is not None:
            self._name_epoch(trainer, trainer.epoch)

    def on_step_end(self, trainer):
        """Move the bar."""
        if self._bar is not None:
            self._bar.update()

    def on_epoch_end(self, trainer):
        """Show the epoch's figures."""
        summary = summary_of(trainer.history[-1])
        if self._bar is not None:
            self._bar.set_postfix_str(summary)
        else:
            line = f"epoch {trainer.epoch:3}/{trainer.epochs}: {summary}"
            print(line, file=sys.stderr if self.file is None else self.file, flush=True)

    def on_fit_end(self, trainer):
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def summary_of(record):
    """The figures of an epoch in words: of validation where there is some, else of training."""
    words = [f"loss {record['train_loss']:.4f}"]
    part = "val_" if "val_loss" in record else "train_"
    for name, figure in record.items():
        if name.startswith(part) and name != "train_loss" and isinstance(figure, (int, float)):
            label = name.removeprefix("train_").replace("_", " ")
            percent = name.endswith("accuracy")
            words.append(f"{label} {100 * figure:.1f} %" if percent else f"{label} {figure:.4f}")
    return ", ".join(words)
