"""`tgl ablate`: what each technique of a recipe adds."""

from pathlib import Path

from tinygrad_lessons.cli.options import add_options, config_of
from tinygrad_lessons.cli.parser import number
from tinygrad_lessons.train.ablation import ablate

EXAMPLES = """\
examples:
  tgl ablate digits
  tgl ablate digits --epochs 30 --seeds 3 --jobs 2 --out ablation.md
  tgl ablate --config runs/mine/config.toml
"""


def add_parser(commands):
    """Add `ablate` to the commands."""
    parser = commands.add_parser(
        "ablate",
        help="train with each technique left out, and with each alone",
        description="Train a recipe with each of its techniques (augmentation, batch norm, "
        "dropout, schedule, label smoothing, weight decay, early stopping, and what else it has) "
        "left out, and with each alone, over several seeds, and print a table of test errors. "
        "Each seed also chooses the split of the data. The default model is the cnn.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    count = number(int, "a whole number of at least 1", lambda n: n >= 1)
    parser.add_argument(
        "--seeds", type=count, default=5, metavar="N", help="runs of each variant (default: 5)"
    )
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--out", metavar="FILE", help="also write the table, as Markdown")
    add_options(parser, model="cnn")


def run(args):
    """Train, and print the table; returns the exit code."""
    config = config_of(args)
    first = config.train.seed

    def show(done, all, line):
        print(f"{done}/{all}: {line}", flush=True)

    table = ablate(config, range(first, first + args.seeds), args.jobs, show).markdown()
    print(f"\n{table}", end="")
    if args.out:
        Path(args.out).write_text(f"{_head(config, args)}\n{table}", "utf-8")
        print(f"written: {args.out}")
    return 0


def _head(config, args):
    """What stands above the table in a file."""
    data, model = config.data["name"], config.model["name"]
    asked = " ".join(args.argv)
    return (
        f"# What each technique adds: {model} on {data}\n\n"
        f"Made by `tgl {asked}`: {args.seeds} seeds for every variant, each with a split of its "
        f"own, at most {config.train.epochs} epochs. Errors are shares of the test samples: median "
        '(lowest to highest). "It takes away" is the difference of the medians, in percentage '
        "points: how much worse the recipe is without the technique, and how much better the bare "
        "net is with it alone. Without a schedule, the learning rate is the optimizer's default "
        "throughout.\n"
    )
