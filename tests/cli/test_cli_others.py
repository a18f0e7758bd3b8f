"""The commands beside train."""

import csv
import json
import re
import tomllib

import numpy as np
import optuna
import pytest
from commands import SMALL, call

import tinygrad_lessons as tg
from tinygrad_lessons.cli import bench
from tinygrad_lessons.datasets import Digits

COMMANDS = ["train", "eval", "predict", "tune", "lr-find", "ablate", "race", "bench", "data"]
COMMANDS += ["runs", "info"]
if bench.command is None:  # a checkout that is not installed
    COMMANDS.remove("bench")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert call(*SMALL, "--hidden", "64", "--epochs", "5", "--out", folder) == 0
    return folder


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help(command, capsys):
    arguments = [] if command is None else [command]
    assert call(*arguments, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(" ".join(["usage: tgl", *arguments]))
    if command is None:
        assert re.findall(r"^    ([a-z-]+)  ", text, re.MULTILINE) == COMMANDS


def test_help_of_train_has_every_option(capsys):
    assert call("train", "--help") == 0
    options = re.findall(r"^  (--[a-z0-9-]+)", capsys.readouterr().out, re.MULTILINE)
    named = "--model --hidden --channels --dropout --optimizer --lr --momentum --weight-decay"
    named += " --l1 --l2 --max-grad-norm --schedule --warmup --label-smoothing --mixup --cutmix"
    named += " --augment-strength --batch-size --epochs --patience --ema --seed --threads"
    assert set(named.split()) | {"--config", "--set", "--out", "--resume"} <= set(options)
    assert len(options) == len(set(options))


def test_version_and_info(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"tinygrad_lessons {tg.__version__}\n"
    assert call("info") == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_eval_says_what_the_weights_say(split, trained, capsys):
    assert call("eval", trained, "--split", split) == 0
    lines = capsys.readouterr().out.splitlines()
    accuracy = float(re.fullmatch(rf"{split} accuracy: (\d+\.\d) %", lines[-1])[1])
    data = Digits(split)
    assert [int(line.split()[-1]) for line in lines[1:11]] == np.bincount(data.labels).tolist()
    if split == "test":
        result = json.loads((trained / "result.json").read_text())
        assert accuracy == pytest.approx(100 * result["test_accuracy"], abs=0.05)
        loss = float(re.fullmatch(r"test loss: (\d+\.\d{4})", lines[-2])[1])
        assert loss == pytest.approx(result["test_loss"], abs=1e-4)


def predicted(trained, images):
    """The classes, from the model's formula."""
    state = tg.load(trained / "model.safetensors")
    x = images.flatten(1) @ state["1.weight"].T + state["1.bias"]
    x = (x - state["2.running_mean"]) / (state["2.running_var"] + 1e-5).sqrt()
    x = (x * state["2.weight"] + state["2.bias"]).clamp(min=0)
    return (x @ state["5.weight"].T + state["5.bias"]).argmax(1).tolist()


def test_predict_arrays_and_tables(trained, tmp_path, capsys):
    images = Digits("test").images[:20]
    expected = predicted(trained, images)
    np.save(tmp_path / "images.npy", images.numpy())
    np.savetxt(
        tmp_path / "rows.csv", images.flatten(1).numpy(), delimiter=",", header="a,b", comments=""
    )
    np.save(tmp_path / "one.npy", images[0].numpy())
    table = tmp_path / "table.csv"
    files = [tmp_path / name for name in ("images.npy", "rows.csv", "one.npy")]
    assert call("predict", trained, *files, "--top", 2, "--out", table) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 41
    share = r"\d+\.\d %"
    for i in range(20):
        start = re.escape(f"{files[0]}[{i}]: {expected[i]} (")
        assert re.fullmatch(rf"{start}{share}\), \d \({share}\)", lines[i])
        assert lines[20 + i] == lines[i].replace("images.npy", "rows.csv")
    assert lines[40].startswith(f"{files[2]}: {expected[0]} (")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["prediction"]) for row in rows] == [*expected, *expected, expected[0]]
    assert sum(float(rows[0][str(k)]) for k in range(10)) == pytest.approx(1, abs=1e-4)


def test_predict_images(trained, tmp_path, capsys):
    """Also of another size, in colour, and dark on light."""
    image = pytest.importorskip("PIL.Image")
    digits = Digits("test").images[:10]
    expected = predicted(trained, digits)
    pixels = (digits[:, 0].numpy() * 255).round().astype(np.uint8)
    files = {name: [] for name in ("plain", "colour", "inverted", "large")}
    for i, picture in enumerate(pixels):
        for name, version in {
            "plain": image.fromarray(picture),
            "colour": image.fromarray(picture).convert("RGB"),
            "inverted": image.fromarray(255 - picture),
            "large": image.fromarray(picture.repeat(4, 0).repeat(4, 1)),
        }.items():
            files[name].append(tmp_path / f"{name}{i}.png")
            version.save(files[name][-1])
    for name, paths in files.items():
        flags = ["--invert"] if name == "inverted" else []
        assert call("predict", trained, *paths, *flags) == 0
        lines = capsys.readouterr().out.splitlines()
        found = [int(re.search(r": (\d) \(", line)[1]) for line in lines]
        hits = sum(a == b for a, b in zip(found, expected, strict=True))
        assert hits >= (9 if name == "large" else 10), name


