"""The configuration of a run: its options, their ranges, and how it is read, changed and written."""

import math
import tomllib
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from tinygrad_lessons.train.config.components import (
    AUGMENT,
    DATASET,
    MODEL,
    OPTIMIZER,
    SCHEDULE,
)
from tinygrad_lessons.train.config.signature import ConfigError, describe, fits, nearest, plain

MONITORS = tuple(
    f"{part}_{name}" for part in ("val", "train") for name in ("loss", "accuracy", "mae", "r2")
)
RECIPES = Path(__file__).with_name("recipes")


def read_toml(path):
    """The tables of a TOML file.

    Raises:
        OSError: it cannot be read.
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from error


def option(default, help, low=-math.inf, high=math.inf, below=math.inf, choices=()):
    """A field of `Training`: its default, what it is, and its range (`below` is exclusive)."""
    limits = {"low": low, "high": high, "below": below}
    return field(default=default, metadata={"help": help, "choices": choices} | limits)


@dataclass
class Training:
    """The options of the training itself: the table [train] of a configuration."""

    batch_size: int = option(32, "samples per step", low=1)
    epochs: int = option(100, "passes over the data, at most", low=1)
    patience: int = option(15, "epochs without a better monitored metric; 0: never stop", low=0)
    restore_best: bool = option(True, "end with the weights of the best epoch, not of the last")
    monitor: str = option("val_loss", "figure that tells which epoch is best", choices=MONITORS)
    min_delta: float = option(0.0, "how much better counts as better", low=0)
    label_smoothing: float = option(0.0, "share of the target spread evenly", low=0, below=1)
    mixup: float = option(0.0, "alpha of MixUp; 0: none", low=0)
    cutmix: float = option(0.0, "alpha of CutMix; 0: none", low=0)
    augment_strength: float = option(1.0, "factor on the strengths of [[augment]]; 0: none", low=0)
    ema: float = option(0.0, "decay of a moving average of the weights; 0: none", low=0, below=1)
    accumulate: int = option(1, "batches whose gradients make one step", low=1)
    time_limit: float = option(0.0, "seconds of training, at most; 0: no limit", low=0)
    workers: int = option(0, "processes that load data", low=0)
    seed: int = option(0, "for weights, order, augmentation and dropout", low=0, below=2**63)
    threads: int = option(0, "threads of the engine, which change no bit; 0: its default", low=0)


def check_option(name, value, at):
    """Raise ConfigError unless `value` is one for the dataclass field `at`."""
    limits = at.metadata
    if not fits(value, at.type):
        raise ConfigError(f"{name}: got {value!r}, expected {describe(at.type)}")
    if limits["choices"] and value not in limits["choices"]:
        raise ConfigError(f"{name}: got {value!r}: {nearest(value, limits['choices'])}")
    if isinstance(value, str):
        return
    if not (limits["low"] <= value <= limits["high"] and value < limits["below"]):
        raise ConfigError(f"{name}: got {value!r}, expected {describe(at.type)} {_range(limits)}")


def _range(limits):
    if limits["below"] < math.inf:
        return f"from {limits['low']:g} to below {limits['below']:g}"
    return f"of at least {limits['low']:g}"


def _digits():
    return {"name": "digits"}


@dataclass
class Config:
    """All options of a run, as the tables of a TOML file.

    A table with a name (data, model, optimizer, schedule, and each of augment) has the options of
    what it names; `complete` fills in their defaults. See docs/config.md for all of them.

    Raises:
        ConfigError: by `complete`, `override` and `from_toml`: something is unknown or impossible;
            the message is one line that says where, and what comes nearest.

    Example:
        >>> from tinygrad_lessons.train.config import Config
        >>> config = Config(optimizer={"name": "SGD", "lr": 0.1})
        >>> config.override("train.epochs", 5)
        >>> config.train.epochs
        5
        >>> config.override("train.epoch", 5)
        Traceback (most recent call last):
        tinygrad_lessons.train.config.signature.ConfigError: train.epoch: unknown: did you mean 'epochs'?
        >>> config.complete().optimizer["momentum"]
        0
    """

    data: dict = field(default_factory=_digits)
    model: dict = field(default_factory=lambda: {"name": "mlp"})
    optimizer: dict = field(default_factory=lambda: {"name": "Adam"})
    schedule: dict = field(default_factory=lambda: {"name": "none"})
    augment: list = field(default_factory=list)
    train: Training = field(default_factory=Training)

    @classmethod
    def from_dict(cls, tables):
        """A configuration from nested dicts; what they leave out has its default.

        Raises:
            ConfigError: a table or an option of [train] is unknown or ill-typed.
        """
        config = cls()
        for section, table in tables.items():
            _check_section(section)
            if not isinstance(table, list if section == "augment" else dict):
                expected = "tables [[augment]]" if section == "augment" else f"a table [{section}]"
                raise ConfigError(f"{section}: got {table!r}, expected {expected}")
            if section == "train":
                for name, value in table.items():
                    config.override(f"train.{name}", value)
            else:
                setattr(config, section, deepcopy(table))
        return config

    @classmethod
    def from_toml(cls, path):
        """Read a file, as `to_toml` writes it or by hand.

        Raises:
            OSError: it cannot be read.
            ConfigError: it is not TOML, or as `from_dict`.
        """
        try:
            return cls.from_dict(read_toml(path))
        except ConfigError as error:
            raise ConfigError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error

    @classmethod
    def recipe(cls, dataset, model):
        """What is known to work well for that model on that data set, or the defaults."""
        dataset, model = DATASET.find(dataset)[0], MODEL.find(model)[0]
        path = RECIPES / f"{dataset}_{model}.toml"
        if path.exists():
            return cls.from_toml(path)
        return cls(data={"name": dataset}, model={"name": model})

    def override(self, key, value):
        """Set one option by its dotted name, as "optimizer.lr" or "augment.0.degrees", or a table.

        A new name of a model, optimizer, schedule or data set keeps those of the old one's options
        that it has as well.

        Raises:
            ConfigError: there is no such table or option, or the value is none for it.
        """
        section, _, name = key.partition(".")
        _check_section(section)
        if not name:
            tables = {**self.to_dict(), section: value}
            setattr(self, section, getattr(Config.from_dict(tables), section))
        elif section == "train":
            known = {at.name: at for at in fields(Training)}
            if name not in known:
                raise ConfigError(f"train.{name}: unknown: {nearest(name, list(known))}")
            check_option(f"train.{name}", value, known[name])
            setattr(self.train, name, value)
        elif section == "augment":
            self._override_augment(name, value)
        else:
            table = getattr(self, section)
            if name == "name":
                kind = KINDS[section]
                kept = {k: v for k, v in table.items() if k != "name" and kind.accepts(value, k)}
                table.clear()
                table |= {"name": value, **kept}
            else:
                _put(table, name, value)

    def _override_augment(self, name, value):
        number, _, name = name.partition(".")
        if not (number.isdigit() and int(number) < len(self.augment) and name):
            raise ConfigError(
                f"augment.{number}: expected a number below {len(self.augment)} and an option, "
                "as in augment.0.degrees"
            )
        _put(self.augment[int(number)], name, value)

    def complete(self):
        """A copy in which every option stands with its value, held against what it is for.

        Raises:
            ConfigError: as above.
        """
        tables = {section: kind.complete(getattr(self, section)) for section, kind in KINDS.items()}
        augment = [AUGMENT.complete(table, f"augment[{i}]") for i, table in enumerate(self.augment)]
        train = asdict(self.train)
        for at in fields(Training):
            check_option(f"train.{at.name}", train[at.name], at)
        return Config(**tables, augment=augment, train=Training(**train))

    def to_dict(self):
        """Nested dicts and lists, as `from_dict` takes them."""
        return plain(asdict(self))

    def to_toml(self):
        """The text of a TOML file; `from_toml` reads the same configuration from it."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())


KINDS = {"data": DATASET, "model": MODEL, "optimizer": OPTIMIZER, "schedule": SCHEDULE}


def _check_section(section):
    known = [at.name for at in fields(Config)]
    if section not in known:
        raise ConfigError(f"{section}: unknown: {nearest(section, known)}")


def _put(table, name, value):
    """Set an option, by a dotted name in a table within."""
    *outer, last = name.split(".")
    for part in outer:
        table = table.setdefault(part, {})
    table[last] = value


def better_is(monitor):
    """ "min" for a loss or an error, "max" for all else."""
    return "min" if monitor.endswith(("loss", "mae", "mse", "rmse")) else "max"
