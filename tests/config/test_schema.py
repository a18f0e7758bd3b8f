"""Configurations: read, checked, overridden, written."""

import tomllib

import pytest

from tinygrad_lessons.train.config import Config, ConfigError
from tinygrad_lessons.train.config.components import AUGMENT, MODEL, OPTIMIZER, SCHEDULE
from tinygrad_lessons.train.config.schema import RECIPES, better_is

WRAPPERS = ("SAM", "Lookahead")
NEEDS = {  # options without which a schedule cannot be
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [1, 2]},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "CyclicLR": {"base_lr": 0.01, "step_size_up": 2},
    "InverseSqrtLR": {"warmup_steps": 2},
    "WarmupStableDecayLR": {"warmup_steps": 1, "stable_steps": 1, "decay_steps": 1},
    "LambdaLR": {"lr_lambda": "math:cos"},
    "MultiplicativeLR": {"lr_lambda": "math:cos"},
    "SequentialLR": {
        "schedulers": [{"name": "constant"}, {"name": "exponential", "gamma": 0.5}],
        "milestones": [2],
    },
    "ChainedScheduler": {"schedulers": [{"name": "linear"}, {"name": "step", "step_size": 1}]},
}


def written_and_read(config, path):
    path.write_text(config.to_toml())
    return Config.from_toml(path)


@pytest.mark.parametrize("name", OPTIMIZER.names)
def test_every_optimizer_goes_through_a_file(name, tmp_path):
    table = {"name": name} | ({"optimizer": {"name": "SGD"}} if name in WRAPPERS else {})
    config = Config(optimizer=table).complete()
    assert written_and_read(config, tmp_path / "config.toml").complete() == config


@pytest.mark.parametrize("name", SCHEDULE.names)
def test_every_schedule_goes_through_a_file(name, tmp_path):
    config = Config(schedule={"name": name} | NEEDS.get(name, {})).complete()
    assert written_and_read(config, tmp_path / "config.toml").complete() == config


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_configurations(path, tmp_path):
    config = Config.from_toml(path).complete()
    assert path.stem == f"{config.data['name']}_{config.model['name']}"
    assert written_and_read(config, tmp_path / "config.toml").complete() == config


def test_a_recipe_is_found_by_data_set_and_model():
    assert Config.recipe("Digits", "CNN").schedule["name"] == "OneCycleLR"
    assert Config.recipe("digits", "mlp") == Config(data={"name": "digits"}, model={"name": "mlp"})


def test_names_are_found_however_they_are_written():
    found = [
        SCHEDULE.find(name)[0]
        for name in ("OneCycleLR", "onecyclelr", "one-cycle", "one_cycle", "OneCycle")
    ]
    assert set(found) == {"OneCycleLR"}
    assert OPTIMIZER.find("adamw")[0] == "AdamW"
    assert MODEL.find("MLP")[0] == "mlp"
    assert AUGMENT.find("random-affine")[0] == "RandomAffine"


def test_complete_fills_in_the_defaults_of_the_signature():
    optimizer = Config(optimizer={"name": "adam", "lr": 1}).complete().optimizer
    assert optimizer["name"] == "Adam"
    assert optimizer["lr"] == 1
    assert optimizer["betas"] == [0.9, 0.999]
    assert not {"foreach", "fused", "capturable", "differentiable", "params"} & set(optimizer)


