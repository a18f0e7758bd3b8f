"""Runs the bench files: a turn is one process for each variant, all side by side, one at a time at work."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .baton import Runner, take_turns
from .frameworks import Variant

HERE = Path(__file__).resolve().parent
POOLS = ("OMP", "MKL", "OPENBLAS", "TGL")
# Compiling JAX's training steps takes longer than timing them.
JAX_CACHE = Path.home() / ".cache" / "tinygrad_lessons" / "jax"
PASSED, FAILED, NOTHING_TO_RUN = 0, 1, 5  # of what pytest returns


@dataclass(frozen=True)
class Report:
    """What one process measured.

    Attributes:
        variant: what it ran.
        benches: pytest-benchmark's records by the bench's name.
        failures: errors by the bench's name.
    """

    variant: Variant
    benches: dict[str, dict]
    failures: dict[str, str]


def run_turn(variants, seconds, visits, words="", say=lambda text: None):
    """A report for each variant.

    Args:
        variants: the list of them.
        seconds: to spend on a visit to a bench.
        visits: to each bench, between which the other variants have theirs.
        words: only what `pytest -k` would pick.
        say: gets a line on how far it is.

    Raises:
        RuntimeError: pytest could not run the files.
    """
    with TemporaryDirectory() as folder:
        paths = [Path(folder, str(i)) for i in range(len(variants))]
        runners = [
            Runner(lambda *baton, v=v, p=p: start(v, p, seconds, visits, words, baton))
            for v, p in zip(variants, paths, strict=True)
        ]
        take_turns(runners, lambda place: say(f"bench {place + 1}"))
        return [read(*each, runner) for *each, runner in zip(variants, paths, runners, strict=True)]


def start(variant, path, seconds, visits, words, baton):
    """The process that runs all files in one variant and waits for its turns."""
    command = [
        sys.executable, "-m", "pytest", HERE, "-c", HERE / "pytest.ini", "--rootdir", HERE,
        "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-k", words,
        "--framework", variant.framework, "--threads", str(variant.threads),
        "--build", variant.build, "--seconds", str(seconds), "--visits", str(visits),
        "--baton", *map(str, baton), "--failures", path.with_suffix(".failures"),
        "--benchmark-json", path.with_suffix(".json"),
    ]  # fmt: skip
    settings = {f"{pool}_NUM_THREADS": str(variant.threads) for pool in POOLS}
    settings |= {
        "JAX_COMPILATION_CACHE_DIR": str(JAX_CACHE),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    with path.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            command, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, pass_fds=baton,
        )  # fmt: skip


def read(variant, path, runner):
    if runner.process.wait() not in (PASSED, FAILED, NOTHING_TO_RUN):
        log = path.with_suffix(".log").read_text()
        raise RuntimeError(f"{log}\nthe benches cannot be run in {variant.framework}")
    report = path.with_suffix(".json")
    # where every bench is skipped, pytest-benchmark writes nothing, or an empty file
    text = report.read_text() if report.exists() else ""
    benches = json.loads(text)["benchmarks"] if text else []
    failures = json.loads(path.with_suffix(".failures").read_text())
    return Report(variant, {bench["name"]: bench for bench in benches}, failures)
