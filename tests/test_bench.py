"""No kernel without a bench, no target without a row, and a table that says what was measured."""

import ast
import json
import math
import os
import re
import subprocess
import sys
import threading
from math import comb
from pathlib import Path
from types import SimpleNamespace

import pytest

import tinygrad_lessons as tg
from bench import compare, roofline, table
from bench.baton import Baton, Runner, take_turns
from bench.bench_limits import buffer_sizes, cache_sizes
from bench.frameworks import Variant, find, load
from bench.jax_nets import layers
from bench.nets import cnn, lenet, mlp
from bench.results import LEVELS, PEAK, Limits, Results, width_name
from bench.run import Report
from bench.targets import GROUPS, OURS, TARGETS, WIDTHS, Target, Threads, thread_counts
from tinygrad_lessons._core.generate import read_rows, simple

ROOT = Path(__file__).parents[1]
CSRC = ROOT / "csrc"
ROWS = {kind: read_rows(CSRC / f"{kind}.def") for kind in ("unary", "binary", "optim")}


# ---- every kernel has a bench ----


def table_places():
    """The names of the places in the kernel table, in its order: "sum", "unary[exp]" and so on."""
    text = re.sub(r"/\*.*?\*/", "", (CSRC / "table.h").read_text(), flags=re.S)
    (fields,) = re.findall(r"typedef struct \{(.*?)\} tg_kernels;", text, flags=re.S)
    sizes = {"TG_DTYPES": 6, "2": 2}
    named = {f"TG_{kind.upper()}_COUNT": [row.name for row in rows] for kind, rows in ROWS.items()}
    places = []
    for declaration in fields.split(";"):
        for name, indices in re.findall(r"(\w+)((?:\[\w+\])*)\s*(?:,|$)", declaration.strip()):
            indices = re.findall(r"\w+", indices)
            rows = named.get(indices[0]) if indices else None
            count = math.prod(sizes[index] for index in (indices[1:] if rows else indices))
            for row in rows or [""]:
                places += [f"{name}[{row}]" if row else name] * count
    return places


def served_by_ops():
    """The derivatives that run as other rows' ops: their own loops are not used."""
    return {
        f"{kind}_backward[{row.name}]"
        for kind in ("unary", "binary")
        for row in ROWS[kind]
        if all(text == "K(0)" or simple(text) for text in row.derivatives)
    }


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """The names of all benches, and the places of the kernel table whose kernels start when each runs once."""
    path = tmp_path_factory.mktemp("bench") / "launched.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", ROOT / "bench", "-c", ROOT / "bench/pytest.ini",
         "-q", "-p", "no:cacheprovider", "--launched", path],
        cwd=ROOT, capture_output=True,
    )  # fmt: skip
    return SimpleNamespace(**json.loads(path.read_text()))


def test_every_kernel_has_a_bench(benches):
    names, there = table_places(), tg._core.core.launched(lambda: None)
    assert len(names) == len(there)
    kernels = {name for name, place in zip(names, there, strict=True) if place is not None}
    reached = {names[place] for place in benches.places}
    assert kernels - reached - served_by_ops() - {"isa"} == set()


def test_launched_tells_kernels_apart():
    names = table_places()
    x = tg.ones(2, 3)

    def reached(function):
        places = tg._core.core.launched(function)
        return {name for name, started in zip(names, places, strict=True) if started}

    assert reached(lambda: None) == set()
    assert reached(x.exp) == {"unary[exp]"}
    assert reached(lambda: x.double() * 2) == {"copy", "binary[mul]"}
    assert reached(lambda: x @ x.T) == {"gemm"}
    with pytest.raises(ZeroDivisionError):
        reached(lambda: 1 // 0)
    assert reached(x.sum) == {"sum"}


def test_benches_have_names_of_their_own(benches):
    assert len(set(benches.benches)) == len(benches.benches)
    shown = [*benches.benches, *(target.name for target in TARGETS)]
    assert max(map(len, shown)) <= table.NAME


def test_every_target_has_a_bench(benches):
    assert {target.bench for target in TARGETS} - set(benches.benches) == set()
    assert {width_name(width) for width in WIDTHS} <= set(benches.benches)
    assert len({target.name for target in TARGETS}) == len(TARGETS)


# ---- what benches are run with ----


def test_numpy_answers_to_pytorchs_names():
    numpy = load(Variant("numpy"))
    assert numpy.mul(numpy.tensor([2.0]), 3.0) == [6.0]
    assert find(numpy, "atan2")(1.0, 1.0) == pytest.approx(0.7853981633974483)
    assert find(numpy, "gelu") is None
    assert numpy.randn((3, 2)).shape == (3, 2) and numpy.rand(3).dtype == "float32"


def test_only_the_build_asked_for_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ImportError, match="expected the build in"):
        load(Variant(OURS, build=str(tmp_path)))


