"""Runs each bench file in each framework by turns, in a process of its own on one core."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.frameworks import installed
from bench.join import join, table

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / ".benchmarks" / "ratios.json"
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
NO_BENCHES = 5  # what pytest returns when the filter leaves nothing of a file


def arguments():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("-k", metavar="WORDS", default="", help="only what pytest -k would pick")
    parser.add_argument("--quick", action="store_true", help="one short turn instead of three")
    parser.add_argument(
        "--frameworks", nargs="+", metavar="NAME", default=installed(), choices=installed(),
        help=f"some of: {', '.join(installed())}",
    )  # fmt: skip
    return parser.parse_args()


def run(file, framework, options, report):
    """One file in one framework: what pytest-benchmark reports, or None if no bench was run."""
    command = [
        sys.executable, "-m", "pytest", file, "-q", "--no-header", "-p", "no:cacheprovider",
        "-o", "python_files=bench_*.py", "-o", "python_functions=bench_*", "-k", options.k,
        "--framework", framework, "--seconds", "0.01" if options.quick else "0.1",
        "--benchmark-json", report,
    ]  # fmt: skip
    report.unlink(missing_ok=True)  # where every bench is skipped, none is written
    done = subprocess.run(
        command, cwd=HERE.parent, env=os.environ | ONE_THREAD, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode not in (0, NO_BENCHES):
        sys.exit(f"{done.stdout}\n{file.name} failed in {framework}")
    text = report.read_text() if report.exists() else ""
    return json.loads(text) if text else None


def main():
    options = arguments()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    reports = []
    with TemporaryDirectory() as folder:
        for turn in range(1 if options.quick else 3):
            for file in sorted(HERE.glob("bench_*.py")):
                for framework in options.frameworks:
                    print(f"turn {turn + 1}: {file.stem}, {framework}", file=sys.stderr)
                    report = run(file, framework, options, Path(folder, "report.json"))
                    if report:
                        reports.append((framework, report))
    rows = join(reports)
    print(table(rows, options.frameworks))
    print(f"ratio: the fastest peer's time over ours; machine load: {os.getloadavg()[0]:.1f}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([row.record() for row in rows], indent=1))
    print(f"written to {OUT}")


if __name__ == "__main__":
    main()
