"""What is wrong is said in one line, with code 2, before anything is left behind."""

import re

import pytest
from commands import SMALL, call

from tinygrad_lessons.datasets import digits

TRAIN = ["train", "digits"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["train"], "name a data set .*digits"),
        (["train", "digts"], "data.name: got 'digts': did you mean 'digits'"),
        ([*TRAIN, "--model", "mpl"], "model.name: got 'mpl': did you mean 'mlp'"),
        ([*TRAIN, "--optimizer", "lyon"], "got 'lyon': did you mean 'Lion'"),
        ([*TRAIN, "--momentum", "0.9"], "momentum: Adam has no such option"),
        ([*TRAIN, "--schedule", "cosine"], "did you mean 'CosineAnnealingLR'"),
        ([*TRAIN, "--schedule", "step"], "schedule.step_size: missing"),
        ([*TRAIN, "--wrong"], "--wrong"),
        ([*TRAIN, "--epoch", "3"], "--epoch"),
        ([*TRAIN, "--epochs", "0"], "epochs: got 0, expected a whole number of at least 1"),
        ([*TRAIN, "--epochs", "1.5"], "epochs: got 1.5, expected a whole number"),
        ([*TRAIN, "--lr", "fast"], "lr: got 'fast', expected a number"),
        ([*TRAIN, "--lr", "nan"], "lr: got nan"),
        ([*TRAIN, "--lr", "-1"], "Invalid learning rate: -1"),
        ([*TRAIN, "--dropout", "1"], "got dropout 1: expected a number from 0 to below 1"),
        ([*TRAIN, "--hidden", "64,"], "hidden: got"),
        ([*TRAIN, "--hidden", "999999999"], "hidden of 999999999: expected 1 to 65536"),
        ([*TRAIN, "--channels", "3"], "channels: mlp has no such option"),
        ([*TRAIN, "--model", "cnn", "--channels", "3,3,3,3"], "leave nothing of 8x8 pixels"),
        ([*TRAIN, "--batch-size", "0"], "batch_size: got 0"),
        ([*TRAIN, "--weight-decay", "inf"], "weight_decay: got inf"),
        ([*TRAIN, "--seed", "-1"], "seed: got -1"),
        ([*TRAIN, "--seed", str(2**63)], "from 0 to below 9.2"),
        ([*TRAIN, "--monitor", "val_lss"], "monitor: got 'val_lss': did you mean 'val_loss'"),
        ([*TRAIN, "--set", "epochs"], "got 'epochs', expected KEY=VALUE"),
        ([*TRAIN, "--set", "train.epoch=3"], "train.epoch: unknown: did you mean 'epochs'"),
        ([*TRAIN, "--set", "trian.epochs=3"], "trian: unknown: did you mean 'train'"),
        ([*TRAIN, "--config", "none.toml"], "none.toml"),
        (["train", "--resume", "none"], "none"),
        (["train", "--resume", "none", "--lr", "1"], "--lr: not allowed with --resume"),
        (["train", "digits", "--resume", "none"], "dataset: not allowed with --resume"),
        (["train", "digits", "--resume", "a", "--out", "b"], "not allowed with"),
        (["eval", "none"], "none is no run folder"),
        (["eval", "none", "--split", "all"], "invalid choice: 'all'"),
        (["predict", "none"], "required: FILE"),
        (["predict", "none", "x.npy"], "none is no run folder"),
        (["tune", "digits", "--trials", "0"], "got '0', expected a whole number of at least 1"),
        (["tune", "digits", "--sampler", "gird"], "invalid choice: 'gird'"),
        (["tune", "digits", "--space", "none.toml"], "none.toml"),
        (["tune", "--resume", "none"], "none"),
        (["tune", "--resume", "none", "--epochs", "3"], "--epochs: not allowed with --resume"),
        (["runs", "none"], "none"),
        (["data", "info", "digts"], "did you mean 'digits'"),
        (["data", "show", "digits", "--model", "mlp"], "no augmentation"),
        (["ablate", "digits", "--seeds", "0"], "got '0'"),
        (["info", "more"], "unrecognized arguments: more"),
    ],
    ids=" ".join,
)
def test_misuse_is_one_line_and_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tgl")
    assert (err.count("\n"), err[-1]) == (1, "\n")
    assert re.search(message, err), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_data_file_that_cannot_be_used(damage, monkeypatch, tmp_path, capsys):
    path = tmp_path / "digits.npz"
    if damage == "corrupt":
        path.write_bytes(digits.PATH.read_bytes()[:-1])
    monkeypatch.setattr(digits, "PATH", path)
    assert call(*SMALL, "--out", tmp_path / "run") == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(r"tgl train: error: digits: .*digits\.npz .*reinstall.*\n", err)
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_run_folder_that_cannot_be_used(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file", tmp_path / "file" / "run"):
        assert call(*SMALL, "--out", out) == 2
        err = capsys.readouterr().err
        assert err.startswith("tgl train: error: ")
        assert (err.count("\n"), str(tmp_path) in err) == (1, True)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.filterwarnings("ignore:overflow")
def test_diverging_run_is_one_line_and_code_1(tmp_path, capsys):
    arguments = ["--lr", "1e38", "--optimizer", "sgd", "--epochs", "20"]
    assert call(*SMALL, *arguments, "--out", tmp_path / "run") == 1
    err = capsys.readouterr().err
    assert re.search(r"tgl train: error: fit, epoch .*, step .*: the loss is .*\n\Z", err)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("[optimizer]\nlr = 3\n", "optimizer.lr: got 3, expected a list of choices or a range"),
        ("[optimizer]\nlr = []\n", "optimizer.lr: got an empty list"),
        ("[optimizer]\nlr = {low = 1}\n", "optimizer.lr: got 1 to None"),
        ("[optimizer]\nlr = {low = 2, high = 1}\n", "optimizer.lr: got 2 to 1"),
        ("[optimizer]\nlr = {low = 1, high = 2, lag = 3}\n", "lr.lag: unknown: did you mean 'log'"),
        ("[optimizer]\nlr = {low = 0, high = 2, log = true}\n", "begins above 0"),
        ("[optimizer]\nlrr = [1, 2]\n", "optimizer.lrr: .*did you mean 'lr'"),
        ('[optimizer]\nname = ["adam", "sdg"]\n', "got 'sdg': did you mean 'SGD'"),
        ("[train]\nbatch_size = [16, 0]\n", "train.batch_size: got 0"),
        ("[model]\nchannels = [[8]]\n", "model.channels: no model of .'mlp'. has it"),
        ("[nothing]\nat_all = [1]\n", "nothing: unknown"),
        ("[train\n", "space.toml: no TOML"),
    ],
    ids=str,
)
def test_a_space_that_cannot_be_searched(space, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(space)
    assert call("tune", "digits", "--space", "space.toml") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(message, err), err
    assert [path.name for path in tmp_path.iterdir()] == ["space.toml"]
