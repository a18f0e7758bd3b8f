"""Checkpoints: which are kept, which are refused, and what signals and full disks leave of them."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from runs import (
    Shuffled,
    StopAt,
    assert_goes_on,
    bits,
    blobs,
    classifier,
    fit,
    go,
    loader,
    logs,
    outcome,
    without_times,
)

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
    mlp,
    save_checkpoint,
)
from tinygrad_lessons.utils.data import (
    DataLoader,
)


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
