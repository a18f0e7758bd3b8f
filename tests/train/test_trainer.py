"""The Trainer: what it computes, in which order it calls, and how it ends."""

import json
import math
import os
import signal
import threading

import numpy as np
import pytest
from runs import blobs, classifier, fit, loader, outcome

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim, transforms
from tinygrad_lessons.datasets import Digits
from tinygrad_lessons.train import (
    Callback,
    EarlyStopping,
    JSONLLogger,
    ModelCheckpoint,
    Trainer,
    accuracy,
    evaluate,
    mlp,
    predict,
)
from tinygrad_lessons.utils.data import DataLoader, TensorDataset


def weights(model):
    return [p.tolist() for p in model.parameters()]


def test_fit_is_the_plain_loop():
    """The same weights, bit for bit, as the loop that everybody writes."""
    tg.manual_seed(3)
    model = mlp(2, 3, hidden=(8,), dropout=0.1)
    adam, loss_fn = optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()
    losses = []
    for _ in range(3):
        model.train()
        for x, y in loader(0, shuffle=True):
            adam.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            adam.step()
            losses.append(loss.item() * len(y))
    trainer = classifier(3, lr=0.01, optimizer=optim.Adam)
    history = trainer.fit(loader(0, shuffle=True), epochs=3)
    assert weights(trainer.model) == weights(model)
    assert [r["train_loss"] for r in history] == [sum(losses[i : i + 5]) / 70 for i in (0, 5, 10)]
    assert [(r["epoch"], r["step"], r["lr"]) for r in history] == [
        (1, 5, 0.01),
        (2, 10, 0.01),
        (3, 15, 0.01),
    ]


def test_fit_learns():
    trainer = classifier(metrics=["accuracy"])
    history = fit(trainer, 20)
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2
    assert history[-1]["train_accuracy"] > 0.8
    assert accuracy(*trainer.predict(loader(2))) > 0.9
    assert all(record["seconds"] > 0 for record in history)
    assert trainer.stopped_by == "epochs" and trainer.history is history


def test_figures_are_means_over_all_samples():
    """With a learning rate of 0, training must report what evaluation finds; 70 = 4 * 16 + 6."""
    tg.manual_seed(0)
    model = nn.Linear(2, 3)
    sgd = optim.SGD(model.parameters(), lr=0.0)
    trainer = Trainer(model, nn.CrossEntropyLoss(), sgd, metrics=["accuracy"])
    (record,) = trainer.fit(loader(0), loader(1), 1)
    for part, seed in (("train", 0), ("val", 1)):
        x, y = (tensor.numpy() for tensor in blobs(seed=seed).tensors)
        logits = x.astype(float) @ model.weight.detach().numpy().T + model.bias.detach().numpy()
        log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        assert record[f"{part}_loss"] == pytest.approx(-log_softmax[range(70), y].mean(), rel=1e-5)
        assert record[f"{part}_accuracy"] == (logits.argmax(1) == y).mean()
    found = trainer.evaluate(loader(1))
    assert found == {"loss": record["val_loss"], "accuracy": record["val_accuracy"]}


def test_same_seed_same_run():
    outcomes = []
    for seed in (1, 1, 2):
        trainer = classifier(seed)
        fit(trainer)
        outcomes.append(outcome(trainer))
    assert outcomes[0] == outcomes[1] != outcomes[2]


class Recorder(Callback):
    def __init__(self, calls, name=""):
        self.calls, self.name = calls, name


def _recorder(hook):
    return lambda self, trainer: self.calls.append(self.name + hook)


for _hook in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(Recorder, _hook, _recorder(_hook))


def test_order_of_the_hooks():
    calls = []
    trainer = classifier(callbacks=[Recorder(calls)])
    trainer.fit(loader(batch_size=35), loader(1), 1)
    step = ["on_step_start", "on_backward_end", "on_step_end"]
    validation = ["on_validation_start", "on_validation_end"]
    assert calls == [
        "on_setup", "on_fit_start", "on_epoch_start", *step, *step, *validation, "on_epoch_end", "on_train_end",
        "on_fit_end",
    ]  # fmt: skip


