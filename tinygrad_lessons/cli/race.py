"""`tgl race`: optimizers on a surface, under one rule of fairness."""

import argparse
import json
import math
import sys

from tinygrad_lessons._figure import REMEDY, available
from tinygrad_lessons.cli.train import number
from tinygrad_lessons.optim.surfaces import SURFACES
from tinygrad_lessons.race import RACERS, RATES, page, picture, race
from tinygrad_lessons.train import RunFolder

RACE_COURSES = {name: surface for name, surface in SURFACES.items() if surface.minima}


def add_parser(commands):
    """Add `race` to the commands."""
    count = number(int, "a whole number of at least 1", lambda n: n >= 1)
    seed = number(int, "a whole number from 0 to 2**63 - 1", lambda n: 0 <= n < 2**63)
    amount = number(float, "a number of at least 0", lambda x: 0 <= x < math.inf)
    parser = commands.add_parser(
        "race",
        help="race optimizers on a test function",
        description="Let optimizers descend a test function, and leave a folder with race.png, "
        "race.html (an animation) and race.json. One rule for all: the same number of gradients, "
        "the same starts and the same noise in each run; the learning rate of each is tuned on "
        "the same grid, in runs of their own. The same arguments give the same race.",
        epilog="Example: tgl race --surface rosenbrock --optimizers sgd,nesterov,adam",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)

    def add(name, default, help, **options):
        help += f" (default: {default})"
        parser.add_argument(name, default=default, help=help, **options)

    add("--surface", "rosenbrock", "test function", choices=RACE_COURSES)
    add(
        "--optimizers",
        "sgd,momentum,nesterov,adam",
        f"some of {', '.join(RACERS)}",
        type=racers,
        metavar="NAME,NAME",
    )
    add("--budget", 300, "gradients in each run", type=count, metavar="N")
    add("--runs", 5, "runs to tune on, and as many to race", type=count, metavar="N")
    add("--noise", 0.0, "deviation of the noise on gradients", type=amount, metavar="X")
    add("--seed", 0, "for starts and noise", type=seed, metavar="N")
    parser.add_argument("--out", metavar="DIR", help="folder (default: runs/race-SURFACE-TIME)")


def racers(text):
    """An argparse type: names of optimizers separated by commas."""
    names = text.split(",")
    for name in names:
        if name not in RACERS:
            raise argparse.ArgumentTypeError(
                f"invalid choice: {name!r} (choose from {', '.join(RACERS)})"
            )
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} names an optimizer twice")
    return names


def run(args):
    """Race, draw, and print the results, best first; returns the exit code."""
    if not available():
        print(f"tgl race: error: {REMEDY}", file=sys.stderr)
        return 2
    surface = RACE_COURSES[args.surface]
    folder = RunFolder(args.out) if args.out else RunFolder.new("runs", f"race-{surface.name}")
    results = race(surface, args.optimizers, args.budget, args.runs, args.noise, args.seed)
    title = f"{surface.name}: {args.budget} gradients, {args.runs} runs"
    if args.noise:
        title += f", noise {args.noise:g}"

    picture(surface, results, title).savefig(folder.path / "race.png")
    (folder.path / "race.html").write_text(page(surface, results, title), "utf-8")
    (folder.path / "race.json").write_text(json.dumps(record(args, results), indent=2) + "\n")
    width = max(len(result.name) for result in results)
    print(f"height above the minimum after {args.budget} gradients: median (quartiles)")
    for result in sorted(results, key=lambda result: tuple(result.last[[1, 2, 0]])):
        low, median, high = (f"{gap:.2g}" for gap in result.last)
        edge = " at the edge of the grid" if result.rate in (RATES[0], RATES[-1]) else ""
        print(f"{result.name:{width}}  {median} ({low} to {high})  lr {result.rate:.2g}{edge}")
    for path in sorted(folder.path.iterdir()):
        print(f"  {path}")
    return 0


def record(args, results):
    """The race as JSON values; None stands for a gap without bound."""

    def finite(gaps):
        return [gap if math.isfinite(gap) else None for gap in gaps]

    asked = {name: value for name, value in vars(args).items() if name not in ("command", "run")}
    return {
        "arguments": asked,
        "rates": list(RATES),
        "optimizers": [
            {
                "name": result.name,
                "rate": result.rate,
                "last_gaps": finite(result.gaps[:, -1]),
                "tuning_quartiles": [finite(row) for row in result.tuning],
            }
            for result in results
        ],
    }
