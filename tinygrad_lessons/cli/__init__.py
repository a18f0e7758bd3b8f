"""The command `tgl`."""

import argparse
import sys

import tinygrad_lessons as tg
from tinygrad_lessons.cli import bench, info, race, train
from tinygrad_lessons.datasets import DatasetError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  # 128 + SIGINT, as shells report Ctrl-C


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and where to read on."""

    def error(self, message):
        self.exit(MISUSED, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv=None):
    """Run one command of `tgl` and return its exit code.

    0: done. 1: the training diverged. 2: a wrong argument, or a file that cannot be read or
    written. 130: interrupted.

    Args:
        argv: the arguments; those of the process if None.
    """
    parser = Parser(
        prog="tgl",
        description="Train small neural networks with tinygrad_lessons.",
        epilog="Example: tgl train digits --model mlp --epochs 20 --lr 1e-3 --optimizer adam",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tinygrad_lessons {tg.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    train.add_parser(commands)
    race.add_parser(commands)
    info.add_parser(commands)
    bench.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except (DatasetError, OSError) as error:
        code, message = MISUSED, f"error: {error}"
    except FloatingPointError as error:
        code, message = FAILED, f"error: {error}"
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    print(f"tgl {args.command}: {message}", file=sys.stderr)
    return code
