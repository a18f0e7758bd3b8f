"""Studies as Optuna keeps them."""

import time
import warnings
from dataclasses import dataclass

import optuna

from tinygrad_lessons.train.config import ConfigError
from tinygrad_lessons.tune.samplers import make_pruner, make_sampler

GRACE = 3  # heartbeats that a trial may miss before it counts as killed
ATTEMPTS = 5  # to open a storage whose tables another process may be making
SQLITE_WAIT = 120  # seconds that a process waits for another to have written


@dataclass
class Plan:
    """What every process of a study must know to take part."""

    storage: str | None
    name: str
    direction: str
    sampler: str
    pruner: str
    space: dict | None
    epochs: int | None
    seed: int
    parallel: bool
    heartbeat: int


def open_study(plan):
    """The study of that name in the storage, made if it is not there.

    Raises:
        ConfigError: the storage cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what fails a trial is raised, too
    sampler = make_sampler(plan.sampler, plan.seed, plan.space, plan.parallel)
    pruner = make_pruner(plan.pruner, plan.epochs)
    return optuna.create_study(
        storage=None if plan.storage is None else _open_storage(plan.storage, plan.heartbeat),
        sampler=sampler,
        pruner=pruner,
        study_name=plan.name,
        direction=plan.direction,
        load_if_exists=True,
    )


def _open_storage(url, heartbeat):
    """The storage; what fails because another process is making its tables is tried again."""
    from sqlalchemy.exc import SQLAlchemyError

    for attempt in range(ATTEMPTS):
        try:
            return _storage(url, heartbeat)
        except (SQLAlchemyError, ImportError) as error:
            if attempt == ATTEMPTS - 1 or isinstance(error, ImportError):
                reason = " ".join(str(error).split("\n")[0].split())
                raise ConfigError(f"tune: storage {url!r} cannot be used: {reason}") from error
        time.sleep(0.2 * (attempt + 1))


def _storage(url, heartbeat):
    wait = {"connect_args": {"timeout": SQLITE_WAIT}} if url.startswith("sqlite:") else None
    with warnings.catch_warnings():  # heartbeats are called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            url,
            engine_kwargs=wait,
            heartbeat_interval=heartbeat,
            grace_period=GRACE * heartbeat,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )
