"""The report of a run in a real browser: what is on the page, what the pointer reads, who is asked."""

import json
import math
import re

import browser
import folders
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tinygrad_lessons import report
from tinygrad_lessons.report.page import page, table

TEXTS = "(s, of = document) => [...of.querySelectorAll(s)].map((e) => e.textContent)"


def texts(page, selector):
    return page.run(f"({TEXTS})({json.dumps(selector)})")


def write(run_folder):
    return report.write(run_folder, folders.images(), folders.CLASSES)


@pytest.fixture
def opened(run_folder, open_page):
    return open_page(write(run_folder))


def test_sections_and_headline(opened, run_folder):
    assert texts(opened, "h1") == ["run <b> & 'one'"]
    assert opened.run("document.title") == "run <b> & 'one'"
    assert texts(opened, "h2") == texts(opened, "nav a") == folders.SECTIONS
    assert texts(opened, ".chip") == ["finished"]
    assert re.fullmatch(
        r"pets <b> · cnn · SGD · \d{4}-\d\d-\d\d \d\d:\d\d", texts(opened, "header p")[0]
    )
    tiles = dict(zip(texts(opened, ".tiles dt"), texts(opened, ".tiles dt + dd"), strict=True))
    assert tiles == {
        "test accuracy": "75.0 %",
        "test loss": "0.625",
        "validation accuracy": "95.0 %",
        "validation loss": "0.5",
        "best epoch": "5",
        "time": "4.50 s",
    }
    figures = texts(opened, "figcaption")
    for name in (
        "loss",
        "accuracy",
        "Confusion matrix",
        "learning rate",
        "momentum",
        "gradient norms",
    ):
        assert any(text.startswith(name) for text in figures), name


def test_hostile_names_stay_text(opened):
    """The page's policy forbids requests anyway; no image or script may even come to be."""
    assert opened.run("document.querySelectorAll('img[src=x]').length") == 0
    assert opened.run("document.querySelectorAll('header b, table b, main b').length") == 0
    assert folders.CLASSES[0] in texts(opened, ".matrix tbody th")
    assert folders.HOSTILE in texts(opened, ".matrix thead th")
    assert f"Stopped by: patience {folders.HOSTILE}." in texts(opened, ".hint")
    assert any(folders.HOSTILE in text for text in texts(opened, "figcaption"))


def test_nothing_is_asked_for_even_if_it_were_there(open_page, tmp_path):
    """The policy stops what escapes the escaping."""
    from tinygrad_lessons.report.markup import Markup

    slipped = Markup("<img src='https://example.org/x.png'><p onclick='1'>here</p>")
    file = tmp_path / "slipped.html"
    file.write_text(page("slipped", "", [("One", slipped)]))
    opened = open_page(file)
    assert any("Content Security Policy" in text for text in opened.complaints())
    assert opened.requests() == []
    opened.browser.events.clear()  # these complaints were wanted


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_any_screen(run_folder, open_page, dark):
    opened = open_page(write(run_folder), width=400, dark=dark)
    for width in (320, 400, 700, 1000, 1400, 2500):
        opened.resize(width)
        assert opened.overflow() == 0, width
    sizes = opened.run(
        "[...document.querySelectorAll('svg')].map((e) => e.getBoundingClientRect().width)"
    )
    assert min(sizes) > 150
    background = opened.run("getComputedStyle(document.body).backgroundColor")
    assert (int(re.search(r"\d+", background)[0]) < 60) == dark


