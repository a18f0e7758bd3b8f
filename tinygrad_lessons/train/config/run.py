"""A configuration carried out: trained, tested, and its folder filled."""

from dataclasses import dataclass

import tinygrad_lessons as tg
from tinygrad_lessons import report
from tinygrad_lessons._figure import available
from tinygrad_lessons.nn import Module
from tinygrad_lessons.train.callbacks import (
    EMA,
    Callback,
    EarlyStopping,
    GradientAccumulation,
    GradientStats,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Progress,
    TimeBudget,
)
from tinygrad_lessons.train.config.build import EVAL_BATCH_SIZE, build, judges, load_data
from tinygrad_lessons.train.config.components import make_model
from tinygrad_lessons.train.config.data import csv_features
from tinygrad_lessons.train.config.schema import Config, better_is
from tinygrad_lessons.train.config.signature import ConfigError
from tinygrad_lessons.train.evaluation import evaluate, predict
from tinygrad_lessons.train.run_folder import RunFolder
from tinygrad_lessons.train.trainer import Trainer
from tinygrad_lessons.utils.data import DataLoader

INTERRUPTS = ("SIGINT", "SIGTERM")  # what `Trainer.stopped_by` says then


class OnEpoch(Callback):
    """Calls a function with each epoch's metrics."""

    order = 1  # after those that note what is best

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, trainer):
        """Hand on the newest entry of the history."""
        self.function(trainer.history[-1])


def make_trainer(config, parts, callbacks=()):
    """The `Trainer` of a run, and the `EarlyStopping` in it, which knows the best epoch."""
    options = config.train
    stopper = EarlyStopping(
        options.monitor,
        better_is(options.monitor),
        options.patience or options.epochs + 1,
        options.min_delta,
        options.restore_best,
    )
    asked = [stopper, *callbacks]
    if options.ema:
        asked.append(EMA(options.ema))
    if options.accumulate > 1:
        asked.append(GradientAccumulation(options.accumulate))
    if options.time_limit:
        asked.append(TimeBudget(options.time_limit))
    trainer = Trainer(
        parts.model,
        parts.loss,
        parts.optimizer,
        scheduler=parts.schedule,
        scheduler_interval=parts.interval,
        callbacks=asked,
        metrics=parts.metrics,
        batch_transform=parts.batch_transform,
    )
    return trainer, stopper


def fit(config, on_epoch):
    """Train without a folder or a look at the test data; returns the history.

    Args:
        config: a complete `Config`.
        on_epoch: called with each epoch's metrics; what it raises ends the training.

    Raises:
        FloatingPointError: the training diverged.
        KeyboardInterrupt: it was interrupted.
    """
    parts = build(config)
    trainer, _ = make_trainer(config, parts, [OnEpoch(on_epoch)])
    history = trainer.fit(parts.train, parts.val, config.train.epochs)
    _raise_interrupt(trainer)
    return history


