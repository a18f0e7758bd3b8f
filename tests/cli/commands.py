"""How the tests of the command call it."""

import json
import sys

from tinygrad_lessons.cli import main

COMMAND = [sys.executable, "-m", "tinygrad_lessons"]
SMALL = ["train", "digits", "--hidden", "8", "--epochs", "2"]


def call(*arguments):
    """The exit code of `tgl` with these arguments."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        return end.code


def metrics_of(folder):
    """The records of a run's epochs, without the times, which differ between runs."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        del record["seconds"]
    return records
