"""The programs in examples/ run, here and with PyTorch in the import lines."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def last_line(source):
    done = subprocess.run(
        [sys.executable, "-"], input=source, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_digits():
    line = last_line((EXAMPLES / "digits_mlp.py").read_text())
    assert float(re.fullmatch(r"epoch 20: test accuracy (\d+\.\d) %", line)[1]) > 93


@pytest.mark.parametrize("library", ["tinygrad_lessons", "torch"])
def test_regression(library):
    if library == "torch":
        pytest.importorskip("torch")
    source = (EXAMPLES / "sine_regression.py").read_text().replace("tinygrad_lessons", library)
    error = float(re.match(r"test error (\d\.\d+),", last_line(source))[1])
    # 100 residuals of standard deviation 0.1: their root mean square is 0.1 +- 0.007
    assert 0.07 < error < 0.14