def test_colours_differ_enough_to_be_read(run_folder, open_page):
    """Contrast as WCAG 2.2 defines it: 4.5 for text, 3 for lines."""

    def luminance(colour):
        shares = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for dark in (False, True):
        opened = open_page(write(run_folder), dark=dark)
        style = "getComputedStyle(document.documentElement).getPropertyValue('--%s').trim()"

        def contrast(one, two, opened=opened, style=style):
            low, high = sorted(luminance(opened.run(style % name)) for name in (one, two))
            return (high + 0.05) / (low + 0.05)

        for ground in ("paper", "card"):
            assert contrast("ink", ground) > 7
            assert contrast("soft", ground) > 4.5
            for line in ("train", "val", "best", "miss", *[f"c{i}" for i in range(8)]):
                assert contrast(line, ground) > 3, (line, ground, dark)


def test_curves_lie_where_their_values_are(opened):
    """The drawn path, measured against the numbers at the axis."""
    places = opened.run(
        """(() => {
          const svg = document.querySelectorAll('#curves svg')[1];
          const path = svg.querySelector('path.line').getAttribute('d');
          const ticks = [...svg.querySelectorAll('text[text-anchor=end]')].map((e) =>
            [parseFloat(e.textContent), parseFloat(e.getAttribute('y')) - 4]);
          return [path, ticks.filter(([value]) => !isNaN(value))];
        })()"""
    )
    path, ticks = places
    drawn = np.array([[float(v) for v in part.split()] for part in re.split("[ML]", path)[1:]])
    (low, low_y), (high, high_y) = ticks[0], ticks[-1]
    shares = low + (drawn[:, 1] - low_y) * (high - low) / (high_y - low_y)
    expected = [100 * (1 - 0.5 / i) for i in range(1, 9)]
    np.testing.assert_allclose(shares, expected, atol=0.1)
    np.testing.assert_allclose(np.diff(drawn[:, 0]), np.diff(drawn[:, 0]).mean(), atol=0.11)


def test_pointer_and_keys_read_values(opened):
    x, y = opened.middle("#curves svg")
    left, right = opened.run(
        "(() => { const b = document.querySelector('#curves svg').getBoundingClientRect();"
        "return [b.x, b.right] })()"
    )
    opened.point(left + 1, y)
    assert texts(opened, "#tip b") == ["epoch 1"]
    assert texts(opened, "#tip span span") == ["training", "validation"]
    assert texts(opened, "#tip em") == ["2", "0.66"]
    opened.point(right - 1, y)
    assert texts(opened, "#tip b") == ["epoch 8"]
    assert texts(opened, "#tip em") == ["0.25", "0.59"]
    assert opened.run("document.getElementById('tip').style.visibility") == "visible"
    assert opened.run("document.querySelectorAll('svg .spot').length") == 2
    opened.point(2, 2)
    assert opened.run("document.getElementById('tip').style.visibility") == "hidden"
    assert opened.run("document.querySelectorAll('svg .spot').length") == 0

    opened.run("document.querySelectorAll('#curves svg')[1].focus()")
    for key, epoch, value in (
        ("End", 8, "93.8 %"),
        ("ArrowLeft", 7, "92.9 %"),
        ("ArrowRight", 8, "93.8 %"),
        ("ArrowRight", 8, "93.8 %"),
        ("Home", 1, "50.0 %"),
    ):
        opened.key(key)
        assert texts(opened, "#tip b") == [f"epoch {epoch}"]
        assert texts(opened, "#tip em")[0] == value


def test_the_tip_stays_in_the_window(run_folder, open_page):
    opened = open_page(write(run_folder), width=400, height=300)

    def box():
        found = opened.run(
            "(({left, right, top, bottom}) => [left, right, top, bottom])"
            "(document.getElementById('tip').getBoundingClientRect())"
        )
        return [found[:2], found[2:]]

    for selector in ("#curves svg", "#steps svg", ".matrix td:last-child"):
        opened.point(*opened.middle(selector))
        across, down = box()
        assert 0 <= across[0] < across[1] <= 400
        assert 0 <= down[0] < down[1] <= 300
    for x in (1, 200, 399):
        for y in (1, 150, 299):
            opened.run(f"showTip({x}, {y}, {'a long text ' * 12!r})")
            across, down = box()
            assert 0 <= across[0] < across[1] <= 400
            assert 0 <= down[0] < down[1] <= 300


