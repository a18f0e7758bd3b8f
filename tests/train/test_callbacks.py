"""The callbacks: what each does to a run, and what it leaves behind."""

import copy
import csv
import io
import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from runs import bits, blobs, classifier, fit, loader, outcome

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from tinygrad_lessons.train import (
    EMA,
    SWA,
    Callback,
    CSVLogger,
    EarlyStopping,
    GradientAccumulation,
    GradientClipping,
    GradientStats,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Progress,
    StepBudget,
    TensorBoardLogger,
    TimeBudget,
    Trainer,
)


def values(model):
    return [p.detach().numpy().copy() for p in model.parameters()]


class Watch(Callback):
    """Calls a function after each step, or at another hook."""

    def __init__(self, function, hook="on_step_end"):
        self.function = function
        self.hook = hook

    def on_step_end(self, trainer):
        if self.hook == "on_step_end":
            self.function(trainer)

    def on_backward_end(self, trainer):
        if self.hook == "on_backward_end":
            self.function(trainer)


# ---- gradients ----


@pytest.mark.parametrize("rule", [optim.SGD, lambda p, lr: optim.SAM(optim.SGD(p, lr=lr))])
def test_accumulated_gradient_is_that_of_all_samples(rule):
    """70 samples in batches of 16: steps of 32, 32 and 6."""

    def run(callbacks, batch_size):
        tg.manual_seed(0)
        model = nn.Linear(2, 3)
        trainer = Trainer(model, nn.CrossEntropyLoss(), rule(model.parameters(), lr=0.5),
                          callbacks=callbacks, metrics=["accuracy"])  # fmt: skip
        history = trainer.fit(loader(batch_size=batch_size), epochs=3)
        return trainer.step, history, values(model)

    steps, history, got = run([GradientAccumulation(2)], 16)
    expected_steps, expected_history, expected = run([], 32)
    assert steps == expected_steps == 9
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for a, b in zip(history, expected_history, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-5)
        assert a["train_accuracy"] == b["train_accuracy"]


def test_accumulation_ends_with_the_fit():
    trainer = classifier(callbacks=[GradientAccumulation(3)])
    fit(trainer, 1)
    assert trainer.accumulate == 1 and trainer.step == 2


@pytest.mark.parametrize(
    ("arguments", "measure"),
    [
        ({"norm": 0.01}, lambda grads: math.sqrt(sum((g**2).sum() for g in grads))),
        ({"norm": 0.01, "norm_type": math.inf}, lambda grads: max(abs(g).max() for g in grads)),
        ({"value": 0.01}, lambda grads: max(abs(g).max() for g in grads)),
    ],
)
def test_clipping(arguments, measure):
    seen = []

    def note(trainer):
        grads = [p.grad.numpy().astype(float) for p in trainer.model.parameters()]
        seen.append(measure(grads))

    trainer = classifier(callbacks=[GradientClipping(**arguments), Watch(note, "on_backward_end")])
    fit(trainer, 1)
    assert len(seen) == 5 and all(s == pytest.approx(0.01, rel=1e-3) for s in seen)


def test_adaptive_clipping_is_that_of_nn_utils():
    seen = []

    def note(trainer):
        before = copy.deepcopy(trainer.model)
        for a, b in zip(before.parameters(), trainer.model.parameters(), strict=True):
            a.grad = b.grad.clone()
        seen.append(before)

    def compare(trainer):
        nn.utils.clip_grad_adaptive_(list(seen[-1].parameters()), 0.01)
        for a, b in zip(seen[-1].parameters(), trainer.model.parameters(), strict=True):
            assert a.grad.tolist() == b.grad.tolist()

    callbacks = [Watch(note, "on_backward_end"), GradientClipping(adaptive=0.01)]
    fit(classifier(callbacks=[*callbacks, Watch(compare, "on_backward_end")]), 1)
    assert len(seen) == 5


