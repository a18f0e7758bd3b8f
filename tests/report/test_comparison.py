"""Runs side by side: which columns there are, in which order rows come, what is drawn."""

import json
import os

import folders
import numpy as np
import pytest

from tinygrad_lessons import report

OTHER = folders.CONFIG.replace("lr = 0.1", "lr = 0.01").replace("[16, 32]", "[8]")


@pytest.fixture
def three(tmp_path):
    """Two finished runs that differ in two options, and one that has only begun."""
    one = folders.fill(tmp_path / "one")
    result = folders.RESULT | {"test_accuracy": 0.5, "seconds": 90.0, "stopped_by": "interrupted"}
    two = folders.fill(tmp_path / "two <b>", OTHER, result)
    three = tmp_path / "three"
    three.mkdir()
    (three / "config.toml").write_text(folders.CONFIG)
    (three / "metrics.jsonl").write_text(folders.jsonl(folders.history(2)))
    return [one, two, three]


def test_rows(three):
    first, second, third = report.compare(three)
    assert first == {
        "name": "one",
        "dataset": "pets <b>",
        "model": "cnn",
        "optimizer": "SGD",
        "lr": 0.1,
        "model.channels": [16, 32],
        "val_accuracy": pytest.approx(0.95),
        "test_accuracy": 0.75,
        "test_loss": 0.625,
        "epochs": 8,
        "seconds": 4.5,
        "status": "finished",
    }
    assert list(second) == list(third) == list(first)
    assert (second["lr"], second["model.channels"]) == (0.01, [8])
    assert second["status"] == "interrupted"
    assert third["val_accuracy"] == pytest.approx(0.92)
    assert third["test_accuracy"] is None
    assert (third["epochs"], third["seconds"], third["status"]) == (2, 1.0, "running")


def test_order(three):
    def names(*args):
        return [row["name"] for row in report.compare(three, *args)]

    assert names() == ["one", "two <b>", "three"]
    assert names("name") == ["one", "three", "two <b>"]
    assert names("test_accuracy") == ["two <b>", "one", "three"]
    assert names("test_accuracy", True) == ["one", "two <b>", "three"]  # without a value: last
    assert names("model.channels") == ["one", "three", "two <b>"]
    with pytest.raises(ValueError, match="no column 'speed': expected one of name, dataset, model"):
        names("speed")


def test_no_runs(tmp_path):
    assert report.compare([]) == []
    assert report.format_table([]) == "no runs"
    assert report.find(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="no run folder"):
        report.compare([tmp_path])


def test_find(three, tmp_path):
    (tmp_path / "no-run").mkdir()
    (tmp_path / "file").touch()
    for age, folder in enumerate(three):
        for file in folder.iterdir():
            os.utime(file, (1e9 - age,) * 2)
    report.write(three[-1])  # a report makes no run younger
    assert report.find(tmp_path) == three[::-1]


def test_table_of_text(three):
    lines = report.format_table(report.compare(three, "test_accuracy", True)).splitlines()
    assert lines[0].split() == [
        "name",
        "dataset",
        "model",
        "optimizer",
        "lr",
        "model.channels",
        "val",
        "accuracy",
        "test",
        "accuracy",
        "test",
        "loss",
        "epochs",
        "seconds",
        "status",
    ]
    assert lines[1].split() == [
        "one",
        "pets",
        "<b>",
        "cnn",
        "SGD",
        "0.1",
        "16,",
        "32",
        "95.0",
        "%",
        "75.0",
        "%",
        "0.625",
        "8",
        "4.50",
        "s",
        "finished",
    ]
    assert lines[3].split()[-6:] == ["–", "–", "2", "1.00", "s", "running"]
    column = lines[0].index("test accuracy") + len("test accuracy")
    assert all(line[column - 1] in "%–y" for line in lines)  # numbers end in one column


