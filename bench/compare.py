"""Two builds of ours in pairs: which benches became faster or slower beyond noise."""

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from math import comb
from pathlib import Path
from statistics import median

from .command import progress
from .frameworks import Variant
from .run import HERE, run_turn
from .table import amount
from .targets import OURS

TURNS, VISITS, SECONDS = 16, 3, 0.005
QUICK_TURNS = 8
ALPHA = {TURNS: 0.001, QUICK_TURNS: 0.01}  # how often an unchanged bench may be called moved
LEAST = 0.01  # a smaller change is not worth a line


def build(ref, folder):
    """Builds a commit of this repository into the folder, under its hash; returns the path."""
    root = HERE.parent
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    if found.returncode:
        sys.exit(f"bench-compare: git knows no commit {ref!r}; expected a branch, tag or hash")
    commit = found.stdout.strip()
    path = Path(folder, commit[:12]).resolve()
    if not path.exists():
        print(f"building {ref} ({commit[:12]}): this takes a few minutes", file=sys.stderr)
        scratch = path.with_suffix(".part")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade",
             "--target", scratch, f"git+file://{root}@{commit}"], check=True,
        )  # fmt: skip
        scratch.rename(path)
    return str(path)


def pair_ratios(old, new, visits):
    """For each visit, the seconds of a call in the new build over those in the old one just before."""
    return [
        after / before
        for before, after in zip(*(by_visit(b, visits) for b in (old, new)), strict=True)
    ]


def by_visit(bench, visits):
    rounds = bench["stats"]["data"]
    size, calls = len(rounds) // visits, bench["extra_info"]["calls"]
    return [median(rounds[i * size : (i + 1) * size]) / calls for i in range(visits)]


def interval(values, alpha):
    """Bounds of the median by the sign test: order statistics that it misses with a chance of at most alpha.

    Of n values, as many lie below the median as heads fall in n tosses, whatever their distribution;
    so it lies outside the k-th smallest and the k-th largest with chance 2 P(heads < k).
    """
    ordered, n = sorted(values), len(values)
    k, chance = 0, 2 / 2**n
    while chance <= alpha and k < n // 2:
        k += 1
        chance += 2 * comb(n, k) / 2**n
    return (ordered[k - 1], ordered[-k]) if k else (0, float("inf"))


def moved(low, high):
    """Whether the interval of a ratio says faster, slower or neither."""
    if high < 1 - LEAST:
        return "faster"
    return "slower" if low > 1 + LEAST else ""


def compare(old, new, options):
    """(name, seconds in the old build, in the new one, ratio, its bounds, verdict) for each bench that both have."""
    turns = QUICK_TURNS if options.quick else TURNS
    ratios, seconds = defaultdict(list), defaultdict(list)
    for turn in range(turns):
        say = progress(turn + 1, turns)
        order = [old, new] if turn % 2 == 0 else [new, old]  # neither is always the first
        reports = {r.variant: r for r in run_turn(order, SECONDS, VISITS, options.words, say)}
        benches = reports[old].benches, reports[new].benches
        for name in benches[0].keys() & benches[1].keys():
            pair = [bench[name] for bench in benches]
            ratios[name].append(median(pair_ratios(*pair, VISITS)))
            seconds[name].append([b["stats"]["median"] / b["extra_info"]["calls"] for b in pair])
        say("done\n")
    alpha = ALPHA[turns]
    rows = []
    for name, values in sorted(ratios.items()):
        before, after = (median(column) for column in zip(*seconds[name], strict=True))
        low, high = interval(values, alpha)
        rows.append((name, before, after, median(values), low, high, moved(low, high)))
    return rows, alpha


def report(rows, alpha):
    head = f"{'':<45} {'old':>9} {'new':>9} {'new/old':>8}   {f'{100 * (1 - alpha):g} % between':<16} moved"
    lines = [head] + [
        f"{name:<45} {amount(before):>9} {amount(after):>9} {ratio:>8.3f}   {low:.3f} and {high:.3f}"
        f"{'':<2} {verdict}".rstrip()
        for name, before, after, ratio, low, high, verdict in rows
    ]
    found = [row for row in rows if row[-1]]
    lines += [
        "",
        f"{len(found)} of {len(rows)} moved by more than {100 * LEAST:g} % and beyond noise",
    ]
    lines += [
        f"  {row[-1]}: {row[0]}, to {100 * row[3]:.1f} %"
        for row in sorted(found, key=lambda r: r[3])
    ]
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("ref", help="the commit, branch or tag to compare with")
    parser.add_argument(
        "-k", metavar="WORDS", dest="words", default="not process", help="only what pytest -k picks"
    )
    parser.add_argument("--quick", action="store_true", help="half as many turns")
    options = parser.parse_args(argv)
    old = Variant(OURS, build=build(options.ref, Path(".benchmarks", "builds")))
    print(report(*compare(old, Variant(OURS, build=str(HERE.parent)), options)))
    print(f"machine load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