def test_matrix_and_scores(opened):
    cells = texts(opened, ".matrix tbody td")
    assert cells == ["3", "1", "·", "·", "3", "1", "1", "·", "3"]
    opened.point(*opened.middle(".matrix tbody tr:nth-child(1) td:nth-of-type(2)"))
    assert texts(opened, "#tip") == [
        f"true {folders.CLASSES[0]}, predicted {folders.HOSTILE}: 1\n"
        f"25.0 % of class {folders.CLASSES[0]}"
    ]
    rows = opened.run(
        f"[...document.querySelectorAll('#predictions .sortable tr')].map((row) => ({TEXTS})('th, td', row))"
    )
    assert rows[0] == ["class", "precision", "recall", "F1", "support"]
    assert rows[1] == [folders.CLASSES[0], "75.0 %", "75.0 %", "75.0 %", "4"]
    assert rows[-1] == ["mean", "75.0 %", "75.0 %", "75.0 %", "12"]
    assert "9 of 12" not in texts(opened, ".hint")


def test_worst_mistakes_show_their_images(opened):
    cards = texts(opened, ".mistakes figure p")
    assert [re.search(r"sample (\d+)", text)[1] for text in cards] == ["11", "10", "9"]
    assert cards[0].startswith(f"{folders.CLASSES[2]} → {folders.CLASSES[0]}")
    # softmax of (9, 0, 0): e⁹ / (e⁹ + 2), and the loss of a 0 in it
    assert f"{100 / (1 + 2 * np.exp(-9)):.1f} % sure" in cards[0]
    assert f"loss {np.log(np.exp(9) + 2):.2f}" in cards[0]
    sizes = opened.run(
        "[...document.querySelectorAll('.mistakes img')].map((e) => [e.naturalWidth, e.naturalHeight])"
    )
    assert sizes == [[4, 4]] * 3
    greys = opened.run(
        """Promise.all([...document.querySelectorAll('.mistakes img')].map(async (image) => {
          const canvas = new OffscreenCanvas(4, 4).getContext('2d');
          canvas.drawImage(image, 0, 0);
          const pixels = canvas.getImageData(0, 0, 4, 4).data;
          return [pixels[0], pixels[4]];
        }))"""
    )
    assert greys == [[255, round(255 * i / 11)] for i in (11, 10, 9)]


def test_sorting(open_page, tmp_path):
    rows = [["b", ("10", 10), "x10"], ["a", ("–", None), "x9"], ["c", ("9", 9), "x"]]
    file = tmp_path / "table.html"
    content = table(["name", "number", "text"], rows, ["sum", "19", ""], numbers=[1])
    file.write_text(page("table", "", [("Table", content)]))
    opened = open_page(file)

    def order():
        return "".join(texts(opened, "tbody th"))

    def click(column):
        opened.click(f"thead th:nth-child({column}) button")
        return order()

    assert order() == "bac"
    assert (click(1), click(1)) == ("abc", "cba")
    assert (click(2), click(2)) == ("bca", "cba")  # who has no number comes last
    assert (click(3), click(3)) == ("cab", "bac")
    assert texts(opened, "tfoot th") == ["sum"]
    assert opened.run("document.querySelectorAll('[aria-sort]').length") == 1


def test_print_opens_what_is_folded(run_folder, open_page):
    names = [f"layer{i}.weight" for i in range(12)]
    (run_folder / "gradients.jsonl").write_text(folders.jsonl(folders.gradients(names=names)))
    opened = open_page(write(run_folder))
    assert texts(opened, "summary") == ["8 more histograms"]
    assert opened.run("document.querySelector('details').open") is False
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert opened.run("document.querySelector('details').open") is True
    pdf = opened.send("Page.printToPDF", printBackground=True)["data"]
    assert len(pdf) > 10_000


