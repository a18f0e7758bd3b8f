"""What each technique of a configuration adds: trained without it, and with it alone."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median

import tinygrad_lessons as tg
from tinygrad_lessons.train.config import run
from tinygrad_lessons.train.config.components import DATASET, OPTIMIZER

FULL, BARE = "all of them", "none of them"


def _plain_schedule(config):
    """A constant rate: the optimizer's default, as the peak of a schedule is too high for one."""
    config.schedule = {"name": "none"}
    config.optimizer["lr"] = OPTIMIZER.complete({"name": config.optimizer["name"]})["lr"]


def _no_stopping(config):
    config.train.patience, config.train.restore_best = 0, False


def _setter(section, option, value):
    """Turns a technique off by one option."""

    def turn_off(config):
        config.override(f"{section}.{option}", value)

    return turn_off


TECHNIQUES = {  # name: (whether a complete configuration has it, how to turn it off)
    "augmentation": (lambda c: c.augment, lambda c: c.augment.clear()),
    "batch norm": (lambda c: c.model.get("batch_norm"), _setter("model", "batch_norm", False)),
    "dropout": (lambda c: c.model.get("dropout"), _setter("model", "dropout", 0.0)),
    "schedule": (lambda c: c.schedule["name"] != "none", _plain_schedule),
    "label smoothing": (
        lambda c: c.train.label_smoothing,
        _setter("train", "label_smoothing", 0.0),
    ),
    "weight decay": (
        lambda c: c.optimizer.get("weight_decay"),
        _setter("optimizer", "weight_decay", 0.0),
    ),
    "MixUp": (lambda c: c.train.mixup, _setter("train", "mixup", 0.0)),
    "CutMix": (lambda c: c.train.cutmix, _setter("train", "cutmix", 0.0)),
    "weight averaging": (lambda c: c.train.ema, _setter("train", "ema", 0.0)),
    "early stopping": (lambda c: c.train.patience, _no_stopping),
}


@dataclass
class Ablation:
    """The test errors of all variants, a share of the samples for each seed.

    Attributes:
        techniques: the names of those that the configuration has.
        without: {name: errors} of the configuration without one technique; FULL lacks none.
        alone: {name: errors} of the configuration with one technique alone; BARE has none.
    """

    techniques: list[str]
    without: dict[str, list[float]]
    alone: dict[str, list[float]]

    def markdown(self):
        """A table: the median (lowest to highest) of the errors, and what the technique changes."""
        lines = [
            "| technique | test error without it | it takes away | test error with it alone | it takes away |",
            "|---|---|---|---|---|",
        ]
        full, bare = median(self.without[FULL]), median(self.alone[BARE])
        for name in self.techniques:
            without, alone = self.without[name], self.alone[name]
            lines.append(
                f"| {name} | {_spread(without)} | {_change(median(without) - full)} "
                f"| {_spread(alone)} | {_change(bare - median(alone))} |"
            )
        lines.append(f"| {FULL} | {_spread(self.without[FULL])} | | | |")
        lines.append(f"| {BARE} | | | {_spread(self.alone[BARE])} | |")
        return "\n".join(lines) + "\n"


def _spread(errors):
    return f"{100 * median(errors):.2f} % ({100 * min(errors):.2f} to {100 * max(errors):.2f})"


def _change(share):
    return f"{100 * share:+.2f}"


def ablate(config, seeds, jobs=1, on_run=None):
    """Train a configuration with each of its techniques left out, and with each alone.

    Every variant is trained once per seed; the seed also chooses the split, where the data set
    has several. Figures are test errors.

    Args:
        config: a `Config`.
        seeds: the seeds.
        jobs: how many processes share the runs; the result is the same.
        on_run: called after each run with its number, how many there are, a line about it.

    Returns:
        An `Ablation`.

    Raises:
        ConfigError, DatasetError, OSError, FloatingPointError: as `config.run`.

    Example:
        >>> from tinygrad_lessons.train.ablation import ablate
        >>> from tinygrad_lessons.train.config import Config
        >>> config = Config(model={"name": "mlp", "hidden": [8], "dropout": 0.0})
        >>> config.override("train.epochs", 1)
        >>> print(ablate(config, seeds=[0]).techniques)
        ['batch norm', 'early stopping']
    """
    config, seeds = config.complete(), list(seeds)
    techniques = [name for name, (has, _) in TECHNIQUES.items() if has(config)]
    variants = {("without", FULL): [], ("alone", BARE): techniques}
    for name in techniques:
        variants["without", name] = [name]
        variants["alone", name] = [other for other in techniques if other != name]
    runs = [(key, seed) for key in variants for seed in seeds]
    configs = [variant(config, variants[key], seed) for key, seed in runs]
    result = Ablation(techniques, {}, {})
    with _mapping(jobs) as mapping:
        for count, ((kind, name), seed), error in zip(
            range(1, len(runs) + 1), runs, mapping(error_of, configs), strict=True
        ):
            getattr(result, kind).setdefault(name, []).append(error)
            if on_run is not None:
                line = f"{kind} {name}, seed {seed}: test error {100 * error:.2f} %"
                on_run(count, len(runs), line)
    return result


@contextmanager
def _mapping(jobs):
    """`map`, in this process or over several; these take their share of the threads."""
    if jobs == 1:
        yield map
        return
    threads = max(1, tg.get_num_threads() // jobs)
    spawn = get_context("spawn")  # a fork would share the engine's threads
    with ProcessPoolExecutor(jobs, spawn, tg.set_num_threads, (threads,)) as pool:
        yield pool.map


def error_of(config):
    """The share of the test samples that a run gets wrong."""
    return 1 - run(config)["test_accuracy"]


def variant(config, left_out, seed):
    """The configuration without some techniques, with that seed for training and split."""
    changed = deepcopy(config)
    for name in left_out:
        TECHNIQUES[name][1](changed)
    changed.train.seed = seed
    if DATASET.accepts(changed.data["name"], "seed"):
        changed.data["seed"] = seed
    return changed.complete()