def test_gradient_stats_against_numpy(tmp_path):
    stats = GradientStats(tmp_path / "gradients.jsonl", every=2, bins=5)
    measured = []

    def before(trainer):
        measured.append(
            {
                name: (p.detach().numpy().copy(), p.grad.numpy().copy())
                for name, p in trainer.model.named_parameters()
            }
        )

    weights = []

    def after(trainer):
        named = trainer.model.named_parameters()
        weights.append({name: p.detach().numpy().copy() for name, p in named})

    trainer = classifier(callbacks=[stats, Watch(before, "on_backward_end"), Watch(after)])
    fit(trainer, 2)
    assert len(measured) == 10
    lines = [json.loads(line) for line in (tmp_path / "gradients.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2] and stats.records == []
    # steps 1 (the first of the epoch), 2 and 4; then 6, 8 and 10
    for line, steps in zip(lines, ([0, 1, 3], [5, 7, 9]), strict=True):
        for name, found in line["parameters"].items():
            pairs = [measured[i][name] for i in steps]
            norms = [np.linalg.norm(w.astype(float)) for w, _ in pairs]
            moves = [
                np.linalg.norm(weights[i][name].astype(float) - measured[i][name][0]) for i in steps
            ]
            assert found["weight_norm"] == pytest.approx(np.mean(norms), rel=1e-5)
            assert found["grad_norm"] == pytest.approx(
                np.mean([np.linalg.norm(g.astype(float)) for _, g in pairs]), rel=1e-5
            )
            ratio = np.mean([m / n if n else 0 for m, n in zip(moves, norms, strict=True)])
            assert found["update_ratio"] == pytest.approx(ratio, rel=1e-3)
            for kind, array in zip(("weight", "gradient"), pairs[-1], strict=True):
                counts, edges = np.histogram(array.astype(float), bins=5)
                assert found[kind] == {"edges": edges.tolist(), "counts": counts.tolist()}
            vector = pairs[0][0].ndim == 1
            assert (found["dead_units"] is None) == vector


def test_gradient_stats_go_on(tmp_path):
    def run(folder, stats, *more, **arguments):
        callbacks = [stats, *more, ModelCheckpoint(folder / "checkpoints")]
        fit(classifier(callbacks=callbacks), 3, **arguments)
        return stats.records

    whole = run(tmp_path / "whole", GradientStats(every=2))
    run(tmp_path / "part", GradientStats(every=2), StepBudget(7))
    again = run(tmp_path / "part", GradientStats(every=2), resume=tmp_path / "part")
    assert again == whole and len(whole) == 3

    def file(name):
        return tmp_path / name / "gradients.jsonl"

    run(tmp_path / "a", GradientStats(file("a"), every=2))
    run(tmp_path / "b", GradientStats(file("b"), every=2), StepBudget(12))
    run(tmp_path / "b", GradientStats(file("b"), every=2), resume=tmp_path / "b")
    assert file("a").read_text() == file("b").read_text() != ""


@pytest.mark.parametrize("cut", [7, 8, 12])
def test_gradient_stats_in_the_middle_of_an_epoch_go_on(cut, tmp_path):
    """The sums of the epoch under way are those of the steps before the stop, too."""

    def run(folder, *more, **arguments):
        stats = GradientStats(folder / "gradients.jsonl", every=1)
        checkpoints = ModelCheckpoint(folder / "checkpoints")
        fit(classifier(callbacks=[stats, *more, checkpoints]), 3, **arguments)
        return (folder / "gradients.jsonl").read_text()

    run(tmp_path / "part", StepBudget(cut))
    assert run(tmp_path / "part", resume=tmp_path / "part") == run(tmp_path / "whole")


RULES_OF_CLOSURES = {
    "sam": lambda p: optim.SAM(optim.SGD(p, lr=0.25), rho=1.0),
    "lbfgs": lambda p: optim.LBFGS(p, lr=0.25, max_iter=4),
}


@pytest.mark.parametrize("rule", RULES_OF_CLOSURES)
def test_gradient_stats_are_of_the_place_that_a_step_begins_at(rule):
    model, stats = nn.Linear(1, 1, bias=False), GradientStats(every=1)
    nn.init.constant_(model.weight, 2.0)
    rule = RULES_OF_CLOSURES[rule](model.parameters())
    trainer = Trainer(model, nn.MSELoss(), rule, callbacks=[stats])
    trainer.fit([(tg.ones(2, 1), tg.zeros(2, 1))], epochs=1)
    found = stats.records[0]["parameters"]["weight"]
    assert (found["weight_norm"], found["grad_norm"]) == (2.0, 4.0)
    moved = abs(model.weight.item() - 2.0) / 2.0
    assert moved > 0 and found["update_ratio"] == pytest.approx(moved, rel=1e-6)


def test_dead_units():
    """Units with a bias far below zero never fire behind a ReLU."""
    trainer = classifier(callbacks=[GradientStats(every=1)])
    norm = trainer.model[2]
    with tg.no_grad():
        norm.bias[:3] = -100.0
    fit(trainer, 1)
    (record,) = trainer.callbacks[0].records
    # the next layer's weights see none of those units, but each of its own gets a gradient
    assert record["parameters"]["1.weight"]["dead_units"] == 3 / 8
    assert record["parameters"]["5.weight"]["dead_units"] == 0


def test_watch_stops_before_the_weights_are_spoilt():
    def spoil(trainer):
        if trainer.step == 6:
            trainer.model[5].weight.grad[0, 1] = math.inf

    trainer = classifier(callbacks=[Watch(spoil, "on_backward_end"), GradientStats()])
    with pytest.raises(
        FloatingPointError,
        match="epoch 2, step 7: the gradient of '5.weight' is not finite .1 of 24 elements.",
    ):
        fit(trainer)
    assert all(np.isfinite(value).all() for value in values(trainer.model))
    trainer = classifier(callbacks=[Watch(spoil, "on_backward_end"), GradientStats(watch=False)])
    with pytest.raises(FloatingPointError, match="step 8: .*the weight '5.weight'"):
        fit(trainer)


def test_large_gradients_are_finite():
    """Their norm overflows, they do not."""

    def enlarge(trainer):
        for p in trainer.model.parameters():
            p.grad.fill_(1e30)

    sgd = lambda p, lr: optim.SGD(p, lr=0.0)  # noqa: E731
    trainer = classifier(
        callbacks=[Watch(enlarge, "on_backward_end"), GradientStats()], optimizer=sgd
    )
    fit(trainer, 1)
    assert trainer.step == 5


# ---- averages ----


def test_ema_is_what_is_validated_and_left():
    steps, losses = [], []

    def keep(trainer):
        steps.append(copy.deepcopy(trainer.model))

    trainer = classifier(callbacks=[EMA(0.8), Watch(keep), EarlyStopping("train_loss", patience=9, restore_best=False)])  # fmt: skip
    history = fit(trainer, 2)
    ema = AveragedModel(steps[0], multi_avg_fn=get_ema_multi_avg_fn(0.8), use_buffers=True)
    for i, model in enumerate(steps, 1):
        ema.update_parameters(model)
        if i % 5 == 0:
            found = Trainer(ema.module, trainer.loss, trainer.optimizer).evaluate(loader(1))
            losses.append(found["loss"])
    assert [record["val_loss"] for record in history] == losses
    left, expected = trainer.model.state_dict(), ema.module.state_dict()
    assert {k: v.tolist() for k, v in left.items()} == {k: v.tolist() for k, v in expected.items()}


def test_ema_does_not_change_training():
    plain, averaged = classifier(), classifier(callbacks=[EMA(0.9)])
    seen = {id(plain): [], id(averaged): []}
    for trainer in (plain, averaged):
        tg.manual_seed(1)
        fit(trainer, 3)
        seen[id(trainer)] = [record["train_loss"] for record in trainer.history]
    assert seen[id(plain)] == seen[id(averaged)]


def test_early_stopping_keeps_the_average_of_the_best_epoch():
    stopper = EarlyStopping("val_loss", min_delta=1e9)
    trainer = classifier(callbacks=[stopper, EMA(0.8)])
    history = fit(trainer, 3)
    assert trainer.evaluate(loader(1))["loss"] == history[0]["val_loss"]


def test_swa_is_the_mean_of_the_epochs():
    ends = []

    class Keep(Callback):
        def on_epoch_end(self, trainer):
            ends.append(values(trainer.model))

    trainer = classifier(callbacks=[SWA(start=2), Keep()])
    fit(trainer, 4)
    for mean, *epochs in zip(values(trainer.model), *ends[1:], strict=True):
        np.testing.assert_allclose(mean, np.mean(epochs, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_swa_computes_statistics_of_what_it_was_trained_on(scale):
    """Those of the mean's own activations, of batches as `batch_transform` gives them."""

    def half(x, y):
        return x * scale, y

    data = list(loader(0))
    trainer = classifier(callbacks=[SWA(start=1)], batch_transform=half)
    trainer.fit(data, epochs=2)
    twin = copy.deepcopy(trainer.model)
    update_bn([half(*batch) for batch in data], twin)
    found, expected = trainer.model.state_dict(), twin.state_dict()
    assert bits(found) == bits(expected)
    linear = trainer.model[1]
    means = [(x * scale @ linear.weight.T + linear.bias).detach().numpy().mean(0) for x, _ in data]
    np.testing.assert_allclose(found["2.running_mean"].numpy(), np.mean(means, 0), rtol=1e-4)


def plain_sgd(averaging, *more, **arguments):
    """The weight after epochs that each halve it, from 4: 2, 1, 0.5, …"""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 4.0)
    sgd = optim.SGD(model.parameters(), lr=0.25)
    trainer = Trainer(model, nn.MSELoss(), sgd, callbacks=[averaging, *more])
    trainer.fit([(tg.ones(2, 1), tg.zeros(2, 1))], **arguments)
    return trainer


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("average", [SWA(start=2), EMA(0.5)], ids=["swa", "ema"])
def test_early_stopping_leaves_the_average(average, validated):
    data = [(tg.ones(2, 1), tg.zeros(2, 1))] if validated else None
    monitor = "val_loss" if validated else "train_loss"
    alone = plain_sgd(copy.deepcopy(average), epochs=3).model.weight.item()
    stopper = EarlyStopping(monitor, restore_best=True)
    both = plain_sgd(copy.deepcopy(average), stopper, val=data, epochs=3)
    assert stopper.best_epoch == 3 and both.averaged
    # the mean of 1 and 0.5; the averages 2, 1.5, 1
    assert both.model.weight.item() == alone == (0.75 if isinstance(average, SWA) else 1.0)
    again = plain_sgd(copy.deepcopy(average), stopper, val=data, epochs=0)
    assert again.model.weight.item() == 4.0 and not again.averaged


@pytest.mark.parametrize("average", [EMA(0.8), SWA(start=1)], ids=["ema", "swa"])
def test_a_state_taken_after_the_fit_goes_on_from_the_weights_in_training(average):
    def trainer():
        return classifier(callbacks=[copy.deepcopy(average)])

    whole = trainer()
    fit(whole, 4)
    first = trainer()
    fit(first, 2)
    state = first.state_dict()
    more = trainer()
    more.load_state_dict(state)
    fit(more, 4)
    for part in ("history", "optimizer", "model"):
        assert outcome(more)[part] == outcome(whole)[part], part


@pytest.mark.parametrize("average", [EMA(0.8), SWA(start=2)], ids=["ema", "swa"])
def test_averages_go_on(average, tmp_path):
    def trainer(*more):
        callbacks = [EarlyStopping(patience=9), copy.deepcopy(average), *more]
        return classifier(callbacks=[*callbacks, ModelCheckpoint(tmp_path / "c")])

    whole = classifier(callbacks=[EarlyStopping(patience=9), copy.deepcopy(average)])
    fit(whole, 4)
    fit(trainer(StepBudget(13)), 4)
    resumed = trainer()
    fit(resumed, 4, resume=tmp_path / "c")
    for part in ("model", "optimizer", "history", "rng"):
        assert outcome(resumed)[part] == outcome(whole)[part], part


# ---- budgets ----


def test_step_budget():
    trainer = classifier(callbacks=[StepBudget(7)])
    assert len(fit(trainer, 10)) == 1
    assert (trainer.step, trainer.stopped_by) == (7, "step budget")


def test_time_budget_counts_what_was_spent_before(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def tick(trainer):
        clock[0] += 1.0

    trainer = classifier(callbacks=[Watch(tick), TimeBudget(12)])
    fit(trainer, 10)
    assert (trainer.step, trainer.stopped_by) == (12, "time budget")
    more = classifier(callbacks=[Watch(tick), TimeBudget(14)])
    more.load_state_dict(trainer.state_dict())
    fit(more, 10)
    assert more.step == 14
    spent = classifier(callbacks=[TimeBudget(14)])
    spent.load_state_dict(more.state_dict())
    fit(spent, 10)
    assert (spent.step, spent.stopped_by) == (14, "time budget")


# ---- logs ----


def test_logs_of_epochs(tmp_path):
    callbacks = [JSONLLogger(tmp_path / "m.jsonl"), CSVLogger(tmp_path / "m.csv")]
    trainer = classifier(callbacks=callbacks, metrics={"acc": tg_accuracy})
    history = fit(trainer, 3)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history
    with (tmp_path / "m.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == history


def tg_accuracy(output, target):
    return (output.argmax(1) == target).float().mean().item()


def test_what_is_not_finite_is_null(tmp_path):
    callbacks = [JSONLLogger(tmp_path / "m.jsonl"), CSVLogger(tmp_path / "m.csv")]
    trainer = classifier(callbacks=callbacks, metrics={"odd": lambda o, t: math.nan})
    fit(trainer, 1)
    record = json.loads((tmp_path / "m.jsonl").read_text(), parse_constant=pytest.fail)
    assert record["train_odd"] is None
    with (tmp_path / "m.csv").open() as file:
        assert next(csv.DictReader(file))["train_odd"] == ""


def test_steps_hold_what_was_used(tmp_path):
    """One-cycle moves learning rate and momentum behind each step."""

    def one_cycle(optimizer):
        return optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)

    rule = lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9)  # noqa: E731
    used = []

    def note(trainer):
        group = trainer.optimizer.param_groups[0]
        used.append((group["lr"], group["momentum"]))

    trainer = classifier(
        optimizer=rule,
        scheduler=one_cycle,
        scheduler_interval="step",
        callbacks=[LRMonitor(tmp_path / "s.jsonl"), Watch(note, "on_backward_end")],
    )
    history = fit(trainer, 2)
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [(line["lr"], line["momentum"]) for line in lines] == used
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert [line["epoch"] for line in lines] == [1] * 5 + [2] * 5
    mean = np.average([line["loss"] for line in lines[:5]], weights=[16, 16, 16, 16, 6])
    assert mean == pytest.approx(history[0]["train_loss"])


def test_lr_monitor_of_numbers_of_numpy(tmp_path):
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=np.float32(0.5), momentum=np.float32(0.25))
    trainer = Trainer(model, nn.MSELoss(), optimizer, callbacks=[LRMonitor(tmp_path / "s.jsonl")])
    trainer.fit([(tg.ones(1, 1), tg.zeros(1, 1))], epochs=1)
    (line,) = map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines())
    assert (line["lr"], line["momentum"]) == (0.5, 0.25)


def test_steps_of_several_groups(tmp_path):
    model = nn.Linear(2, 3)
    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias]}]
    adam = optim.Adam(groups, lr=0.01, betas=(0.8, 0.99))
    monitor = LRMonitor(tmp_path / "s.jsonl", every=2)
    Trainer(model, nn.CrossEntropyLoss(), adam, callbacks=[monitor]).fit(loader(), epochs=1)
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert (lines[0]["lr"], lines[0]["momentum"]) == ([0.1, 0.01], [0.8, 0.8])


