"""train: early stopping, metrics, the loop, and what a run leaves behind."""

import json
import math
from collections import Counter

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import (
    EarlyStopping,
    RunFolder,
    accuracy,
    confusion_matrix,
    fit,
    mlp,
    predict,
)
from tinygrad_lessons.utils.data import DataLoader, TensorDataset


def stops(values, monitor="val_loss", **arguments):
    """What `step` answers to a series of values, and the stopper."""
    model, stopper = nn.Linear(1, 1), EarlyStopping(monitor, **arguments)
    return [stopper.step({monitor: value}, model) for value in values], stopper


@pytest.mark.parametrize(
    ("values", "arguments", "best_epoch"),
    [
        ([3, 2, 2, 2], {"patience": 2}, 2),  # equal is no improvement
        ([3, 4, 2, 3, 3], {"patience": 2}, 3),  # an improvement starts the count anew
        ([1, 2], {"patience": 1}, 1),
        ([1.0, 0.95, 0.92], {"patience": 2, "min_delta": 0.1}, 1),
        ([1.0, 0.95, 0.85, 0.80, 0.80], {"patience": 2, "min_delta": 0.1}, 3),
        ([0.5, 0.7, 0.6, 0.7], {"patience": 2, "mode": "max"}, 2),
        ([2, math.nan, math.nan], {"patience": 2}, 1),
        ([math.nan, math.nan], {"patience": 2}, 0),
    ],
)
def test_early_stopping(values, arguments, best_epoch):
    answers, stopper = stops(values, **arguments)
    assert answers == [False] * (len(values) - 1) + [True]
    assert stopper.best_epoch == best_epoch
    assert best_epoch == 0 or stopper.best == values[best_epoch - 1]


def test_early_stopping_restores_the_best_weights():
    model, stopper = nn.BatchNorm1d(2), EarlyStopping("loss")
    for value, loss in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0)):
        with tg.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(-value)
        stopper.step({"loss": loss}, model)
    stopper.restore(model)
    assert model.weight.tolist() == [2, 2]
    assert model.running_mean.tolist() == [-2, -2]


def test_early_stopping_without_restore_best():
    model, stopper = nn.Linear(1, 1), EarlyStopping("loss", restore_best=False)
    stopper.step({"loss": 1.0}, model)
    with tg.no_grad():
        model.weight.fill_(7)
    stopper.restore(model)
    assert model.weight.item() == 7


@pytest.mark.parametrize(
    "arguments",
    [{"mode": "less"}, {"patience": 0}, {"min_delta": -0.1}, {"min_delta": math.nan}],
    ids=str,
)
def test_early_stopping_rejects(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"EarlyStopping: got {name}"):
        EarlyStopping(**arguments)


def test_early_stopping_without_its_metric():
    with pytest.raises(KeyError, match=r"no metric 'val_loss': expected one of \['loss'\]"):
        EarlyStopping().step({"loss": 1.0}, nn.Linear(1, 1))


def test_metrics_against_counting():
    generator = tg.Generator().manual_seed(0)
    logits = tg.randn(200, 4, generator=generator)
    target = tg.randint(4, (200,), generator=generator)
    chosen = logits.numpy().argmax(1).tolist()
    pairs = Counter(zip(target.tolist(), chosen, strict=True))
    counts = confusion_matrix(logits, target)
    assert counts.dtype == tg.int64
    assert counts.tolist() == [[pairs[t, p] for p in range(4)] for t in range(4)]
    assert accuracy(logits, target) == sum(pairs[t, t] for t in range(4)) / 200


def blobs(n=70, classes=3, seed=0):
    """Points in the plane around `classes` centres, easy to tell apart."""
    generator = tg.Generator().manual_seed(seed)
    target = tg.randint(classes, (n,), generator=generator)
    angle = target.to(tg.float32) * (2 * math.pi / classes)
    centre = tg.stack([angle.cos(), angle.sin()], 1)
    return TensorDataset(centre + 0.2 * tg.randn(n, 2, generator=generator), target)


def loader(seed=0, batch_size=16, **arguments):
    return DataLoader(blobs(seed=seed), batch_size=batch_size, **arguments)


def run(epochs=5, lr=0.1, seed=0, **arguments):
    """Train a small net on blobs; returns it and the history."""
    tg.manual_seed(seed)
    model = mlp(2, 3, hidden=(8,), dropout=0.1)
    sgd = optim.SGD(model.parameters(), lr=lr)
    batches = loader(0, shuffle=True)
    return model, fit(model, nn.CrossEntropyLoss(), sgd, batches, loader(1), epochs, **arguments)


def without_times(history):
    return [{k: v for k, v in metrics.items() if k != "seconds"} for metrics in history]


def test_predict_is_in_evaluation_mode_without_graph():
    model = mlp(2, 3, hidden=(8,), dropout=0.5)
    model.train()
    logits, target = predict(model, loader(batch_size=32))
    assert model.training
    assert not logits.requires_grad
    assert (tuple(logits.shape), target.tolist()) == ((70, 3), blobs().tensors[1].tolist())
    model.eval()
    assert np.allclose(logits.numpy(), model(blobs().tensors[0]).detach().numpy(), atol=1e-6)


