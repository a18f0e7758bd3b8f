"""The recipe for digits: as good as the documents say, and as fast."""

from statistics import median

import pytest

from tinygrad_lessons.train.config import Config, run


def trained(seed, split):
    config = Config.recipe("digits", "cnn")
    config.train.seed, config.data["seed"] = seed, split
    return run(config)


def test_it_has_what_it_is_known_for():
    config = Config.recipe("digits", "cnn").complete()
    assert config.model["batch_norm"] and config.model["dropout"] > 0
    assert config.augment and config.schedule["name"] == "OneCycleLR"
    assert config.train.patience < config.train.epochs


def test_one_seed_is_above_98_percent():
    assert trained(0, 0)["test_accuracy"] > 0.98  # 269 images: five mistakes


@pytest.mark.soak
@pytest.mark.parametrize("split", [0, 1])
def test_the_median_of_five_seeds_is_at_least_98_5_percent(split):
    results = [trained(seed, split) for seed in range(5)]
    assert median(result["test_accuracy"] for result in results) >= 0.985
    assert median(result["seconds"] for result in results) < 60
