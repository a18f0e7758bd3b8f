"""Runs that are killed at random moments and resumed end with the bits of one that was not."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import records_of

COMMAND = [sys.executable, str(Path(__file__).parent / "kill_target.py")]


def start(folder):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([*COMMAND, str(folder)], stderr=subprocess.PIPE, text=True)


def finish(process):
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said


def results(folder):
    """What must be the same: the digest of weights, states and logs, and the history without times."""
    return (folder / "outcome").read_text(), records_of(folder)


def kill_often(tmp_path, kills):
    whole = tmp_path / "whole"
    begun = time.monotonic()
    finish(start(whole))
    seconds = time.monotonic() - begun
    expected = results(whole)
    assert len(expected[1]) == 12
    rng, killed, runs = random.Random(kills), 0, 0
    while killed < kills:
        runs += 1
        folder = tmp_path / f"run-{runs}"
        while not (folder / "outcome").exists():
            process = start(folder)
            if killed < kills:
                try:
                    process.wait(rng.uniform(0.2, 1) * seconds)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    killed += 1
                    continue
            finish(process)
        assert results(folder) == expected
    return runs


def test_killed_runs_end_with_the_same_bits(tmp_path):
    kill_often(tmp_path, 6)


@pytest.mark.soak
def test_a_hundred_killed_runs_end_with_the_same_bits(tmp_path):
    kill_often(tmp_path, 100)
