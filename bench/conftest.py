"""What the benches share: the framework of this process, its tensors, the stopwatch, and whose turn it is."""

import json
import os
from functools import partial
from itertools import count
from math import ceil
from pathlib import Path
from timeit import Timer

import numpy as np
import pytest

from .baton import Baton
from .frameworks import Variant, cores, find, load
from .targets import OURS, bench_name, thread_counts

BLOCK = 2e-4  # seconds between two looks at the clock, so that looking costs nothing
LONG = 2e-2  # seconds of a call beside which filling the caches is nothing


def pytest_addoption(parser):
    parser.addoption("--framework", default=OURS, help="the one to measure")
    parser.addoption("--threads", type=int, default=1, help="to run on, each pinned to a core")
    parser.addoption("--build", default="", help="a folder with another build of ours")
    parser.addoption("--visits", type=int, default=5, help="to a bench; others have turns between")
    parser.addoption("--seconds", type=float, default=0.02, help="to spend on a visit to a bench")
    parser.addoption("--failures", help="a file for the errors of the benches that fail, by name")
    parser.addoption("--launched", help="a file for the kernels that start, each bench run once")
    parser.addoption("--baton", nargs=2, type=int, help="file descriptors: see baton.py")


def pytest_configure(config):
    option = config.option
    config.variant = Variant(option.framework, option.threads, option.build)
    config.baton = Baton(*option.baton) if option.baton else None
    config.failures, config.launched, config.names = {}, set(), []
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores(option.threads))
    config.loaded = load(config.variant)


def name_of(item):
    return bench_name(item.originalname, item.callspec.id if hasattr(item, "callspec") else "")


def pytest_collection_modifyitems(config, items):
    """Keeps the benches that are run with this number of threads; all have the same places in every process."""
    for place, item in enumerate(items):
        item.place = place
        config.names.append(name_of(item))
    keep = [item for item in items if config.variant.threads in thread_counts(name_of(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in keep])
    items[:] = keep


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if item.config.baton:
        item.config.baton.wait(item.place)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    if call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception):
        item.config.failures[name_of(item)] = call.excinfo.exconly(tryshort=True).splitlines()[0]
    return (yield)


def pytest_sessionfinish(session):
    if session.config.option.failures:
        Path(session.config.option.failures).write_text(json.dumps(session.config.failures))
    if session.config.option.launched:
        found = {"benches": session.config.names, "places": sorted(session.config.launched)}
        Path(session.config.option.launched).write_text(json.dumps(found))


@pytest.fixture(scope="session")
def framework(pytestconfig):
    return pytestconfig.loaded


@pytest.fixture(autouse=True)
def not_for_jax(request, framework):
    """JAX runs what names it: its arrays are immutable, and op by op it is not what its users run."""
    if hasattr(framework, "jax") and "training_step" not in request.fixturenames:
        pytest.skip("whole steps alone")


@pytest.fixture
def opencv(framework):
    """OpenCV, where it is what is measured."""
    return framework if hasattr(framework, "warpAffine") else None


@pytest.fixture(autouse=True)
def not_for_opencv(request, framework):
    """OpenCV runs what names it."""
    if hasattr(framework, "warpAffine") and "opencv" not in request.fixturenames:
        pytest.skip("images alone")


@pytest.fixture
def taped(framework):
    """The framework, where it has a tape."""
    if not hasattr(framework, "nn"):
        pytest.skip("no gradients here")
    return framework


@pytest.fixture
def ours(pytestconfig, framework):
    """The framework, where it is ours."""
    if pytestconfig.variant.framework != OURS:
        pytest.skip("ours alone")
    return framework


@pytest.fixture
def find_op(pytestconfig, framework):
    """Finds an op by PyTorch's name; where a peer has none, there is nothing to compare."""

    def find_op(name):
        op = find(framework, name)
        if op is None and pytestconfig.variant.framework != OURS:
            pytest.skip(f"no {name} here")
        if op is None:
            raise AttributeError(f"no {name}")
        return op

    return find_op


@pytest.fixture
def numbers():
    """Makes arrays of numbers drawn from an interval; the same in every framework."""
    draw = np.random.default_rng(0)

    def numbers(*shape, low=0.1, high=0.9, dtype="float32"):
        return draw.uniform(low, high, shape).astype(dtype)

    return numbers


@pytest.fixture
def tensor(framework, numbers):
    """Makes tensors of such numbers."""
    return lambda *shape, **interval: framework.tensor(numbers(*shape, **interval))


@pytest.fixture
def measure(pytestconfig, request, benchmark):
    """Times a statement in steady state, without a function call around it.

    operations and moved, in bytes, are the least that it takes: from them follows what the machine's
    limit would be.
    """

    option = pytestconfig.option

    def measure(statement, *, operations=0, moved=0, **names):
        timer = Timer(statement, globals=names)
        if option.launched:
            places = pytestconfig.loaded._core.core.launched(partial(timer.timeit, 1))
            pytestconfig.launched |= {place for place, started in enumerate(places) if started}
            return
        timer.timeit(1)
        once = timer.timeit(1)
        if once < BLOCK:
            once = timer.timeit(100) / 100
        calls = ceil(BLOCK / once)
        blocks = max(1, int(option.seconds / (calls * once)))
        block = count()

        def before_block():
            if next(block) % blocks == 0:
                if pytestconfig.baton:
                    pytestconfig.baton.wait(request.node.place)
                if once < LONG:
                    timer.timeit(calls)  # whoever had the turn has left the caches full of his own

        benchmark.name = name_of(request.node)
        benchmark.extra_info.update(calls=calls, operations=operations, moved=moved)
        benchmark.pedantic(
            timer.timeit,
            (calls,),
            setup=before_block,
            rounds=option.visits * blocks,
            warmup_rounds=0,
        )

    return measure
