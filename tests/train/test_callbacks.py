"""The callbacks: what each does to a run, and what it leaves behind."""

import copy
import json
import math

import numpy as np
import pytest
from runs import Watch, blobs, classifier, fit, loader, values

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import (
    EMA,
    SWA,
    GradientAccumulation,
    GradientClipping,
    GradientStats,
    LRMonitor,
    ModelCheckpoint,
    Progress,
    StepBudget,
    TimeBudget,
    Trainer,
)

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

    trainer = classifier(lr=0.0, callbacks=[Watch(enlarge, "on_backward_end"), GradientStats()])
    fit(trainer, 1)
    assert trainer.step == 5


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


# ---- misuse ----


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
    """The tests of training rest on batches of 16, 16, 16, 16 and 6."""
    assert [len(y) for _, y in loader()] == [16, 16, 16, 16, 6] and len(blobs()) == 70