@pytest.mark.parametrize("target", ["kind", "weight"])
def test_a_table_is_learnt_and_predicted(target, tmp_path, capsys):
    """kind is a where colour is red; weight is 100 or 200 by kind."""
    rows = [("red", "a", 100 + i % 5) if i % 3 else ("green", "b", 200 + i % 5) for i in range(200)]
    table = tmp_path / "fruit.csv"
    table.write_text("colour,kind,weight\n" + "".join(f"{c},{k},{w}\n" for c, k, w in rows))
    data = ["--set", f"data.path={table}", "--set", f"data.target={target}"]
    arguments = [
        "--hidden",
        "16",
        "--dropout",
        "0",
        "--lr",
        "0.01",
        "--epochs",
        "60",
        "--patience",
        "60",
    ]
    if target == "weight":  # whose numbers are large
        arguments += ["--epochs", "400", "--lr", "0.1", "--patience", "400"]
    assert call("train", "csv", *data, *arguments, "--out", tmp_path / "run") == 0
    other = "weight" if target == "kind" else "kind"
    lines = {"kind": ["red,101", "green,203"], "weight": ["red,a", "green,b"]}[target]
    (tmp_path / "new.csv").write_text("\n".join([f"colour,{other}", *lines]) + "\n")
    capsys.readouterr()
    assert call("predict", tmp_path / "run", tmp_path / "new.csv") == 0
    first, second = capsys.readouterr().out.splitlines()
    if target == "kind":
        assert ": a (" in first and ": b (" in second
    else:
        assert float(first.split(": ")[1]) == pytest.approx(102, abs=5)
        assert float(second.split(": ")[1]) == pytest.approx(202, abs=5)
    (tmp_path / "wrong.csv").write_text("colour\nred\n")
    assert call("predict", tmp_path / "run", tmp_path / "wrong.csv") == 2
    assert "there is no column" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"", "is no .npy file of numbers"),
        ("x.csv", b"1,2\n3,4\n", r"holds values of shape \(2, 2\), but the model takes .*1, 8, 8"),
        ("x.csv", b"1,2\n3\n", "expected rows of numbers, all of one length"),
        ("x.csv", b"1,2\n3,x\n", "row 2 holds something that is no number"),
        ("x.csv", b"", "expected rows of numbers"),
        ("x.png", b"no image", "is no image, .npy or .csv file"),
        ("none.png", None, "none.png"),
    ],
)
def test_predict_refuses_what_it_cannot_read(name, content, message, trained, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert call("predict", trained, tmp_path / name) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(message, err), err


def test_runs_are_compared(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*SMALL, "--lr", "0.02", "--out", "runs/two") == 0
    capsys.readouterr()
    assert call("runs", trained, "runs", "--sort", "lr", "--descending", "--out", "all.html") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["name", "two", "one"]
    assert "0.02" in lines[1]
    assert "</html>" in (tmp_path / "all.html").read_text()
    assert call("runs", "--sort", "nothing") == 2
    assert "no column 'nothing'" in capsys.readouterr().err


def test_data_is_listed_described_and_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("data", "list") == 0
    assert re.search(r"^digits  ", capsys.readouterr().out, re.MULTILINE)
    assert call("data", "info", "digits") == 0
    text = capsys.readouterr().out
    assert "train: 1258 samples" in text and "shape: 1 x 8 x 8" in text
    assert call("data", "download", "digits") == 0
    assert "nothing to download" in capsys.readouterr().out
    assert call("data", "show", "digits", "--out", "sheet.png") == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_tune_leaves_a_report_and_the_best_options(tmp_path, capsys):
    out = tmp_path / "tuned"
    arguments = ["tune", "digits", "--hidden", "8", "--epochs", "2", "--trials", "4", "--out", out]
    assert call(*arguments) == 0
    text = capsys.readouterr().out
    best = float(re.search(r"^best val_loss: ([\d.]+) \(trial \d\)$", text, re.MULTILINE)[1])
    names = ["best.toml", "study.db", "study.html", "tune.toml"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert call("train", "--config", out / "best.toml", "--out", tmp_path / "run") == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["val_loss"] for line in lines]
    assert min(losses) == pytest.approx(best, rel=1e-5)

    assert call("tune", "--resume", out, "--trials", "6", "--jobs", "2") == 0
    assert tomllib.loads((out / "tune.toml").read_text())["search"]["trials"] == 6
    study = optuna.load_study(study_name="digits-mlp", storage=f"sqlite:///{out / 'study.db'}")
    assert len(study.trials) in (6, 7)  # both processes may begin a last one at once


def test_ablate_prints_a_table(tmp_path, capsys):
    arguments = ["--model", "mlp", "--hidden", "8", "--epochs", "1", "--seeds", "2"]
    assert call("ablate", "digits", *arguments, "--out", tmp_path / "table.md") == 0
    out = capsys.readouterr().out
    rows = [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")]
    techniques = ["batch norm", "dropout", "early stopping"]
    assert rows == ["technique", *techniques, "all of them", "none of them"]
    assert (
        out[out.index("| technique") :].splitlines()[:7]
        == ((tmp_path / "table.md").read_text().splitlines()[4:])
    )