def test_overlay_page(three, tmp_path, open_page):
    path = report.overlay(three, tmp_path / "runs.html")
    opened = open_page(path, width=400)
    assert opened.overflow() == 0
    opened.resize(1400)
    assert opened.run("[...document.querySelectorAll('h2')].map((e) => e.textContent)") == [
        "Runs",
        "Curves",
    ]
    names = "[...document.querySelectorAll('tbody th')].map((e) => e.textContent)"
    assert opened.run(names) == ["one", "two <b>", "three"]
    opened.click("thead th:nth-child(8) button")  # test accuracy
    assert opened.run(names) == ["one", "two <b>", "three"]
    opened.click("thead th:nth-child(8) button")
    assert opened.run(names) == ["two <b>", "one", "three"]
    captions = opened.run("[...document.querySelectorAll('figcaption')].map((e) => e.textContent)")
    assert [text.split(" ·")[0] for text in captions] == [
        "validation loss", "training loss", "validation accuracy", "training accuracy",
    ]  # fmt: skip
    opened.run("document.querySelector('svg').focus()")
    opened.key("Home")
    tip = "[...document.querySelectorAll('#tip em')].map((e) => e.textContent)"
    assert opened.run(tip) == ["0.66"] * 3
    opened.key("End")
    assert opened.run(tip) == ["0.59"] * 2  # the third run has not come so far
    # a run has the colour of its dot in every chart
    dots = opened.run("[...document.querySelectorAll('.dot')].map((e) => e.style.background)")
    lines = opened.run(
        "[...document.querySelector('svg').querySelectorAll('path.line')].map((e) => e.style.stroke)"
    )
    assert lines == [dots[1], dots[0], dots[2]]


def test_overlay_of_many_runs(tmp_path, open_page):
    """More runs than colours: all can be told apart by pointing at them."""
    many = []
    for i in range(12):
        folder = tmp_path / f"run{i:02}"
        folder.mkdir()
        lines = [{"epoch": epoch, "val_loss": i + epoch} for epoch in (1, 2, 3)]
        (folder / "metrics.jsonl").write_text(folders.jsonl(lines))
        many.append(folder)
    opened = open_page(report.overlay(many, tmp_path / "many.html"))
    place = opened.run(
        """(() => {
          const svg = document.querySelector('svg');
          const point = JSON.parse(document.querySelector('figure script').textContent).series[7].points[1];
          const b = svg.getBoundingClientRect(), k = b.width / svg.viewBox.baseVal.width;
          return [b.x + k * point[0], b.y + k * point[1]];
        })()"""
    )
    opened.point(*place)
    assert opened.run("document.querySelector('#tip').innerText").split() == [
        "epoch",
        "2",
        "run07",
        "9",
    ]
    strokes = opened.run(
        "[...document.querySelectorAll('path.line')].map((e) => getComputedStyle(e).stroke)"
    )
    assert len(set(strokes)) == 12


def test_overlay_picture(three, tmp_path):
    path = report.overlay(three, tmp_path / "runs.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    figure = report.pictures.overlaid([report.read(folder) for folder in three], "three")
    axes = {axes.get_ylabel(): axes for axes in figure.axes}
    assert set(axes) == {"val loss", "train loss", "val accuracy (%)", "train accuracy (%)"}
    lines = axes["val accuracy (%)"].lines
    assert [line.get_label() for line in lines] == ["one", "two <b>", "three"]
    np.testing.assert_allclose(lines[2].get_ydata(), [91.0, 92.0])


def test_a_damaged_file_is_noted(three, tmp_path):
    (three[1] / "result.json").write_text("{")
    assert report.compare(three)[1]["test_accuracy"] is None
    text = report.overlay(three, tmp_path / "runs.html").read_text()
    assert "two &lt;b&gt;: result.json cannot be read" in text


def test_options_that_only_some_runs_have(tmp_path):
    one, two = (folders.fill(tmp_path / name) for name in ("one", "two"))
    (two / "config.toml").write_text(folders.CONFIG + "[train]\nema = 0.99\n")
    rows = report.compare([one, two])
    assert [row["train.ema"] for row in rows] == [None, 0.99]
    (two / "result.json").write_text(json.dumps(folders.RESULT | {"test_f1": 0.5}))
    assert [row["test_f1"] for row in report.compare([one, two])] == [None, 0.5]
