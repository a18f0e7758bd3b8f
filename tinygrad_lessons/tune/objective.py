"""A configuration as an objective: what a trial proposes, trained."""

from copy import deepcopy

import optuna

from tinygrad_lessons.train.config.run import better_is, fit
from tinygrad_lessons.tune.samplers import index_of, trial_seed
from tinygrad_lessons.tune.space import suggest


class ConfigObjective:
    """Trains a configuration with the options of a space as a trial proposes them.

    Args:
        config: a complete `Config`.
        space: as `space.flatten` returns it.
        seed: of the study; each trial's own follows from it and its index.
    """

    def __init__(self, config, space, seed):
        self.config, self.space, self.seed = config, space, seed

    @property
    def direction(self):
        """That of the monitored metric, in Optuna's words."""
        return {"min": "minimize", "max": "maximize"}[better_is(self.config.train.monitor)]

    def __call__(self, trial):
        """The best value of the monitored metric; after each epoch the pruner may give up."""
        config = deepcopy(self.config)
        suggest(trial, self.space, config)
        seed = trial.user_attrs.get("seed")  # a trial that is tried again has its seed already
        if seed is None:
            seed = trial_seed(self.seed, index_of(trial.study, trial))
            trial.set_user_attr("seed", seed)
        config.train.seed = seed
        monitor = config.train.monitor

        def on_epoch(metrics):
            trial.report(metrics[monitor], metrics["epoch"])
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            history = fit(config.complete(), on_epoch=on_epoch)
        except FloatingPointError as error:  # too high a learning rate is an answer, too
            trial.set_user_attr("diverged", str(error))
            raise optuna.TrialPruned from error
        values = [metrics[monitor] for metrics in history]
        return min(values) if self.direction == "minimize" else max(values)
