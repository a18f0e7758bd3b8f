"""The folder that a run leaves behind."""

import json
from datetime import datetime
from itertools import count
from pathlib import Path

import tinygrad_lessons as tg
from tinygrad_lessons.report import pictures


class RunFolder:
    """One run's config.json, metrics.jsonl, curves.png, confusion.png and model.safetensors.

    Args:
        path: a folder that is empty or does not exist yet; see also `RunFolder.new`.

    Raises:
        FileExistsError: there is something at `path`.

    Example:
        >>> import tempfile
        >>> from tinygrad_lessons.train import RunFolder
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> folder.log({"epoch": 1, "val_loss": 0.5})
        >>> (folder.path / "metrics.jsonl").read_text()
        '{"epoch": 1, "val_loss": 0.5}\\n'
    """

    def __init__(self, path):
        self.path = Path(path)
        self.history = []
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()):
            raise FileExistsError(f"{path} is not empty: name another folder, or remove it")

    @classmethod
    def new(cls, parent, name):
        """A folder named after this moment, `parent/name-date-time`."""
        stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
        paths = (Path(parent, stem if i == 1 else f"{stem}-{i}") for i in count(1))
        return cls(next(path for path in paths if not path.exists()))

    def save_config(self, config):
        """Write config.json: what the run was asked for, a dict of JSON values."""
        (self.path / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    def log(self, metrics):
        """Append one epoch's metrics, a line of JSON, to metrics.jsonl."""
        self.history.append(metrics)
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(metrics) + "\n")

    def save_model(self, model):
        """Write the state_dict to model.safetensors."""
        tg.save(model.state_dict(), self.path / "model.safetensors")

    def plot_curves(self, best_epoch, title):
        """Draw the logged metrics as curves.png; needs matplotlib."""
        pictures.curves(self.history, best_epoch, title).savefig(self.path / "curves.png")

    def plot_confusion(self, counts, classes, title):
        """Draw a confusion matrix as confusion.png; needs matplotlib."""
        pictures.confusion(counts, classes, title).savefig(self.path / "confusion.png")
