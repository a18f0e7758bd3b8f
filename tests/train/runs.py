"""Small runs that the tests of training share."""

import json
import math
import random

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import (
    Callback,
    CSVLogger,
    EarlyStopping,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Trainer,
    mlp,
)
from tinygrad_lessons.utils.data import DataLoader, TensorDataset


def blobs(n=70, classes=3, seed=0):
    """Points in the plane around `classes` centres, easy to tell apart."""
    generator = tg.Generator().manual_seed(seed)
    target = tg.randint(classes, (n,), generator=generator)
    angle = target.to(tg.float32) * (2 * math.pi / classes)
    centre = tg.stack([angle.cos(), angle.sin()], 1)
    return TensorDataset(centre + 0.2 * tg.randn(n, 2, generator=generator), target)


def loader(seed=0, batch_size=16, **arguments):
    return DataLoader(blobs(seed=seed), batch_size=batch_size, **arguments)


def classifier(seed=0, lr=0.1, optimizer=optim.SGD, scheduler=None, **arguments):
    """A trainer of a small net with batch norm and dropout."""
    tg.manual_seed(seed)
    model = mlp(2, 3, hidden=(8,), dropout=0.1)
    rule = optimizer(model.parameters(), lr=lr)
    if scheduler is not None:
        arguments["scheduler"] = scheduler(rule)
    return Trainer(model, nn.CrossEntropyLoss(), rule, **arguments)


def fit(trainer, epochs=3, **arguments):
    return trainer.fit(loader(0, shuffle=True), loader(1), epochs, **arguments)


def without_times(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


def bits(state):
    """All that a nested state holds, tensors as bytes."""
    if isinstance(state, tg.Tensor):
        return str(state.dtype), tuple(state.shape), state.detach().numpy().tobytes()
    if isinstance(state, dict):
        return {key: bits(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [bits(value) for value in state]
    return state


def outcome(trainer):
    """What must be the same bit for bit in an interrupted run: all but times."""
    state = trainer.state_dict()
    del state["seconds"]
    state["history"] = without_times(state["history"])
    return bits(state)


class StopAt(Callback):
    """Ends training after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            trainer.stop("test")


def go(folder, stop_at=None, resume=None, data=loader, **arguments):
    """A run of 4 epochs of 5 steps in a folder, possibly stopped or resumed."""
    callbacks = [
        JSONLLogger(folder / "metrics.jsonl"),
        CSVLogger(folder / "metrics.csv"),
        LRMonitor(folder / "steps.jsonl"),
        EarlyStopping("val_loss", patience=20, restore_best=False),
        ModelCheckpoint(folder / "checkpoints", every_steps=3),
        StopAt(stop_at),
    ]
    trainer = classifier(callbacks=callbacks, metrics=["accuracy", "f1", "auc"], **arguments)
    random.seed(0)
    np.random.seed(0)
    trainer.fit(data(0, shuffle=True), data(1), 4, resume=resume)
    return trainer


def records_of(folder):
    """What metrics.jsonl holds, without times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return without_times(json.loads(line) for line in lines)


def logs(folder):
    """The logs without times."""
    table = [line.rsplit(",", 1)[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    return records_of(folder), table, (folder / "steps.jsonl").read_text()


def assert_goes_on(tmp_path, stop_at, **arguments):
    whole = go(tmp_path / "whole", **arguments)
    assert whole.step == 20
    part = go(tmp_path / "part", stop_at=stop_at, **arguments)
    assert part.step == stop_at and part.stopped_by == "test"
    random.random()
    tg.manual_seed(99)  # another process has other streams, weights and orders
    resumed = go(tmp_path / "part", resume=tmp_path / "part", seed=77, **arguments)
    assert resumed.resumed and resumed.stopped_by == "epochs"
    assert outcome(resumed) == outcome(whole)
    assert logs(tmp_path / "part") == logs(tmp_path / "whole")


def values(model):
    return [p.detach().numpy().copy() for p in model.parameters()]


class Watch(Callback):
    """Calls a function after each step, or at another hook."""

    def __init__(self, function, hook="on_step_end"):
        self.function = function
        self.hook = hook

    def on_step_end(self, trainer):
        if self.hook == "on_step_end":
            self.function(trainer)

    def on_backward_end(self, trainer):
        if self.hook == "on_backward_end":
            self.function(trainer)


class Shuffled:
    """A loader that cannot say where it is, in an order drawn from all the streams there are."""

    def __init__(self, seed, shuffle=False):
        self.data, self.shuffle = blobs(seed=seed), shuffle

    def __iter__(self):
        for _ in range(5):
            index = tg.randint(70, (16,))
            noise = random.random() + np.random.rand()
            x, y = self.data[index.tolist()]
            yield x + noise * tg.randn(2), y
