"""The report of a tuning study."""

import math
from itertools import accumulate

import pytest

from tinygrad_lessons import report

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_study(direction="minimize", trials=30, name="a <study>"):
    """Value (log10 lr + 2)² + 0.1 for "bad": lr matters most; reported on the way, pruned at 3."""
    study = optuna.create_study(
        study_name=name, direction=direction, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    sign = 1 if direction == "minimize" else -1

    def objective(trial):
        lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
        kind = trial.suggest_categorical("kind", ["good", "bad", "<i>odd</i>"])
        trial.suggest_int("useless", 1, 9)
        value = sign * ((math.log10(lr) + 2) ** 2 + 0.1 * (kind == "bad"))
        for step in (1, 2, 3):
            trial.report(value + sign / step, step)
        if trial.number == 5:
            raise optuna.TrialPruned
        if trial.number == 6:
            raise RuntimeError("out of memory")
        return math.nan if trial.number == 7 else value

    study.optimize(objective, n_trials=trials, catch=(RuntimeError,))
    return study


def texts(page, selector):
    return page.run(f"[...document.querySelectorAll({selector!r})].map((e) => e.textContent)")


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_page(direction, tmp_path, open_page):
    study = make_study(direction)
    opened = open_page(report.write_study(study, tmp_path / "tune.html"), width=400)
    assert opened.overflow() == 0
    opened.resize(1400)
    assert opened.overflow() == 0
    assert texts(opened, "h1") == ["a <study>"]
    assert texts(opened, "h2") == ["Result", "Search", "Parallel coordinates", "Trials"]
    values = texts(opened, ".tiles dd")
    assert values[0] == f"{study.best_value:.5g}"
    assert values[1] == f"trial {study.best_trial.number}"
    assert values[3] == "27 complete, 1 pruned, 2 failed"  # NaN fails, by Optuna's rule
    best = dict(zip(texts(opened, ".pairs th"), texts(opened, ".pairs td"), strict=True))
    assert best["kind"] == study.best_params["kind"]
    assert float(best["lr"]) == pytest.approx(study.best_params["lr"], rel=1e-3)
    # parameters by importance: what the value depends on first
    names = texts(opened, ".bars th")
    assert names[0] == "lr" and set(names) == {"lr", "kind", "useless"}
    shares = [float(text.rstrip(" %")) for text in texts(opened, ".bars td:last-child")]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert shares == sorted(shares, reverse=True)
    assert opened.run("document.querySelectorAll('i').length") == opened.run(
        "document.querySelectorAll('.legend i').length"
    )


def test_parallel_coordinates(tmp_path, open_page):
    study = make_study()
    opened = open_page(report.write_study(study, tmp_path / "tune.html"))
    lines = opened.run("[...document.querySelectorAll('g[data-tip]')].map((e) => e.dataset.tip)")
    assert len(lines) == 27
    assert lines[-1].startswith(f"trial {study.best_trial.number}: {study.best_value:.5g}\nlr: ")
    assert texts(opened, "svg .name") == ["lr", "kind", "useless", "value"]
    # a better trial is lower on the last axis
    ends = opened.run(
        "[...document.querySelectorAll('g[data-tip] .many')].map((e) => Number(e.getAttribute('d').split(' ').pop()))"
    )
    assert ends == sorted(ends)
    x, y = opened.run(
        """(() => {
          const path = document.querySelector('g[data-tip] .many');
          path.scrollIntoView({block: 'center', behavior: 'instant'});
          const p = path.getPointAtLength(0.3 * path.getTotalLength());
          const at = new DOMPoint(p.x, p.y).matrixTransform(path.getScreenCTM());
          return [at.x, at.y];
        })()"""
    )
    opened.point(x, y)
    assert opened.run("document.querySelectorAll('g.on').length") == 1
    assert texts(opened, "#tip")[0] in lines
    opened.point(2, 2)
    assert opened.run("document.querySelectorAll('g.on').length") == 0


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_curves_and_history(direction, tmp_path, open_page):
    study = make_study(direction)
    opened = open_page(report.write_study(study, tmp_path / "tune.html"))
    series = opened.run(
        "[...document.querySelectorAll('figure > script')].map((e) => JSON.parse(e.textContent).series)"
    )
    history, learning = series
    names = [line["name"] for line in history]
    assert names == ["pruned at", "trial", "best so far"]
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    better = min if direction == "minimize" else max
    values = list(accumulate((trial.value for trial in done), better))
    so_far = [[str(trial.number), value] for trial, value in zip(done, values, strict=True)]
    drawn = [[point[2], float(point[3])] for point in history[2]["points"]]
    assert [number for number, _ in drawn] == [number for number, _ in so_far]
    assert [value for _, value in drawn] == pytest.approx([v for _, v in so_far], rel=1e-3)
    assert [point[2] for point in history[0]["points"]] == ["5"]
    assert len(learning) == 30
    assert learning[-1]["name"] == f"trial {study.best_trial.number}, complete"
    reported = study.best_trial.intermediate_values
    assert [point[2] for point in learning[-1]["points"]] == ["1", "2", "3"]
    assert [float(point[3]) for point in learning[-1]["points"]] == pytest.approx(
        list(reported.values()), rel=1e-3
    )


def test_table_of_trials(tmp_path, open_page):
    study = make_study()
    opened = open_page(report.write_study(study, tmp_path / "tune.html"))
    assert texts(opened, ".sortable thead th") == [
        "trial",
        "state",
        "value",
        "lr",
        "kind",
        "useless",
        "time",
    ]
    opened.click("thead th:nth-child(3) button")
    opened.click("thead th:nth-child(3) button")
    numbers = [int(text) for text in texts(opened, ".sortable tbody th")]
    done = sorted((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: t.value)
    assert numbers[: len(done)] == [trial.number for trial in done]


def test_conditional_parameters_and_one_value(tmp_path, open_page):
    """A trial without a parameter passes by its axis; importance may not be known."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        if trial.suggest_categorical("kind", ["SGD", "Adam"]) == "SGD":
            trial.suggest_float("momentum", 0, 1)
        return 1.0

    study.optimize(objective, n_trials=8)
    opened = open_page(report.write_study(study, tmp_path / "tune.html"))
    lengths = opened.run(
        "[...document.querySelectorAll('g[data-tip] .many')].map((e) => e.getAttribute('d').split('L').length)"
    )
    expected = [2 + ("momentum" in trial.params) for trial in study.trials]
    assert sorted(lengths) == sorted(expected) and len(set(lengths)) == 2


@pytest.mark.parametrize("trials", [0, 1, 2])
def test_few_trials(trials, tmp_path, open_page):
    opened = open_page(report.write_study(make_study(trials=trials), tmp_path / "tune.html"))
    assert texts(opened, "h2")[0] == "Result"


def test_no_trial_complete(tmp_path):
    study = optuna.create_study()
    study.optimize(lambda trial: math.nan, n_trials=2)
    assert "No trial is complete." in report.write_study(study, tmp_path / "tune.html").read_text()


def test_several_objectives(tmp_path):
    study = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match="2 objectives: expected one"):
        report.write_study(study, tmp_path / "tune.html")
