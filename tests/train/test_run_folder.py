"""The folder of a run, the pictures in it, and the model that `tgl train` trains."""

import json

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.train import RunFolder, mlp


def test_mlp_layers():
    kinds = [type(layer).__name__ for layer in mlp(64, 10, hidden=(6, 5), dropout=0.25)]
    block = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds == ["Flatten", *block, *block, "Linear"]
    sizes = [tuple(p.shape) for p in mlp(64, 10, hidden=()).parameters()]
    assert sizes == [(10, 64), (10,)]


def test_run_folder(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.save_config({"lr": 0.1, "hidden": [4]})
    model = mlp(2, 3, hidden=(4,))
    folder.save_model(model)
    folder.save_result({"test_accuracy": 0.5})
    folder.save_predictions("test", tg.ones(2, 3), tg.tensor([0, 1]))
    assert (folder.path / "config.toml").read_text().splitlines()[0] == "lr = 0.1"
    again = RunFolder.open(folder.path)
    assert again.load_config() == {"lr": 0.1, "hidden": [4]}
    assert again.load_result() == {"test_accuracy": 0.5} and again.history() == []
    found = tg.load(folder.path / "predictions.safetensors")
    assert (found["split"], found["indices"].tolist()) == ("test", [0, 1])
    assert found["logits"].tolist() == [[1, 1, 1]] * 2 and found["target"].tolist() == [0, 1]
    loaded = tg.load(folder.path / "model.safetensors")
    state = model.state_dict()
    assert {k: v.tolist() for k, v in loaded.items()} == {k: v.tolist() for k, v in state.items()}


def test_run_folder_keeps_what_is_there(tmp_path):
    (tmp_path / "precious").touch()
    with pytest.raises(FileExistsError, match="is not empty"):
        RunFolder(tmp_path)


def test_run_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run folder"):
        RunFolder.open(tmp_path / "missing")
    with pytest.raises(AttributeError, match="has no 'metric'; its files are config, metrics"):
        RunFolder.open(tmp_path).metric  # noqa: B018


def test_new_run_folders_do_not_collide(tmp_path):
    paths = {RunFolder.new(tmp_path, "digits-mlp").path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.parent == tmp_path and path.name.startswith("digits-mlp-") for path in paths)


def test_a_folder_that_another_process_makes_meanwhile_is_not_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(type(tmp_path), "exists", lambda self: False)  # when it was looked for
    assert len({RunFolder.new(tmp_path, "run").path for _ in range(3)}) == 3


def test_a_line_that_is_half_written_is_no_record_yet(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert folder.history() == [{"epoch": 1}, {"epoch": 2}]


def test_results_are_strict_json_written_in_one_step(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.save_result({"test_loss": float("nan"), "each": [1.0, float("inf")]})
    assert json.loads(folder.result.read_text(), parse_constant=pytest.fail) == {
        "test_loss": None, "each": [1.0, None],
    }  # fmt: skip
    folder.save_config({"lr": 0.1})

    def full(*args):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", full)
    for save in (folder.save_result, folder.save_config):
        with pytest.raises(OSError, match="no space"):
            save({"lr": 0.2})
    assert folder.load_config() == {"lr": 0.1} and folder.load_result()["each"] == [1.0, None]