def run(config, folder=None, resume=False, on_epoch=None, say=None, parts=None):
    """Train what a configuration describes, test it, and leave a run folder.

    The folder is described by `RunFolder`. The same configuration gives the same weights, bit for
    bit, on the same instruction set, also if the run was interrupted and resumed.

    Args:
        config: a `Config`.
        folder: path of the run folder; None leaves nothing behind.
        resume: go on with the run in the folder, from its newest whole checkpoint.
        on_epoch: called with each epoch's metrics.
        say: called with lines of text about what is done; with it, progress is shown, too.
        parts: what `build` made of the configuration, if that is done already.

    Returns:
        A dict: test_loss, test_accuracy (or test_mae and test_r2 of a regression), best_epoch, epochs, seconds, stopped_by, and of the
        data: shape and classes.

    Raises:
        ConfigError: the configuration is impossible; nothing is left behind.
        DatasetError, OSError: data cannot be had, or the folder cannot be written.
        CheckpointError: no checkpoint is whole, or they are of another configuration.
        FloatingPointError: the training diverged.
        KeyboardInterrupt: it was interrupted; the best weights so far are in the folder.

    Example:
        >>> from tinygrad_lessons.train.config import Config, run
        >>> config = Config(model={"name": "mlp", "hidden": [16]})
        >>> config.override("train.epochs", 1)
        >>> result = run(config)
        >>> result["epochs"], result["stopped_by"], result["shape"]
        (1, 'epochs', [1, 8, 8])
    """
    config = config.complete()
    parts = parts or build(config)
    callbacks = [] if on_epoch is None else [OnEpoch(on_epoch)]
    if folder is not None:
        folder = RunFolder.open(folder) if resume else RunFolder(folder)
        folder.save_config(config.to_dict())
        callbacks += [
            JSONLLogger(folder.metrics),
            LRMonitor(folder.steps),
            GradientStats(folder.gradients),
            ModelCheckpoint(
                folder.checkpoints,
                monitor=config.train.monitor,
                mode=better_is(config.train.monitor),
            ),
        ]
    if say is not None:
        callbacks.append(Progress())
        _introduce(config, parts, say)
    trainer, stopper = make_trainer(config, parts, callbacks)
    try:
        from_where = folder.checkpoints if resume else None
        history = trainer.fit(parts.train, parts.val, config.train.epochs, resume=from_where)
    finally:  # however it ended, the best weights stay
        if folder is not None and trainer.history:
            folder.save_model(parts.model)
    result = {
        "best_epoch": stopper.best_epoch,
        "epochs": len(history),
        "seconds": sum(metrics["seconds"] for metrics in history),
        "stopped_by": trainer.stopped_by,
        "shape": list(parts.splits.shape),
        "outputs": parts.splits.outputs,
        "classes": list(parts.splits.classes),
    }
    if trainer.stopped_by not in INTERRUPTS:
        tested = trainer.evaluate(parts.test)
        result = {f"test_{name}": figure for name, figure in tested.items()} | result
        if folder is not None:
            folder.save_predictions("test", *trainer.predict(parts.test))
    if folder is not None:
        folder.save_result(result)
        _report(folder, parts)
    if say is not None:
        say(f"best epoch: {result['best_epoch']} of {result['epochs']}")
    _raise_interrupt(trainer)
    return result


def _raise_interrupt(trainer):
    if trainer.stopped_by in INTERRUPTS:
        raise KeyboardInterrupt


def _introduce(config, parts, say):
    """Say what is about to be trained."""
    sizes = [len(getattr(parts.splits, split)) for split in ("train", "val", "test")]
    parameters = sum(parameter.numel() for parameter in parts.model.parameters())
    say(
        f"{config.data['name']}: {sizes[0]} training, {sizes[1]} validation, {sizes[2]} test samples"
    )
    say(
        f"{config.model['name']}: {parameters:,} parameters, trained by "
        f"{config.optimizer['name']} at {parts.optimizer.param_groups[0]['lr']:g}"
    )


def _report(folder, parts):
    """Write report.html, and the pictures where matplotlib is there to draw them."""
    splits = parts.splits
    images = splits.test.tensors[0].numpy() if len(splits.shape) == 3 else None
    report.write(folder.path, images, splits.classes)
    if available():
        report.write_pictures(folder.path, splits.classes)


@dataclass
class Loaded:
    """A run's model with the weights that it ended with.

    Attributes:
        config: its `Config`.
        model: in evaluation mode.
        shape: of one sample.
        classes: their names.
    """

    config: Config
    model: Module
    shape: tuple[int, ...]
    classes: tuple[str, ...]

    def evaluate(self, split):
        """(metrics, outputs, target) of a split of the run's data set."""
        splits = load_data(self.config)
        loader = DataLoader(getattr(splits, split), EVAL_BATCH_SIZE)
        loss, metrics = judges(splits)
        metrics = evaluate(self.model, loss, loader, metrics)
        return metrics, *predict(self.model, loader)

    def read_table(self, path):
        """The rows of a CSV file as the model takes them, if it was trained on a table; else None."""
        if self.config.data["name"] != "csv":
            return None
        options = {name: value for name, value in self.config.data.items() if name != "name"}
        return csv_features(path, options)


def load_run(path):
    """Read a run folder back, to evaluate its model or to predict with it.

    Raises:
        FileNotFoundError: there is no such folder, or the run has not ended.
        ConfigError: its configuration cannot be used here.
    """
    folder = RunFolder.open(path)
    for file in (folder.config, folder.result, folder.model):
        if not file.exists():
            raise FileNotFoundError(f"{path} holds no finished run: it has no {file.name}")
    config = Config.from_toml(folder.config).complete()
    result = folder.load_result()
    shape, classes = tuple(result["shape"]), tuple(result["classes"])
    model = make_model(config.model, shape, result["outputs"])
    try:
        model.load_state_dict(tg.load(folder.model))
    except (KeyError, RuntimeError) as error:
        line = " ".join(str(error).split())
        raise ConfigError(
            f"{folder.model} does not fit the model of config.toml: {line}"
        ) from error
    return Loaded(config, model.eval(), shape, classes)