def test_threads_follow_from_the_targets():
    assert thread_counts("matmul 512") == {1, 2}
    assert thread_counts("step of lenet") == {1, 2}
    assert thread_counts("matmul 128") == thread_counts("no target names it") == {1}


def test_buffers_fit_their_level():
    buffers, caches = buffer_sizes(), cache_sizes()
    assert all(buffers[level] <= caches[level] / 2 for level in ("L1", "L2", "L3"))
    assert [*buffers] == [*LEVELS] and sorted(buffers.values()) == [*buffers.values()]


def test_limits_are_counted():
    core = tg._core.core
    # so many multiply-adds of two operations each, for each lane of the 12 vectors
    lanes = {"baseline": 4, "avx2": 8, "avx512": 16}[tg.show_config().split()[2]]
    assert core.limit_fma(1000) == 1000 * 12 * lanes * 2
    x = tg.arange(1024.0)
    core.limit_stream(x, 3, True)
    assert tg.equal(x, -tg.arange(1024.0))
    core.limit_stream(x, 3, False)
    assert tg.equal(x, -tg.arange(1024.0))
    for wrong in (x[1:], x.double(), tg.ones(32, 32).T):
        with pytest.raises(ValueError, match="limit_stream"):
            core.limit_stream(wrong, 1, False)


@pytest.mark.parametrize(
    "net", [mlp(10, 7, 3, batch=2), mlp(10, 7, 3, batch=2, regularised=True)], ids=["plain", "all"]
)
def test_jax_has_the_same_nets(net):
    jax = pytest.importorskip("jax")
    shape, count = net.x[1:], 0
    for layer in net.build(layers(jax)):
        parameters, _, shape = layer.init(jax.random.PRNGKey(0), shape)
        count += sum(each.size for each in parameters.values())
    assert shape == (net.classes,)
    assert count == sum(each.numel() for each in net.build(tg.nn).parameters())


def test_operations_of_a_training_step():
    # forward, for the weights, and behind the first layer for the input; a multiply-add is two
    assert mlp(4, 3, 2, batch=5).operations == 2 * 5 * (3 * 4 * 3 + 3 * 3 * 2 - 4 * 3)
    assert lenet(1).products == (117600, 240000, 48000, 10080, 840)
    assert cnn(2).products == (2 * 225792, 2 * 3612672, 2 * 31360)


# ---- whose turn it is ----


def test_one_runs_at_a_time_and_those_at_one_place_by_turns():
    events = []

    def runner(name, places):
        def start(receive, send):
            baton = Baton(os.dup(receive), os.dup(send))

            def work():
                for place in places:
                    baton.wait(place)
                    events.append((name, place))
                os.close(baton.send)

            threading.Thread(target=work).start()

        return Runner(start)

    seen = []
    take_turns([runner("a", [0, 0, 0, 2]), runner("b", [0, 0, 1, 2])], seen.append)
    assert events == [
        ("a", 0), ("b", 0), ("a", 0), ("b", 0), ("a", 0), ("b", 1), ("a", 2), ("b", 2),
    ]  # fmt: skip
    assert seen == sorted(seen) and set(seen) == {0, 1, 2}


# ---- results ----


