"""What to search: options of a configuration, each with its choices or its range."""

import json
from copy import deepcopy

from tinygrad_lessons.train.config.components import DATASET, MODEL, OPTIMIZER, SCHEDULE
from tinygrad_lessons.train.config.signature import ConfigError, nearest

KINDS = {"data": DATASET, "model": MODEL, "optimizer": OPTIMIZER, "schedule": SCHEDULE}
GRID_POINTS = 3  # of a range, in a grid


def default_space(config):
    """The options that matter most for a configuration, with ranges that hold what usually works.

    Example:
        >>> from tinygrad_lessons.train.config import Config
        >>> from tinygrad_lessons.tune import default_space
        >>> default_space(Config())["optimizer.lr"]
        {'low': 0.0001, 'high': 0.3, 'log': True}
    """
    space: dict = {
        "optimizer.name": ["AdamW", "SGD", "RMSprop"],
        "schedule.name": ["none", "OneCycleLR", "CosineAnnealingLR"],
        "optimizer.lr": {"low": 1e-4, "high": 0.3, "log": True},
        "optimizer.momentum": {"low": 0.0, "high": 0.95},
        "optimizer.weight_decay": {"low": 1e-6, "high": 0.1, "log": True},
        "optimizer.l1": {"low": 1e-8, "high": 1e-3, "log": True},
        "optimizer.l2": {"low": 1e-8, "high": 1e-3, "log": True},
        "train.batch_size": [16, 32, 64, 128],
        "model.dropout": {"low": 0.0, "high": 0.6},
        "model.hidden": [[64], [128], [256], [256, 128]],
        "model.channels": [[16, 32], [32, 64], [48, 96]],
    }
    for option in ("dropout", "hidden", "channels"):
        if not MODEL.accepts(config.model["name"], option):
            del space[f"model.{option}"]
    if config.augment:
        space["train.augment_strength"] = {"low": 0.0, "high": 2.0}
    return space


def flatten(space, prefix=""):
    """A space with dotted names, from tables as of TOML; every entry is checked.

    Raises:
        ConfigError: an entry is neither a list of choices nor a range {low, high, log, step}.

    Example:
        >>> from tinygrad_lessons.tune.space import flatten
        >>> flatten({"train": {"batch_size": [16, 32]}})
        {'train.batch_size': [16, 32]}
    """
    flat = {}
    for name, entry in space.items():
        key = f"{prefix}{name}"
        if isinstance(entry, dict) and not {"low", "high"} & set(entry):
            flat |= flatten(entry, f"{key}.")
        else:
            _check(key, entry)
            flat[key] = entry
    return flat


def _check(key, entry):
    if isinstance(entry, list | tuple):
        if not entry:
            raise ConfigError(f"space: {key}: got an empty list, expected choices")
        return
    if not isinstance(entry, dict):
        raise ConfigError(
            f"space: {key}: got {entry!r}, expected a list of choices or a range, as "
            "{low = 1e-4, high = 0.1, log = true}"
        )
    known = ("low", "high", "log", "step")
    for name in entry:
        if name not in known:
            raise ConfigError(f"space: {key}.{name}: unknown: {nearest(name, known)}")
    low, high = entry.get("low"), entry.get("high")
    numbers = all(type(bound) in (int, float) for bound in (low, high))
    if not (numbers and low <= high):
        raise ConfigError(f"space: {key}: got {low!r} to {high!r}, expected low and high, numbers")
    if entry.get("log") and (low <= 0 or "step" in entry):
        raise ConfigError(f"space: {key}: a logarithmic range begins above 0 and has no step")


def checked(space, config):
    """A space, flat, if each of its options is one that the configuration can have.

    Raises:
        ConfigError: one is not; or as `flatten`.
    """
    space = flatten(space)
    for key, entry in space.items():
        section, _, option = key.partition(".")
        kind = KINDS.get(section)
        if kind is None or option == "name":
            choices = [entry["low"], entry["high"]] if isinstance(entry, dict) else entry
            for choice in choices:
                deepcopy(config).override(key, choice)
                if kind is not None:
                    kind.find(choice)
            continue
        names = space.get(f"{section}.name", [getattr(config, section)["name"]])
        if not any(kind.accepts(name, option) for name in names):
            known = sorted({known for name in names for known in kind.complete({"name": name})})
            raise ConfigError(
                f"space: {key}: no {section} of {names} has it: {nearest(option, known)}"
            )
    return space


def suggest(trial, space, config):
    """Set the options of the space in a configuration, to what the trial proposes for each.

    Names come first: an option that the model or optimizer of that name does not have is left
    out.

    Args:
        trial: an Optuna trial.
        space: as `flatten` returns it.
        config: a `Config`, which is changed.
    """
    for key, entry in names_first(space):
        section, _, option = key.partition(".")
        kind = KINDS.get(section)
        table = getattr(config, section, None)
        if kind is None or option == "name" or kind.accepts(table["name"], option):
            config.override(key, propose(trial, key, entry))


def names_first(options):
    """The items of {dotted name: value}, those before others on which they depend."""
    return sorted(options.items(), key=lambda item: not item[0].endswith(".name"))


def propose(trial, key, entry):
    """One value: by `suggest_categorical`, `suggest_int` or `suggest_float`."""
    if isinstance(entry, dict):
        low, high = entry["low"], entry["high"]
        log, step = entry.get("log", False), entry.get("step")
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(key, low, high, log=log, step=step or 1)
        return trial.suggest_float(key, low, high, log=log, step=step)
    return decode(trial.suggest_categorical(key, [encode(choice) for choice in entry]))


def encode(choice):
    """A choice as Optuna stores it: lists and tables as JSON."""
    return json.dumps(choice) if isinstance(choice, list | tuple | dict) else choice


def decode(choice):
    """What `encode` was given."""
    compound = isinstance(choice, str) and choice[:1] in ("[", "{")
    return json.loads(choice) if compound else choice


def grid(space):
    """{name: values} for a grid: choices as they are, a range by its steps, or by three points.

    Example:
        >>> from tinygrad_lessons.tune.space import grid
        >>> grid({"optimizer.lr": {"low": 1.0, "high": 4.0, "log": True}, "model.hidden": [[8]]})
        {'optimizer.lr': [1.0, 2.0, 4.0], 'model.hidden': ['[8]']}
    """
    return {key: _points(entry) for key, entry in space.items()}


def _points(entry):
    if not isinstance(entry, dict):
        return [encode(choice) for choice in entry]
    low, high, step = entry["low"], entry["high"], entry.get("step")
    if step:
        return [low + i * step for i in range(int((high - low) / step + 1e-9) + 1)]
    shares = [i / (GRID_POINTS - 1) for i in range(GRID_POINTS)]
    if entry.get("log"):
        points = [low * (high / low) ** share for share in shares]
    else:
        points = [low + (high - low) * share for share in shares]
    if isinstance(low, int) and isinstance(high, int):
        points = [round(point) for point in points]
    return list(dict.fromkeys(points))
