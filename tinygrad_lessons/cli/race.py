"""`tgl race`: optimizers on a test function or a net, under one rule of fairness."""

import argparse
import json
import math
import sys

from tinygrad_lessons._figure import REMEDY, available
from tinygrad_lessons.cli.parser import number
from tinygrad_lessons.optim.surfaces import SURFACES
from tinygrad_lessons.race import (
    RACERS,
    RATES,
    DigitsCourse,
    SurfaceCourse,
    page,
    picture,
    race,
)
from tinygrad_lessons.train import RunFolder

RACE_SURFACES = [name for name, surface in SURFACES.items() if surface.minima]
TASKS = {"digits": DigitsCourse}


def add_parser(commands):
    """Add `race` to the commands."""
    count = number(int, "a whole number of at least 1", lambda n: n >= 1)
    seed = number(int, "a whole number from 0 to 2**63 - 1", lambda n: 0 <= n < 2**63)
    amount = number(float, "a number of at least 0", lambda x: 0 <= x < math.inf)
    parser = commands.add_parser(
        "race",
        help="race optimizers on a test function or a net",
        description="Let optimizers descend a test function, or train a net, and leave a folder "
        "with race.png, race.html (an animation) and race.json. One rule for all: the same number "
        "of gradients, in each run the same start and the same noise or batches; the learning "
        "rate of each is tuned on the same grid, in runs of their own. The same arguments give "
        "the same race.",
        epilog="examples:\n"
        "  tgl race --surface rosenbrock --optimizers sgd,nesterov,adam\n"
        "  tgl race --task digits --optimizers adam,lion --budget 200",
    )
    parser.set_defaults(run=run)

    def add(name, default, help, group=parser, **options):
        help += f" (default: {default})"
        group.add_argument(name, default=default, help=help, **options)

    course = parser.add_mutually_exclusive_group()
    add("--surface", "rosenbrock", "test function", course, choices=RACE_SURFACES)
    course.add_argument("--task", help="net and data to train on instead", choices=TASKS)
    add(
        "--optimizers",
        "sgd,momentum,nesterov,adam",
        f"some of {', '.join(RACERS)}",
        type=racers,
        metavar="NAME,NAME",
    )
    add("--budget", 300, "gradients in each run", type=count, metavar="N")
    add("--runs", 5, "runs to tune on, and as many to race", type=count, metavar="N")
    add("--noise", 0.0, "deviation of the noise on a surface's gradients", type=amount, metavar="X")
    add("--seed", 0, "for starts and noise", type=seed, metavar="N")
    parser.add_argument("--out", metavar="DIR", help="folder (default: runs/race-COURSE-TIME)")


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
    course = TASKS[args.task]() if args.task else SurfaceCourse(SURFACES[args.surface], args.noise)
    folder = RunFolder(args.out) if args.out else RunFolder.new("runs", f"race-{course.name}")
    results = race(course, args.optimizers, args.budget, args.runs, args.seed)
    title = f"{course.name}: {args.budget} gradients, {args.runs} runs"
    if args.noise and not args.task:
        title += f", noise {args.noise:g}"

    picture(course, results, title).savefig(folder.path / "race.png")
    (folder.path / "race.html").write_text(page(course, results, title), "utf-8")
    (folder.path / "race.json").write_text(json.dumps(record(args, results), indent=2) + "\n")
    width = max(len(result.name) for result in results)
    print(f"{course.measure} after {args.budget} gradients: median (quartiles)")
    for result in sorted(results, key=lambda result: tuple(result.last[[1, 2, 0]])):
        low, median, high = (f"{height:.2g}" for height in result.last)
        edge = " at the edge of the grid" if result.rate in (RATES[0], RATES[-1]) else ""
        print(f"{result.name:{width}}  {median} ({low} to {high})  lr {result.rate:.2g}{edge}")
    for path in sorted(folder.path.iterdir()):
        print(f"  {path}")
    return 0


def record(args, results):
    """The race as JSON values; None stands for a height without bound."""

    def finite(heights):
        return [height if math.isfinite(height) else None for height in heights]

    asked = {name: value for name, value in vars(args).items() if name not in ("command", "run")}
    return {
        "arguments": asked,
        "rates": list(RATES),
        "optimizers": [
            {
                "name": result.name,
                "rate": result.rate,
                "last_heights": finite(result.heights[:, -1]),
                "tuning_quartiles": [finite(row) for row in result.tuning],
            }
            for result in results
        ],
    }
