"""Stop and go on: where the data stands, and all that orders and transforms are drawn from."""

import random

import numpy as np
import pytest
from runs import StopAt, blobs, classifier, fit, loader, without_times

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.train import (
    Callback,
    CheckpointError,
    Checkpoints,
    ModelCheckpoint,
    lr_find,
)
from tinygrad_lessons.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
)


def short_run(loader, epochs=2, resume=None, callbacks=(), **arguments):
    """The loss of each step, of a trainer of the loader's batches."""
    losses = []

    class Note(Callback):
        def on_step_end(self, trainer):
            losses.append(trainer.step_loss)

    trainer = classifier(callbacks=[Note(), *callbacks], **arguments)
    trainer.fit(loader, epochs=epochs, resume=resume)
    return losses


def test_a_loader_that_was_looked_at_gives_whole_epochs(tmp_path):
    train, val = loader(0, shuffle=True), loader(1)
    next(iter(train)), next(iter(val))
    lr_find(classifier().model, nn.CrossEntropyLoss(), classifier().optimizer, train, steps=3)
    trainer = classifier(callbacks=[ModelCheckpoint(tmp_path / "c", keep_last=None)])
    history = trainer.fit(train, val, epochs=2)
    assert trainer.step == 10
    again = classifier(seed=3)
    with pytest.warns(UserWarning, match="ModelCheckpoint"):
        again.fit(
            loader(0, shuffle=True), loader(1), 2, tmp_path / "c" / "step-00000000.safetensors"
        )
    assert again.step == 10 and without_times(again.history) == without_times(history)


def test_who_else_iterates_over_the_loader_moves_nothing(tmp_path):
    class Look(Callback):
        def on_step_end(self, trainer):
            trainer.evaluate(trainer.train_data)

    whole = short_run(loader(0, shuffle=True), callbacks=[Look()])
    part = short_run(
        loader(0, shuffle=True), callbacks=[Look(), ModelCheckpoint(tmp_path), StopAt(7)]
    )
    rest = short_run(
        loader(0, shuffle=True), resume=tmp_path, callbacks=[Look(), ModelCheckpoint(tmp_path)]
    )
    assert part + rest == whole and len(rest) == 3


class ByNumPy(Sampler):
    """An order from NumPy's and Python's own streams."""

    def __iter__(self):
        order = np.random.permutation(70)
        order[0] = random.randrange(70)
        return iter(order.tolist())

    def __len__(self):
        return 70


class StreamByNumPy(IterableDataset):
    """Samples in such an order, each with noise from there."""

    def __iter__(self):
        data = blobs()
        for i in np.random.permutation(70).tolist():
            x, y = data[i]
            yield x + 0.1 * random.random(), y


class OwnGenerator(Sampler):
    """Draws from a generator by another name."""

    def __init__(self):
        self.rng = tg.Generator().manual_seed(3)

    def __iter__(self):
        return iter(tg.randperm(70, generator=self.rng).tolist())

    def __len__(self):
        return 70


class OwnBatches:
    """Holds a sampler that has a generator."""

    def __init__(self):
        self.inner = RandomSampler(range(70), generator=tg.Generator().manual_seed(4))

    def __iter__(self):
        return iter(BatchSampler(self.inner, 16, False))

    def __len__(self):
        return 5


class Counting(Sampler):
    """Has a state of its own."""

    def __init__(self):
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return iter(tg.randperm(70, generator=tg.Generator().manual_seed(self.passes)).tolist())

    def __len__(self):
        return 70

    def state_dict(self):
        return {"passes": self.passes}

    def load_state_dict(self, state):
        self.passes = state["passes"]


ORDERS = {
    "numpy": lambda: DataLoader(blobs(), 16, sampler=ByNumPy()),
    "numpy, workers": lambda: DataLoader(
        blobs(), 16, sampler=ByNumPy(), num_workers=2, multiprocessing_context="thread"
    ),
    "stream": lambda: DataLoader(StreamByNumPy(), 16),
    "generator": lambda: DataLoader(blobs(), 16, sampler=OwnGenerator()),
    "batches": lambda: DataLoader(blobs(), batch_sampler=OwnBatches()),
    "state": lambda: DataLoader(blobs(), 16, sampler=Counting()),
}


