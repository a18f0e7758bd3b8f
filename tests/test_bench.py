"""No op without a bench, and a table that says what was measured."""

from argparse import Namespace

import pytest

import tinygrad_lessons as tg
from bench.__main__ import HERE, run
from bench.bench_ops import ONE_WEIGHT, OPS, PARAMETERS, find
from bench.frameworks import OURS, load
from bench.join import Row, join, table


def report(**seconds):
    """As pytest-benchmark writes it: the median of a round of ten calls."""
    return {
        "benchmarks": [
            {
                "name": name,
                "stats": {"median": 10 * median},
                "extra_info": {"calls": 10, "target": 4, "expected": 2},
            }
            for name, median in seconds.items()
        ]
    }


def test_every_op_has_a_bench():
    assert sorted(row.name for row in OPS) == sorted(tg._core.OP_NAMES)


@pytest.mark.parametrize("row", OPS, ids=lambda row: row.name)
def test_every_bench_finds_its_op(row):
    operands = [tg.tensor([1, 2]) if row.kind == "BITWISE" else tg.tensor([0.5, 0.7])]
    operands *= len(row.operands)
    if row.name in ONE_WEIGHT:
        operands[1] = tg.tensor([0.5])
    result = find(tg, row.name)(*operands, *PARAMETERS.get(row.name, ()))
    assert result.shape == (2,)


def test_numpy_answers_to_pytorchs_names():
    numpy = load("numpy")
    assert numpy.mul(numpy.tensor([2.0]), 3.0) == [6.0]
    assert find(numpy, "atan2")(1.0, 1.0) == pytest.approx(0.7853981633974483)
    assert find(numpy, "gelu") is None


def test_ratio_is_the_best_peers_time_over_ours():
    (row,) = join([(OURS, report(a=2.0)), ("slow", report(a=30.0)), ("fast", report(a=9.0))])
    assert row.seconds == {OURS: 2.0, "slow": 30.0, "fast": 9.0}
    assert row.ratio == 4.5
    assert (row.target, row.expected) == (4, 2)


def test_of_several_turns_the_median_counts():
    turns = [(OURS, report(a=seconds)) for seconds in (5.0, 1.0, 2.0)]
    (row,) = join([*turns, ("peer", report(a=8.0))])
    assert row.seconds[OURS] == 2.0
    assert row.ratio == 4


@pytest.mark.parametrize(
    "peer, reached", [(8.0, "yes"), (7.9, "expected"), (4.0, "expected"), (3.9, "no")]
)
def test_reached(peer, reached):
    (row,) = join([(OURS, report(a=2.0)), ("peer", report(a=peer))])
    assert row.reached == reached


def test_what_is_missing_is_said():
    rows = join([(OURS, report(mine=1.0)), ("peer", report(theirs=1.0))])
    by_name = {row.name: row for row in rows}
    assert by_name["theirs"].reached == "missing"
    assert by_name["mine"].reached == "no peer"
    assert by_name["mine"].ratio is by_name["theirs"].ratio is None
    assert by_name["mine"].record()["reached"] == "no peer"


def test_names_of_benches_become_words():
    rows = join([(OURS, report(**{"bench_op[floor_divide]": 1.0, "bench_add_of_4": 1.0}))])
    assert [row.name for row in rows] == ["op floor_divide", "add of 4"]


def test_table_holds_each_time_and_verdict():
    rows = [Row("fast", {OURS: 1e-6, "peer": 8e-6}, target=4), Row("gone", {"peer": 2.5e-6})]
    head, fast, gone = (line.split() for line in table(rows, [OURS, "peer"]).splitlines())
    assert head == ["microseconds", OURS, "peer", "ratio", "expected", "target", "reached"]
    assert fast == ["fast", "1.000", "8.000", "8.00", "-", "4.00", "yes"]
    assert gone == ["gone", "-", "2.500", "-", "-", "-", "missing"]


def test_where_all_is_skipped_no_older_report_is_read(tmp_path):
    older = tmp_path / "report.json"
    older.write_text('{"benchmarks": []}')
    options = Namespace(k="", quick=True)
    assert run(HERE / "bench_training.py", "numpy", options, older) is None