def test_callbacks_are_called_in_order_and_end_in_reverse():
    calls = []
    a, b, c = (Recorder(calls, name) for name in "abc")
    a.order = 1
    trainer = classifier(callbacks=[a, b, c])
    trainer.fit(loader(), epochs=0)
    assert calls == [
        "bon_setup", "con_setup", "aon_setup",
        "bon_fit_start", "con_fit_start", "aon_fit_start", "bon_train_end", "con_train_end",
        "aon_train_end", "aon_fit_end", "con_fit_end", "bon_fit_end",
    ]  # fmt: skip


@pytest.mark.parametrize("rule", [optim.LBFGS, lambda p, lr: optim.SAM(optim.SGD(p, lr=lr))])
def test_rules_with_a_closure(rule):
    trainer = classifier(optimizer=rule)
    history = fit(trainer, 5)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert trainer.step == 25


def test_closure_counts_once_at_the_parameters():
    """SAM evaluates twice a step; the figure is that of the first, where the parameters are."""
    tg.manual_seed(0)
    model = nn.Linear(2, 3)
    sam = optim.SAM(optim.SGD(model.parameters(), lr=0.0), rho=1.0)
    trainer = Trainer(model, nn.CrossEntropyLoss(), sam, metrics=["accuracy"])
    (record,) = trainer.fit(loader(0), epochs=1)
    expected = evaluate(model, nn.CrossEntropyLoss(), loader(0), ["accuracy"])
    assert record["train_loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert record["train_accuracy"] == expected["accuracy"]


def test_schedule_free_rules_are_switched():
    trainer = classifier(optimizer=optim.AdamWScheduleFree, lr=0.01)
    modes = []

    class Watch(Callback):
        def on_step_end(self, trainer):
            modes.append(trainer.optimizer.param_groups[0]["train_mode"])

        def on_validation_start(self, trainer):
            modes.append(trainer.optimizer.param_groups[0]["train_mode"])

    trainer = classifier(optimizer=optim.AdamWScheduleFree, lr=0.01, callbacks=[Watch()])
    trainer.fit(loader(batch_size=35), loader(1), 2)
    assert modes == [True, True, False, True, True, False]
    assert trainer.optimizer.param_groups[0]["train_mode"] is False


@pytest.mark.parametrize("monitor", [None, "train_accuracy"])
def test_plateau_gets_its_metric(monitor):
    def plateau(optimizer):
        return optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=0, threshold=1e9, threshold_mode="abs"
        )

    trainer = classifier(scheduler=plateau, scheduler_monitor=monitor, metrics=["accuracy"])
    fit(trainer, 3)
    watched = monitor or "val_loss"
    assert trainer.scheduler.best == trainer.history[0][watched]
    assert [r["lr"] for r in trainer.history] == pytest.approx([0.1, 0.1, 0.01])


def test_schedule_by_steps():
    def halving(optimizer):
        return optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)

    by_step = classifier(scheduler=halving, scheduler_interval="step")
    by_epoch = classifier(scheduler=halving)
    assert [r["lr"] for r in fit(by_step, 2)] == [0.1 * 0.5**4, 0.1 * 0.5**9]
    assert [r["lr"] for r in fit(by_epoch, 2)] == [0.1, 0.05]


def test_batch_transform_is_for_training_only():
    seen = []

    def transform(x, y):
        seen.append(len(x))
        return x, 0.9 * tg.eye(3)[y] + 0.1 / 3

    trainer = classifier(batch_transform=transform, metrics=["accuracy"])
    history = fit(trainer, 1)
    assert seen == [16, 16, 16, 16, 6]
    assert 0 < history[0]["train_accuracy"] < 1 and 0 < history[0]["val_accuracy"] <= 1


def test_mixup_trains_with_soft_labels():
    tg.manual_seed(0)
    data = DataLoader(Digits("train"), batch_size=64, shuffle=True)
    model = mlp(64, 10, hidden=(32,))
    trainer = Trainer(
        model,
        nn.CrossEntropyLoss(),
        optim.Adam(model.parameters(), lr=0.01),
        metrics=["accuracy"],
        batch_transform=transforms.MixUp(alpha=0.5, num_classes=10),
    )
    history = trainer.fit(data, DataLoader(Digits("val"), batch_size=128), 3)
    # a mixed sample counts its share of the class that was chosen: less than all
    assert 0.5 < history[-1]["train_accuracy"] < history[-1]["val_accuracy"] > 0.9


