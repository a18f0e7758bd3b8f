"""Every command of the README and of the --help texts runs, on a smaller scale."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, call

from tinygrad_lessons import cli, datasets
from tinygrad_lessons.cli.parser import Parser
from tinygrad_lessons.datasets import Digits

ROOT = Path(__file__).parents[2]
TUNED = "runs/tune-digits-mlp-20260101-120000"
SMALLER = {  # what is appended to a command, so that it takes a second
    "train": ["--epochs", "1"],
    "tune": ["--trials", "3", "--epochs", "1"],
    "ablate": ["--epochs", "1", "--seeds", "1"],
    "lr-find": ["--steps", "5"],
    "race": ["--budget", "3", "--runs", "1"],
}


def help_texts():
    """The epilogs of `tgl` and of all its commands."""
    parser = Parser(prog="tgl")
    commands = parser.add_subparsers()
    for command in cli.COMMANDS:
        command.add_parser(commands)
    return [sub.epilog or "" for sub in commands.choices.values()]


def examples():
    """Each command once, as lists of arguments."""
    in_readme = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = "\n".join([*in_readme, *help_texts()]).splitlines()
    found = [line.strip() for line in lines if line.strip().startswith("tgl ")]
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", line) for line in found))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the files that the examples name."""
    place = tmp_path_factory.mktemp("place")
    for name in ("mine", "one", "two"):
        assert call(*SMALL, "--out", place / "runs" / name) == 0
    tune = ["tune", "digits", "--hidden", "8", "--epochs", "1", "--trials", "2"]
    assert call(*tune, "--out", place / "runs" / "tuned") == 0
    shutil.copytree(place / "runs" / "tuned", place / TUNED)
    image = pytest.importorskip("PIL.Image")
    pixels = (Digits("test").images[:3, 0].numpy() * 255).astype(np.uint8)
    for name, picture in zip(("seven", "three", "scan"), pixels, strict=True):
        image.fromarray(picture).save(place / f"{name}.png")
    np.save(place / "samples.npy", Digits("test").images[:3].numpy())
    (place / "space.toml").write_text("[train]\nbatch_size = [64, 128]\n")
    return place


def test_examples_are_found():
    found = examples()
    assert len(found) >= 30
    assert {line.split()[1] for line in found} >= set(SMALLER) | {"eval", "predict", "data", "runs"}


@pytest.mark.parametrize("example", examples())
def test_example_runs(example, place, tmp_path, monkeypatch, capsys):
    here = tmp_path / "here"
    shutil.copytree(place, here)
    monkeypatch.chdir(here)
    monkeypatch.setattr(datasets, "download", lambda name, root: {f"{name}-files": "ok"})
    arguments = shlex.split(example)[1:]
    smaller = SMALLER.get(arguments[0], [])
    if "--resume" in arguments:  # goes on as it began
        smaller = ["--trials", "3"] if arguments[0] == "tune" else []
    elif "--out" in arguments:
        shutil.rmtree(arguments[arguments.index("--out") + 1], ignore_errors=True)
    arguments = [re.sub(r"^postgresql://.*", "sqlite:///shared.db", each) for each in arguments]
    code = call(*arguments, *smaller)
    out, err = capsys.readouterr()
    assert (code, "Traceback" in err) == (0, False), err
    assert out


def test_help_without_a_command_is_an_error_that_says_so(capsys):
    assert call() == 2
    assert "COMMAND" in capsys.readouterr().err


def test_help_texts_are_those_of_all_commands():
    installed = [command for command in cli.COMMANDS if getattr(command, "command", True)]
    assert len(help_texts()) == len(installed)  # a checkout that is not installed has no bench
    assert all("\n  tgl " in text for text in help_texts())
