"""One process of a study."""

import multiprocessing
import os
import time
import warnings
from collections import Counter

import optuna
from optuna.samplers import GridSampler
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.trial import TrialState

import tinygrad_lessons as tg
from tinygrad_lessons.tune.study import open_study

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
PATIENCE = 0.2  # seconds between looks at what others do


def work(study, objective, trials, heartbeat, quiet=False):
    """Run trials until the study has that many finished ones.

    The last trials of other processes are waited for: if their process dies, they are run here.
    A process ends, after its trial, when the one that started it is gone.
    """
    storage, seen, parent = study._storage, set(), multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        _fail_the_dead(study)
        found = study.get_trials(deepcopy=False)
        for trial in found if is_heartbeat_enabled(storage) else ():
            # one that was killed before its first sign of life gets one here, and so comes to its end
            if trial.state == TrialState.RUNNING and trial.number not in seen:
                seen.add(trial.number)
                storage.record_heartbeat(trial._trial_id)
        states = Counter(trial.state for trial in found)
        done = sum(states[state] for state in DONE)
        if done >= trials:
            return
        if states[TrialState.WAITING] or done + states[TrialState.RUNNING] < trials:
            study.optimize(objective, n_trials=1, callbacks=[] if quiet else [_say])
            if isinstance(study.sampler, GridSampler) and study.sampler.is_exhausted(study):
                return
        else:
            time.sleep(PATIENCE)


def work_in_process(plan, objective, trials, jobs, quiet):
    """`work`, in a process of its own, with its share of the machine's threads."""
    tg.set_num_threads(max(1, tg.get_num_threads() // jobs))
    try:
        work(open_study(plan), objective, trials, plan.heartbeat, quiet)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def finished(study):
    """How many trials have a result: complete, or given up by the pruner."""
    return sum(trial.state in DONE for trial in study.get_trials(deepcopy=False))


def _fail_the_dead(study):
    """Queue again the trials whose process gives no more signs of life."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def _say(study, trial):
    value = "-" if trial.value is None else f"{trial.value:.6g}"
    state = {TrialState.PRUNED: "given up", TrialState.COMPLETE: "done"}.get(trial.state, "failed")
    options = ", ".join(f"{_option(name)} {_short(value)}" for name, value in trial.params.items())
    best = f"; best {study.best_value:.6g}" if _has_best(study) else ""
    print(f"trial {trial.number} [{os.getpid()}]: {value} ({state}{best}): {options}", flush=True)


def _has_best(study):
    return any(t.state == TrialState.COMPLETE for t in study.get_trials(deepcopy=False))


def _option(name):
    """Without its table, unless it is what the table is about: lr, but optimizer."""
    table, _, option = name.partition(".")
    return table if option in ("", "name") else option


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else value
