"""Stop and go on: interrupted runs end with the bits of those that were not."""

import json
import os
import random
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from runs import bits, blobs, classifier, fit, loader, outcome, without_times

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import (
    Callback,
    CheckpointError,
    Checkpoints,
    CheckpointWarning,
    CSVLogger,
    EarlyStopping,
    GradientStats,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Trainer,
    load_checkpoint,
    lr_find,
    mlp,
    save_checkpoint,
)
from tinygrad_lessons.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
)


class StopAt(Callback):
    """Ends training after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            trainer.stop("test")


def cosine(optimizer):
    return optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=20)


RULES = {
    "sgd": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "adam": optim.Adam,
    "lbfgs": lambda p, lr: optim.LBFGS(p, lr=lr, max_iter=3),
    "sam": lambda p, lr: optim.SAM(optim.AdamW(p, lr=lr)),
    "lookahead": lambda p, lr: optim.Lookahead(optim.SGD(p, lr=lr, momentum=0.9), k=3),
    "free": optim.AdamWScheduleFree,
    "adafactor": lambda p, lr: optim.Adafactor(p, lr=lr),
    "asgd": optim.ASGD,
    "rprop": optim.Rprop,
    "clipped": lambda p, lr: optim.Lion([{"params": list(p), "max_grad_norm": 0.5}], lr=lr / 10),
}
SCHEDULES = {
    "one cycle": (cosine, "step"),
    "plateau": (lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0), "epoch"),
    "multi": (lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 3]), "epoch"),
    "sequence": (
        lambda o: optim.lr_scheduler.SequentialLR(
            o,
            [
                optim.lr_scheduler.ConstantLR(o, 0.5, 2),
                optim.lr_scheduler.ExponentialLR(o, 0.9),
            ],
            [2],
        ),
        "epoch",
    ),
    "cyclic": (
        lambda o: optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
        "step",
    ),
    "warm-up": (
        lambda o: optim.lr_scheduler.WarmupLR(optim.lr_scheduler.CosineAnnealingLR(o, 10), 3),
        "step",
    ),
    "lambda": (lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 0.9**t), "epoch"),
}


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


def logs(folder):
    """The logs without times."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    table = [line.rsplit(",", 1)[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    return without_times(records), table, (folder / "steps.jsonl").read_text()


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


@pytest.mark.parametrize("stop_at", [1, 4, 5, 12, 15, 19])
def test_resumed_run_ends_with_the_same_bits(stop_at, tmp_path):
    assert_goes_on(tmp_path, stop_at)


@pytest.mark.parametrize("rule", RULES)
def test_every_kind_of_rule_goes_on(rule, tmp_path):
    assert_goes_on(tmp_path, 7, optimizer=RULES[rule], lr=0.05)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_kind_of_schedule_goes_on(name, tmp_path):
    schedule, interval = SCHEDULES[name]
    assert_goes_on(tmp_path, 7, scheduler=schedule, scheduler_interval=interval)


def test_the_test_notices_what_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_lessons.train.trainer.set_rng_states", lambda states: None)
    with pytest.raises(AssertionError):
        assert_goes_on(tmp_path, 7)


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


@pytest.mark.parametrize("stop_at", [7, 10])
def test_any_iterable_goes_on(stop_at, tmp_path):
    assert_goes_on(tmp_path, stop_at, data=Shuffled)


def generated(seed, shuffle=False):
    """A loader with a generator of its own."""
    return loader(seed, shuffle=True, generator=tg.Generator().manual_seed(seed + 5))


@pytest.mark.parametrize("stop_at", [7, 10])
def test_loaders_with_a_generator_go_on(stop_at, tmp_path):
    assert_goes_on(tmp_path, stop_at, data=generated)


def test_augmentation_goes_on(tmp_path):
    def noisy(x, y):
        return x + 0.1 * tg.randn(len(x), 2), y

    assert_goes_on(tmp_path, 8, batch_transform=noisy)


def test_stopped_early_stays_stopped(tmp_path):
    def trainer():
        stopper = EarlyStopping("val_loss", patience=2, min_delta=1e9)
        return classifier(callbacks=[stopper, ModelCheckpoint(tmp_path / "c")])

    first, again = trainer(), trainer()
    fit(first, 10)
    history = fit(again, 10, resume=tmp_path / "c")
    assert history == first.history and len(history) == 3
    assert again.stopped_by == "early stopping"
    assert outcome(again)["model"] == outcome(first)["model"]


