"""Run folders that are whole, unfinished, cut off, damaged."""

import json
import os
import time

import folders
import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import report

FILES = {
    "config.toml": "config",
    "metrics.jsonl": "history",
    "steps.jsonl": "steps",
    "gradients.jsonl": "gradients",
    "predictions.safetensors": "predictions",
    "result.json": "result",
}


def test_a_whole_folder(run_folder):
    run = report.read(run_folder)
    assert run.notes == []
    assert run.status == "finished"
    assert run.config["optimizer"]["lr"] == 0.1
    assert run.history == folders.history()
    assert run.steps == folders.steps()
    assert len(run.gradients) == 8
    assert run.predictions.split == "test"
    np.testing.assert_array_equal(run.predictions.logits, folders.logits()[0])
    np.testing.assert_array_equal(run.predictions.target, folders.logits()[1])
    assert run.result == folders.RESULT
    assert run.best_epoch == 5
    assert run.seconds == 4.5


@pytest.mark.parametrize("name", FILES)
def test_each_file_may_be_missing_damaged_or_empty(run_folder, name):
    whole = report.read(run_folder)
    file = run_folder / name

    def check(notes):
        run = report.read(run_folder)
        assert not getattr(run, FILES[name])
        assert len(run.notes) == notes
        assert all(note.startswith(name) for note in run.notes)
        assert str(run_folder) not in "".join(run.notes)
        for other in set(FILES.values()) - {FILES[name], "predictions"}:
            assert getattr(run, other) == getattr(whole, other)
        text = report.write(run_folder).read_text()
        assert ("<h2>Notes</h2>" in text) == bool(notes)
        if notes:
            assert name in text

    data = file.read_bytes()
    file.unlink()
    check(notes=0)
    file.write_bytes(b"\xff\x00 = [damaged")
    check(notes=1)
    if name.endswith((".json", ".safetensors")):
        for damaged in (b"", data[: len(data) // 2]):
            file.write_bytes(damaged)
            check(notes=1)
    file.unlink()
    file.mkdir()
    check(notes=1)


def test_lines_that_a_killed_process_left(run_folder):
    file = run_folder / "metrics.jsonl"
    text = file.read_text()
    file.write_text(text + '{"epoch": 9, "train_lo')
    run = report.read(run_folder)
    assert run.history == folders.history()
    assert run.notes == ["metrics.jsonl: line 9 is damaged and was left out"]
    file.write_text("\n[1, 2]\n" + text)
    run = report.read(run_folder)
    assert run.history == folders.history()
    assert run.notes == ["metrics.jsonl: line 2 is damaged and was left out"]


def test_no_run_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="no run folder: expected at least one of"):
            report.read(folder)
        with pytest.raises(FileNotFoundError, match="no run folder"):
            report.write(folder)


def test_predictions_that_do_not_fit(run_folder):
    for saved, reason in (
        ({"logits": tg.zeros(3, 2)}, "it lacks target"),
        ({"logits": tg.zeros(3, 2), "target": tg.zeros(2)}, "3 logits and 2 targets do not fit"),
        (
            {"logits": tg.zeros(3, 2), "target": tg.zeros(3), "indices": tg.zeros(1)},
            "1 indices and 3 targets do not fit",
        ),
    ):
        tg.save(saved, run_folder / "predictions.safetensors")
        run = report.read(run_folder)
        assert run.predictions is None
        assert run.notes == [f"predictions.safetensors cannot be read: {reason}"]


def test_status(run_folder):
    def age(seconds):
        for file in run_folder.iterdir():
            os.utime(file, (time.time() - seconds,) * 2)

    def status():
        return report.read(run_folder).status

    (run_folder / "result.json").write_text(json.dumps({"stopped_by": "interrupted"}))
    assert status() == "interrupted"
    (run_folder / "result.json").unlink()
    assert status() == "running"
    age(1000)
    assert status() == "interrupted"
    report.write(run_folder)
    assert status() == "interrupted"  # a report is no sign of life
    slow = [line | {"seconds": 600.0} for line in folders.history()]
    (run_folder / "metrics.jsonl").write_text(folders.jsonl(slow))
    age(1000)
    assert status() == "running"
    age(2000)
    assert status() == "interrupted"


def test_best_epoch_and_time_without_a_result(run_folder):
    (run_folder / "result.json").unlink()
    run = report.read(run_folder)
    assert (run.best_epoch, run.seconds) == (5, 4.0)
    lines = [
        {"epoch": i, "train_loss": loss} for i, loss in ((1, 2.0), (2, float("nan")), (3, 1.0))
    ]
    (run_folder / "metrics.jsonl").write_text(folders.jsonl(lines))
    run = report.read(run_folder)
    assert (run.best_epoch, run.seconds) == (3, None)


def test_names_of_classes(run_folder):
    from tinygrad_lessons.report.run import class_names

    run = report.read(run_folder)
    assert class_names(run, 2) == ["0", "1"]
    run.result["classes"] = ["cat", "dog"]
    assert class_names(run, 2) == ["cat", "dog"]
    assert class_names(run, 2, (1, "b")) == ["1", "b"]
    assert class_names(run, 3, (1, "b")) == ["0", "1", "2"]
    run.result["classes"] = 2
    assert class_names(run, 2) == ["0", "1"]
