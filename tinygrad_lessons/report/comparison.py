"""Several runs side by side: a table of what differs, and their curves in one picture."""

from pathlib import Path

from tinygrad_lessons.report import pictures
from tinygrad_lessons.report.charts import Line, line_chart, palette, shade
from tinygrad_lessons.report.configuration import flatten, plain
from tinygrad_lessons.report.files import write_text
from tinygrad_lessons.report.markup import markup, tag
from tinygrad_lessons.report.metrics import is_share, metric_names, series, written
from tinygrad_lessons.report.page import grid, note, page, table
from tinygrad_lessons.report.run import FILES, Run, is_number, read
from tinygrad_lessons.report.scales import duration, number

ALWAYS = {  # columns that are there if any run has them, with their place in config.toml
    "dataset": "data.name",
    "model": "model.name",
    "optimizer": "optimizer.name",
    "lr": "optimizer.lr",
}


def find(parent):
    """The run folders in a folder, the newest last.

    Example:
        >>> import tempfile
        >>> from tinygrad_lessons import report
        >>> report.find(tempfile.mkdtemp())
        []
    """
    folders = [
        folder
        for folder in Path(parent).iterdir()
        if folder.is_dir() and any((folder / name).exists() for name in FILES.values())
    ]
    return sorted(folders, key=lambda folder: (Run(folder).written, folder.name))


def compare(folders, sort=None, descending=False):
    """One row for each run: what it was, what came out, and how it ended.

    The columns are name; dataset, model, optimizer and lr; the options of the configuration in
    which the runs differ, such as "train.batch_size"; a validation metric at the best epoch and
    the test metrics, by their names in the run folder; epochs, seconds, status.

    Args:
        folders: the run folders.
        sort: the column to sort by; None keeps the order. Runs without a value come last.
        descending: the highest first.

    Returns:
        A list of dicts with the same keys, None where a run has no value.

    Raises:
        FileNotFoundError: a folder is no run folder.
        ValueError: there is no column `sort`.

    Example:
        >>> import tempfile, pathlib
        >>> from tinygrad_lessons import report
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "one"
        >>> folder.mkdir()
        >>> _ = (folder / "result.json").write_text('{"test_accuracy": 0.98, "epochs": 3}')
        >>> report.compare([folder])
        [{'name': 'one', 'test_accuracy': 0.98, 'epochs': 3, 'seconds': None, 'status': 'finished'}]
    """
    return _rows([read(folder) for folder in folders], sort, descending)