def test_more_epochs_after_the_end(tmp_path):
    whole, part = classifier(), classifier(callbacks=[ModelCheckpoint(tmp_path / "c")])
    fit(whole, 4)
    part = classifier(callbacks=[ModelCheckpoint(tmp_path / "c")])
    fit(part, 2)
    more = classifier(seed=5)
    with pytest.warns(UserWarning, match="does not have: ModelCheckpoint"):
        fit(more, 4, resume=tmp_path / "c")
    assert outcome(more)["model"] == outcome(whole)["model"]
    assert without_times(more.history) == without_times(whole.history)
    again = classifier(callbacks=[ModelCheckpoint(tmp_path / "c")])
    with pytest.raises(ValueError, match="in epoch 2: epochs are counted"):
        fit(again, 1, resume=tmp_path / "c")


def test_state_dict_goes_on_without_a_file():
    whole, part = classifier(), None
    fit(whole, 4)
    part = classifier(callbacks=[StopAt(8)])
    fit(part, 4)
    state = part.state_dict()
    more = classifier(seed=5)
    more.load_state_dict(state)
    fit(more, 4)
    assert outcome(more)["model"] == outcome(whole)["model"]


# ---- checkpoints ----


def test_which_checkpoints_are_kept(tmp_path):
    def steps(**arguments):
        folder = tmp_path / str(arguments)
        trainer = classifier(callbacks=[ModelCheckpoint(folder, **arguments)])
        fit(trainer, 4)
        losses = [record["val_loss"] for record in trainer.history]
        return Checkpoints(folder).steps(), losses

    kept, losses = steps(keep_best=0)
    assert kept == [15, 20]
    kept, _ = steps(keep_best=0, keep_last=None)
    assert kept == [0, 5, 10, 15, 20]
    kept, _ = steps(keep_best=0, keep_last=None, every_epochs=3)
    assert kept == [0, 15, 20]
    kept, _ = steps(keep_best=0, keep_last=None, every_epochs=None, every_steps=7)
    assert kept == [0, 7, 14, 20]
    kept, losses = steps(keep_best=2, mode="max", keep_last=1)
    best = sorted(range(4), key=losses.__getitem__)[-2:]
    assert kept == sorted({20, *(5 * (i + 1) for i in best)})


def test_best_checkpoint(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path, keep_best=1)
    assert checkpoint.best_path is None
    trainer = classifier(callbacks=[checkpoint])
    fit(trainer, 4)
    losses = [record["val_loss"] for record in trainer.history]
    state = load_checkpoint(checkpoint.best_path)
    assert state["history"][-1]["val_loss"] == min(losses)


def damage(path, how):
    data = path.read_bytes()
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = b""
    else:
        middle = len(data) * 3 // 4
        data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "empty", "one bit"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(how, tmp_path):
    whole = go(tmp_path / "whole")
    go(tmp_path / "part", stop_at=13)
    checkpoints = Checkpoints(tmp_path / "part" / "checkpoints")
    newest, before = checkpoints.steps()[-1], checkpoints.steps()[-2]
    assert (newest, before) == (13, 12)
    damage(checkpoints.path(newest), how)
    with pytest.raises(CheckpointError, match="cannot be read.*give the folder"):
        load_checkpoint(checkpoints.path(newest))
    with pytest.warns(CheckpointWarning, match="going on from the one before it, step-00000012"):
        resumed = go(tmp_path / "part", resume=tmp_path / "part")
    assert outcome(resumed) == outcome(whole)
    assert logs(tmp_path / "part") == logs(tmp_path / "whole")


def test_no_whole_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        fit(classifier(), resume=tmp_path)
    with pytest.raises(FileNotFoundError):
        fit(classifier(), resume=tmp_path / "missing.safetensors")
    Checkpoints(tmp_path).save({}, 3)
    damage(Checkpoints(tmp_path).path(3), "one bit")
    with pytest.raises(CheckpointError, match="no checkpoint in .* is whole"):
        fit(classifier(), resume=tmp_path)
    save_checkpoint({"epoch": 3}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="not a trainer's"):
        fit(classifier(), resume=tmp_path / "other")


def test_another_run_is_not_overwritten(tmp_path):
    fit(classifier(callbacks=[ModelCheckpoint(tmp_path)]), 1)
    with pytest.raises(FileExistsError, match="of another run: go on from them with"):
        fit(classifier(callbacks=[ModelCheckpoint(tmp_path)]), 1)


