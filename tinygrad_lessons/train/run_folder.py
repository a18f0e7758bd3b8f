"""The folder that a run leaves behind: the one place that knows what is called what in it."""

import json
import tomllib
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

import tinygrad_lessons as tg
from tinygrad_lessons.serialization import replace_file

from .lines import plain

FILES = {
    "config": "config.toml",
    "metrics": "metrics.jsonl",
    "steps": "steps.jsonl",
    "gradients": "gradients.jsonl",
    "checkpoints": "checkpoints",
    "model": "model.safetensors",
    "predictions": "predictions.safetensors",
    "result": "result.json",
    "report": "report.html",
    "curves": "curves.png",
    "confusion": "confusion.png",
}


class RunFolder:
    """One run's files, by the paths `config`, `metrics`, `steps`, `gradients`, `checkpoints`, `model`,
    `predictions`, `result`, `report`, `curves` and `confusion`.

    Args:
        path: a folder that is empty or does not exist yet; see also `RunFolder.new` and
            `RunFolder.open`.

    Raises:
        FileExistsError: there is something at `path`.

    Example:
        >>> import tempfile
        >>> from tinygrad_lessons.train import RunFolder
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> folder.save_result({"test_accuracy": 0.98})
        >>> folder.result.name, RunFolder.open(folder.path).load_result()
        ('result.json', {'test_accuracy': 0.98})
    """

    def __init__(self, path):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()):
            raise FileExistsError(f"{path} is not empty: name another folder, or remove it")

    @classmethod
    def new(cls, parent, name):
        """A folder named after this moment, `parent/name-date-time`."""
        stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
        Path(parent).mkdir(parents=True, exist_ok=True)
        for i in count(1):
            path = Path(parent, stem if i == 1 else f"{stem}-{i}")
            with suppress(FileExistsError):  # of this moment, too
                path.mkdir()
                return cls(path)

    @classmethod
    def open(cls, path):
        """The folder of a run that has begun.

        Raises:
            FileNotFoundError: there is none.
        """
        folder = cls.__new__(cls)
        folder.path = Path(path)
        if not folder.path.is_dir():
            raise FileNotFoundError(f"{path} is no run folder: it is not there")
        return folder

    def __getattr__(self, name):
        if name in FILES:
            return self.path / FILES[name]
        raise AttributeError(f"RunFolder has no {name!r}; its files are {', '.join(FILES)}")

    def history(self) -> list[dict]:
        """The records of metrics.jsonl; none if it is not there, nor of a line that has no end yet."""
        if not self.metrics.exists():
            return []
        *lines, _ = self.metrics.read_text().split("\n")
        return [json.loads(line) for line in lines]

    def save_config(self, config):
        """Write config.toml in one step: what the run was asked for, a dict of TOML values."""
        import tomli_w

        replace_file(self.config, tomli_w.dumps(config).encode())

    def load_config(self) -> dict:
        """Read config.toml."""
        return tomllib.loads(self.config.read_text("utf-8"))

    def save_model(self, model):
        """Write the state_dict to model.safetensors."""
        tg.save(model.state_dict(), self.model)

    def save_predictions(self, split, logits, target, indices=None):
        """Write predictions.safetensors: what the model gave for the samples of a split."""
        if indices is None:
            indices = tg.arange(len(target))
        named = {"split": split, "logits": logits, "target": target, "indices": indices}
        tg.save(named, self.predictions)

    def save_result(self, result):
        """Write result.json in one step; null stands for NaN and infinities."""
        text = json.dumps(plain(result), indent=2, allow_nan=False) + "\n"
        replace_file(self.result, text.encode())

    def load_result(self) -> dict:
        """Read result.json."""
        return json.loads(self.result.read_text())
