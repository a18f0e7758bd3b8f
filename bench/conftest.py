"""What the benches share: the framework of this process, its tensors, and the stopwatch."""

from math import ceil
from timeit import Timer

import numpy as np
import pytest

from bench.frameworks import OURS, load

BLOCK = 2e-4  # seconds between two looks at the clock, so that looking costs nothing


def pytest_addoption(parser):
    parser.addoption("--framework", default=OURS, help="the one to measure")
    parser.addoption("--seconds", type=float, default=0.1, help="to spend on each bench")


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "target(ratio, expected=None): time of the best peer over ours to reach, and held already",
    )


@pytest.fixture(scope="session")
def framework(request):
    return load(request.config.getoption("--framework"))


@pytest.fixture
def taped(framework):
    """The framework, where it has a tape."""
    if not hasattr(framework, "nn"):
        pytest.skip("no gradients here")
    return framework


@pytest.fixture
def tensor(framework):
    """Makes a tensor of numbers drawn from an interval; the same in every framework."""
    draw = np.random.default_rng(0)

    def tensor(*shape, low=0.1, high=0.9, dtype="float32"):
        return framework.tensor(draw.uniform(low, high, shape).astype(dtype))

    return tensor


@pytest.fixture(autouse=True)
def noted(request, benchmark):
    """Puts the bench's target into its report."""
    mark = request.node.get_closest_marker("target")
    if mark:
        benchmark.extra_info["target"] = mark.args[0]
        benchmark.extra_info["expected"] = mark.kwargs.get("expected")


@pytest.fixture
def measure(request, benchmark):
    """Times a statement in steady state, without a function call around it."""

    def measure(statement, **names):
        timer = Timer(statement, globals=names)
        timer.timeit(3)
        once = timer.timeit(10) / 10
        calls = ceil(BLOCK / once)
        rounds = max(5, int(request.config.getoption("--seconds") / (calls * once)))
        benchmark.extra_info["calls"] = calls
        benchmark.pedantic(timer.timeit, (calls,), rounds=rounds, warmup_rounds=1)

    return measure
