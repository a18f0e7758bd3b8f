"""The command `tgl`."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import tomllib

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.cli import main
from tinygrad_lessons.datasets import digits

RUN_FILES = ["config.toml", "confusion.png", "curves.png", "metrics.jsonl", "model.safetensors"]
COMMAND = [sys.executable, "-m", "tinygrad_lessons"]
SMALL = ["train", "digits", "--hidden", "8", "--epochs", "2"]


def call(*arguments):
    """The exit code of `tgl` with these arguments."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        return end.code


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_train_reaches_97_percent(tmp_path, capsys):
    out = tmp_path / "run"
    assert call("train", "digits", "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = re.fullmatch(r"test accuracy: (\d+\.\d) %", lines[-1])
    assert float(shown[1]) >= 97
    assert [line.strip() for line in lines[-6:-1]] == [str(out / name) for name in RUN_FILES]

    history = metrics_of(out)
    assert [metrics["epoch"] for metrics in history] == list(range(1, len(history) + 1))
    losses = [metrics["val_loss"] for metrics in history]
    best = losses.index(min(losses))
    assert len(losses) == min(100, best + 1 + 15)  # the default patience

    test = digits.Digits("test")
    state = tg.load(out / "model.safetensors")
    assert (forward(state, test.images) == test.labels).sum().item() == round(
        float(shown[1]) / 100 * len(test)
    )


def forward(state, images):
    """The predictions of the default network, from its formula."""
    x = images.flatten(1)
    for i in (1, 5):
        linear, norm = ({k: state[f"{j}.{k}"] for k in keys(state, j)} for j in (i, i + 1))
        x = x @ linear["weight"].T + linear["bias"]
        x = (x - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt()
        x = (x * norm["weight"] + norm["bias"]).clamp(min=0)
    return (x @ state["9.weight"].T + state["9.bias"]).argmax(1)


def keys(state, layer):
    return [name.split(".")[1] for name in state if name.startswith(f"{layer}.")]


def test_config_holds_what_was_asked(tmp_path):
    out = tmp_path / "run"
    arguments = ["--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.8", "--seed", "3"]
    assert call(*SMALL, *arguments, "--out", out) == 0
    config = tomllib.loads((out / "config.toml").read_text())
    asked = {"dataset": "digits", "model": "mlp", "hidden": [8], "epochs": 2, "seed": 3}
    asked |= {"optimizer": "sgd", "lr": 0.05, "momentum": 0.8, "batch_size": 32}
    assert asked.items() <= config["arguments"].items()
    assert config["versions"]["tinygrad_lessons"] == tg.__version__


def test_same_arguments_same_run(tmp_path):
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert call(*SMALL, "--seed", seed, "--out", tmp_path / name) == 0
        history = metrics_of(tmp_path / name)
        for metrics in history:
            del metrics["seconds"]
        runs[name] = (history, (tmp_path / name / "model.safetensors").read_bytes())
    assert runs["a"] == runs["b"]
    assert runs["a"][0] != runs["c"][0]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_learns(optimizer, tmp_path):
    arguments = ["--optimizer", optimizer, "--lr", "0.01", "--weight-decay", "1e-4"]
    assert call(*SMALL, *arguments, "--hidden", "32", "--out", tmp_path / "run") == 0
    first, second = metrics_of(tmp_path / "run")
    assert second["train_loss"] < first["train_loss"]
    assert second["val_accuracy"] > 0.5


def test_last_batch_of_one_sample_is_left_out(tmp_path):
    """Batch norm cannot train on one sample."""
    size = len(digits.Digits("train")) - 1
    assert call(*SMALL, "--batch-size", size, "--out", tmp_path / "run") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["train"], "required: dataset"),
        (["train", "mnist"], "invalid choice: 'mnist' .*digits"),
        (["train", "digits", "--model", "transformer"], "invalid choice: 'transformer' .*mlp"),
        (["train", "digits", "--optimizer", "lion"], "invalid choice: 'lion' .*adam"),
        (["train", "digits", "--wrong"], "--wrong"),
        (["train", "digits", "--epoch", "3"], "--epoch"),
        (["train", "digits", "--epochs", "0"], "got '0', expected a whole number"),
        (["train", "digits", "--epochs", "1.5"], "got '1.5'"),
        (["train", "digits", "--lr", "fast"], "got 'fast', expected a number above 0"),
        (["train", "digits", "--lr", "nan"], "got 'nan'"),
        (["train", "digits", "--lr", "-1"], "got '-1'"),
        (["train", "digits", "--dropout", "1"], "got '1', expected a number from 0 to below 1"),
        (["train", "digits", "--hidden", "64,"], "got ''"),
        (["train", "digits", "--hidden", "999999999"], "got '999999999'"),
        (["train", "digits", "--batch-size", "1"], "got '1'"),
        (["train", "digits", "--weight-decay", "inf"], "got 'inf'"),
        (["train", "digits", "--seed", "-1"], "got '-1'"),
        (["train", "digits", "--seed", str(2**63)], "from 0 to 2"),
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
    assert re.search(message, err)
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
    assert re.search(
        r"tgl train: error: fit, epoch .*, step .*: the loss is .*\n\Z", capsys.readouterr().err
    )


def test_without_matplotlib_the_rest_is_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert call(*SMALL, "--out", tmp_path / "run") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("test accuracy: ")
    assert err.count("pip install 'tinygrad_lessons[plot]'") == 1
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert left == ["config.toml", "metrics.jsonl", "model.safetensors"]


def test_run_folder_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*SMALL) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == RUN_FILES
    assert f"run folder: runs/{folder.name}\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["train"], ["info"]])
