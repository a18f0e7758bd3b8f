"""Spaces: what they may hold, what a trial proposes, grids, and configurations searched."""

import optuna
import pytest
from optuna.trial import FixedTrial

from tinygrad_lessons.train.config import Config, ConfigError, run
from tinygrad_lessons.tune import best_config, checked_space, default_space, tune
from tinygrad_lessons.tune.space import decode, encode, grid, suggest


def tiny(**train):
    config = Config(model={"name": "mlp", "hidden": [8]})
    for name, value in {"epochs": 2, **train}.items():
        config.override(f"train.{name}", value)
    return config


def test_a_trial_sets_the_options_it_proposes():
    config = Config()
    space = {
        "optimizer.name": ["SGD", "Adam"],
        "optimizer.lr": {"low": 1e-4, "high": 1.0, "log": True},
        "optimizer.momentum": {"low": 0.0, "high": 0.9},
        "optimizer.amsgrad": [True, False],
        "model.hidden": [[8], [8, 4]],
        "train.batch_size": {"low": 16, "high": 64, "step": 16},
    }
    proposed = {"optimizer.name": "SGD", "optimizer.lr": 0.5, "optimizer.momentum": 0.25}
    proposed |= {"model.hidden": "[8, 4]", "train.batch_size": 48}
    suggest(FixedTrial(proposed), checked_space(space, config), config)
    assert config.optimizer == {"name": "SGD", "lr": 0.5, "momentum": 0.25}  # no amsgrad: Adam's
    assert config.model["hidden"] == [8, 4]
    assert config.train.batch_size == 48


def test_choices_keep_their_types():
    for choice in ([1, 2], {"a": [1]}, "name", 3, 0.5, True):
        assert decode(encode(choice)) == choice
        assert type(decode(encode(choice))) is type(choice)


def test_grids_cut_ranges():
    cut = grid(
        {
            "a": {"low": 0.0, "high": 1.0, "step": 0.25},
            "b": {"low": 1, "high": 9},
            "c": {"low": 1e-4, "high": 1e-2, "log": True},
            "d": {"low": 2, "high": 2},
        }
    )
    assert cut["a"] == [0, 0.25, 0.5, 0.75, 1]
    assert cut["b"] == [1, 5, 9]
    assert cut["c"] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert cut["d"] == [2]


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_the_default_space_fits_its_model(model):
    config = Config.recipe("digits", model).complete()
    space = checked_space(default_space(config), config)
    asked = {"optimizer.lr", "optimizer.name", "schedule.name", "optimizer.weight_decay"}
    asked |= {"optimizer.l1", "optimizer.l2", "train.batch_size", "model.dropout", "model.hidden"}
    assert asked <= set(space)
    assert ("model.channels" in space) == (model == "cnn")
    assert ("train.augment_strength" in space) == (model == "cnn")


@pytest.mark.parametrize(("sampler", "seed"), [("random", 0), ("random", 1), ("tpe", 0)])
def test_every_point_of_the_default_space_trains(sampler, seed):
    config = tiny(epochs=1).complete()
    study = tune(
        default_space(config), config=config, trials=12, sampler=sampler, seed=seed, quiet=True
    )
    assert len(study.trials) == 12


def test_the_best_configuration_trains_to_the_value_of_its_trial():
    config = tiny(epochs=3)
    space = {"optimizer.lr": {"low": 1e-4, "high": 0.1, "log": True}}
    study = tune(space, config=config, trials=6, pruner="none", quiet=True)
    losses = []
    run(best_config(study, config), on_epoch=lambda metrics: losses.append(metrics["val_loss"]))
    assert min(losses) == study.best_value
    assert study.best_value == min(trial.value for trial in study.trials)
    seeds = [trial.user_attrs["seed"] for trial in study.trials]
    assert len(set(seeds)) == 6


def test_the_value_follows_the_monitored_metric():
    study = tune(
        {"optimizer.lr": [0.01]}, config=tiny(monitor="val_accuracy"), trials=1, quiet=True
    )
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    (trial,) = study.trials
    assert trial.value == max(trial.intermediate_values.values()) > 0.3


def test_a_study_of_configurations_is_reproducible():
    found = [
        [
            (trial.params, trial.value, trial.intermediate_values)
            for trial in tune(
                {"optimizer.lr": {"low": 1e-4, "high": 0.1, "log": True}},
                config=tiny(),
                trials=5,
                quiet=True,
            ).trials
        ]
        for _ in range(2)
    ]
    assert found[0] == found[1]


def test_bad_learning_rates_are_given_up():
    study = tune(
        {"optimizer.lr": [1e-3, 1e38]},
        config=Config(optimizer={"name": "sgd"}, model={"name": "mlp", "batch_norm": False}),
        sampler="grid",
        trials=2,
        quiet=True,
    )
    states = {trial.params["optimizer.lr"]: trial.state.name for trial in study.trials}
    assert states == {1e-3: "COMPLETE", 1e38: "PRUNED"}
    assert study.best_params == {"optimizer.lr": 1e-3}


def test_an_option_that_no_choice_has_is_an_error():
    with pytest.raises(ConfigError, match="optimizer.momentum: no optimizer of .*Adam.* has it"):
        checked_space({"optimizer.momentum": [0.9]}, Config().complete())
