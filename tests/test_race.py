"""The race: its rule of fairness, its results by formula, its drawings, the command."""

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import cli
from tinygrad_lessons.optim.surfaces import SURFACES, quadratic, rosenbrock, saddle
from tinygrad_lessons.race import (
    RACERS,
    RATES,
    DigitsCourse,
    Result,
    SurfaceCourse,
    page,
    picture,
    race,
)
from tinygrad_lessons.race.contest import quartiles
from tinygrad_lessons.race.picture import COLOURS

FEW = (1e-3, 1e-2, 1e-1)
ROSENBROCK = SurfaceCourse(rosenbrock)


def test_gradient_descent_on_a_quadratic():
    """Each step multiplies x by 1 - λ lr, and the best rate is known."""
    rates = tuple(np.linspace(0.05, 0.25, 21))
    surface = quadratic(10.0)
    (result,) = race(SurfaceCourse(surface), ["sgd"], budget=200, runs=3, rates=rates)
    assert result.rate == pytest.approx(2 / (1 + 10), abs=0.011)
    factors = 1 - result.rate * np.array([1.0, 10.0])
    expected = result.paths[:, :1] * factors ** np.arange(201)[:, None]
    np.testing.assert_allclose(result.paths, expected, rtol=1e-9, atol=1e-12)
    expected = (np.array([1.0, 10.0]) * expected**2).sum(-1) / 2
    np.testing.assert_allclose(result.heights, expected, rtol=1e-8, atol=1e-20)
    np.testing.assert_array_equal(result.last, np.sort(result.heights[:, -1]))
    # 10 · 0.25 > 2
    assert np.isfinite(result.tuning[0]).all()
    assert (result.tuning[-1] > 1e10).all()


def test_all_get_the_same():
    """The same starts for all, whoever else runs; other ones to tune on; as many steps."""
    both = race(ROSENBROCK, ["adam", "sgd"], budget=30, runs=4, rates=FEW)
    (alone,) = race(ROSENBROCK, ["sgd"], budget=30, runs=4, rates=FEW)
    assert both[1].paths.tobytes() == alone.paths.tobytes()
    np.testing.assert_array_equal(both[0].paths[:, 0], both[1].paths[:, 0])
    assert len({tuple(start) for start in alone.paths[:, 0]}) == 4
    assert alone.paths.shape == (4, 31, 2)
    for run, start in enumerate(alone.paths[:, 0]):
        near = rosenbrock.starts[run % 3]
        assert 0 < np.linalg.norm(start - near) < 0.4
    assert alone.tuning.shape == (3, 3)
    tuned_at = FEW.index(alone.rate)
    assert alone.last[1] != alone.tuning[tuned_at, 1]


def test_the_seed_makes_the_race():
    def one(seed, noise=1.0):
        return race(SurfaceCourse(rosenbrock, noise), ["sgd"], 20, 2, seed, FEW)[0].paths

    assert one(0).tobytes() == one(0).tobytes()
    assert one(0)[0, 0].tolist() != one(1)[0, 0].tolist()
    np.testing.assert_array_equal(one(0)[:, 0], one(0, noise=0.0)[:, 0])
    assert not np.allclose(one(0)[:, 5], one(0, noise=0.0)[:, 5])


def test_the_noise_is_the_same_for_all():
    """On a plane without slope only the noise moves, by lr · noise."""
    flat = replace(quadratic(1.0), function=lambda points: (0 * points).sum(-1))
    plain, other = (
        race(SurfaceCourse(flat, 1.0), [name], 10, 2, rates=(0.5,))[0].paths
        for name in ("sgd", "momentum")
    )
    noise = -np.diff(plain, axis=1) / 0.5
    assert abs(noise.std() - 1) < 0.4
    np.testing.assert_allclose(np.diff(other, axis=1)[:, 0], -0.5 * noise[:, 0], rtol=1e-12)
    velocity = 0.9 * noise[:, 0] + noise[:, 1]
    np.testing.assert_allclose(np.diff(other, axis=1)[:, 1], -0.5 * velocity, rtol=1e-12)


def test_divergence_is_no_win():
    (result,) = race(ROSENBROCK, ["sgd"], budget=50, runs=3, rates=(1e-4, 10.0))
    assert result.rate == 1e-4
    assert np.isinf(result.tuning[1]).all()
    (lost,) = race(ROSENBROCK, ["sgd"], budget=50, runs=3, rates=(10.0,))
    assert np.isinf(lost.last).all()
    assert np.isnan(lost.paths[:, -1]).all()
    assert np.isfinite(lost.paths[:, 0]).all()


class Course:
    """Where only the learning rate decides."""

    ends = {1e-3: [5.0, 5.0, 5.0], 1e-2: [1.0, 1.0, np.inf]}

    def run(self, make, budget, seeds, number):
        rate = make([tg.zeros(1, requires_grad=True)]).param_groups[0]["lr"]
        return np.array([9.0, self.ends[rate][number]]), None


