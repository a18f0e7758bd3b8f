"""The report of a tuning study of Optuna."""

import math
import warnings

from tinygrad_lessons.report.charts import (
    Line,
    bar_chart,
    figure,
    line_chart,
    ramp,
    shade,
    svg,
)
from tinygrad_lessons.report.files import write_text
from tinygrad_lessons.report.markup import markup, tag
from tinygrad_lessons.report.page import grid, note, page, pairs, table, tiles
from tinygrad_lessons.report.run import is_number
from tinygrad_lessons.report.scales import Scale, duration, number

GREY = "color-mix(in srgb, var(--c7) 45%, transparent)"
PARALLEL = 400  # trials in the picture of parallel coordinates, the best ones


def write_study(study, path):
    """Write the report of a study as one HTML file that needs nothing else, and return its path.

    It shows the best trial, the history, the importance of each parameter, all trials as lines
    through parallel axes, and the learning curves (the values that trials reported on their way).

    The importance is that of PED-ANOVA: how much the distribution of a parameter among the best
    trials differs from that among all (Watanabe, Bansal and Hutter, PED-ANOVA: Efficiently
    Quantifying Hyperparameter Importance in Arbitrary Subspaces, IJCAI 2023). Optuna's other
    evaluators need scikit-learn; this one needs nothing else.

    Args:
        study: an `optuna.Study` with one objective.
        path: of the file.

    Raises:
        ValueError: the study has several objectives.
        OSError: the report cannot be written.

    Example:
        >>> import os, tempfile
        >>> import optuna
        >>> from tinygrad_lessons import report
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(study_name="parabola")
        >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
        >>> report.write_study(study, os.path.join(tempfile.mkdtemp(), "tune.html")).name
        'tune.html'
    """
    if len(study.directions) != 1:
        raise ValueError(
            f"write_study: got a study with {len(study.directions)} objectives: expected one"
        )
    trials = study.get_trials(deepcopy=False)
    maximize = study.direction.name == "MAXIMIZE"
    done = [trial for trial in trials if _is_done(trial)]
    # the best one comes last, and so lies on top of the others
    done.sort(key=lambda trial: trial.value if maximize else -trial.value)
    sections = [
        ("Result", _result(trials, done)),
        ("Search", _search(study, trials, done, maximize)),
        ("Parallel coordinates", _parallel(done[-PARALLEL:])),
        ("Trials", _trials(trials)),
    ]
    goal = "highest" if maximize else "lowest"
    text = page(study.study_name, f"{len(trials)} trials, looking for the {goal} value", sections)
    return write_text(path, text)


def _is_done(trial):
    return trial.state.name == "COMPLETE" and math.isfinite(trial.value)


def _state(trial):
    return "failed" if trial.state.name == "FAIL" else trial.state.name.lower()


def _result(trials, done):
    if not trials:
        return note("There are no trials yet.")
    counts = {}
    for trial in trials:
        counts[_state(trial)] = counts.get(_state(trial), 0) + 1
    seconds = sum(trial.duration.total_seconds() for trial in trials if trial.duration)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    entries = [("trials", number(len(trials)), told), ("time", duration(seconds), "of all trials")]
    if not done:
        return markup(tiles(entries), note("No trial is complete."))
    best = done[-1]
    entries.insert(0, ("best value", number(best.value, 5), f"trial {best.number}"))
    return tiles(entries)


def _search(study, trials, done, maximize):
    """Where the search went, and what it found."""
    if not done:
        return None
    found = [(name, _text(value)) for name, value in done[-1].params.items()]
    best = tag("h3", f"Best parameters: trial {done[-1].number}")
    pictures = [
        _history(trials, maximize),
        _learning_curves(trials, done),
        _importance(study, done),
        tag("div", best, pairs(found), class_="card"),
    ]
    return grid(*filter(None, pictures))


def _history(trials, maximize):
    """The value of each trial, and the best one so far."""
    done = [trial for trial in trials if _is_done(trial)]
    better = max if maximize else min
    so_far = []
    for trial in done:
        so_far.append(better(so_far[-1], trial.value) if so_far else trial.value)
    numbers, values = [trial.number for trial in done], [trial.value for trial in done]
    lines = [
        Line("trial", numbers, values, "var(--c0)", "points"),
        Line("best so far", numbers, so_far, "var(--best)", "steps"),
    ]
    pruned = [
        (t.number, _last(t)) for t in trials if t.state.name == "PRUNED" and t.intermediate_values
    ]
    if pruned:
        x, y = map(list, zip(*pruned, strict=True))
        lines.insert(0, Line("pruned at", x, y, GREY, "points"))
    return line_chart("History: value", lines, x_label="trial", log=None)


def _last(trial):
    """The last value that a trial reported."""
    return trial.intermediate_values[max(trial.intermediate_values)]


