"""Configurations carried out."""

import json

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.train.config import Config, load_run, run


def config(**tables):
    made = Config.from_dict({"model": {"name": "mlp", "hidden": [16]}} | tables)
    if "train" not in tables:
        made.override("train.epochs", 2)
    return made


def test_the_result_is_what_the_saved_predictions_say(tmp_path):
    result = run(config(), tmp_path / "run")
    saved = tg.load(tmp_path / "run" / "predictions.safetensors")
    hits = (saved["logits"].argmax(1) == saved["target"]).sum().item()
    assert result["test_accuracy"] == pytest.approx(hits / len(saved["target"]))
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert (result["epochs"], result["stopped_by"], result["classes"][3]) == (2, "epochs", "3")


def test_without_a_folder_the_result_is_the_same(tmp_path):
    first, second = run(config()), run(config(), tmp_path / "run")
    del first["seconds"], second["seconds"]
    assert first == second


def test_a_saved_model_gives_the_figures_of_its_run(tmp_path):
    result = run(config(), tmp_path / "run")
    metrics, logits, target = load_run(tmp_path / "run").evaluate("test")
    assert metrics["loss"] == pytest.approx(result["test_loss"], rel=1e-6)
    assert metrics["accuracy"] == result["test_accuracy"]
    assert logits.shape == (269, 10) and target.shape == (269,)


def test_epochs_are_told_as_they_end():
    seen = []
    run(config(), on_epoch=lambda metrics: seen.append(metrics["epoch"]))
    assert seen == [1, 2]


def test_early_stopping_stops_and_keeps_the_best_weights():
    options = {"epochs": 30, "patience": 2, "min_delta": 10.0}  # only the first epoch is better
    result = run(config(train=options))
    assert (result["epochs"], result["best_epoch"]) == (3, 1)
    assert result["stopped_by"] == "early stopping"
    last = run(config(train=options | {"restore_best": False}))
    assert last["epochs"] == 3
    assert last["test_loss"] < result["test_loss"]


def test_a_patience_of_0_never_stops():
    assert run(config(train={"epochs": 4, "patience": 0, "min_delta": 10.0}))["epochs"] == 4


@pytest.mark.parametrize(
    "train",
    [
        {"ema": 0.9},
        {"accumulate": 4},
        {"mixup": 0.4},
        {"label_smoothing": 0.2},
        {"monitor": "val_accuracy"},
        {"workers": 1},
    ],
    ids=str,
)
def test_every_option_of_training_changes_the_run_and_learns(train):
    plain = run(config(train={"epochs": 8}))
    changed = run(config(train={"epochs": 8} | train))
    assert changed["test_accuracy"] > 0.5
    same = ("monitor", "workers")  # which here change no bits
    assert (changed["test_loss"] == plain["test_loss"]) == any(name in train for name in same)


def test_a_time_limit_ends_the_run():
    result = run(config(train={"epochs": 10**6, "patience": 0, "time_limit": 0.3}))
    assert result["stopped_by"] == "time budget"


def test_the_number_of_threads_changes_no_bits():
    before = tg.get_num_threads()
    try:
        results = [run(config(train={"epochs": 2, "threads": n})) for n in (1, 2)]
    finally:
        tg.set_num_threads(before)
    assert results[0]["test_loss"] == results[1]["test_loss"]


def test_a_regression(tmp_path):
    made = config(
        data={"name": "sines"},
        model={"name": "mlp", "hidden": [64, 64], "dropout": 0.0},
        train={"epochs": 30},
        optimizer={"name": "adam", "lr": 0.01},
    )
    result = run(made, tmp_path / "run")
    assert result["test_r2"] > 0.5
    assert "test_accuracy" not in result
    assert (tmp_path / "run" / "report.html").exists()
    assert load_run(tmp_path / "run").evaluate("test")[0]["r2"] == result["test_r2"]


@pytest.mark.parametrize("name", ["moons", "blobs"])
def test_points_are_classified(name):
    made = config(data={"name": name}, train={"epochs": 20}, optimizer={"name": "adam", "lr": 0.01})
    assert run(made)["test_accuracy"] > 0.9
