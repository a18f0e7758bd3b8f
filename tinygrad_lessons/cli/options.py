"""Flags of the options of a configuration, the same for all commands that train."""

import argparse
import tomllib
from dataclasses import fields

from tinygrad_lessons.cli.parser import UsageError
from tinygrad_lessons.train.config import Config, ConfigError, Training
from tinygrad_lessons.train.config.components import DATASET, MODEL, OPTIMIZER, SCHEDULE

NAMED = [  # options that often change, of the components: flag, key, metavar, help
    ("--model", "model.name", "NAME", f"{', '.join(MODEL.names)}, or a function of yours: MODULE:FUNCTION"),
    ("--hidden", "model.hidden", "N,N", "widths of the hidden layers"),
    ("--channels", "model.channels", "N,N", "channels of a cnn's blocks"),
    ("--dropout", "model.dropout", "P", "share of values to drop"),
    ("--optimizer", "optimizer.name", "NAME", f"update rule: {', '.join(OPTIMIZER.names)}"),
    ("--lr", "optimizer.lr", "X", "learning rate"),
    ("--momentum", "optimizer.momentum", "X", "for the optimizers that have it"),
    ("--weight-decay", "optimizer.weight_decay", "X", "as the optimizer defines it"),
    ("--l1", "optimizer.l1", "X", "pull of all weights to zero, by its sign"),
    ("--l2", "optimizer.l2", "X", "pull of all weights to zero, by their size"),
    ("--max-grad-norm", "optimizer.max_grad_norm", "X", "clip gradients to this norm"),
    ("--schedule", "schedule.name", "NAME", f"of the learning rate: {', '.join(SCHEDULE.names)}"),
    ("--warmup", "schedule.warmup", "N", "steps or epochs of rising learning rate before it"),
    ("--split-seed", "data.seed", "N", "for the split of the data"),
    ("--root", "data.root", "DIR", "folder of the data set's files"),
]  # fmt: skip


def add_options(parser, model="mlp"):
    """Add DATASET, --config, a flag per option of [train], the named ones, and --set.

    Args:
        parser: of the command.
        model: which one is meant where none is named.
    """
    group = parser.add_argument_group("data, model, optimizer, schedule")
    add_data_options(parser, group)
    parser.set_defaults(default_model=model)
    _add_named(group, [row for row in NAMED if not row[1].startswith("data.")])
    group = parser.add_argument_group("training")
    for at in fields(Training):
        flag = "--" + at.name.replace("_", "-")
        help = f"{at.metadata['help']} (default: {at.default})"
        dest = f"train.{at.name}"
        if at.type is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, dest=dest, action=action, default=None, help=help)
        else:
            metavar = {int: "N", float: "X", str: "NAME"}[at.type]
            group.add_argument(flag, dest=dest, metavar=metavar, type=READERS[metavar], help=help)


def add_data_options(parser, group=None):
    """Add DATASET, --config, --set, and the flags of the data."""
    parser.set_defaults(default_model="mlp")
    parser.add_argument(
        "dataset", nargs="?", metavar="DATASET", help=f"one of {', '.join(DATASET.names)}"
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file of options; flags override it")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=assignment,
        metavar="KEY=VALUE",
        help="any option by its name in the file, as optimizer.betas=[0.9,0.98]; may be repeated",
    )
    _add_named(group or parser, [row for row in NAMED if row[1].startswith("data.")])


def _add_named(group, rows):
    for flag, key, metavar, help in rows:
        group.add_argument(flag, dest=key, metavar=metavar, type=READERS[metavar], help=help)


def read(text):
    """A flag's text as a value: what TOML reads, a list of what commas separate, or a string.

    Example:
        >>> from tinygrad_lessons.cli.options import read
        >>> read("1e-3"), read("256,128"), read("[0.9, 0.98]"), read("adam")
        (0.001, [256, 128], [0.9, 0.98], 'adam')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        pass
    try:
        return float(text)  # as .5, which TOML lacks
    except ValueError:
        return [read(part) for part in text.split(",")] if "," in text else text


def widths(text):
    """A flag's text as a list, also of one."""
    value = read(text)
    return value if isinstance(value, list) else [value]


READERS = {"NAME": str, "DIR": str, "N,N": widths, "N": read, "X": read, "P": read}


def assignment(text):
    """An argparse type: KEY=VALUE as (key, value)."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected KEY=VALUE")
    return key.strip(), read(value.strip())


def config_of(args):
    """The configuration that the arguments ask for, complete.

    The base is the file that --config names, or else the recipe of that model on that data set,
    or the defaults.

    Raises:
        ConfigError: there is no data set, or an option is unknown or impossible.
        OSError: the file cannot be read.
    """
    flags = {key: value for key, value in vars(args).items() if "." in key and value is not None}
    if args.config:
        config = Config.from_toml(args.config)
        if args.dataset:
            config.override("data.name", args.dataset)
    elif args.dataset:
        config = Config.recipe(args.dataset, flags.get("model.name", args.default_model))
    else:
        raise ConfigError(f"name a data set ({', '.join(DATASET.names)}) or a --config")
    names_first = sorted([*flags.items(), *args.set], key=lambda one: not one[0].endswith(".name"))
    for key, value in names_first:
        config.override(key, value)
    return config.complete()


def refuse_options(args, but):
    """Refuse what was given beside these: a folder to go on with has a configuration of its own.

    Raises:
        UsageError: an option was given; the message names it.
    """
    for name, value in vars(args).items():
        if name not in (
            "command",
            "run",
            "default_model",
            "argv",
            "resume",
            *but,
        ) and value not in (None, []):
            flag = next((flag for flag, key, *_ in NAMED if key == name), None)
            flag = flag or "--" + name.rpartition(".")[2].replace("_", "-")
            raise UsageError(
                f"{flag.removeprefix('--') if name == 'dataset' else flag}: not allowed with --resume, which goes on as it began"
            )