def test_regression():
    tg.manual_seed(0)
    x = tg.randn(64, 2)
    y = x @ tg.tensor([[2.0], [-1.0]]) + 3
    model = nn.Linear(2, 1)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, nn.MSELoss(), sgd, metrics=["mae", "r2"])
    data = DataLoader(TensorDataset(x, y), batch_size=16)
    history = trainer.fit(data, data, 50)
    assert history[-1]["val_r2"] > 0.9999 and history[-1]["val_mae"] < 1e-2
    assert model.bias.item() == pytest.approx(3, abs=1e-2)


# ---- how it ends ----


def test_early_stopping_ends_with_the_best_weights():
    stopper = EarlyStopping("val_loss", patience=2, min_delta=1e9)
    trainer = classifier(callbacks=[stopper])
    history = fit(trainer, 10)
    assert (len(history), stopper.best_epoch, trainer.stopped_by) == (3, 1, "early stopping")
    assert trainer.evaluate(loader(1))["loss"] == history[0]["val_loss"]


class Interrupt(Callback):
    """Sends this process a signal, so many times, in a step."""

    def __init__(self, step, number=signal.SIGINT, times=1):
        self.step, self.number, self.times = step, number, times

    def on_backward_end(self, trainer):
        if trainer.step + 1 == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_restores(number):
    before = signal.getsignal(number)
    stopper = EarlyStopping("val_loss", min_delta=1e9)
    trainer = classifier(callbacks=[Interrupt(13, number), stopper])
    history = fit(trainer, 10)
    assert (trainer.step, len(history), trainer.epoch) == (13, 2, 3)
    assert trainer.stopped_by == number.name
    assert trainer.evaluate(loader(1))["loss"] == history[0]["val_loss"]
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once():
    stopper = EarlyStopping("val_loss", min_delta=1e9)
    trainer = classifier(callbacks=[Interrupt(7, times=2), stopper])
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, 10)
    assert trainer.step == 6 and isinstance(trainer.error, KeyboardInterrupt)
    assert trainer.evaluate(loader(1))["loss"] == trainer.history[0]["val_loss"]


def test_in_another_thread_signals_are_left_alone():
    before, trainer = signal.getsignal(signal.SIGINT), classifier()
    thread = threading.Thread(target=fit, args=(trainer, 1))
    thread.start()
    thread.join()
    assert len(trainer.history) == 1 and signal.getsignal(signal.SIGINT) is before


def test_a_stop_in_the_last_step_of_an_epoch_still_ends_the_epoch():
    trainer = classifier(callbacks=[Interrupt(5)])
    assert len(fit(trainer, 10)) == 1


def test_nan_names_epoch_step_and_layer():
    trainer = classifier()
    data = list(loader(0))
    data[3] = (data[3][0] * math.nan, data[3][1])
    with pytest.raises(FloatingPointError, match="epoch 1, step 4: the loss is nan: the input"):
        trainer.fit(data, epochs=2)
    trainer = classifier(lr=1e38)
    with pytest.raises(
        FloatingPointError, match=r"epoch 1, step [23]: the loss is .*(layer|weight)"
    ):
        fit(trainer)


def test_nan_in_validation():
    data = [(x * math.nan, y) for x, y in loader(1)]
    with pytest.raises(FloatingPointError, match="val_loss is nan in epoch 1, after step 5"):
        classifier().fit(loader(0), data, 2)


def test_empty_loaders():
    for call in (
        lambda t: t.fit([], epochs=1),
        lambda t: t.fit(loader(), [], epochs=1),
        lambda t: t.evaluate([]),
        lambda t: t.predict([]),
        lambda t: t.fit(iter(list(loader())), epochs=2),
        lambda t: t.fit(loader(batch_size=100, drop_last=True), epochs=1),
    ):
        with pytest.raises(ValueError, match="gave no batch"):
            call(classifier())


def test_last_batch_of_one_sample():
    with pytest.raises(ValueError, match="epoch 1, step 2: the batch is a single.*drop_last=True"):
        classifier().fit(loader(batch_size=69), epochs=1)
    classifier().fit(loader(batch_size=69, drop_last=True), epochs=1)


