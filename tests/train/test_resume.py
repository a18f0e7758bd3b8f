"""Stop and go on: interrupted runs end with the bits of those that were not."""

import pytest
from runs import Shuffled, StopAt, assert_goes_on, classifier, fit, loader, outcome, without_times

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons.train import (
    EarlyStopping,
    ModelCheckpoint,
)


def cosine(optimizer):
    return optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=20)


RULES = {
    "sgd": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "adam": optim.Adam,
    "lbfgs": lambda p, lr: optim.LBFGS(p, lr=lr, max_iter=3),
    "sam": lambda p, lr: optim.SAM(optim.AdamW(p, lr=lr)),
    "lookahead": lambda p, lr: optim.Lookahead(optim.SGD(p, lr=lr, momentum=0.9), k=3),
    "free": optim.AdamWScheduleFree,
    "adafactor": lambda p, lr: optim.Adafactor(p, lr=lr),
    "asgd": optim.ASGD,
    "rprop": optim.Rprop,
    "clipped": lambda p, lr: optim.Lion([{"params": list(p), "max_grad_norm": 0.5}], lr=lr / 10),
}
SCHEDULES = {
    "one cycle": (cosine, "step"),
    "plateau": (lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0), "epoch"),
    "multi": (lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 3]), "epoch"),
    "sequence": (
        lambda o: optim.lr_scheduler.SequentialLR(
            o,
            [
                optim.lr_scheduler.ConstantLR(o, 0.5, 2),
                optim.lr_scheduler.ExponentialLR(o, 0.9),
            ],
            [2],
        ),
        "epoch",
    ),
    "cyclic": (
        lambda o: optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
        "step",
    ),
    "warm-up": (
        lambda o: optim.lr_scheduler.WarmupLR(optim.lr_scheduler.CosineAnnealingLR(o, 10), 3),
        "step",
    ),
    "lambda": (lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 0.9**t), "epoch"),
}


@pytest.mark.parametrize("stop_at", [1, 4, 5, 12, 15, 19])
def test_resumed_run_ends_with_the_same_bits(stop_at, tmp_path):
    assert_goes_on(tmp_path, stop_at)


@pytest.mark.parametrize("rule", RULES)
def test_every_kind_of_rule_goes_on(rule, tmp_path):
    assert_goes_on(tmp_path, 7, optimizer=RULES[rule], lr=0.05)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_kind_of_schedule_goes_on(name, tmp_path):
    schedule, interval = SCHEDULES[name]
    assert_goes_on(tmp_path, 7, scheduler=schedule, scheduler_interval=interval)


def test_the_test_notices_what_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_lessons.train.trainer.set_rng_states", lambda states: None)
    with pytest.raises(AssertionError):
        assert_goes_on(tmp_path, 7)


@pytest.mark.parametrize("stop_at", [7, 10])
def test_any_iterable_goes_on(stop_at, tmp_path):
    assert_goes_on(tmp_path, stop_at, data=Shuffled)


def generated(seed, shuffle=False):
    """A loader with a generator of its own."""
    return loader(seed, shuffle=True, generator=tg.Generator().manual_seed(seed + 5))


@pytest.mark.parametrize("stop_at", [7, 10])
def test_loaders_with_a_generator_go_on(stop_at, tmp_path):
    assert_goes_on(tmp_path, stop_at, data=generated)


def test_augmentation_goes_on(tmp_path):
    def noisy(x, y):
        return x + 0.1 * tg.randn(len(x), 2), y

    assert_goes_on(tmp_path, 8, batch_transform=noisy)


def test_stopped_early_stays_stopped(tmp_path):
    def trainer():
        stopper = EarlyStopping("val_loss", patience=2, min_delta=1e9)
        return classifier(callbacks=[stopper, ModelCheckpoint(tmp_path / "c")])

    first, again = trainer(), trainer()
    fit(first, 10)
    history = fit(again, 10, resume=tmp_path / "c")
    assert history == first.history and len(history) == 3
    assert again.stopped_by == "early stopping"
    assert outcome(again)["model"] == outcome(first)["model"]


def test_more_epochs_after_the_end(tmp_path):
    whole, part = classifier(), classifier(callbacks=[ModelCheckpoint(tmp_path / "c")])
    fit(whole, 4)
    part = classifier(callbacks=[ModelCheckpoint(tmp_path / "c")])
    fit(part, 2)
    more = classifier(seed=5)
    with pytest.warns(UserWarning, match="does not have: ModelCheckpoint"):
        fit(more, 4, resume=tmp_path / "c")
    assert outcome(more)["model"] == outcome(whole)["model"]
    assert without_times(more.history) == without_times(whole.history)
    again = classifier(callbacks=[ModelCheckpoint(tmp_path / "c")])
    with pytest.raises(ValueError, match="in epoch 2: epochs are counted"):
        fit(again, 1, resume=tmp_path / "c")


def test_state_dict_goes_on_without_a_file():
    whole, part = classifier(), None
    fit(whole, 4)
    part = classifier(callbacks=[StopAt(8)])
    fit(part, 4)
    state = part.state_dict()
    more = classifier(seed=5)
    more.load_state_dict(state)
    fit(more, 4)
    assert outcome(more)["model"] == outcome(whole)["model"]
