"""The results as text."""

from .targets import OURS, PEERS

TITLES = {OURS: "ours"} | {name: name for name in PEERS}
SCALES = {
    "seconds": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
    "bytes": [(1 << 30, "GiB"), (1 << 20, "MiB")],
}
NAME, FIGURE = 45, 9


def amount(figure, unit="seconds"):
    """Three digits and a unit that suits: 1.26 µs."""
    if figure is None:
        return "-"
    size, name = next((s for s in SCALES[unit] if figure >= s[0]), SCALES[unit][-1])
    value = figure / size
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {name}"


def number(value):
    return "-" if value is None else f"{value:.{1 if value >= 9.995 else 2}f}"


def line(name, figures, ratio, target, reached, share):
    cells = [f"{figure:>{FIGURE}}" for figure in figures]
    cells += [f"{ratio:>6}", f"{target:>6}", f"{reached:<7}", f"{share:>11}"]
    return f"{name:<{NAME}} {' '.join(cells)}".rstrip()


def row_line(row, frameworks):
    share = "" if row.share is None else f"{100 * row.share:.0f} % {row.bound}"
    if row.target.share:
        share += f" /{100 * row.target.share:.0f}"
    figures = [amount(row.figures.get(name), row.unit) for name in frameworks]
    return line(
        row.target.name, figures, number(row.ratio), number(row.target.ratio), row.reached, share
    )


def table(results, frameworks):
    """All rows in groups, then what did not run, and what the machine can do.

    frameworks: those that have a column, ours first.
    """
    head = line("", [TITLES[name] for name in frameworks], "ratio", "target", "reached", "of limit")
    parts = [machine(results.limits)] if results.limits else []
    for title, rows in results.groups.items():
        parts.append("\n".join([f"{title}\n{head}", *(row_line(row, frameworks) for row in rows)]))
    parts += filter(None, [widths(results.cliff), failures(results), summary(results)])
    return "\n\n".join(parts)


def machine(limits):
    streams = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limits.bandwidths.items())
    return (
        f"One core of this machine: {limits.peak / 1e9:.0f} GFLOP/s of fused multiply-adds; "
        f"GB/s from {streams}"
    )


def widths(cliff):
    if cliff is None:
        return ""
    verdict = "no" if cliff.excess > 1 else "yes"
    return (
        f"Training steps of MLPs 10-w-w-10, batch 128, w from 16 to 512, without a cliff: {verdict}\n"
        f"the steepest, on {cliff.threads} thread{'s' * (cliff.threads > 1)}: to w = {cliff.width} from "
        f"{amount(cliff.before)} to {amount(cliff.seconds)}; the work grows by a factor of "
        f"{cliff.growth:.2f}, allowed are {amount(cliff.allowed)}"
    )


def failures(results):
    if not results.failures:
        return ""
    lines = {
        f"  {TITLES[variant.framework]}: {bench}: {why}"
        for (bench, variant), why in results.failures.items()
    }
    return "\n".join(["Did not run:", *sorted(lines)])


def summary(results):
    rows = [row for rows in results.groups.values() for row in rows if row.target.ratio is not None]
    reached = sum(row.reached == "yes" for row in rows)
    return (
        f"{reached} of {len(rows)} targets reached. ratio: the best peer's figure over ours; of limit: the least\n"
        "time that this machine needs for the work, bounded by its arithmetic (fma) or by the level of\n"
        "memory that the data fit, over ours."
    )
