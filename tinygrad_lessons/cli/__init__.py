"""The command `tgl`."""

import sys

import tinygrad_lessons as tg
from tinygrad_lessons.cli import (
    ablate,
    bench,
    data,
    evaluate,
    info,
    lr_find,
    predict,
    race,
    runs,
    train,
    tune,
)
from tinygrad_lessons.cli.inputs import InputError
from tinygrad_lessons.cli.parser import MISUSED, Parser, UsageError
from tinygrad_lessons.datasets import DatasetError
from tinygrad_lessons.train import CheckpointError
from tinygrad_lessons.train.config import ConfigError

FAILED, INTERRUPTED = 1, 130  # 128 + SIGINT, as shells report Ctrl-C
COMMANDS = (train, evaluate, predict, tune, lr_find, ablate, race, bench, data, runs, info)
MISUSES = (
    UsageError,
    ConfigError,
    InputError,
    DatasetError,
    CheckpointError,
    ModuleNotFoundError,
    OSError,
)


def main(argv=None):
    """Run one command of `tgl` and return its exit code.

    0: done. 1: the training diverged, or the processes of a search died. 2: a wrong argument or
    configuration, or a file that cannot be read or written. 130: interrupted.

    Args:
        argv: the arguments; those of the process if None.
    """
    parser = Parser(
        prog="tgl",
        description="Train small neural networks with tinygrad_lessons.",
        epilog="examples:\n"
        "  tgl train digits --model cnn\n"
        "  tgl tune digits --trials 50\n"
        "  tgl runs\n\n"
        "tgl COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"tinygrad_lessons {tg.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    args = parser.parse_args(argv)
    args.argv = sys.argv[1:] if argv is None else list(argv)
    try:
        return args.run(args)
    except (FloatingPointError, ChildProcessError) as error:
        code, message = FAILED, f"error: {_line(error)}"
    except MISUSES as error:
        code, message = MISUSED, f"error: {_line(error)}"
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    print(f"tgl {args.command}: {message}", file=sys.stderr)
    return code


def _line(error):
    return " ".join(str(error).split())
