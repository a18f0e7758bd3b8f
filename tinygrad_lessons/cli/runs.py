"""`tgl runs`: runs side by side."""

from pathlib import Path

from tinygrad_lessons import report
from tinygrad_lessons.cli.parser import UsageError

EXAMPLES = """\
examples:
  tgl runs
  tgl runs --sort test_accuracy --descending
  tgl runs runs/one runs/two --out compared.html
  tgl runs --out compared.png
"""


def add_parser(commands):
    """Add `runs` to the commands."""
    parser = commands.add_parser(
        "runs",
        help="compare runs: a table, and their curves in one picture",
        description="Print a table of runs: data, model, the options in which they differ, and "
        "what came out. With --out, write it with all curves overlaid, as a page that needs "
        "nothing else (.html) or as a picture (.png and what else matplotlib writes).",
        epilog=EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "folders",
        nargs="*",
        default=["runs"],
        metavar="DIR",
        help="run folders, or folders of run folders (default: runs)",
    )
    parser.add_argument("--sort", metavar="COLUMN", help="column to sort by (default: by age)")
    parser.add_argument("--descending", action="store_true", help="the highest first")
    parser.add_argument("--out", metavar="FILE", help="write the table and the curves")


def run(args):
    """Print the table; returns the exit code."""
    folders = [found for folder in args.folders for found in _runs_in(folder)]
    try:
        print(report.format_table(report.compare(folders, args.sort, args.descending)))
    except ValueError as error:  # no such column
        raise UsageError(str(error)) from error
    if args.out and folders:
        print(f"written: {report.overlay(folders, args.out)}")
    return 0


def _runs_in(folder):
    """The folder itself if it is a run's, or else those in it."""
    try:
        report.read(folder)
    except FileNotFoundError:
        if not Path(folder).is_dir():
            raise
        return report.find(folder)
    return [folder]
