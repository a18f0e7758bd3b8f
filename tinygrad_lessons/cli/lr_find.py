"""`tgl lr-find`: which learning rates a training bears."""

import math

from tinygrad_lessons._figure import REMEDY, available
from tinygrad_lessons.cli.options import add_options, config_of
from tinygrad_lessons.cli.parser import UsageError, number
from tinygrad_lessons.train import lr_find
from tinygrad_lessons.train.config import build

EXAMPLES = """\
examples:
  tgl lr-find digits --model cnn
  tgl lr-find digits --optimizer sgd --momentum 0.9 --out lr.png
  tgl lr-find --config runs/mine/config.toml --start 1e-5 --end 1
"""


def add_parser(commands):
    """Add `lr-find` to the commands."""
    parser = commands.add_parser(
        "lr-find",
        help="find a learning rate: train while it grows, and look at the loss",
        description="Train a few steps while the learning rate grows from step to step, until the "
        "loss grows, too (the range test of Smith 2017). Draws the loss, and suggests learning "
        "rates: where the loss falls fastest, a tenth of where it is lowest, and two thirds into "
        "its longest descent.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    rate = number(float, "a number above 0", lambda x: 0 < x < math.inf)
    steps = number(int, "a whole number of at least 2", lambda n: n >= 2)
    test = parser.add_argument_group("range test")
    test.add_argument(
        "--start", type=rate, default=1e-6, metavar="X", help="first learning rate (default: 1e-6)"
    )
    test.add_argument(
        "--end", type=rate, default=10.0, metavar="X", help="last learning rate (default: 10)"
    )
    test.add_argument(
        "--steps", type=steps, default=100, metavar="N", help="how many (default: 100)"
    )
    test.add_argument("--out", metavar="FILE", default="lr_find.png", help="(default: lr_find.png)")
    add_options(parser)


def run(args):
    """Print the suggestions, and draw; returns the exit code."""
    parts = build(config_of(args))
    if args.start >= args.end:
        raise UsageError(
            f"got --start {args.start:g} and --end {args.end:g}: expected less, then more"
        )
    found = lr_find(
        parts.model,
        parts.loss,
        parts.optimizer,
        parts.train,
        start=args.start,
        end=args.end,
        steps=args.steps,
        batch_transform=parts.batch_transform,
    )
    if available():
        found.plot().savefig(args.out)
        print(f"written: {args.out}")
    else:
        print(REMEDY)
    for name, lr in found.suggestions.items():
        print(f"{name}: {lr:.3g}")
    return 0