def test_a_log_that_is_too_short_is_noticed(tmp_path):
    def trainer():
        return classifier(
            callbacks=[LRMonitor(tmp_path / "s.jsonl"), ModelCheckpoint(tmp_path / "c")]
        )

    fit(trainer(), 1)
    (tmp_path / "s.jsonl").write_text("")
    with pytest.warns(UserWarning, match="has 0 bytes, but had .* lines are missing"):
        fit(trainer(), 2, resume=tmp_path / "c")


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def trainer(*more):
        return classifier(callbacks=[TensorBoardLogger(tmp_path / "tb"), *more])

    first = trainer()
    fit(first, 2)
    resumed = trainer()
    state = first.state_dict()
    resumed.load_state_dict(state)
    fit(resumed, 3)
    events = EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    losses = events.Scalars("epoch/val_loss")
    assert [event.step for event in losses] == [5, 10, 15]
    assert [event.value for event in losses] == pytest.approx(
        [record["val_loss"] for record in resumed.history]
    )
    assert [event.step for event in events.Scalars("step/loss")] == list(range(1, 16))
    assert events.Scalars("step/lr")[3].value == pytest.approx(0.1)


def test_without_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinygrad_lessons\[log\]'"):
        TensorBoardLogger("unused")


# ---- progress ----


