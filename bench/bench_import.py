"""The time an import takes in a fresh process."""

import subprocess
import sys

import pytest

IMPORT = """
from time import perf_counter
start = perf_counter()
import {}
print(perf_counter() - start)
"""


class Clock:
    """Moved on by what the child measured, which leaves out the start of its interpreter."""

    now = 0.0

    def __call__(self):
        return self.now


clock = Clock()


@pytest.mark.target(1 / 1.5, expected=1 / 2)
@pytest.mark.benchmark(timer=clock)
def bench_import(benchmark, request):
    script = IMPORT.format(request.config.getoption("--framework"))

    def run():
        child = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        clock.now += float(child.stdout)

    rounds = 3 + int(40 * request.config.getoption("--seconds"))
    benchmark.pedantic(run, rounds=rounds, warmup_rounds=1)