def format_table(rows):
    """Rows of `compare` as lines of text.

    Example:
        >>> from tinygrad_lessons import report
        >>> print(report.format_table([{"name": "one", "lr": 0.1, "test_accuracy": 0.981}]))
        name   lr  test accuracy
        one   0.1         98.1 %
    """
    if not rows:
        return "no runs"
    columns = list(rows[0])
    cells = [[_heading(name) for name in columns]]
    cells += [[_text(name, row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [_is_numeric(rows, name) for name in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )


def overlay(folders, path):
    """Write the runs' table and curves, each metric with a line for each run; returns the path.

    Args:
        folders: the run folders.
        path: of the file: `.html` for a page that needs nothing else, `.png` (or another format
            that matplotlib writes) for a picture of the curves.

    Raises:
        FileNotFoundError: a folder is no run folder.
        ModuleNotFoundError: a picture needs matplotlib, which is not installed.

    Example:
        >>> import tempfile, pathlib
        >>> from tinygrad_lessons import report
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "metrics.jsonl").write_text('{"epoch": 1, "val_loss": 0.5}\\n')
        >>> report.overlay([folder], folder / "runs.html").name
        'runs.html'
    """
    runs, path = [read(folder) for folder in folders], Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        pictures.overlaid(runs, f"{len(runs)} runs").savefig(path)
        return path
    rows = _rows(runs)
    notes = [note(f"{_name(run)}: {text}") for run in runs for text in run.notes]
    sections = [("Runs", _table(rows)), ("Curves", _curves(runs)), ("Notes", notes)]
    return write_text(
        path, page(f"{len(runs)} runs compared", ", ".join(map(_name, runs)), sections)
    )


def _rows(runs, sort=None, descending=False):
    flat = [dict(flatten(run.config)) for run in runs]
    keys = list(dict.fromkeys(key for config in flat for key in config))
    always = {name: key for name, key in ALWAYS.items() if any(key in config for config in flat)}
    differing = [
        key
        for key in keys
        if key not in ALWAYS.values()
        and any(config.get(key) != flat[0].get(key) for config in flat)
    ]
    metric = _common_metric(runs)
    tests = dict.fromkeys(name for run in runs for name in run.result if name.startswith("test_"))
    rows = []
    for run, config in zip(runs, flat, strict=True):
        best = next((line for line in run.history if line.get("epoch") == run.best_epoch), {})
        row = {"name": _name(run)}
        row |= {name: config.get(key) for name, key in always.items()}
        row |= {key: config.get(key) for key in differing}
        if metric:
            row[metric] = best.get(metric)
        row |= {name: run.result.get(name) for name in tests}
        row["epochs"] = run.result.get("epochs", len(run.history) or None)
        row["seconds"] = run.seconds
        row["status"] = run.status
        rows.append(row)
    if sort is not None and rows:
        if sort not in rows[0]:
            raise ValueError(f"compare: no column {sort!r}: expected one of {', '.join(rows[0])}")
        there = [row for row in rows if row[sort] is not None]
        numeric = _is_numeric(rows, sort)
        there.sort(key=lambda row: row[sort] if numeric else str(row[sort]), reverse=descending)
        rows = there + [row for row in rows if row[sort] is None]
    return rows


def _common_metric(runs):
    """The validation metric of the table: one that most runs have, a share before a loss."""
    counts = {}
    for run in runs:
        for name in metric_names([run.history]):
            if series(run.history, f"val_{name}"):
                counts[f"val_{name}"] = counts.get(f"val_{name}", 0) + 1
    return max(counts, key=lambda name: (counts[name], is_share(name)), default=None)


def _name(run):
    return run.path.resolve().name


def _heading(name):
    return name.replace("_", " ") if name.startswith(("val_", "test_")) else name


def _text(name, value):
    if value is None:
        return "–"
    if name == "seconds":
        return duration(value)
    if name.startswith(("val_", "test_")):
        return written(name, value)
    return number(value) if is_number(value) else plain(value)


def _is_numeric(rows, name):
    values = [row[name] for row in rows if row[name] is not None]
    return bool(values) and all(map(is_number, values))


def _colour(i, count):
    return palette(i) if count <= 8 else shade(i, count)


def _table(rows):
    columns = list(rows[0])
    numbers = {i for i, name in enumerate(columns) if _is_numeric(rows, name)}
    cells = []
    for i, row in enumerate(rows):
        dot = tag("i", class_="dot", style=f"background:{_colour(i, len(rows))}")
        first = (markup(dot, row["name"]), row["name"])
        cells.append([first, *[(_text(name, row[name]), row[name]) for name in columns[1:]]])
    return tag("div", table(list(map(_heading, columns)), cells, numbers=numbers), class_="card")


def _curves(runs):
    charts = []
    for name in metric_names([run.history for run in runs]):
        for prefix, part in (("val_", "validation "), ("train_", "training "), ("", "")):
            found = [(run, series(run.history, prefix + name)) for run in runs]
            lines = [
                Line(_name(run), *values, _colour(i, len(runs)))
                for i, (run, values) in enumerate(found)
                if values
            ]
            if lines:
                title = part + name.replace("_", " ")
                log = None if name == "loss" else False
                charts.append(
                    line_chart(title, lines, x_label="epoch", log=log, shares=is_share(name))
                )
    return grid(*charts) if charts else None
