"""A search from beginning to end: study, workers, best settings."""

import multiprocessing
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

from tinygrad_lessons.train.config import Config, ConfigError
from tinygrad_lessons.tune.choices import REMEDY
from tinygrad_lessons.tune.space import checked, decode, names_first


def tune(
    objective_or_space,
    *,
    config=None,
    trials: int = 50,
    sampler: str = "tpe",
    pruner: str = "hyperband",
    seed: int = 0,
    jobs: int = 1,
    storage: str | None = None,
    name: str = "study",
    direction: str | None = None,
    heartbeat: int = 10,
    quiet: bool = False,
):
    """Search for the settings that make a metric best; returns the Optuna study.

    With a space, each trial trains what `config` describes, with the options that the space names
    set anew, and its value is the best that the monitored metric (`train.monitor`) became in any
    epoch; a pruner may give it up before its end. Each trial has a seed of its own, from `seed`
    and its place in the study: a study of one process gives the same trials again.

    With an objective, that is called as Optuna does: objective(trial) returns the value.

    A study that is already in the storage goes on until it has `trials` finished trials. Several
    processes share the work: `jobs` here, and others, on this machine or on another, that call
    `tune` with the same storage and name. A trial whose process was killed is tried again, after
    three heartbeats without a sign of life. With `jobs` above 1 an objective must be importable
    (a function of a module), and a script must guard its call by `if __name__ == "__main__":`.

    Args:
        objective_or_space: a function of a trial, or {option: choices or range}: a list of
            choices, or {"low": …, "high": …, "log": True, "step": …}.
        config: the `Config` that a space varies; `Config()` if None.
        trials: how many finished trials the study is to have.
        sampler: "tpe", "random" or "grid".
        pruner: "hyperband", "halving", "median" or "none".
        seed: of the study.
        jobs: processes.
        storage: an SQLite file, or the URL of a database; None keeps the study in memory.
        name: of the study in the storage.
        direction: "minimize" or "maximize"; that of the monitored metric if None, else "minimize".
        heartbeat: seconds between signs of life of a running trial.
        quiet: print no line per trial.

    Raises:
        ModuleNotFoundError: Optuna is not installed.
        ConfigError: a space or an option is not what it should be.
        ChildProcessError: all processes ended before the study did.

    Example:
        >>> from tinygrad_lessons.tune import tune
        >>> def parabola(trial):
        ...     return (trial.suggest_float("x", -10, 10) - 2) ** 2
        >>> study = tune(parabola, trials=30, pruner="none", quiet=True)
        >>> study.best_value < 1
        True
    """
    if find_spec("optuna") is None:
        raise ModuleNotFoundError(REMEDY)
    from tinygrad_lessons.tune.study import Plan, open_study
    from tinygrad_lessons.tune.worker import work

    _check_counts(trials=trials, jobs=jobs, heartbeat=heartbeat)
    if jobs > 1 and storage is None:
        raise ConfigError("tune: several jobs need a storage to share: name an SQLite file")
    space = epochs = None
    objective = objective_or_space
    if not callable(objective):
        from tinygrad_lessons.tune.objective import ConfigObjective

        config = (config or Config()).complete()
        space, epochs = checked(objective_or_space, config), config.train.epochs
        objective = ConfigObjective(config, space, seed)
        direction = direction or objective.direction
    plan = Plan(
        storage=None if storage is None else url_of(storage),
        name=name,
        direction=direction or "minimize",
        sampler=sampler,
        pruner=pruner,
        space=space,
        epochs=epochs,
        seed=seed,
        parallel=jobs > 1,
        heartbeat=heartbeat,
    )
    study = open_study(plan)
    if jobs == 1:
        work(study, objective, trials, heartbeat, quiet)
    else:
        _share(plan, objective, trials, jobs, quiet)
    return study


def best_config(study, config):
    """The complete configuration of a study's best trial, which trains to the same result again.

    Args:
        study: as `tune` returned it.
        config: the `Config` whose options were searched.

    Example:
        >>> from tinygrad_lessons.train.config import Config
        >>> from tinygrad_lessons.tune import best_config, tune
        >>> config = Config(model={"name": "mlp", "hidden": [8]})
        >>> config.override("train.epochs", 1)
        >>> study = tune({"optimizer.lr": [1e-3, 1e-2]}, config=config, trials=2, quiet=True)
        >>> best_config(study, config).optimizer["lr"]
        0.01
    """
    trial, best = study.best_trial, deepcopy(config)
    for key, value in names_first(trial.params):
        best.override(key, decode(value))
    best.train.seed = trial.user_attrs["seed"]
    return best.complete()


def url_of(storage):
    """The URL of a storage: itself, or that of an SQLite file.

    Example:
        >>> from tinygrad_lessons.tune.run import url_of
        >>> url_of("study.db"), url_of("postgresql://host/studies")
        ('sqlite:///study.db', 'postgresql://host/studies')
    """
    return str(storage) if "://" in str(storage) else f"sqlite:///{Path(storage)}"


def _check_counts(**counts):
    for name, count in counts.items():
        if type(count) is not int or count < 1:
            raise ConfigError(f"tune: {name}: got {count!r}, expected a whole number of at least 1")


def _share(plan, objective, trials, jobs, quiet):
    """Work in several processes; those that live do what those that die leave."""
    from tinygrad_lessons.tune.worker import finished, work_in_process

    context = multiprocessing.get_context("spawn")  # a fork would share the engine's threads
    arguments = (plan, objective, trials, jobs, quiet)
    processes = [context.Process(target=work_in_process, args=arguments) for _ in range(jobs)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
    from tinygrad_lessons.tune.study import open_study

    done = finished(open_study(plan))
    if done < trials:
        codes = ", ".join(str(process.exitcode) for process in processes)
        raise ChildProcessError(
            f"tune: all {jobs} processes ended (exit codes {codes}) with {done} of {trials} trials "
            "finished: see their messages above, then go on with the same storage and name"
        )