def test_a_rate_that_diverges_at_times_is_not_chosen():
    """Even if its median is lower."""
    (result,) = race(Course(), ["sgd"], 1, 3, rates=tuple(Course.ends))
    assert result.rate == 1e-3
    np.testing.assert_allclose(result.tuning, [[5, 5, 5], [1, 1, np.inf]])
    assert result.last.tolist() == [5, 5, 5]


def test_quartiles_are_values_that_are_there():
    values = np.array([4.0, np.inf, 1.0, 3.0, 2.0])
    assert quartiles(values).tolist() == [2.0, 3.0, 4.0]
    assert quartiles(np.array([1.0, np.inf, np.inf])).tolist()[1:] == [np.inf, np.inf]


@pytest.mark.parametrize("name", RACERS)
def test_every_racer_descends(name):
    (result,) = race(SurfaceCourse(quadratic(10.0)), [name], budget=200, runs=2)
    assert result.last[1] < 0.01 * result.heights[:, 0].min()


def test_momentum_wins_on_ill_conditioned_ground_and_all_learn():
    names = ["sgd", "nesterov", "adam"]
    sgd, nesterov, adam = race(SurfaceCourse(quadratic(1000.0)), names, budget=200)
    assert nesterov.last[1] < sgd.last[1] / 10
    assert adam.last[1] < sgd.last[1]


def test_errors():
    with pytest.raises(ValueError, match="saddle must have a minimum"):
        SurfaceCourse(saddle)
    with pytest.raises(ValueError, match="two dimensions"):
        SurfaceCourse(rosenbrock.in_dimensions(3))


# ---- on a net ----


def test_on_a_net():
    course, state = DigitsCourse(), tg.get_rng_state()
    sgd, adam = race(course, ["sgd", "adam"], budget=40, runs=3, rates=(1e-6, 1e-2))
    assert tg.get_rng_state().tolist() == state.tolist()
    assert sgd.paths is None
    np.testing.assert_array_equal(sgd.heights[:, 0], adam.heights[:, 0])
    np.testing.assert_allclose(sgd.heights[:, 0], np.log(10), rtol=0.1)  # all digits are as likely
    assert len(set(sgd.heights[:, 0])) == 3
    assert adam.rate == 1e-2
    assert adam.last[2] < 1.5
    (again,) = race(course, ["adam"], budget=40, runs=3, rates=(1e-6, 1e-2))
    assert again.heights.tobytes() == adam.heights.tobytes()


def test_the_loss_on_a_net_is_that_of_the_validation_images():
    """The first step of gradient descent, computed once more with NumPy."""
    course, seen = DigitsCourse(), []

    def make(params):
        seen.extend(params)
        return RACERS["sgd"][0](params, lr=0.0)

    losses, _ = course.run(make, 2, [1, 2], 0)
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in seen)
    x, labels = course.val.images.double().numpy().reshape(-1, 64), course.val.labels.numpy()
    logits = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    log_likelihood = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -log_likelihood[np.arange(len(labels)), labels].mean()
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_divergence_on_a_net():
    (lost,) = race(DigitsCourse(), ["sgd"], budget=30, runs=1, rates=(1e8,))
    assert np.isinf(lost.heights[0, -1])
    assert np.isfinite(lost.heights[0, 0])


# ---- drawings ----


def results():
    course = SurfaceCourse(SURFACES["himmelblau"])
    return course, race(course, ["sgd", "adam"], budget=12, runs=3, rates=(1e-3, 1e-1, 10.0))


def test_picture():
    course, both = results()
    figure = picture(course, both, "a <race>", rates=(1e-3, 1e-1, 10.0))
    plane, course, tuning = figure.axes
    paths = [line.get_xydata() for line in plane.lines]
    assert any(np.array_equal(path, both[0].paths[0]) for path in paths)
    for result, line in zip(both, course.lines, strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.median(result.heights, axis=0))
        assert line.get_label() == f"{result.name}, lr {result.rate:.2g}"
    curves = [line for line in tuning.lines if len(line.get_xdata()) == 3]
    for result, line in zip(both, curves, strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.minimum(result.tuning[:, 1], 1e8))


def test_every_racer_has_a_colour_of_its_own():
    assert set(RACERS) <= set(COLOURS)
    assert len(set(COLOURS.values())) == len(COLOURS)