def test_without_scripts_all_is_there(run_folder):
    text = write(run_folder).read_text()
    for name in folders.SECTIONS:
        assert f"<h2>{name}</h2>" in text
    assert text.count("<svg") == text.count("</svg>") > 10
    assert "://" not in text


def test_many_classes_and_samples(tmp_path, open_page):
    """A hundred classes: a picture instead of numbers; only the worst mistakes."""
    import tinygrad_lessons as tg

    rng = np.random.default_rng(0)
    target = rng.integers(0, 100, 3000)
    logits = rng.normal(size=(3000, 100)) + 3 * np.eye(100)[target]
    folder = tmp_path / "many"
    folder.mkdir()
    saved = {"split": "val", "logits": tg.tensor(logits), "target": tg.tensor(target)}
    tg.save(saved, folder / "predictions.safetensors")
    path = report.write(folder, images=rng.integers(0, 256, (3000, 3, 8, 8), dtype=np.uint8))
    assert path.stat().st_size < 400_000
    opened = open_page(path, width=400)
    assert opened.run("document.querySelector('.heat').naturalWidth") == 100
    assert len(texts(opened, ".mistakes figure")) == 24
    assert opened.overflow() == 0
    assert "3,000 validation samples" in texts(opened, ".hint")[0]


def test_what_does_not_fit_becomes_a_note(run_folder):
    def notes(**given):
        text = report.write(run_folder, **given).read_text()
        return re.findall(r'<p class="note">(.*?)</p>', text)

    assert notes() == []
    assert notes(classes=["a"]) == ["1 names of classes were given for 3 classes."]
    assert notes(images=np.zeros((12, 4, 4))) == [
        "Images of shape (12, 4, 4) cannot be shown: expected (N, 1 or 3, height, width)."
    ]
    assert notes(images=folders.images()[:5]) == [
        "The indices reach 11, but 5 images were given: none are shown."
    ]
    import tinygrad_lessons as tg

    tg.save(
        {"logits": tg.zeros(4, 1), "target": tg.zeros(4, dtype=tg.int64)},
        run_folder / "predictions.safetensors",
    )
    assert notes() == [
        "predictions.safetensors: logits (4, 1) and targets (4,) are not those of a classifier: "
        "expected (n, classes) and (n,)"
    ]


def test_one_logit_for_two_classes(run_folder, open_page):
    import tinygrad_lessons as tg

    saved = {
        "logits": tg.tensor([[2.0], [-1.0], [0.5]]),
        "target": tg.tensor([[1.0], [1.0], [0.0]]),
    }
    tg.save(saved, run_folder / "predictions.safetensors")
    opened = open_page(report.write(run_folder))
    assert texts(opened, ".matrix tbody td") == ["·", "1", "1", "1"]
    # -log sigmoid(-1), and sigmoid(1) for how sure it was
    assert f"loss {np.log(1 + np.e):.2f}" in texts(opened, ".mistakes p")[0]
    assert f"{100 / (1 + np.exp(-1)):.1f} % sure" in texts(opened, ".mistakes p")[0]


def test_predicted_numbers(run_folder, open_page):
    import tinygrad_lessons as tg

    true = np.array([0.0, 1.0, 2.0, 5.0])
    values = true + [0.5, -0.5, 0.0, 1.0]
    saved = {"logits": tg.tensor(values[:, None]), "target": tg.tensor(true)}
    tg.save(saved, run_folder / "predictions.safetensors")
    opened = open_page(report.write(run_folder), width=400)
    assert opened.overflow() == 0
    assert "Worst mistakes" not in texts(opened, "h2")
    r2 = 1 - 1.5 / ((true - 2) ** 2).sum()
    expected = f"4 test samples: mean absolute error 0.5, R² {r2:.4g}."
    assert expected in texts(opened, "#predictions .hint")
    points = opened.run(
        "JSON.parse(document.querySelector('#predictions script').textContent).series[1].points"
    )
    assert [[float(point[2]), float(point[3])] for point in points] == np.c_[true, values].tolist()