def test_help(arguments, capsys):
    assert call(*arguments, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(" ".join(["usage: tgl", *arguments]))
    if arguments == ["train"]:
        options = re.findall(r"^  (--[a-z-]+|dataset)", text, re.MULTILINE)
        assert {"--model", "--epochs", "--lr", "--optimizer", "--seed", "--out"} <= set(options)


def test_version_and_info(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"tinygrad_lessons {tg.__version__}\n"
    assert call("info") == 0
    assert capsys.readouterr().out.strip()


def test_as_a_module(tmp_path):
    done = subprocess.run(
        [*COMMAND, *SMALL, "--out", tmp_path / "run"], capture_output=True, text=True, check=True
    )
    assert re.search(r"\ntest accuracy: \d+\.\d %\n\Z", done.stdout)
    assert re.search(r"^epoch   2/2: loss ", done.stderr, re.MULTILINE)
    assert subprocess.run([*COMMAND, "fly"], capture_output=True).returncode == 2


def test_progress_bar_on_a_terminal(tmp_path):
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    command = [*COMMAND, *SMALL, "--out", tmp_path / "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=child) as process:
        os.close(child)
        shown = b""
        try:
            while chunk := os.read(parent, 4096):
                shown += chunk
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(parent)
    assert process.returncode == 0
    text = shown.decode()
    assert "epoch 2/2: 100%" in text
    assert re.search(r"loss \d\.\d{4}, val loss \d\.\d{4}, val accuracy \d+\.\d %", text)


def test_ctrl_c_keeps_what_is_there(tmp_path):
    out = tmp_path / "run"
    command = [*COMMAND, *SMALL, "--epochs", "1000000", "--patience", "1000000", "--out", out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (out / "metrics.jsonl").exists() and len(metrics_of(out)) >= 2:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.decode().endswith("tgl train: interrupted\n")
    assert "Traceback" not in stderr.decode()
    assert f"run folder: {out}" in stdout.decode()
    left = sorted(path.name for path in out.iterdir())
    assert left == [name for name in RUN_FILES if name != "confusion.png"]
    assert len(metrics_of(out)) >= 2
    assert tg.load(out / "model.safetensors")["1.weight"].shape == (8, 64)
