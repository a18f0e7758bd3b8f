"""Joins the reports of pytest-benchmark, one for each framework and turn, into one table."""

from dataclasses import dataclass, field
from statistics import median

from bench.frameworks import OURS


@dataclass
class Row:
    """One bench: seconds in each framework, and the ratio of the best peer's to ours to reach."""

    name: str
    seconds: dict[str, float] = field(default_factory=dict)
    target: float | None = None
    expected: float | None = None

    @property
    def ratio(self):
        """Seconds of the fastest peer over ours, or None where one of the two is missing."""
        peers = [seconds for name, seconds in self.seconds.items() if name != OURS]
        if OURS not in self.seconds or not peers:
            return None
        return min(peers) / self.seconds[OURS]

    @property
    def reached(self):
        if OURS not in self.seconds:
            return "missing"
        if self.ratio is None:
            return "no peer"
        if self.target is None:
            return ""
        if self.ratio >= self.target:
            return "yes"
        return "expected" if self.expected and self.ratio >= self.expected else "no"

    def record(self):
        return {**vars(self), "ratio": self.ratio, "reached": self.reached}


def join(reports):
    """Rows from (framework, report) pairs; of several turns of one framework, the median."""
    rows, turns = {}, {}
    for framework, report in reports:
        for bench in report["benchmarks"]:
            info = bench["extra_info"]
            function, _, parameters = bench["name"].removeprefix("bench_").partition("[")
            name = f"{function.replace('_', ' ')} {parameters.rstrip(']')}".rstrip()
            row = rows.setdefault(name, Row(name))
            row.target, row.expected = info.get("target"), info.get("expected")
            seconds = turns.setdefault((name, framework), [])
            seconds.append(bench["stats"]["median"] / info.get("calls", 1))
            row.seconds[framework] = median(seconds)
    return list(rows.values())


def table(rows, frameworks):
    """The rows as text: times in microseconds, then ratios."""

    def number(value, digits):
        return "-" if value is None else f"{value:.{digits}f}"

    head = ["microseconds", *frameworks, "ratio", "expected", "target", "reached"]
    lines = [head] + [
        [row.name]
        + [number(row.seconds.get(name) and row.seconds[name] * 1e6, 3) for name in frameworks]
        + [number(value, 2) for value in (row.ratio, row.expected, row.target)]
        + [row.reached]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i in (0, len(head) - 1) else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
