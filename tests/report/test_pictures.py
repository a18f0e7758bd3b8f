"""Pictures of a run as PNG files."""

import subprocess
import sys

import folders
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import report
from tinygrad_lessons.report import pictures


def test_curves():
    figure = pictures.curves(folders.history(), best_epoch=5, title="a run")
    assert figure.get_suptitle() == "a run"
    loss, accuracy = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "epoch"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy (%)"]
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    for axes in figure.axes:
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend == ["training", "validation", "best epoch: 5"]
        assert list(axes.lines[0].get_xdata()) == list(range(1, 9))
    expected = [0.5 + 0.01 * (i - 5) ** 2 for i in range(1, 9)]
    assert loss.lines[1].get_ydata() == pytest.approx(expected)
    assert accuracy.lines[0].get_ydata() == pytest.approx([100 - 50 / i for i in range(1, 9)])


def test_curves_of_other_metrics():
    lines = [{"epoch": i, "train_loss": 1.0, "train_mae": i, "penalty": None} for i in (1, 2)]
    lines[1]["penalty"] = 3.0
    figure = pictures.curves(lines, None, "few")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "mae", "penalty"]
    assert [len(axes.lines) for axes in figure.axes] == [1, 1, 1]


def test_confusion():
    counts = tg.tensor([[5, 1], [0, 0]])
    (axes,) = pictures.confusion(counts, ("cat", "dog"), title="pets").axes
    assert [text.get_text() for text in axes.texts] == ["5", "1", "·", "·"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


def test_files(run_folder):
    paths = report.write_pictures(run_folder, ["a", "b", "c"])
    assert [path.name for path in paths] == ["curves.png", "confusion.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    (run_folder / "metrics.jsonl").unlink()
    tg.save(
        {"logits": tg.zeros(2), "target": tg.full((2,), 0.5)},
        run_folder / "predictions.safetensors",
    )
    assert report.write_pictures(run_folder) == []


def test_without_matplotlib(run_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinygrad_lessons\[plot\]'"):
        report.write_pictures(run_folder)
    report.write(run_folder)  # needs none


def test_matplotlib_is_imported_when_drawing_and_pyplot_never(tmp_path):
    code = (
        "import sys; from tinygrad_lessons.report import pictures;"
        "assert not {'matplotlib', 'optuna'} & set(sys.modules);"
        "pictures.confusion([[1]], 'a', 't').savefig(sys.argv[1]);"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], check=True)
