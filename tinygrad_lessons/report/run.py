"""A run folder as it is found: whole, still growing, cut off, or with damaged files."""

import json
import math
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.train import run_folder

FILES = {  # that are read, by the attribute of `Run` that holds what is in them
    "config": run_folder.FILES["config"],
    "history": run_folder.FILES["metrics"],
    "steps": run_folder.FILES["steps"],
    "gradients": run_folder.FILES["gradients"],
    "predictions": run_folder.FILES["predictions"],
    "result": run_folder.FILES["result"],
}
ABANDONED = 120  # seconds without a word after which a run without a result counts as interrupted


@dataclass
class Run:
    """What the files of a run folder say; None or empty where a file is missing or unreadable.

    Attributes:
        path: the folder.
        config: nested dict of config.toml.
        history: a dict per epoch, of metrics.jsonl.
        steps: a dict per step, of steps.jsonl.
        gradients: a dict per epoch, of gradients.jsonl.
        predictions: `Predictions` or None.
        result: dict of result.json.
        notes: a sentence about each file that is damaged.
        status: "finished", "running", or "interrupted" for a run that has no result and has not
            written for a while.
    """

    path: Path
    config: dict = field(default_factory=dict)
    history: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    gradients: list = field(default_factory=list)
    predictions: "Predictions | None" = None
    result: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    status: str = "interrupted"

    @property
    def written(self):
        """When the run last wrote one of its files, in seconds since 1970; reports do not count."""
        files = [self.path / name for name in (*FILES.values(), run_folder.FILES["checkpoints"])]
        return max(file.stat().st_mtime for file in files if file.exists())

    @property
    def seconds(self):
        """How long it took: by the result, or the sum over the epochs; None if neither says."""
        if is_number(self.result.get("seconds")):
            return self.result["seconds"]
        known = [line["seconds"] for line in self.history if is_number(line.get("seconds"))]
        return sum(known) if known else None

    @property
    def best_epoch(self):
        """The epoch of the result, or the one with the lowest validation (or training) loss."""
        if isinstance(self.result.get("best_epoch"), int):
            return self.result["best_epoch"] or None
        for name in ("val_loss", "train_loss"):
            losses = [
                (line[name], line.get("epoch"))
                for line in self.history
                if is_number(line.get(name))
            ]
            if losses:
                return min(losses, key=lambda pair: (math.isnan(pair[0]), pair[0]))[1]
        return None


@dataclass
class Predictions:
    """Logits (n, classes) with their targets (n,), and which samples of the split they belong to."""

    split: str
    logits: np.ndarray
    target: np.ndarray
    indices: np.ndarray


def read(path):
    """Read a run folder.

    Args:
        path: the folder.

    Raises:
        FileNotFoundError: there is no such folder, or none of a run's files is in it.

    Example:
        >>> import tempfile, pathlib
        >>> from tinygrad_lessons.report import read
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "metrics.jsonl").write_text('{"epoch": 1, "val_loss": 0.5}\\n{"epo')
        >>> run = read(folder)
        >>> run.history, run.notes
        ([{'epoch': 1, 'val_loss': 0.5}], ['metrics.jsonl: line 2 is damaged and was left out'])
    """
    path = Path(path)
    if not any((path / name).exists() for name in FILES.values()):
        raise FileNotFoundError(
            f"{path} is no run folder: expected at least one of {', '.join(FILES.values())} in it"
        )
    run = Run(path)
    for attribute, name in FILES.items():
        file = path / name
        if not file.exists():
            continue
        try:
            setattr(run, attribute, _READERS[file.suffix](file, run.notes))
        except (OSError, ValueError, RuntimeError) as error:  # decoding errors are ValueErrors
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            run.notes.append(f"{name} cannot be read: {reason.replace(str(path) + '/', '')}")
    run.status = _status(run)
    return run


def class_names(run, count, given=None):
    """Names of classes: those given, those in the result, or numbers; only as many as there are classes.

    Example:
        >>> from tinygrad_lessons.report.run import Run, class_names
        >>> class_names(Run("a"), 2), class_names(Run("a", result={"classes": ["cat", "dog"]}), 2)
        (['0', '1'], ['cat', 'dog'])
    """
    known = run.result.get("classes")
    for names in (given, known if isinstance(known, list) else None):
        if names is not None and len(names) == count:
            return [str(name) for name in names]
    return [str(i) for i in range(count)]


def is_number(value):
    """Whether a value is an int or float, bool left out."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _status(run):
    if run.result:
        stopped = str(run.result.get("stopped_by") or "")
        return "interrupted" if "interrupt" in stopped.lower() else "finished"
    seconds = [line["seconds"] for line in run.history if is_number(line.get("seconds"))]
    patience = max(ABANDONED, 3 * max(seconds, default=0))
    return "running" if time.time() - run.written < patience else "interrupted"


def _toml(file, notes):
    return tomllib.loads(file.read_text("utf-8"))


def _object(file, notes):
    value = _json(file.read_text("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")
    return value


def _json(text):
    """The value of JSON, whole numbers that no array holds as floats."""
    return json.loads(text, parse_int=lambda digits: (int if len(digits) < 19 else float)(digits))


def _lines(file, notes):
    """One object per line; a damaged line, such as the last one of a killed process, is left out."""
    found = []
    text = file.read_bytes().decode("utf-8", errors="replace")
    for count, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = _json(line)
        except ValueError:
            value = None
        if isinstance(value, dict) and all(is_number(value.get(k, 0)) for k in ("epoch", "step")):
            found.append(value)
        else:
            notes.append(f"{file.name}: line {count} is damaged and was left out")
    return found


def _predictions(file, notes):
    saved = tg.load(file)
    missing = {"logits", "target"} - set(saved)
    if missing:
        raise ValueError(f"it lacks {' and '.join(sorted(missing))}")
    logits, target = (saved[name].numpy() for name in ("logits", "target"))
    if len(logits) != len(target):
        raise ValueError(f"{len(logits)} logits and {len(target)} targets do not fit")
    indices = saved["indices"].numpy() if "indices" in saved else np.arange(len(target))
    if len(indices) != len(target):
        raise ValueError(f"{len(indices)} indices and {len(target)} targets do not fit")
    return Predictions(str(saved.get("split", "test")), logits, target, indices)


_READERS = {".toml": _toml, ".jsonl": _lines, ".json": _object, ".safetensors": _predictions}
