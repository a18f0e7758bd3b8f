"""Logs of epochs and steps, TensorBoard, and the progress that is shown."""

import csv
import io
import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from runs import Watch, classifier, fit, loader

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import (
    CSVLogger,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Progress,
    StepBudget,
    TensorBoardLogger,
    Trainer,
)


def test_logs_of_epochs(tmp_path):
    callbacks = [JSONLLogger(tmp_path / "m.jsonl"), CSVLogger(tmp_path / "m.csv")]
    trainer = classifier(callbacks=callbacks, metrics={"acc": tg_accuracy})
    history = fit(trainer, 3)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history
    with (tmp_path / "m.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == history


def tg_accuracy(output, target):
    return (output.argmax(1) == target).float().mean().item()


def test_what_is_not_finite_is_null(tmp_path):
    callbacks = [JSONLLogger(tmp_path / "m.jsonl"), CSVLogger(tmp_path / "m.csv")]
    trainer = classifier(callbacks=callbacks, metrics={"odd": lambda o, t: math.nan})
    fit(trainer, 1)
    record = json.loads((tmp_path / "m.jsonl").read_text(), parse_constant=pytest.fail)
    assert record["train_odd"] is None
    with (tmp_path / "m.csv").open() as file:
        assert next(csv.DictReader(file))["train_odd"] == ""


def test_steps_hold_what_was_used(tmp_path):
    """One-cycle moves learning rate and momentum behind each step."""

    def one_cycle(optimizer):
        return optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)

    used = []

    def note(trainer):
        group = trainer.optimizer.param_groups[0]
        used.append((group["lr"], group["momentum"]))

    trainer = classifier(
        optimizer=lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9),
        scheduler=one_cycle,
        scheduler_interval="step",
        callbacks=[LRMonitor(tmp_path / "s.jsonl"), Watch(note, "on_backward_end")],
    )
    history = fit(trainer, 2)
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [(line["lr"], line["momentum"]) for line in lines] == used
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert [line["epoch"] for line in lines] == [1] * 5 + [2] * 5
    mean = np.average([line["loss"] for line in lines[:5]], weights=[16, 16, 16, 16, 6])
    assert mean == pytest.approx(history[0]["train_loss"])


def test_lr_monitor_of_numbers_of_numpy(tmp_path):
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=np.float32(0.5), momentum=np.float32(0.25))
    trainer = Trainer(model, nn.MSELoss(), optimizer, callbacks=[LRMonitor(tmp_path / "s.jsonl")])
    trainer.fit([(tg.ones(1, 1), tg.zeros(1, 1))], epochs=1)
    (line,) = map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines())
    assert (line["lr"], line["momentum"]) == (0.5, 0.25)


def test_steps_of_several_groups(tmp_path):
    model = nn.Linear(2, 3)
    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias]}]
    adam = optim.Adam(groups, lr=0.01, betas=(0.8, 0.99))
    monitor = LRMonitor(tmp_path / "s.jsonl", every=2)
    Trainer(model, nn.CrossEntropyLoss(), adam, callbacks=[monitor]).fit(loader(), epochs=1)
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert (lines[0]["lr"], lines[0]["momentum"]) == ([0.1, 0.01], [0.8, 0.8])


def test_a_log_that_is_too_short_is_noticed(tmp_path):
    def trainer():
        return classifier(
            callbacks=[LRMonitor(tmp_path / "s.jsonl"), ModelCheckpoint(tmp_path / "c")]
        )

    fit(trainer(), 1)
    (tmp_path / "s.jsonl").write_text("")
    with pytest.warns(UserWarning, match="has 0 bytes, but had .* lines are missing"):
        fit(trainer(), 2, resume=tmp_path / "c")


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def trainer(*more):
        return classifier(callbacks=[TensorBoardLogger(tmp_path / "tb"), *more])

    first = trainer()
    fit(first, 2)
    resumed = trainer()
    state = first.state_dict()
    resumed.load_state_dict(state)
    fit(resumed, 3)
    events = EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    losses = events.Scalars("epoch/val_loss")
    assert [event.step for event in losses] == [5, 10, 15]
    assert [event.value for event in losses] == pytest.approx(
        [record["val_loss"] for record in resumed.history]
    )
    assert [event.step for event in events.Scalars("step/loss")] == list(range(1, 16))
    assert events.Scalars("step/lr")[3].value == pytest.approx(0.1)


def test_without_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinygrad_lessons\[log\]'"):
        TensorBoardLogger("unused")


# ---- progress ----


def test_lines_where_there_is_no_terminal(capsys):
    trainer = classifier(callbacks=[Progress()], metrics=["accuracy", "confusion"])
    history = fit(trainer, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line, record in zip(lines, history, strict=True):
        assert line == (
            f"epoch   {record['epoch']}/2: loss {record['train_loss']:.4f}, "
            f"val loss {record['val_loss']:.4f}, val accuracy {100 * record['val_accuracy']:.1f} %"
        )


def test_bar_counts_steps_and_goes_on(tmp_path):
    file = io.StringIO()
    callbacks = [Progress("bar", file), ModelCheckpoint(tmp_path), StepBudget(5)]
    fit(classifier(callbacks=callbacks), 2)
    assert "5/10" in file.getvalue() and "epoch 1/2" in file.getvalue()
    file = io.StringIO()
    callbacks = [Progress("bar", file), ModelCheckpoint(tmp_path)]
    fit(classifier(callbacks=callbacks), 2, resume=tmp_path)
    assert "10/10" in file.getvalue() and "0/10" not in file.getvalue().replace("10/10", "")


def test_bar_in_a_notebook(monkeypatch):
    made = []

    class Bar:
        def __init__(self, **options):
            made.append(options)
            self.steps = 0

        def update(self):
            made.append("step")

        def set_description(self, text, refresh):
            made.append(text)

        def set_postfix_str(self, text):
            made.append(text)

        def close(self):
            made.append("closed")

    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr("tinygrad_lessons.train.callbacks.progress.find_spec", lambda name: name)
    fit(classifier(callbacks=[Progress()]), 1)
    assert made[0]["total"] == 5 and made.count("step") == 5 and made[-1] == "closed"
    assert "epoch 1/1" in made and made[-2].startswith("loss ")


def test_bar_of_a_loader_without_length():
    class Stream:
        def __iter__(self):
            return iter(loader())

    file = io.StringIO()
    classifier(callbacks=[Progress("bar", file)]).fit(Stream(), epochs=1)
    assert "5step" in file.getvalue()