def test_a_run_that_is_refused_keeps_the_logs_of_the_other(tmp_path):
    def run(*more):
        logs = [
            JSONLLogger(tmp_path / "metrics.jsonl"), CSVLogger(tmp_path / "metrics.csv"),
            LRMonitor(tmp_path / "steps.jsonl"), GradientStats(tmp_path / "gradients.jsonl"),
        ]  # fmt: skip
        fit(classifier(callbacks=[*logs, *more]), 1)

    class Fails(Callback):
        def on_fit_start(self, trainer):
            raise OSError("no space")

    run(ModelCheckpoint(tmp_path / "c"))
    files = {path: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert len(files) == 4 and all(files.values())
    for refusing in (ModelCheckpoint(tmp_path / "c"), Fails()):
        with pytest.raises(OSError, match="another run|no space"):
            run(refusing)
        assert {path: path.read_text() for path in files} == files
    run()  # another run, without checkpoints, takes their place
    assert [len(text.splitlines()) for text in map(Path.read_text, files)] == [
        len(text.splitlines()) for text in files.values()
    ]


def test_what_killed_writers_leave_is_removed(tmp_path):
    fit(classifier(callbacks=[ModelCheckpoint(tmp_path)]), 1)
    (tmp_path / ".step-00000003.safetensors.123.tmp").write_text("half")
    fit(classifier(callbacks=[ModelCheckpoint(tmp_path)]), 2, resume=tmp_path)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda m: Trainer(mlp(2, 3, hidden=(9,)), nn.MSELoss(), optim.SGD(m.parameters())),
            "size",
        ),
        (lambda m: Trainer(m, nn.MSELoss(), optim.Adam(m.parameters())), "of SGD, but .* has Adam"),
        (
            lambda m: Trainer(m, nn.MSELoss(), optim.SAM(optim.SGD(m.parameters()))),
            "of SGD, but .* has SAM of SGD",
        ),
        (
            lambda m: Trainer(m, nn.MSELoss(), optim.SGD(list(m.parameters())[1:])),
            r"groups of \[6\] parameters, but .* groups of \[5\]",
        ),
        (
            lambda m: Trainer(
                m,
                nn.MSELoss(),
                (rule := optim.SGD(m.parameters())),
                scheduler=optim.lr_scheduler.StepLR(rule, 1),
            ),
            "another scheduler: it holds the state of none, but the trainer has StepLR",
        ),
        (
            lambda m: Trainer(nn.Sequential(m), nn.MSELoss(), optim.SGD(m.parameters())),
            '(?s)another model: .*Missing key.*"0.1.weight"',
        ),
    ],
    ids=["shape", "optimizer", "wrapped", "groups", "scheduler", "names"],
)
def test_a_checkpoint_of_something_else_says_what_differs(build, message):
    state = classifier().state_dict()
    tg.manual_seed(4)
    other = build(mlp(2, 3, hidden=(8,), dropout=0.1))
    before = bits(other.model.state_dict())
    with pytest.raises(CheckpointError, match=message):
        other.load_state_dict(state)
    assert bits(other.model.state_dict()) == before


def test_other_metrics_in_the_middle_of_an_epoch():
    part = classifier(callbacks=[StopAt(3)], metrics=["accuracy"])
    fit(part)
    with pytest.raises(CheckpointError, match=r"metrics \['accuracy'\], but .* has \['f1'\]"):
        classifier(metrics=["f1"]).load_state_dict(part.state_dict())


def test_callbacks_that_are_gone_are_named():
    state = classifier(callbacks=[EarlyStopping()]).state_dict()
    with pytest.warns(UserWarning, match="does not have: EarlyStopping"):
        classifier().load_state_dict(state)


def test_less_data_than_before(tmp_path):
    go(tmp_path, stop_at=8, data=Shuffled)
    few = [(tg.ones(3, 2), tg.zeros(3, dtype=tg.int64))]
    trainer = classifier(metrics=["accuracy", "f1", "auc"])
    with (
        pytest.raises(ValueError, match="after 3 batches of its epoch, but the loader gives 1"),
        pytest.warns(UserWarning, match="callbacks that the trainer does not have"),
    ):
        trainer.fit(few, few, 4, resume=tmp_path)


# ---- signals, full disks, read-only folders ----