def test_lines_where_there_is_no_terminal(capsys):
    trainer = classifier(callbacks=[Progress()], metrics=["accuracy", "confusion"])
    history = fit(trainer, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line, record in zip(lines, history, strict=True):
        assert line == (
            f"epoch   {record['epoch']}/2: loss {record['train_loss']:.4f}, "
            f"val loss {record['val_loss']:.4f}, val accuracy {100 * record['val_accuracy']:.1f} %"
        )


def test_bar_counts_steps_and_goes_on(tmp_path):
    file = io.StringIO()
    callbacks = [Progress("bar", file), ModelCheckpoint(tmp_path), StepBudget(5)]
    fit(classifier(callbacks=callbacks), 2)
    assert "5/10" in file.getvalue() and "epoch 1/2" in file.getvalue()
    file = io.StringIO()
    callbacks = [Progress("bar", file), ModelCheckpoint(tmp_path)]
    fit(classifier(callbacks=callbacks), 2, resume=tmp_path)
    assert "10/10" in file.getvalue() and "0/10" not in file.getvalue().replace("10/10", "")


def test_bar_in_a_notebook(monkeypatch):
    made = []

    class Bar:
        def __init__(self, **options):
            made.append(options)
            self.steps = 0

        def update(self):
            made.append("step")

        def set_description(self, text, refresh):
            made.append(text)

        def set_postfix_str(self, text):
            made.append(text)

        def close(self):
            made.append("closed")

    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr("tinygrad_lessons.train.callbacks.progress.find_spec", lambda name: name)
    fit(classifier(callbacks=[Progress()]), 1)
    assert made[0]["total"] == 5 and made.count("step") == 5 and made[-1] == "closed"
    assert "epoch 1/1" in made and made[-2].startswith("loss ")


def test_bar_of_a_loader_without_length():
    class Stream:
        def __iter__(self):
            return iter(loader())

    file = io.StringIO()
    classifier(callbacks=[Progress("bar", file)]).fit(Stream(), epochs=1)
    assert "5step" in file.getvalue()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientAccumulation(0), "GradientAccumulation: got 0"),
        (lambda: GradientClipping(), "expected one of them"),
        (lambda: GradientClipping(1.0, value=1.0), "expected one of them"),
        (lambda: GradientClipping(-1.0), "above 0"),
        (lambda: GradientStats(every=0), "GradientStats: got every=0"),
        (lambda: GradientStats(bins=0), "GradientStats: got bins=0"),
        (lambda: LRMonitor("x", every=0), "LRMonitor: got every=0"),
        (lambda: EMA(1.5), "EMA: got decay 1.5"),
        (lambda: EMA(every=0), "EMA: got every=0"),
        (lambda: SWA(0), "SWA: got start=0"),
        (lambda: TimeBudget(0), "TimeBudget: got 0"),
        (lambda: StepBudget(0), "StepBudget: got 0"),
        (lambda: Progress("line"), "Progress: got style 'line'"),
        (lambda: ModelCheckpoint("x", every_steps=0), "got every_steps=0"),
        (lambda: ModelCheckpoint("x", keep_last=0), "got keep_last=0"),
        (lambda: ModelCheckpoint("x", mode="low"), "got mode 'low'"),
    ],
)
def test_misuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_blobs_are_what_they_were():
    """The tests above rest on batches of 16, 16, 16, 16 and 6."""
    assert [len(y) for _, y in loader()] == [16, 16, 16, 16, 6] and len(blobs()) == 70
