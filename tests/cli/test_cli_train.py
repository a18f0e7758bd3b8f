"""The command `tgl`."""

import fcntl
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
from commands import COMMAND, SMALL, call, metrics_of

import tinygrad_lessons as tg
from tinygrad_lessons.datasets import digits

RUN_FILES = [
    "checkpoints",
    "config.toml",
    "confusion.png",
    "curves.png",
    "gradients.jsonl",
    "metrics.jsonl",
    "model.safetensors",
    "predictions.safetensors",
    "report.html",
    "result.json",
    "steps.jsonl",
]
KILLED = [
    "train",
    "digits",
    "--model",
    "cnn",
    "--channels",
    "4,8",
    "--hidden",
    "16",
    "--epochs",
    "8",
]


def test_train_reaches_97_percent(tmp_path, capsys):
    out = tmp_path / "run"
    assert call("train", "digits", "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = re.fullmatch(r"test accuracy: (\d+\.\d) %", lines[-1])
    assert float(shown[1]) >= 97
    files = [name for name in RUN_FILES if name != "checkpoints"]
    assert [line.strip() for line in lines[-1 - len(files) : -1]] == [
        str(out / name) for name in files
    ]

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


def test_config_holds_every_option(tmp_path):
    out = tmp_path / "run"
    arguments = ["--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.8", "--seed", "3"]
    assert call(*SMALL, *arguments, "--set", "optimizer.nesterov=true", "--out", out) == 0
    config = tomllib.loads((out / "config.toml").read_text())
    assert config["data"] == {"name": "digits", "seed": 0}
    asked = {"name": "SGD", "lr": 0.05, "momentum": 0.8, "nesterov": True, "dampening": 0}
    assert asked.items() <= config["optimizer"].items()
    assert {"epochs": 2, "seed": 3, "batch_size": 32}.items() <= config["train"].items()
    assert config["model"]["hidden"] == [8]
    assert config["schedule"] == {"name": "none"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--hidden", "8", "--schedule", "one-cycle", "--lr", "0.01"],
        ["--model", "cnn", "--channels", "2,4", "--hidden", "8", "--seed", "5"],
        ["--hidden", "8", "--label-smoothing", "0.1", "--monitor", "val_accuracy"],
    ],
    ids=" ".join,
)
def test_the_config_of_a_run_gives_the_same_run(arguments, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    assert call("train", "digits", "--epochs", "2", *arguments, "--out", first) == 0
    assert call("train", "--config", first / "config.toml", "--out", again) == 0
    assert metrics_of(first) == metrics_of(again)
    for name in ("config.toml", "model.safetensors", "predictions.safetensors"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_flags_override_the_file(tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[model]\nname = "mlp"\nhidden = [4]\n[train]\nepochs = 9\nseed = 3\n'
    )
    out = tmp_path / "run"
    assert call("train", "--config", tmp_path / "mine.toml", "--epochs", "1", "--out", out) == 0
    config = tomllib.loads((out / "config.toml").read_text())
    assert (config["train"]["epochs"], config["train"]["seed"]) == (1, 3)
    assert config["model"]["hidden"] == [4]


def test_a_model_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from math import prod\n"
        "from tinygrad_lessons import nn\n"
        "def line(shape, outputs, *, bias: bool = True):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), outputs, bias=bias))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "run"
    arguments = ["--model", "mine:line", "--set", "model.bias=false", "--epochs", "1"]
    assert call("train", "digits", *arguments, "--out", out) == 0
    shapes = {name: list(x.shape) for name, x in tg.load(out / "model.safetensors").items()}
    assert shapes == {"1.weight": [10, 64]}
    assert call("eval", out) == 0


def stop_after(epochs, out, signal_number):
    """Start a run, and send it a signal when that many epochs are noted; its exit code."""
    command = [*COMMAND, *KILLED, "--out", out]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (out / "metrics.jsonl").exists() and len(metrics_of(out)) >= epochs:
                break
            time.sleep(0.01)
        process.send_signal(signal_number)
    return process.returncode


@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)], ids=str
)
def test_a_stopped_run_resumed_ends_with_the_same_bits(signal_number, code, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert call(*KILLED, "--out", whole) == 0
    assert stop_after(2, stopped, signal_number) == code
    assert not (stopped / "predictions.safetensors").exists()
    assert call("train", "--resume", stopped) == 0
    assert metrics_of(stopped) == metrics_of(whole)
    for name in ("config.toml", "model.safetensors", "predictions.safetensors", "steps.jsonl"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name


def test_same_arguments_same_run(tmp_path):
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert call(*SMALL, "--seed", seed, "--out", tmp_path / name) == 0
        weights = (tmp_path / name / "model.safetensors").read_bytes()
        runs[name] = (metrics_of(tmp_path / name), weights)
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


def test_without_matplotlib_the_rest_is_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert call(*SMALL, "--out", tmp_path / "run") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("test accuracy: ")
    assert err.count("pip install 'tinygrad_lessons[plot]'") == 1
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert left == [name for name in RUN_FILES if not name.endswith(".png")]


def test_run_folder_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*SMALL) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == RUN_FILES
    assert f"run folder: runs/{folder.name}\n" in capsys.readouterr().out


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
    untested = ("confusion.png", "predictions.safetensors")
    assert left == [name for name in RUN_FILES if name not in untested]
    assert len(metrics_of(out)) >= 2
    assert tg.load(out / "model.safetensors")["1.weight"].shape == (8, 64)