def test_complete_leaves_the_configuration_itself_alone():
    config = Config()
    config.complete().model["hidden"].append(3)
    config.complete()
    assert config == Config()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"trian": {}}, r"trian: unknown: did you mean 'train'\?"),
        ({"train": 3}, r"train: got 3, expected a table \[train\]"),
        ({"augment": {"name": "RandomAffine"}}, r"augment: got .*expected tables \[\[augment\]\]"),
        ({"train": {"epoch": 3}}, r"train.epoch: unknown: did you mean 'epochs'\?"),
        ({"train": {"epochs": 0}}, "train.epochs: got 0, expected a whole number of at least 1"),
        ({"train": {"epochs": 1.5}}, "train.epochs: got 1.5, expected a whole number"),
        ({"train": {"epochs": True}}, "train.epochs: got True, expected a whole number"),
        ({"train": {"ema": 1.0}}, "train.ema: got 1.0, expected a number from 0 to below 1"),
        ({"train": {"seed": -1}}, "train.seed: got -1"),
        ({"train": {"seed": 2**63}}, "train.seed: got 9223372036854775808"),
        ({"train": {"mixup": float("nan")}}, "train.mixup: got nan"),
        ({"train": {"mixup": float("inf")}}, "train.mixup: got inf"),
        ({"train": {"restore_best": 1}}, "train.restore_best: got 1, expected true or false"),
        ({"data": {"name": "digit"}}, r"data.name: got 'digit': did you mean 'digits'\?"),
        ({"data": {"name": 3}}, "data.name: got 3, expected a string"),
        ({"data": {"name": "digits", "seeds": 3}}, r"data.seeds: .*did you mean 'seed'\?"),
        ({"model": {"hidden": [3]}}, "model.name: missing: expected one of mlp, cnn"),
        ({"model": {"name": "mlp", "droput": 0.1}}, r"model.droput: .*did you mean 'dropout'\?"),
        ({"model": {"name": "mlp", "hidden": 3}}, "model.hidden: got 3, expected a list of whole"),
        ({"model": {"name": "mlp", "hidden": [2.5]}}, r"model.hidden: got \[2.5\]"),
        ({"model": {"name": "mlp", "shape": 3}}, "model.shape: mlp has no such option"),
        ({"model": {"name": "no.module:f"}}, "model.name: 'no.module:f' cannot be used"),
        ({"model": {"name": "math:no"}}, "model.name: 'math:no' cannot be used"),
        ({"optimizer": {"name": "sdg"}}, r"optimizer.name: got 'sdg': did you mean 'SGD'\?"),
        ({"optimizer": {"name": "SGD", "lr": "fast"}}, "lr: got 'fast', expected a number"),
        ({"optimizer": {"name": "SGD", "lr": float("nan")}}, "optimizer.lr: got nan"),
        ({"optimizer": {"name": "SGD", "betas": [0.9, 0.9]}}, "betas: SGD has no such option"),
        ({"optimizer": {"name": "Adam", "betas": [0.9]}}, "betas: .*expected a list of 2 numbers"),
        ({"optimizer": {"name": "Adam", "fused": True}}, "fused: Adam has no such option"),
        ({"optimizer": {"name": "Muon", "l1": 0.1}}, "optimizer.l1: Muon has no such option"),
        ({"optimizer": {"name": "SAM"}}, "optimizer.optimizer: missing: SAM needs it"),
        ({"schedule": {"name": "cosine"}}, r"did you mean 'CosineAnnealingLR'\?"),
        ({"schedule": {"name": "step"}}, "schedule.step_size: missing: StepLR needs it"),
        ({"schedule": {"name": "linear", "warmup": 0.5}}, "warmup: got 0.5, expected a whole"),
        ({"augment": [{"name": "Rotate"}]}, r"augment\[0\].name: got 'Rotate'"),
        ({"augment": [{"name": "RandomAffine"}]}, r"augment\[0\].degrees: missing"),
        ({"augment": [{"name": "RandomAffine", "degree": 3}]}, r"did you mean 'degrees'\?"),
    ],
    ids=str,
)
def test_errors_are_one_line_that_says_where(tables, message):
    with pytest.raises(ConfigError, match=message) as error:
        Config.from_dict(tables).complete()
    assert "\n" not in str(error.value)


def test_errors_of_a_file_name_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[train]\nepoch = 3\n")
    with pytest.raises(ConfigError, match=r"mine.toml: train.epoch: unknown"):
        Config.from_toml(path)
    path.write_text("[train\n")
    with pytest.raises(ConfigError, match=r"mine.toml: no TOML: "):
        Config.from_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"mine.toml: no TOML: "):
        Config.from_toml(path)
    with pytest.raises(FileNotFoundError):
        Config.from_toml(tmp_path / "none.toml")


def test_override_sets_options_by_dotted_names():
    config = Config(augment=[{"name": "RandomAffine", "degrees": 5}])
    for key, value in [
        ("train.epochs", 7),
        ("optimizer.lr", 0.5),
        ("augment.0.degrees", 12),
        ("model.hidden", [3]),
        ("data.seed", 4),
    ]:
        config.override(key, value)
    assert (config.train.epochs, config.optimizer["lr"]) == (7, 0.5)
    assert config.augment == [{"name": "RandomAffine", "degrees": 12}]
    assert (config.model["hidden"], config.data["seed"]) == ([3], 4)
    config.override("augment", [])
    assert config.augment == []
    for key in ("augment.0.degrees", "augment.x", "train", "nothing.at.all", "optimizer."):
        with pytest.raises(ConfigError):
            config.override(key, 1)


def test_a_new_name_keeps_the_options_that_fit():
    config = Config(optimizer={"name": "Adam", "lr": 0.5, "betas": [0.5, 0.5], "l1": 0.1})
    config.override("optimizer.name", "sgd")
    assert config.complete().optimizer | {"lr": 0.5, "l1": 0.1} == config.complete().optimizer
    assert "betas" not in config.optimizer


def test_a_wrapped_optimizer_takes_options_by_two_dots():
    config = Config(optimizer={"name": "SAM", "optimizer": {"name": "SGD"}})
    config.override("optimizer.optimizer.lr", 0.25)
    assert config.optimizer["optimizer"] == {"name": "SGD", "lr": 0.25}


def test_toml_is_what_the_dict_says():
    config = Config(model={"name": "mlp", "hidden": (8, 4)})
    assert tomllib.loads(config.to_toml()) == config.to_dict()


def test_monitored_losses_are_to_fall_and_the_rest_to_rise():
    assert [better_is(name) for name in ("val_loss", "train_mae", "val_rmse")] == ["min"] * 3
    assert [better_is(name) for name in ("val_accuracy", "val_r2", "val_auc")] == ["max"] * 3