def _importance(study, done):
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if len({str(trial.params) for trial in done}) < 2:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError) as error:
        return note(f"No importance can be computed: {error}")
    if not found or not all(map(math.isfinite, found.values())):
        return None
    title = "Importance: share of the parameters' effect"
    return bar_chart(title, list(found.items()), colour="var(--c0)")


def _parallel(done):
    """A line for each complete trial through an axis for each parameter; the last axis is the value."""
    names = list(dict.fromkeys(name for trial in done for name in trial.params))
    if len(done) < 2 or not names:
        return None
    width = max(900, 140 * (len(names) + 1))
    axes = []
    for i, name in enumerate([*names, "value"]):
        at = 60 + i * (width - 120) / len(names)
        if name == "value" and i == len(names):
            axes.append((at, name, _Axis([trial.value for trial in done], log=False)))
        else:
            values = [trial.params[name] for trial in done if name in trial.params]
            log = any(getattr(t.distributions.get(name), "log", False) for t in done)
            axes.append((at, name, _Axis(values, log)))
    drawn = []
    for i, trial in enumerate(done):
        values = [trial.params.get(name) for name in names] + [trial.value]
        # a trial without a parameter passes by its axis
        places = [
            (at, axis(value))
            for (at, _, axis), value in zip(axes, values, strict=True)
            if value is not None
        ]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        told = [f"{name}: {_text(value)}" for name, value in trial.params.items()]
        about = "\n".join([f"trial {trial.number}: {number(trial.value, 5)}", *told])
        drawn.append(
            tag(
                "g",
                tag("path", d=path, class_="many", style=f"stroke:{shade(i, len(done))}"),
                tag("path", d=path, class_="reach"),
                data_tip=about,
            )
        )
    # in a group of their own: the one pointed at comes to the front of it, still behind the names
    drawn = [tag("g", drawn)]
    for at, name, axis in axes:
        drawn.append(
            tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=_Axis.TOP, y2=_Axis.LOW, class_="axis")
        )
        drawn.append(tag("text", name, x=f"{at:.1f}", y=16, text_anchor="middle", class_="name"))
        for value, text in axis.ticks():
            y = f"{axis(value) + 4:.1f}"
            drawn.append(tag("text", text, x=f"{at + 6:.1f}", y=y, class_="halo"))
    picture = svg(drawn, "parallel coordinates", "trials by parameters", width, 320)
    # narrow screens scroll, as axes with text cannot shrink
    scrolled = tag(
        "div", tag("div", picture, style=f"min-width:{0.8 * width:.0f}px"), class_="scroll"
    )
    return figure(f"{len(done)} complete trials", ramp("worst", "best"), scrolled)


class _Axis:
    """Places of numbers, or of categories in order of their names."""

    TOP, LOW = 30, 306

    def __init__(self, values, log):
        self.numeric = all(map(is_number, values))
        if self.numeric:
            whole = all(isinstance(value, int) for value in values)
            self.scale = Scale(values, self.LOW, self.TOP, log=log, whole=whole)
        else:
            self.names = sorted({_text(value) for value in values})
            self.scale = Scale(range(len(self.names)), self.LOW, self.TOP)

    def __call__(self, value):
        return self.scale(value if self.numeric else self.names.index(_text(value)))

    def ticks(self):
        if self.numeric:
            return self.scale.ticks(5)
        return [(name, name) for name in self.names]


def _learning_curves(trials, done):
    """The values that trials reported on their way: complete ones by rank, pruned ones in grey."""
    rank = {trial.number: i for i, trial in enumerate(done)}
    reported = [trial for trial in trials if trial.intermediate_values]
    if not reported:
        return None
    reported.sort(key=lambda trial: rank.get(trial.number, -1))
    lines = []
    for trial in reported:
        steps, values = zip(*sorted(trial.intermediate_values.items()), strict=True)
        place = rank.get(trial.number)
        colour = GREY if place is None else shade(place, len(done))
        name = f"trial {trial.number}, {_state(trial)}"
        lines.append(Line(name, list(steps), list(values), colour))
    return line_chart(
        "Learning curves: reported values", lines, x_label="step", log=None, ends=("worst", "best")
    )


def _trials(trials):
    if not trials:
        return None
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    rows = []
    for trial in trials:
        value = trial.value if trial.state.name == "COMPLETE" else None
        seconds = trial.duration.total_seconds() if trial.duration else None
        rows.append(
            [
                (str(trial.number), trial.number),
                _state(trial),
                (number(value, 5), value),
                *[(_text(trial.params.get(name)), trial.params.get(name)) for name in names],
                ("–" if seconds is None else duration(seconds), seconds),
            ]
        )
    numeric = {
        i
        for i, name in enumerate(names, 3)
        if all(is_number(trial.params[name]) for trial in trials if name in trial.params)
    }
    columns = ["trial", "state", "value", *names, "time"]
    numbers = {2, len(columns) - 1} | numeric
    return tag("div", table(columns, rows, numbers=numbers), class_="card")


def _text(value):
    return number(value) if is_number(value) else "–" if value is None else str(value)
