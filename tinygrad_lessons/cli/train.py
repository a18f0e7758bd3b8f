"""`tgl train`: train a model on a data set, and leave a run folder."""

import sys
from pathlib import Path

from tinygrad_lessons._figure import REMEDY, available
from tinygrad_lessons.cli.options import add_options, config_of, refuse_options
from tinygrad_lessons.train import RunFolder
from tinygrad_lessons.train.config import Config, build
from tinygrad_lessons.train.config import run as run_config

EPILOG = """\
examples:
  tgl train digits --model cnn
  tgl train digits --model mlp --epochs 20 --lr 1e-3 --optimizer adam --seed 0
  tgl train digits --model cnn --optimizer sgd --lr 0.1 --momentum 0.9 --schedule one-cycle
  tgl train digits --epochs 5 --set optimizer.betas=[0.9,0.98] --out runs/mine
  tgl train --config runs/mine/config.toml
  tgl train --resume runs/mine
"""


def add_parser(commands):
    """Add `train` to the commands."""
    parser = commands.add_parser(
        "train",
        help="train a model on a data set",
        description="Train a classifier on a data set until the validation loss stops improving, "
        "test its best weights on held-out data, and leave a run folder with the configuration, "
        "the figures of each epoch, checkpoints, the weights, and a report. The same options give "
        "the same run. Ctrl-C ends it and keeps the best weights so far; --resume goes on where "
        "a run was interrupted, killed or ended, to the bits that it would have come to.",
        epilog=EPILOG,
    )
    parser.set_defaults(run=run)
    add_options(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", metavar="DIR", help="run folder (default: runs/DATASET-MODEL-TIME)")
    where.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")


def run(args):
    """Train, test, and fill the run folder; returns the exit code."""
    if args.resume:
        refuse_options(args, but=())
        folder = Path(args.resume)
        config = Config.from_toml(folder / "config.toml").complete()
        parts = build(config)
    else:
        config = config_of(args)
        parts = build(config)  # before there is a folder: an impossible configuration leaves none
        name = "-".join(table["name"].replace(":", ".") for table in (config.data, config.model))
        folder = Path(args.out) if args.out else RunFolder.new("runs", name).path
    if not available():
        print(REMEDY, file=sys.stderr)
    try:
        result = run_config(config, folder, resume=bool(args.resume), say=say, parts=parts)
    except (KeyboardInterrupt, FloatingPointError):
        say(f"run folder: {folder}")
        raise
    say(f"run folder: {folder}")
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        say(f"  {path}")
    say(figure("test", result))
    return 0


def figure(split, metrics):
    """What tells most of how good a model is, in words."""
    if f"{split}_accuracy" in metrics:
        return f"{split} accuracy: {100 * metrics[f'{split}_accuracy']:.1f} %"
    return f"{split} R²: {metrics[f'{split}_r2']:.4f}"


def say(line):
    """Print a line at once, so that it keeps its place among the lines of the progress log."""
    print(line, flush=True)