class Kill(Callback):
    def __init__(self, step):
        self.step = step

    def on_step_start(self, trainer):
        if trainer.step + 1 == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_saves_the_step_and_goes_on(tmp_path):
    def trainer(*more):
        stopper = EarlyStopping("val_loss", patience=99)
        return classifier(callbacks=[stopper, ModelCheckpoint(tmp_path / "c"), *more])

    whole = classifier(callbacks=[EarlyStopping("val_loss", patience=99)])
    fit(whole, 4)
    part = trainer(Kill(13))
    fit(part, 4)
    assert part.stopped_by == "SIGINT" and Checkpoints(tmp_path / "c").steps()[-1] == 13
    resumed = trainer()
    fit(resumed, 4, resume=tmp_path / "c")
    assert bits(resumed.model.state_dict()) == bits(whole.model.state_dict())
    assert without_times(resumed.history) == without_times(whole.history)


class NoSpace(Callback):
    """From one step to another, files cannot grow."""

    def __init__(self, begin, end):
        self.begin, self.end = begin, end

    def on_step_end(self, trainer):
        import resource

        if trainer.step in (self.begin, self.end):
            limit = 0 if trainer.step == self.begin else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path):
    whole = go(tmp_path / "whole")
    folder = tmp_path / "full"
    callbacks = [
        NoSpace(6, 14),
        JSONLLogger(folder / "metrics.jsonl"),
        CSVLogger(folder / "metrics.csv"),
        LRMonitor(folder / "steps.jsonl"),
        EarlyStopping("val_loss", patience=20, restore_best=False),
        ModelCheckpoint(folder / "checkpoints", every_steps=3),
    ]
    trainer = classifier(callbacks=callbacks, metrics=["accuracy", "f1", "auc"])
    with pytest.warns(UserWarning) as caught:
        trainer.fit(loader(0, shuffle=True), loader(1), 4)
    said = {str(warning.message) for warning in caught}
    assert any("ModelCheckpoint: " in text and "File too large" in text for text in said)
    assert any("JSONLLogger: File too large" in text for text in said)
    assert outcome(trainer)["model"] == outcome(whole)["model"]
    assert logs(folder) == logs(tmp_path / "whole")
    assert Checkpoints(folder / "checkpoints").steps()[-1] == 20


def test_a_disk_that_stays_full_is_an_error_that_keeps_the_last_checkpoint(tmp_path):
    import resource

    trainer = classifier(callbacks=[NoSpace(7, None), ModelCheckpoint(tmp_path, every_steps=3)])
    try:
        with (
            pytest.warns(CheckpointWarning, match="training goes on"),
            pytest.raises(OSError, match="save: File too large.*step-00000020"),
        ):
            fit(trainer, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert len(trainer.history) == 4  # what was trained is there
    assert load_checkpoint(tmp_path)["step"] == 6
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "callback",
    [
        lambda folder: ModelCheckpoint(folder / "c"),
        lambda folder: JSONLLogger(folder / "metrics.jsonl"),
        lambda folder: LRMonitor(folder / "steps.jsonl"),
    ],
)
def test_a_folder_that_cannot_be_written_is_an_error_before_the_first_step(callback, tmp_path):
    (tmp_path / "file").write_text("mine")  # as root, read-only folders can be written
    trainer = classifier(callbacks=[callback(tmp_path / "file")])
    with pytest.raises(OSError, match="[Nn]ot a directory|exists"):
        fit(trainer)
    assert trainer.step == 0 and (tmp_path / "file").read_text() == "mine"


def test_a_read_only_folder_is_an_error_before_the_first_step():
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:  # whom nothing is read-only to
        os.seteuid(65534)
    try:
        for callback in (ModelCheckpoint(folder), CSVLogger(folder / "m.csv")):
            trainer = classifier(callbacks=[callback])
            with pytest.raises(PermissionError, match="Permission denied"):
                fit(trainer)
            assert trainer.step == 0
    finally:
        if root:
            os.seteuid(0)
        folder.rmdir()


def test_dev_full_is_an_error():
    with (
        pytest.warns(UserWarning, match="the lines are kept and tried again"),
        pytest.raises(OSError, match="LRMonitor: No space left on device.*full"),
    ):
        fit(classifier(callbacks=[LRMonitor("/dev/full")]))


def test_workers_go_on(tmp_path):
    def threads(seed=0, shuffle=False):
        return DataLoader(
            blobs(seed=seed),
            batch_size=16,
            shuffle=shuffle,
            num_workers=2,
            multiprocessing_context="thread",
        )

    assert_goes_on(tmp_path, 7, data=threads)


# ---- where the data stands ----


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
