"""How trials are chosen and when they are given up, by name."""

import warnings

import numpy as np
import optuna

from tinygrad_lessons.train.config.signature import ConfigError, nearest
from tinygrad_lessons.tune.choices import PRUNERS, SAMPLERS
from tinygrad_lessons.tune.space import grid


def trial_seed(seed, index):
    """The seed of the trial of that index in the study: below 2**32, as NumPy's generators want it."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])


def index_of(study, trial):
    """How many trials came before this one, without those that failed: they are tried again."""
    failed = optuna.trial.TrialState.FAIL
    # of the storage: Hyperband hands out studies that hold one of its brackets alone
    every = study._storage.get_all_trials(study._study_id, deepcopy=False)
    return sum(one.state != failed for one in every[: trial.number])


class SeededSampler(optuna.samplers.BaseSampler):
    """Another sampler, made anew for each trial from the study's seed and the trial's index.

    So a study that is interrupted and resumed proposes what it would have proposed in one go, and
    several processes propose different things without knowing of each other.

    Args:
        make: returns the sampler of a seed.
        seed: of the study.
    """

    def __init__(self, make, seed):
        self._make, self._seed = make, seed
        self._sampler = make(trial_seed(seed, 0))

    def before_trial(self, study, trial):
        """Make the sampler of this trial."""
        self._sampler = self._make(trial_seed(self._seed, index_of(study, trial)))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study, trial):
        """As the sampler inside."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        """As the sampler inside."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        """As the sampler inside."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study, trial, state, values):
        """As the sampler inside."""
        self._sampler.after_trial(study, trial, state, values)


def make_sampler(name, seed, space=None, parallel=False):
    """A sampler: "tpe" (Bergstra et al. 2011), "random", or "grid", which needs a space.

    Args:
        name: one of `SAMPLERS`.
        seed: of the study.
        space: as `space.flatten` returns it.
        parallel: several processes share the study, so TPE keeps away from what is running.

    Raises:
        ConfigError: there is no such sampler, or a grid has no space.
    """
    if name == "grid":
        if space is None:
            raise ConfigError("tune: a grid needs a space, not an objective")
        return optuna.samplers.GridSampler(grid(space), seed=trial_seed(seed, 0))
    if name == "random":
        return SeededSampler(lambda seed: optuna.samplers.RandomSampler(seed=seed), seed)
    if name == "tpe":

        def tpe(seed):
            with warnings.catch_warnings():  # constant_liar is called experimental
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.samplers.TPESampler(seed=seed, constant_liar=parallel)

        return SeededSampler(tpe, seed)
    raise ConfigError(f"tune: sampler: got {name!r}: {nearest(name, SAMPLERS)}")


def make_pruner(name, epochs):
    """A pruner, which gives up trials by their metric after each epoch.

    "halving" is asynchronous successive halving (Li et al. 2020), "hyperband" several of them
    (Li et al. 2018), "median" gives up what is worse than half of the trials were at that epoch.

    Args:
        name: one of `PRUNERS`.
        epochs: how many a full trial has, or None if that is not known.

    Raises:
        ConfigError: there is no such pruner.
    """
    if name == "none":
        return optuna.pruners.NopPruner()
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
    if name == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    if name == "hyperband":
        most = "auto" if epochs is None else epochs
        return optuna.pruners.HyperbandPruner(1, max_resource=most, reduction_factor=3)
    raise ConfigError(f"tune: pruner: got {name!r}: {nearest(name, PRUNERS)}")