def record(seconds, **info):
    """As pytest-benchmark writes it: a round of ten calls."""
    info = {"calls": 10, "operations": 0, "moved": 0} | info
    return {
        "stats": {"median": 10 * seconds, "data": [10 * seconds] * 6},
        "extra_info": info,
        "fullname": "bench_ops.py::bench_op",
    }


def reports(framework=OURS, threads=1, failures=(), **benches):
    """A turn of one variant; underscores stand for blanks."""
    found = {name.replace("_", " "): record(seconds) for name, seconds in benches.items()}
    return Report(Variant(framework, threads), found, dict(failures))


def row_of(name, *turns):
    groups = Results(turns, cache_sizes()).groups
    (row,) = [row for rows in groups.values() for row in rows if row.target.name == name]
    return row


def test_ratio_is_the_best_peers_time_over_ours():
    row = row_of(
        "add of 4",
        reports(add_of_4=2.0), reports("torch", add_of_4=30.0), reports("numpy", add_of_4=9.0),
    )  # fmt: skip
    assert row.figures == {OURS: 2.0, "torch": 30.0, "numpy": 9.0}
    assert row.ratio == 4.5


def test_only_the_peers_of_the_target_count():
    row = row_of(
        "step of lenet",
        reports(step_of_lenet=1.0), reports("torch", step_of_lenet=3.0), reports("jax", step_of_lenet=2.0),
    )  # fmt: skip
    assert (row.ratio, row.reached) == (3.0, "yes")


def test_of_several_turns_the_median_counts():
    turns = [reports(add_of_4=seconds) for seconds in (5.0, 1.0, 2.0)]
    assert row_of("add of 4", *turns, reports("torch", add_of_4=8.0)).ratio == 4


@pytest.mark.parametrize("peer, reached", [(12.0, "yes"), (11.9, "no")])
def test_reached(peer, reached):
    assert (
        row_of("add of 4", reports(add_of_4=2.0), reports("torch", add_of_4=peer)).reached
        == reached
    )


def test_threads():
    turns = [
        reports(matmul_512=1.0, step_of_lenet=8.0),
        reports(threads=2, matmul_512=0.5, step_of_lenet=4.0),
        reports("torch", matmul_512=2.0, step_of_lenet=12.0),
        reports("torch", threads=2, matmul_512=0.4, step_of_lenet=20.0),
    ]
    assert row_of("matmul 512", *turns).ratio == 2.0
    assert row_of("matmul 512, two threads", *turns).ratio == 0.8
    assert row_of("matmul 512, 2 threads over 1", *turns).ratio == 2.0
    assert row_of("step of lenet", *turns).ratio == 3.0  # each side's better


def test_what_is_missing_is_said():
    turns = [
        reports(add_of_4=1.0, failures={"step of lenet": "AttributeError: no Conv2d"}),
        reports("torch", step_of_lenet=1.0, matmul_16=1.0),
    ]
    assert row_of("add of 4", *turns).reached == "no peer"
    assert row_of("matmul 16", *turns).reached == "not run"
    lenet = row_of("step of lenet", *turns)
    assert (lenet.reached, lenet.ratio) == ("missing", None)
    text = table.table(Results(turns, cache_sizes()), [OURS, "torch"])
    assert "ours: step of lenet: AttributeError: no Conv2d" in text
    assert "0 of 3 targets reached" in text


def with_limits():
    """A core with 100 GFLOP/s, and with 8, 4, 2 and 1 GB/s by level of memory."""
    info = {PEAK: record(1e-3, operations=1e8)}
    for level, rate in zip(LEVELS, (8e9, 4e9, 2e9, 1e9), strict=True):
        info[f"read {level}"] = record(1e-3, moved=rate * 1e-3)
        info[f"update {level}"] = record(1e-3, moved=rate * 0.5e-3)
    return info


def test_distance_to_the_limit():
    sizes = {"L1": 1000, "L2": 10**6, "L3": 10**8}
    limits = Results([Report(Variant(OURS), with_limits(), {})], sizes).limits
    assert limits == Limits(1e11, {"L1": 8e9, "L2": 4e9, "L3": 2e9, "memory": 1e9}, sizes)
    assert limits.seconds(100, 800) == (pytest.approx(1e-7), "L1")
    assert limits.seconds(10**6, 800) == (pytest.approx(1e-5), "fma")
    assert limits.seconds(10**6, 800, threads=2) == (pytest.approx(5e-6), "fma")
    assert limits.seconds(1, 10**9) == (pytest.approx(1), "memory")
    assert limits.seconds(0, 0) is None


@pytest.mark.parametrize("seconds, reached", [(1.04e-5, "yes"), (1.06e-5, "no")])
def test_a_share_of_the_limit_may_be_asked_too(seconds, reached):
    ours = with_limits() | {"matmul 512": record(seconds, operations=10**6, moved=800)}
    row = row_of(
        "matmul 512", Report(Variant(OURS), ours, {}), reports("torch", matmul_512=1.0)
    )  # fmt: skip
    assert row.share == pytest.approx(1e-5 / seconds) and row.bound == "fma"
    assert row.reached == reached


def steps(seconds):
    return Report(Variant(OURS), {width_name(w): record(seconds(w)) for w in WIDTHS}, {})


def test_cliff():
    def smooth(width):
        return 1e-9 * (20 * width + width**2)

    assert Results([steps(smooth)], cache_sizes()).cliff.excess < 1
    steep = Results([steps(lambda w: smooth(w) * (1.3 if w >= 320 else 1))], cache_sizes()).cliff
    assert steep.width == 320 and steep.excess == pytest.approx(1.3 / 1.25)
    # below 8 µs, 2 µs more are allowed
    low = Results([steps(lambda w: smooth(w) + (1.9e-6 if w >= 32 else 0))], cache_sizes()).cliff
    assert low.excess < 1


# ---- table ----


def test_table_holds_each_figure_within_120_columns():
    ours = with_limits() | {
        "matmul 512": record(1.26e-6, operations=10**5, moved=800),
        "peak memory of training lenet": record(50 * 2**20, unit="bytes"),
    }
    torch = {
        "matmul 512": record(2.52e-3),
        "peak memory of training lenet": record(200 * 2**20, unit="bytes"),
    }
    results = Results(
        [Report(Variant(OURS), ours, {}), Report(Variant("torch"), torch, {})], cache_sizes()
    )
    lines = table.table(results, [OURS, "torch", "numpy", "jax"]).splitlines()
    assert max(map(len, lines)) <= 120
    (matmul,) = [line for line in lines if line.startswith("matmul 512 ")]
    assert matmul.split() == [
        "matmul",
        "512",
        "1.26",
        "µs",
        "2.52",
        "ms",
        "-",
        "-",
        "2000.0",
        "1.05",
        "no",
        "79",
        "%",
        "fma",
        "/95",
    ]
    (memory,) = [line for line in lines if line.startswith("peak memory")]
    assert memory.split()[5:] == ["50.0", "MiB", "200", "MiB", "-", "-", "4.00", "3.00", "yes"]
    assert "100 GFLOP/s" in lines[0] and "L1 8, L2 4, L3 2, memory 1" in lines[0]


@pytest.mark.parametrize(
    "figure, text",
    [(1.26e-6, "1.26 µs"), (9.996e-6, "10.0 µs"), (0.0999, "99.9 ms"), (0.09996, "100 ms"),
     (3.2e-8, "32.0 ns"), (2.5, "2.50 s"), (None, "-")],
)  # fmt: skip
def test_three_digits(figure, text):
    assert table.amount(figure) == text


def test_groups_stand_in_the_order_of_the_targets():
    assert [target for group in GROUPS.values() for target in group] == TARGETS
    assert Target("a", 1, threads=Threads.TWO).name == "a, two threads"


# ---- roofline ----


