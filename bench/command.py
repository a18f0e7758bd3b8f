"""The command: measures all frameworks by turns; prints the table, writes JSON, draws the roofline."""

import argparse
import json
import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from .frameworks import Variant, installed
from .targets import OURS, PEERS

TURNS, VISITS, SECONDS = 3, 5, 0.02
QUICK_TURNS, QUICK_VISITS, QUICK_SECONDS = 1, 3, 0.002
NEEDED = {"pytest": "pytest", "pytest_benchmark": "pytest-benchmark"}


def add_arguments(parser):
    """Adds the options to an argparse parser."""
    found = installed()
    parser.add_argument(
        "-k",
        metavar="WORDS",
        dest="words",
        default="",
        help="only the benches that pytest -k picks",
    )
    parser.add_argument("--quick", action="store_true", help="one short turn instead of three")
    parser.add_argument(
        "--frameworks", nargs="+", metavar="NAME", choices=found, default=found,
        help=f"some of those installed: {', '.join(found)}",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("runs/bench"),
        help="where results.json and roofline.png go (default: runs/bench)",
    )  # fmt: skip


def variants(frameworks):
    """What is measured in each turn: each framework on one thread, ours and PyTorch on two where there are two cores."""
    one = [Variant(name) for name in frameworks]
    if len(os.sched_getaffinity(0)) < 2:
        return one
    return one + [Variant(name, 2) for name in frameworks if name in (OURS, "torch")]


def progress(turn, turns):
    """Shows how far it is: on a terminal bench by bench, elsewhere a line at the end of the turn."""

    def say(text):
        line = f"turn {turn} of {turns}: {text}"
        if sys.stderr.isatty():
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
        elif text.endswith("\n"):
            print(line, end="", file=sys.stderr, flush=True)

    return say


def measure(options):
    """The reports of all turns."""
    from .run import run_turn

    turns, visits, seconds = TURNS, VISITS, SECONDS
    if options.quick:
        turns, visits, seconds = QUICK_TURNS, QUICK_VISITS, QUICK_SECONDS
    reports = []
    for turn in range(1, turns + 1):
        say = progress(turn, turns)
        reports += run_turn(variants(options.frameworks), seconds, visits, options.words, say)
        say("done\n")
    return reports


def run(options):
    """Measures and shows; returns the exit code."""
    lacking = [package for name, package in NEEDED.items() if not find_spec(name)]
    if lacking:
        print(
            f"benches need {', '.join(lacking)}: pip install 'tinygrad_lessons[bench]'",
            file=sys.stderr,
        )
        return 2
    from .bench_limits import cache_sizes
    from .results import Results
    from .roofline import REMEDY, available, draw, points
    from .table import table

    results = Results(measure(options), cache_sizes())
    shown = [name for name in (OURS, *PEERS) if name in options.frameworks]
    print(table(results, shown))
    options.out.mkdir(parents=True, exist_ok=True)
    write(results, shown, options.out / "results.json")
    print(f"machine load: {os.getloadavg()[0]:.1f}, about 1 on a quiet machine\n")
    print(options.out / "results.json")
    if results.limits and available():
        draw(results.limits, points(results)).savefig(options.out / "roofline.png")
        print(options.out / "roofline.png")
    elif results.limits:
        print(REMEDY, file=sys.stderr)
    return 0


def write(results, frameworks, path):
    limits, cliff = results.limits, results.cliff
    from .roofline import points

    rows = {title: [row.record() for row in rows] for title, rows in results.groups.items()}
    found = {
        "machine": {"processor": platform.processor() or platform.machine(), "load": os.getloadavg()},
        "versions": {name: version_of(name) for name in frameworks},
        "limits": limits and vars(limits),
        "rows": rows,
        "roofline": points(results),
        "cliff": cliff and vars(cliff) | {"excess": cliff.excess},
    }  # fmt: skip
    path.write_text(json.dumps(found, indent=1))


def version_of(name):
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:  # on the path, but not installed
        return "source"


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))
