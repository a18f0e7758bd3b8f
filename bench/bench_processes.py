"""What a whole process takes: the time of an import, the memory of a training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import name_of

START = """
import sys
sys.path[:0] = {path!r}
"""
IMPORT = """
from time import perf_counter
start = perf_counter()
import {framework}
print(perf_counter() - start)
"""
TRAINING = """
import numpy as np
import {framework} as framework
from {package}.nets import lenet, training_step
net = lenet(batch=64)
x, y = np.ones(net.x, np.float32), np.zeros(net.x[0], np.int64)
step = training_step(framework, net, x, y)
for _ in range(10):
    step()
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(1024 * int(peak))
"""


class Gauge:
    """A clock that any kind of figure moves on."""

    now = 0.0

    def __call__(self):
        return self.now


gauge = Gauge()


@pytest.fixture
def measure_process(request, pytestconfig, benchmark, tmp_path):
    """Notes the figure that a program prints, run in a process of its own with the framework, whose Python code all has
    been compiled before."""
    variant = pytestconfig.variant
    path = [variant.build] if variant.build else []
    path += [str(Path(__file__).parents[1])]
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def measure_process(program, unit):
        source = (START + program).format(
            path=path, framework=variant.framework, package=__package__
        )

        def run():
            command = [sys.executable, "-c", source]
            child = subprocess.run(command, env=environment, capture_output=True, text=True)
            if child.returncode:
                raise RuntimeError(child.stderr.strip().splitlines()[-1])
            gauge.now += float(child.stdout)

        def before():
            if pytestconfig.baton:
                pytestconfig.baton.wait(request.node.place)

        benchmark.name = name_of(request.node)
        benchmark.extra_info.update(calls=1, unit=unit)
        benchmark.pedantic(run, setup=before, rounds=pytestconfig.option.visits, warmup_rounds=1)

    return measure_process


@pytest.mark.benchmark(timer=gauge)
def bench_import(measure_process):
    measure_process(IMPORT, "seconds")


@pytest.mark.benchmark(timer=gauge)
def bench_peak_memory_of_training_lenet(measure_process, taped):
    measure_process(TRAINING, "bytes")