@pytest.mark.parametrize(
    "batch", [tg.ones(3, 2), tg.ones(2, 2), (tg.ones(3, 2),), 7, [1, 2, 3]], ids=str
)
def test_batches_that_are_no_pairs(batch):
    with pytest.raises(ValueError, match="fit: the loader gave a .*expected pairs of a batch"):
        classifier().fit([batch], epochs=1)
    with pytest.raises(ValueError, match="evaluate: the loader gave a "):
        classifier().evaluate([batch])


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"callbacks": [EarlyStopping]}, TypeError, "make an object of it"),
        ({"callbacks": [print]}, TypeError, "expected callbacks"),
        ({"metrics": ["accuray"]}, ValueError, "got 'accuray': expected some of"),
        ({"metrics": {"a": 3}}, TypeError, "expected a function"),
        ({"scheduler_interval": "batch"}, ValueError, "expected 'epoch' or 'step'"),
        ({"optimizer": lambda p, lr: None}, TypeError, "expected an optimizer, got NoneType"),
        (
            {"scheduler": optim.lr_scheduler.ReduceLROnPlateau, "scheduler_interval": "step"},
            ValueError,
            "once an epoch",
        ),
    ],
    ids=str,
)
def test_misuse(arguments, kind, message):
    with pytest.raises(kind, match=message):
        classifier(**arguments)


@pytest.mark.parametrize("epochs", [-1, 1.5, True, "3"])
def test_epochs_must_be_a_number(epochs):
    with pytest.raises(ValueError, match="got epochs="):
        fit(classifier(), epochs)


# ---- evaluation ----


def test_predict_is_in_evaluation_mode_without_graph():
    model = mlp(2, 3, hidden=(8,), dropout=0.5)
    model.train()
    model[1].eval()
    logits, target = predict(model, loader(batch_size=32))
    assert model.training and not model[1].training
    assert not logits.requires_grad
    assert (tuple(logits.shape), target.tolist()) == ((70, 3), blobs().tensors[1].tolist())
    model.eval()
    assert np.allclose(logits.numpy(), model(blobs().tensors[0]).detach().numpy(), atol=1e-6)


def test_predict_without_targets():
    model = nn.Linear(2, 3)
    logits, target = predict(model, [tg.ones(4, 2), tg.zeros(1, 2)])
    assert tuple(logits.shape) == (5, 3) and target is None


def test_a_second_fit_begins_a_run():
    stopper = EarlyStopping("val_loss", patience=100)
    trainer = classifier(callbacks=[stopper])
    fit(trainer, 3)
    before = weights(trainer.model)
    history = fit(trainer, 2)
    assert [r["epoch"] for r in history] == [1, 2] and stopper.epoch == 2
    assert weights(trainer.model) != before


def test_figures_of_numpy_become_plain_ones(tmp_path):
    figures = {
        "wide": np.float64(0.5), "narrow": np.float32(0.25), "whole": np.int64(3),
        "several": np.array([1.0, 2.0]), "tensor": tg.tensor(2.0), "plain": 1,
    }  # fmt: skip
    metrics = {name: (lambda *_, f=figure: f) for name, figure in figures.items()}
    log = JSONLLogger(tmp_path / "metrics.jsonl")
    trainer = classifier(callbacks=[log, ModelCheckpoint(tmp_path / "c")], metrics=metrics)
    (record,) = fit(trainer, 1)
    expected = {
        "wide": 0.5, "narrow": 0.25, "whole": 3, "several": [1.0, 2.0], "tensor": 2.0, "plain": 1,
    }  # fmt: skip
    for name, figure in expected.items():
        assert record[f"train_{name}"] == record[f"val_{name}"] == figure
        assert type(record[f"train_{name}"]) is type(figure)
    assert json.loads(log.path.read_text()) == record


def test_a_learning_rate_of_numpy_is_saved(tmp_path):
    def trainer():
        return classifier(
            lr=np.float64(0.1), callbacks=[ModelCheckpoint(tmp_path / "c")],
            scheduler=lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: np.float64(0.5) ** t),
        )  # fmt: skip

    first, more = trainer(), trainer()
    fit(first, 1)
    assert [record["lr"] for record in fit(more, 3, resume=tmp_path / "c")] == [0.1, 0.05, 0.025]


def test_figures_that_cannot_be_compared():
    metrics = {"each": lambda output, target: np.array([1.0, 2.0])}
    trainer = classifier(callbacks=[EarlyStopping("val_each")], metrics=metrics)
    with pytest.raises(TypeError, match="'val_each' is a list: expected a number"):
        fit(trainer, 1)


def test_epochs_may_be_a_number_of_numpy():
    trainer = classifier()
    assert len(fit(trainer, np.int64(2))) == 2 and type(trainer.epochs) is int