def test_roofline_names_every_kernel(tmp_path):
    pytest.importorskip("matplotlib")
    limits = Limits(1e11, {"L1": 8e9, "L2": 4e9, "L3": 2e9, "memory": 1e9}, cache_sizes())
    kernels = [(f"row {i} of 4096", "ops", 0.125, 1e8 * 1.1**i) for i in range(30)]
    kernels += [("exp, backward", "ops", 0.1, 1e8), ("matmul 512", "matmul", 40.0, 9e10)]
    figure = roofline.draw(limits, kernels)
    figure.savefig(tmp_path / "roofline.png")
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {f"row {i}" for i in range(30)} | {"matmul 512"} <= texts
    assert "exp, backward" not in texts
    assert {"L1  8 GB/s", "memory  1 GB/s", "fused multiply-adds  100 GFLOP/s"} <= texts
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text().startswith("row")]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_spread_keeps_order_and_distance_and_stays_near():
    assert roofline.spread([0, 10, 20], 5) == [0, 10, 20]
    assert roofline.spread([0, 0, 0], 2) == [-2, 0, 2]
    assert roofline.spread([0, 0, 100], 2) == [-1, 1, 100]
    assert roofline.spread([0, 1, 2], 3) == [-2, 1, 4]


# ---- two builds ----


def test_interval_of_the_median_by_the_sign_test():
    values = [*range(16)]
    low, high = compare.interval(values, 0.001)
    k = low + 1  # the k-th smallest
    assert high == 16 - k
    assert 2 * sum(comb(16, i) for i in range(k)) / 2**16 <= 0.001
    assert 2 * sum(comb(16, i) for i in range(k + 1)) / 2**16 > 0.001
    assert compare.interval([3, 1, 2], 0.001) == (0, math.inf)  # too few to say anything


def test_a_disturbed_turn_does_not_hide_a_change():
    slower = [1.1 + 0.001 * i for i in range(15)] + [0.5]
    assert compare.moved(*compare.interval(slower, 0.001)) == "slower"
    noise = [1 + 0.05 * (-1) ** i for i in range(16)]
    assert compare.moved(*compare.interval(noise, 0.001)) == ""
    faster = [0.9] * 15 + [2.0]
    assert compare.moved(*compare.interval(faster, 0.001)) == "faster"
    assert compare.moved(1.001, 1.009) == ""  # sure, but not worth a line


def test_pairs_are_of_visits_side_by_side():
    old = {"stats": {"data": [1, 2, 3, 10, 20, 30]}, "extra_info": {"calls": 1}}
    new = {"stats": {"data": [4, 4, 50, 50]}, "extra_info": {"calls": 2}}
    assert compare.pair_ratios(old, new, 2) == [2 / 2, 25 / 20]


def test_unknown_commit():
    with pytest.raises(SystemExit, match="no commit 'no-such-branch'"):
        compare.build("no-such-branch", "unused")


# ---- as a whole ----


def test_command_measures_prints_and_writes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "-k", "bench_add_of_4", "--out", tmp_path,
         "--frameworks", OURS, "numpy"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"][next(iter(GROUPS))][:1]
    assert row["name"] == "add of 4" and 0 < row[OURS] < 1e-3 and 0 < row["numpy"] < 1e-3
    assert row["ratio"] == row["numpy"] / row[OURS]
    assert re.search(r"^add of 4  .* [µn]s ", done.stdout, flags=re.M)


def test_command_tells_which_packages_lack(monkeypatch, capsys):
    from bench import command

    monkeypatch.setattr(command, "NEEDED", {"no_such_package": "no-such-package"})
    assert command.main([]) == 2
    assert "benches need no-such-package" in capsys.readouterr().err


def test_tgl_bench_where_it_is_installed():
    pytest.importorskip("tinygrad_lessons_bench")
    command = [sys.executable, "-m", "tinygrad_lessons", "bench", "--help"]
    assert "--quick" in subprocess.run(command, capture_output=True, text=True).stdout


def test_benches_do_not_load_the_engine():
    """A peer's process must not have it in memory."""
    loads = {
        name.name
        for path in (ROOT / "bench").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert not any(name.startswith("tinygrad_lessons") for name in loads)