@pytest.mark.parametrize("stop_at", [3, 5, 7, 10])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_orders_of_any_source_go_on(order, stop_at, tmp_path):
    def run(seed, *callbacks, **arguments):
        random.seed(seed)
        np.random.seed(seed)
        return short_run(order(), 3, callbacks=callbacks, **arguments)

    whole = run(0)
    part = run(0, ModelCheckpoint(tmp_path), StopAt(stop_at))
    rest = run(1, ModelCheckpoint(tmp_path), resume=tmp_path)
    assert (len(part), len(rest)) == (stop_at, 15 - stop_at)
    assert part + rest == whole


class Noise:
    """Adds noise from a generator of its own."""

    def __init__(self):
        self.rng = tg.Generator().manual_seed(5)

    def __call__(self, x, y):
        return x + tg.randn(x.shape, generator=self.rng), y


class Drift(nn.Module):
    """Moves the data a bit further each time."""

    def __init__(self):
        super().__init__()
        self.register_buffer("offset", tg.zeros(()))

    def forward(self, x, y):
        self.offset.add_(0.5)
        return x + self.offset, y


@pytest.mark.parametrize("transform", [Noise, Drift])
def test_a_transform_with_state_goes_on(transform, tmp_path):
    def run(*callbacks, **arguments):
        arguments |= {"callbacks": callbacks, "batch_transform": transform()}
        return short_run(loader(), **arguments)

    whole = run()
    part = run(ModelCheckpoint(tmp_path), StopAt(7))
    assert part + run(ModelCheckpoint(tmp_path), resume=tmp_path) == whole
    with pytest.raises(CheckpointError, match="another batch_transform: it holds 1 states"):
        short_run(loader(), callbacks=[ModelCheckpoint(tmp_path)], resume=tmp_path)


def test_a_loss_with_state_goes_on(tmp_path):
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", tg.ones(()))

        def forward(self, output, target):
            self.scale.mul_(1.25)
            return nn.functional.cross_entropy(output, target) * self.scale

    def run(*callbacks, **arguments):
        losses = []
        note = StopAt(None)
        note.on_step_end = lambda trainer: losses.append(trainer.step_loss)
        trainer = classifier(callbacks=[note, *callbacks])
        trainer.loss = Growing()
        trainer.fit(loader(), epochs=2, **arguments)
        return losses

    whole = run()
    part = run(ModelCheckpoint(tmp_path), StopAt(7))
    assert part + run(ModelCheckpoint(tmp_path), resume=tmp_path) == whole


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (loader, lambda: list(loader()), "a DataLoader, but got a list: resume with the same data"),
        (lambda: list(loader()), loader, "as a list, but got a DataLoader: resume"),
        (loader, lambda: loader(shuffle=True), "SequentialSampler.* this one has .*RandomSampler"),
        (loader, lambda: loader(batch_size=17), "'batch_size': 16.*'batch_size': 17"),
    ],
    ids=["list", "loader", "shuffle", "size"],
)
def test_data_of_another_kind(before, after, message, tmp_path):
    short_run(before(), callbacks=[ModelCheckpoint(tmp_path), StopAt(2)])
    with pytest.raises(ValueError, match=message):
        short_run(after(), resume=tmp_path, callbacks=[ModelCheckpoint(tmp_path)])


def test_a_stop_in_a_stream_that_is_longer_than_its_length(tmp_path):
    class Longer(StreamByNumPy):
        def __len__(self):
            return 32  # two batches of the five

    def run(*callbacks, **arguments):
        random.seed(0)
        np.random.seed(0)
        return short_run(DataLoader(Longer(), 16), callbacks=callbacks, **arguments)

    whole = run()
    for stop in (1, 2, 3, 5):
        folder = tmp_path / str(stop)
        part = run(ModelCheckpoint(folder), StopAt(stop))
        assert len(part) == stop
        assert part + run(ModelCheckpoint(folder), resume=folder) == whole


def test_the_best_epochs_are_remembered(tmp_path):
    """A resumed run keeps the best of before, and no more than it is told to."""

    class Worse(Callback):
        order = -1

        def on_epoch_end(self, trainer):
            trainer.record["rank"] = [1.0, 3.0, 2.0, 4.0][trainer.epoch - 1]

    def run(epochs, **arguments):
        checkpoint = ModelCheckpoint(tmp_path, keep_last=1, keep_best=2, monitor="rank")
        fit(classifier(callbacks=[Worse(), checkpoint]), epochs, **arguments)
        return checkpoint

    assert run(2).best == [[1.0, 5], [3.0, 10]]
    assert run(4, resume=tmp_path).best == [[1.0, 5], [2.0, 15]]
    assert Checkpoints(tmp_path).steps() == [5, 15, 20]
