"""The race: its rule of fairness, its results by formula, its drawings, the command."""

import json
import re
import sys
from dataclasses import replace

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


def test_page():
    course, both = results()
    text = page(course, both, "a <race> & more")
    assert "://" not in text
    assert "{{" not in text
    assert "<title>a &lt;race&gt; &amp; more</title>" in text
    data = json.loads(re.search(r"const data = (.*);\n", text)[1])
    plane = data["plane"]
    assert plane["domain"] == [list(bounds) for bounds in course.surface.domain]
    assert re.fullmatch(r"data:image/png;base64,iVBOR[\w+/=]+", plane["contour"])
    for racer, result in zip(data["racers"], both, strict=True):
        assert racer["name"] == result.name
        np.testing.assert_allclose(racer["paths"], result.paths, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(racer["heights"], result.heights, rtol=1e-4)
    assert data["racers"][0]["colour"] != data["racers"][1]["colour"]


PIXEL = """(() => {
  const canvas = document.getElementById(%r), k = devicePixelRatio;
  const context = canvas.getContext('2d');
  const [x, y, w, h] = %s;
  return [...context.getImageData(x * k, y * k, w * k, h * k).data];
})()"""


def colours(opened, canvas, box):
    """The colours within a box of a canvas, as a set of triples."""
    pixels = np.array(opened.run(PIXEL % (canvas, json.dumps(box)))).reshape(-1, 4)
    return {tuple(pixel[:3]) for pixel in pixels if pixel[3] == 255}


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("dark", [False, True])
def test_page_in_a_browser(tmp_path, open_page, dark):
    """Who wants no motion sees the end; the slider and the choice of a run show the rest."""
    course, both = results()
    file = tmp_path / "race.html"
    file.write_text(page(course, both, "a <race>"))
    opened = open_page(file, width=1000, dark=dark)
    for width in (320, 400, 1400, 1000):
        opened.resize(width)
        assert opened.overflow() == 0

    def texts(selector):
        return opened.run(f"[...document.querySelectorAll({selector!r})].map((e) => e.textContent)")

    assert texts("h1") == ["a <race>"]
    assert texts("#count") == ["12 of 12 gradients"]
    assert texts("#play") == ["Play"]

    def now(step, run):
        return [f"{result.heights[run, step]:.2g}" for result in both]

    def shown():
        return [f"{float(text):.2g}" for text in texts("#table td:nth-child(3)")]

    assert shown() == now(12, 0)
    assert len(texts("#run option")) == 3
    opened.run("document.getElementById('run').value = 2")
    opened.run("document.getElementById('run').dispatchEvent(new Event('change'))")
    assert shown() == now(12, 2)
    opened.run("document.getElementById('step').value = 4")
    opened.run("document.getElementById('step').dispatchEvent(new Event('input'))")
    assert texts("#count") == ["4 of 12 gradients"]
    assert shown() == now(4, 2)

    # each racer's dot lies where its path has come to, as far as no other's lies on it
    width = opened.run("document.getElementById('plane').clientWidth")
    (left, right), (low, high) = course.surface.domain
    x, y = both[1].paths[2, 4]
    place = [(x - left) / (right - left) * width - 2, (high - y) / (high - low) * width - 2, 4, 4]
    assert rgb(COLOURS["adam"]) in colours(opened, "plane", place)
    everything = colours(opened, "course", [0, 0, 300, 200])
    assert rgb(COLOURS["adam"]) in everything
    opened.click("#play")
    opened.run("new Promise((done) => setTimeout(done, 1500))")
    assert texts("#count") == ["12 of 12 gradients"]


def test_page_of_a_race_on_a_net_in_a_browser(tmp_path, open_page):
    course = DigitsCourse()
    file = tmp_path / "race.html"
    both = race(course, ["sgd", "adam"], budget=5, runs=2, rates=(1e-2, 1e-1))
    file.write_text(page(course, both, "net"))
    opened = open_page(file, width=400)
    assert opened.overflow() == 0
    assert opened.run("document.querySelectorAll('canvas').length") == 1
    assert opened.run("document.getElementById('count').textContent") == "5 of 5 gradients"


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
