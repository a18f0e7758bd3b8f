"""Studies: reproducible, resumable, shared by processes, of which one may be killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from tune_objectives import AlwaysKilled, KilledOnce, parabola, slow_parabola

from tinygrad_lessons.train.config import ConfigError
from tinygrad_lessons.tune import PRUNERS, SAMPLERS, tune
from tinygrad_lessons.tune.samplers import make_pruner, make_sampler


def run(objective=parabola, **options):
    return tune(objective, **{"pruner": "none", "quiet": True, "trials": 12} | options)


def points(study):
    return [trial.params for trial in study.trials if trial.state == TrialState.COMPLETE]


def finished(study):
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in study.trials)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_gives_the_same_trials(sampler):
    first, again, other = (points(run(sampler=sampler, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len({point["x"] for point in first}) == 12


@pytest.mark.parametrize("pruner", PRUNERS)
def test_no_trial_repeats_another(pruner):
    """Hyperband shows a sampler only the trials of one bracket."""
    sampler, pruner = make_sampler("random", seed=0), make_pruner(pruner, epochs=5)
    study = optuna.create_study(sampler=sampler, pruner=pruner)

    def reports(trial):
        trial.report(parabola(trial), 1)
        trial.should_prune()  # from here on there are brackets
        return trial.params["x"]

    study.optimize(reports, n_trials=12)
    assert len({trial.params["x"] for trial in study.trials}) == 12


def test_tpe_beats_random_on_a_parabola():
    best = {
        sampler: sorted(run(sampler=sampler, seed=seed, trials=40).best_value for seed in range(5))
        for sampler in ("random", "tpe")
    }
    assert best["tpe"][2] < best["random"][2]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_resumed_study_goes_on_as_if_never_interrupted(sampler, tmp_path):
    whole = run(sampler=sampler)
    storage = tmp_path / "study.db"
    run(sampler=sampler, storage=storage, trials=5)
    assert points(run(sampler=sampler, storage=storage)) == points(whole)


def test_an_interrupted_trial_is_tried_anew_with_the_same_proposal(tmp_path):
    """Ctrl-C in the middle of trial 4, then on."""
    storage = tmp_path / "study.db"

    def interrupted(trial):
        if trial.number == 4:
            trial.suggest_float("x", -10, 10)
            raise KeyboardInterrupt
        return parabola(trial)

    with pytest.raises(KeyboardInterrupt):
        run(interrupted, storage=storage)
    assert points(run(storage=storage)) == points(run())


def test_two_processes_share_one_file(tmp_path):
    study = run(slow_parabola, jobs=2, trials=24, storage=tmp_path / "study.db")
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert 24 <= len(done) <= 25  # both may begin a last one at once
    processes = {trial.user_attrs["process"] for trial in done}
    assert len(processes) == 2
    assert len({trial.params["x"] for trial in done}) == len(done)


def test_two_programs_share_one_file(tmp_path):
    """As on two machines: neither knows of the other."""
    storage = tmp_path / "study.db"
    program = (
        "from tune_objectives import slow_parabola\n"
        "from tinygrad_lessons.tune import tune\n"
        f"tune(slow_parabola, trials=24, storage={str(storage)!r}, pruner='none', quiet=True)\n"
    )
    command = [sys.executable, "-c", program]
    here = Path(__file__).parent
    env = os.environ | {"PYTHONPATH": str(here.parents[1])}
    programs = [subprocess.Popen(command, cwd=here, env=env) for _ in range(2)]
    assert [program.wait(timeout=60) for program in programs] == [0, 0]
    study = run(storage=storage, trials=24)
    assert 24 <= finished(study) <= 25
    assert len({trial.user_attrs["process"] for trial in study.trials}) == 2


def test_the_trial_of_a_killed_process_is_tried_again(tmp_path):
    """The other process notices, after three heartbeats, and runs what was lost."""
    study = run(KilledOnce(tmp_path), jobs=2, storage=tmp_path / "study.db", heartbeat=1)
    (lost,) = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert lost.number == 2
    (again,) = [trial for trial in study.trials if trial.system_attrs.get("failed_trial") == 2]
    assert again.state == TrialState.COMPLETE
    assert again.params == lost.params
    assert 12 <= finished(study) <= 13


def test_processes_end_with_the_one_that_started_them(tmp_path):
    program = (
        "from tune_objectives import slow_parabola\n"
        "from tinygrad_lessons.tune import tune\n"
        "if __name__ == '__main__':\n"
        "    tune(slow_parabola, trials=10**6, jobs=2, storage='study.db', quiet=True)\n"
    )
    script, storage = tmp_path / "search.py", f"sqlite:///{tmp_path}/study.db"
    script.write_text(program)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    started = subprocess.Popen([sys.executable, script], cwd=tmp_path, env=env)
    try:
        wait_for(lambda: workers(storage, least=2))
    finally:
        started.kill()
        started.wait()
    wait_for(lambda: not any(map(lives, workers(storage))))


def workers(storage, least=1):
    """The processes that have finished a trial of the study; none, if there are fewer than that."""
    try:
        trials = optuna.load_study(study_name="study", storage=storage).trials
    except Exception:  # the file is being made
        return set()
    found = {trial.user_attrs["process"] for trial in trials if trial.state == TrialState.COMPLETE}
    return found if len(found) >= least else set()


def lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_all_processes_killed_is_an_error_and_the_study_goes_on(tmp_path):
    storage = tmp_path / "study.db"
    with pytest.raises(ChildProcessError, match=r"exit codes -9, -9\) with 0 of 4 trials finished"):
        run(AlwaysKilled(), jobs=2, storage=storage, trials=4, heartbeat=1)
    start = time.monotonic()
    study = run(storage=storage, trials=4, heartbeat=1)
    assert finished(study) == 4
    assert time.monotonic() - start < 30


def test_grid_tries_every_point_once():
    study = tune(
        {"optimizer.lr": [1e-3, 1e-2], "train.batch_size": [64, 128]},
        config=tiny(),
        sampler="grid",
        pruner="none",
        trials=10,
        quiet=True,
    )
    found = sorted(tuple(trial.params.values()) for trial in study.trials)
    assert found == [(1e-3, 64), (1e-3, 128), (1e-2, 64), (1e-2, 128)]


def tiny(**train):
    from tinygrad_lessons.train.config import Config

    config = Config(model={"name": "mlp", "hidden": [8]})
    for name, value in {"epochs": 2, **train}.items():
        config.override(f"train.{name}", value)
    return config


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "none"])
def test_pruners_give_up_what_falls_behind(pruner):
    """Trials whose value stays as high as it begins, the later the worse."""

    def falling_behind(trial):
        for epoch in range(1, 10):
            trial.report(trial.number, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return trial.number

    study = run(falling_behind, pruner=pruner, trials=30, seed=0)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) >= 10
    assert states.count(TrialState.COMPLETE) >= 1
    assert study.best_value == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "tpee"}, "sampler: got 'tpee': did you mean 'tpe'?"),
        ({"pruner": "medain"}, "pruner: got 'medain': did you mean 'median'?"),
        ({"sampler": "grid"}, "a grid needs a space"),
        ({"trials": 0}, "trials: got 0, expected a whole number of at least 1"),
        ({"jobs": 1.5}, "jobs: got 1.5"),
        ({"jobs": 2}, "several jobs need a storage to share"),
        ({"storage": "sqlite:////no/such/folder/study.db"}, "storage .* cannot be used"),
        ({"storage": "nonsense://x"}, "storage 'nonsense://x' cannot be used"),
    ],
    ids=str,
)
def test_misuse(options, message):
    with pytest.raises(ConfigError, match=message) as error:
        run(**options)
    assert "\n" not in str(error.value)


def test_names_are_all_there():
    assert set(SAMPLERS) == {"tpe", "random", "grid"}
    assert set(PRUNERS) == {"hyperband", "halving", "median", "none"}


def test_an_objective_that_fails_is_an_error():
    def broken(trial):
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError):
        run(broken)