def test_fit_learns():
    model, history = run(epochs=20)
    assert [metrics["epoch"] for metrics in history] == list(range(1, 21))
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2
    assert accuracy(*predict(model, loader(2))) > 0.9
    assert all(metrics["seconds"] > 0 for metrics in history)


def test_metrics_of_fit_are_means_over_all_samples():
    """With a learning rate of 0, training must report what evaluation finds; 70 = 4 * 16 + 6."""
    tg.manual_seed(0)
    model = nn.Linear(2, 3)
    sgd = optim.SGD(model.parameters(), lr=0.0)
    (metrics,) = fit(model, nn.CrossEntropyLoss(), sgd, loader(0), loader(1), 1)
    for part, seed in (("train", 0), ("val", 1)):
        x, y = (tensor.numpy() for tensor in blobs(seed=seed).tensors)
        logits = x.astype(float) @ model.weight.detach().numpy().T + model.bias.detach().numpy()
        log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        assert metrics[f"{part}_loss"] == pytest.approx(-log_softmax[range(70), y].mean(), rel=1e-5)
        assert metrics[f"{part}_accuracy"] == (logits.argmax(1) == y).mean()


def test_same_seed_same_run():
    (a, first), (b, again), (_, other) = run(seed=1), run(seed=1), run(seed=2)
    assert without_times(first) == without_times(again) != without_times(other)
    assert [p.tolist() for p in a.parameters()] == [p.tolist() for p in b.parameters()]


def test_fit_stops_early_with_the_best_weights():
    stopper, logged = EarlyStopping("val_loss", patience=2, min_delta=1e9), []
    model, history = run(epochs=10, stopper=stopper, on_epoch=logged.append)
    assert (len(history), stopper.best_epoch) == (3, 1)
    assert logged == history
    logits, target = predict(model, loader(1))
    assert nn.CrossEntropyLoss()(logits, target).item() == history[0]["val_loss"]


def test_interrupted_fit_restores_the_best_weights():
    stopper = EarlyStopping("val_loss", patience=9, min_delta=1e9)
    weights = []

    def on_epoch(metrics):
        weights.append(tg.cat([p.detach().flatten() for p in model.parameters()]))
        if metrics["epoch"] == 3:
            raise KeyboardInterrupt

    tg.manual_seed(0)
    model = mlp(2, 3, hidden=(8,))
    sgd = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            nn.CrossEntropyLoss(),
            sgd,
            loader(0),
            loader(1),
            9,
            stopper=stopper,
            on_epoch=on_epoch,
        )
    kept = tg.cat([p.detach().flatten() for p in model.parameters()]).tolist()
    assert kept == weights[0].tolist() != weights[1].tolist()


@pytest.mark.filterwarnings("ignore:overflow")
def test_diverging_fit():
    with pytest.raises(FloatingPointError, match=r"_loss is (nan|inf) in epoch .*learning rate"):
        run(epochs=50, lr=1e30)


def test_log_lines_where_there_is_no_terminal(capsys):
    _, history = run(epochs=2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line, metrics in zip(lines, history, strict=True):
        assert line.startswith(f"epoch   {metrics['epoch']}/2: ")
        assert f"loss {metrics['train_loss']:.4f}" in line
        assert f"val accuracy {100 * metrics['val_accuracy']:.1f} %" in line


def test_mlp_layers():
    kinds = [type(layer).__name__ for layer in mlp(64, 10, hidden=(6, 5), dropout=0.25)]
    block = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds == ["Flatten", *block, *block, "Linear"]
    sizes = [tuple(p.shape) for p in mlp(64, 10, hidden=()).parameters()]
    assert sizes == [(10, 64), (10,)]


def test_run_folder(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.save_config({"lr": 0.1})
    history = [{"epoch": 1, "val_loss": 1 / 3}, {"epoch": 2, "val_loss": 0.25}]
    for metrics in history:
        folder.log(metrics)
    model = mlp(2, 3, hidden=(4,))
    folder.save_model(model)
    assert json.loads((folder.path / "config.json").read_text()) == {"lr": 0.1}
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == folder.history == history
    loaded = tg.load(folder.path / "model.safetensors")
    state = model.state_dict()
    assert {k: v.tolist() for k, v in loaded.items()} == {k: v.tolist() for k, v in state.items()}


def test_run_folder_keeps_what_is_there(tmp_path):
    (tmp_path / "precious").touch()
    with pytest.raises(FileExistsError, match="is not empty"):
        RunFolder(tmp_path)


def test_new_run_folders_do_not_collide(tmp_path):
    paths = {RunFolder.new(tmp_path, "digits-mlp").path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.parent == tmp_path and path.name.startswith("digits-mlp-") for path in paths)


HISTORY = [
    {
        "epoch": i,
        "train_loss": 1 / i,
        "val_loss": 2 / i,
        "train_accuracy": 1 - 0.2 / i,
        "val_accuracy": 1 - 0.4 / i,
    }
    for i in range(1, 6)
]


def test_pictures_are_png_files(tmp_path):
    folder = RunFolder(tmp_path)
    for metrics in HISTORY:
        folder.log(metrics)
    folder.plot_curves(4, "a run")
    folder.plot_confusion(tg.eye(3, dtype=tg.int64), "abc", "letters")
    for name in ("curves.png", "confusion.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