def test_a_perfect_run_has_no_mistakes(run_folder):
    import tinygrad_lessons as tg

    target = tg.arange(3)
    saved = {"logits": 9 * tg.eye(3), "target": target}
    tg.save(saved, run_folder / "predictions.safetensors")
    assert "None: every prediction is right." in report.write(run_folder).read_text()


def test_a_diverged_run(run_folder, open_page):
    lines = folders.history()
    for line in lines[3:]:
        line |= {"train_loss": None, "val_loss": None, "train_accuracy": float("nan")}
    (run_folder / "metrics.jsonl").write_text(folders.jsonl(lines))
    steps = folders.steps()
    for line in steps[60:]:
        line["loss"] = None
    (run_folder / "steps.jsonl").write_text(folders.jsonl(steps))
    opened = open_page(write(run_folder))
    assert texts(opened, "h2") == folders.SECTIONS
    opened.point(*opened.middle("#curves svg"))
    assert texts(opened, "#tip em")


def test_a_report_that_cannot_be_written_leaves_the_old_one(run_folder, monkeypatch):
    path = write(run_folder)
    old = path.read_text()
    (run_folder / "result.json").unlink()
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        write(run_folder)
    assert path.read_text() == old
    assert [file.name for file in run_folder.iterdir() if file.name.startswith(".")] == []


def test_screenshots_are_not_empty(run_folder, open_page, tmp_path):
    """Light and dark differ, and each shows its colours."""
    seen = []
    for dark in (False, True):
        opened = open_page(write(run_folder), dark=dark)
        opened.screenshot(tmp_path / "shot.png", full=False)
        pixels = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
        seen.append(pixels.mean())
    assert seen[0] > 200 and seen[1] < 80


def test_the_browser_tells_what_is_wrong(chromium, tmp_path):
    """The eyes of the other tests: an error, a request and an overflow are seen."""
    file = tmp_path / "bad.html"
    file.write_text(
        "<!DOCTYPE html><div style='width:3000px'>wide</div>"
        "<script>fetch('http://127.0.0.1:9/').catch(() => 0); console.log('said'); missing()</script>"
    )
    opened = chromium.open(file)
    assert opened.requests() == ["http://127.0.0.1:9/"]
    complaints = "\n".join(opened.complaints())
    assert "said" in complaints
    assert "missing is not defined" in complaints
    assert opened.overflow() > 1000
    opened.close()


def test_where_no_browser_is(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert browser.find() is None


ODD = st.sampled_from([None, "x", [], {}, -1, 0, True, math.nan, math.inf, 1e308, 10**400, "<b>"])


def places(value, path=()):
    """The paths of everything inside of a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_whatever_the_files_hold_there_is_a_page(run_folder, data):
    """Files that can be read, in which one thing is not what it should be."""
    folders.fill(run_folder)
    name = data.draw(st.sampled_from(["metrics", "steps", "gradients", "result"]))
    content = {
        "metrics": folders.history(),
        "steps": folders.steps(20),
        "gradients": folders.gradients(2),
        "result": folders.RESULT | {"classes": ["a", "b", "c"]},
    }[name]
    content = json.loads(json.dumps(content))
    *path, last = data.draw(st.sampled_from(list(places(content))))
    holder = content
    for key in path:
        holder = holder[key]
    holder[last] = data.draw(ODD)
    if name == "result":
        (run_folder / "result.json").write_text(json.dumps(content))
    else:
        (run_folder / f"{name}.jsonl").write_text(folders.jsonl(content))
    text = report.write(run_folder).read_text()
    assert text.count("<section") >= 6
    report.overlay([run_folder], run_folder / "runs.html")
    report.format_table(report.compare([run_folder]))