class Reader(HTMLParser):
    """What a page consists of: its tags, what it asks for elsewhere, its script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.asked, self.script, self.title = [""], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.asked += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, text):
        if self.tags[-1] == "script":
            self.script += text
        elif self.tags[-1] == "title":
            self.title += text


def test_page():
    course, both = results()
    text = page(course, both, "a <race> & more")
    read = Reader(text)
    assert read.asked == []
    assert "://" not in text
    assert read.tags.count("script") == read.tags.count("canvas") - 1 == 1
    assert read.title.strip() == "a <race> & more"
    assert "{{" not in text
    data = json.loads(re.search(r"const data = (.*);\n", read.script)[1])
    plane = data["plane"]
    assert plane["domain"] == [list(bounds) for bounds in course.surface.domain]
    assert re.fullmatch(r"data:image/png;base64,iVBOR[\w+/=]+", plane["contour"])
    for racer, result in zip(data["racers"], both, strict=True):
        assert racer["name"] == result.name
        np.testing.assert_allclose(racer["paths"], result.paths, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(racer["heights"], result.heights, rtol=1e-4)
    assert data["racers"][0]["colour"] != data["racers"][1]["colour"]


def test_page_of_a_diverged_race():
    nothing = np.full((1, 3, 2), np.nan)
    nothing[:, 0] = 1.0
    heights = np.array([[5.0, np.inf, np.inf]])
    lost = Result("sgd", 1.0, np.full((1, 3), np.inf), heights, nothing)
    text = page(ROSENBROCK, [lost], "lost")
    data = json.loads(re.search(r"const data = (.*);\n", text)[1])
    assert data["racers"][0]["heights"] == [[5.0, None, None]]
    assert data["racers"][0]["paths"] == [[[1.0, 1.0], [None, None], [None, None]]]
    picture(ROSENBROCK, [lost], "lost", rates=(1.0,))


def test_drawings_of_a_race_on_a_net():
    course = DigitsCourse()
    both = race(course, ["sgd", "adam"], budget=5, runs=2, rates=(1e-2, 1e-1))
    figure = picture(course, both, "net", rates=(1e-2, 1e-1))
    losses, tuning = figure.axes
    assert losses.get_ylabel() == "validation loss"
    np.testing.assert_allclose(losses.lines[1].get_ydata(), quartiles(both[1].heights)[1])
    data = json.loads(re.search(r"const data = (.*);\n", page(course, both, "net"))[1])
    assert "plane" not in data
    assert data["racers"][0]["paths"] is None
    np.testing.assert_allclose(data["racers"][1]["heights"], both[1].heights, rtol=1e-4)


# ---- the command ----


def call(*arguments):
    try:
        return cli.main(["race", *arguments])
    except SystemExit as end:  # argparse
        return end.code


SMALL = ["--budget", "10", "--runs", "2"]


def test_command(tmp_path, capsys):
    out = tmp_path / "race"
    arguments = ["--surface", "booth", "--optimizers", "sgd,adam", "--noise", "0.5", "--seed", "3"]
    assert call(*SMALL, *arguments, "--out", str(out)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("height above the minimum after 10 gradients")
    assert {line.split()[0] for line in lines[1:3]} == {"sgd", "adam"}
    medians = [float(line.split()[1]) for line in lines[1:3]]
    assert medians == sorted(medians)
    files = ["race.html", "race.json", "race.png"]
    assert [line.strip() for line in lines[3:]] == [str(out / name) for name in files]
    assert sorted(path.name for path in out.iterdir()) == files
    assert (out / "race.png").read_bytes()[:4] == b"\x89PNG"

    record = json.loads((out / "race.json").read_text())
    expected = race(SurfaceCourse(SURFACES["booth"], 0.5), ["sgd", "adam"], 10, 2, 3)
    assert record["arguments"]["noise"] == 0.5
    assert record["rates"] == list(RATES)
    for entry, result in zip(record["optimizers"], expected, strict=True):
        assert (entry["name"], entry["rate"]) == (result.name, result.rate)
        assert entry["last_heights"] == result.heights[:, -1].tolist()
        assert len(entry["tuning_quartiles"]) == len(RATES)
        assert None in sum(entry["tuning_quartiles"], []) or result.name == "adam"


def test_command_on_a_net(tmp_path, capsys):
    out = tmp_path / "race"
    assert call(*SMALL, "--task", "digits", "--optimizers", "adam", "--out", str(out)) == 0
    assert capsys.readouterr().out.startswith("validation loss after 10 gradients")
    assert json.loads((out / "race.json").read_text())["arguments"]["task"] == "digits"


def test_folder_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*SMALL, "--optimizers", "sgd") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("race-rosenbrock-")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--surface", "booth", "--task", "digits"], "not allowed with argument"),
        (["--task", "mnist"], "invalid choice: 'mnist' .*digits"),
        (["--surface", "saddle"], "invalid choice: 'saddle' .*rosenbrock"),
        (["--optimizers", "sgd,slow"], "invalid choice: 'slow' .*sgd, momentum"),
        (["--optimizers", "sgd,sgd"], "names an optimizer twice"),
        (["--budget", "0"], "expected a whole number of at least 1"),
        (["--noise", "-1"], "expected a number of at least 0"),
    ],
)
def test_misuse(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert call("--out", str(tmp_path / "race")) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"tgl race: error: .*pip install 'tinygrad_lessons\[plot\]'\n", error)
    assert not (tmp_path / "race").exists()


def test_help(capsys):
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert "--surface" in text
    assert "same number of gradients" in " ".join(text.split())
