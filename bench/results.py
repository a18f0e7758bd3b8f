"""What the reports of all turns say together: figures, ratios to the peers, distances to the machine's limit."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

from .frameworks import Variant
from .targets import (
    CLIFF_SECONDS,
    CLIFF_SHARE,
    GROUPS,
    OURS,
    PEERS,
    TARGETS,
    WIDTHS,
    Target,
    Threads,
)

LEVELS = ("L1", "L2", "L3", "memory")
PEAK = "fused multiply adds"
OTHERS = "Without a target: {}"


@dataclass(frozen=True)
class Limits:
    """What one core of this machine can do at most.

    Attributes:
        peak: operations a second.
        bandwidths: bytes a second by level of memory.
        sizes: bytes by which data no longer fit the level, by level of cache.
    """

    peak: float
    bandwidths: dict[str, float]
    sizes: dict[str, int]

    def level(self, moved):
        """Where so many bytes fit."""
        return next((level for level in LEVELS[:-1] if moved <= self.sizes[level]), "memory")

    def seconds(self, operations, moved, threads=1):
        """The least that the work takes, and what bounds it; None if that is not known."""
        level = self.level(moved)
        bounds = [(operations / self.peak, "fma"), (moved / self.bandwidths[level], level)]
        seconds, bound = max(bounds)
        return (seconds / threads, bound) if seconds else None


@dataclass(frozen=True)
class Row:
    """A target and what came of it: figures are seconds, or bytes for the rows about memory."""

    target: Target
    unit: str
    figures: dict[str, float]  # by framework
    base: float | None  # what ours is compared with
    share: float | None  # of the machine's limit
    bound: str
    failure: str

    @property
    def ratio(self):
        ours = self.figures.get(OURS)
        return self.base / ours if ours and self.base else None

    @property
    def reached(self):
        """yes or no, or why it cannot be said; empty where there is no target."""
        if self.failure:
            return "missing"
        if self.target.ratio is None:
            return ""
        if self.ratio is None:
            return "no peer" if OURS in self.figures else "not run"
        enough = self.target.share is None or (self.share or 0) >= self.target.share
        return "yes" if self.ratio >= self.target.ratio and enough else "no"

    def record(self):
        """As JSON values."""
        return {
            "name": self.target.name, "unit": self.unit, **self.figures, "ratio": self.ratio,
            "target": self.target.ratio, "share": self.share, "bound": self.bound,
            "share_target": self.target.share, "reached": self.reached, "failure": self.failure,
        }  # fmt: skip


class Results:
    """The reports of all turns, joined."""

    def __init__(self, reports, cache_sizes):
        self.turns = {}  # (bench, variant): a figure for each turn
        self.failures = {}  # (bench, variant): what went wrong
        self.info = {}  # by bench: what ours says of its work
        self.themes = {}  # by bench: its file's name
        self.cache_sizes = cache_sizes
        for report in reports:
            for name, bench in report.benches.items():
                info = bench["extra_info"]
                figure = bench["stats"]["median"] / info["calls"]
                self.turns.setdefault((name, report.variant), []).append(figure)
                if report.variant.framework == OURS or name not in self.info:
                    self.info[name] = info
                self.themes[name] = bench["fullname"].split(".py")[0].split("bench_")[-1]
            for name, failure in report.failures.items():
                self.failures[name, report.variant] = failure

    def figure(self, bench, framework, counts=(1,)):
        """The median over turns; of several numbers of threads, the best. None if not measured."""
        turns = [self.turns.get((bench, Variant(framework, n))) for n in counts]
        return min((median(each) for each in turns if each), default=None)

    @cached_property
    def limits(self):
        """The machine's limits, or None if they were not measured."""

        def speed(bench, what):
            seconds = self.figure(bench, OURS)
            return self.info[bench][what] / seconds if seconds else 0

        streams = {
            level: max(speed(f"{how} {level}", "moved") for how in ("read", "update"))
            for level in LEVELS
        }
        peak = speed(PEAK, "operations")
        return Limits(peak, streams, self.cache_sizes) if peak and all(streams.values()) else None

    @cached_property
    def groups(self):
        """Rows by the titles of the table."""
        groups = {title: [self.row(t) for t in targets] for title, targets in GROUPS.items()}
        for bench in self.others():
            title = OTHERS.format(self.themes.get(bench, "not run"))
            groups.setdefault(title, []).append(self.row(Target(bench, None)))
        return {
            title: measured
            for title, rows in groups.items()
            if (measured := [row for row in rows if row.figures or row.failure])
        }

    def others(self):
        """Benches that no target names."""
        named = {target.bench for target in TARGETS} | {PEAK, *map(width_name, WIDTHS)}
        named |= {f"{how} {level}" for how in ("read", "update") for level in LEVELS}
        found = dict.fromkeys(bench for bench, _ in [*self.turns, *self.failures])
        return [bench for bench in found if bench not in named]

    def row(self, target):
        counts, info = target.threads.counts, self.info.get(target.bench, {})
        if target.threads is Threads.SCALING:
            own, base = counts
            figures = {OURS: self.figure(target.bench, OURS, (own,))}
            base = self.figure(target.bench, OURS, (base,))
        else:
            figures = {name: self.figure(target.bench, name, counts) for name in (OURS, *PEERS)}
            base = min((figures[name] for name in target.peers if figures[name]), default=None)
        figures = {name: figure for name, figure in figures.items() if figure is not None}
        share, bound = self.share(target, figures.get(OURS), info)
        failures = [self.failures.get((target.bench, Variant(OURS, n)), "") for n in counts]
        return Row(
            target, info.get("unit", "seconds"), figures, base, share, bound, max(failures)
        )  # fmt: skip

    def share(self, target, seconds, info):
        """How much of the machine's limit is reached, and what sets it."""
        if not (self.limits and seconds and info.get("operations")):
            return None, ""
        threads = target.threads.counts[0]
        if target.threads is Threads.BEST and seconds == self.figure(target.bench, OURS, (2,)):
            threads = 2
        least, bound = self.limits.seconds(info["operations"], info["moved"], threads)
        return least / seconds, bound

    @cached_property
    def cliff(self):
        """The width where a training step's time grows most beyond its work; None if not measured."""
        widths = [
            (width, self.figure(width_name(width), OURS, counts), counts[0])
            for counts in ((1,), (2,))
            for width in WIDTHS
        ]
        steps = [
            Step(width, threads, before, seconds, work(width) / work(last))
            for (last, before, _), (width, seconds, threads) in pairwise(widths)
            if before and seconds and last < width
        ]
        return max(steps, key=lambda step: step.excess, default=None)


@dataclass(frozen=True)
class Step:
    """From one width to the next."""

    width: int
    threads: int
    before: float
    seconds: float
    growth: float  # of the work

    @property
    def allowed(self):
        expected = self.before * self.growth
        return expected + max(CLIFF_SHARE * expected, CLIFF_SECONDS)

    @property
    def excess(self):
        """Above 1: a cliff."""
        return self.seconds / self.allowed


def width_name(width):
    return f"step at width {width}"


def work(width):
    """Multiply-adds of a net 10-w-w-10, for each sample of a batch."""
    return 20 * width + width**2
