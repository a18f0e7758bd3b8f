"""Averages of weights in training: EMA, SWA, and early stopping beside them."""

import copy

import numpy as np
import pytest
from runs import Watch, bits, classifier, fit, loader, outcome, values

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from tinygrad_lessons.train import (
    EMA,
    SWA,
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    StepBudget,
    Trainer,
)


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
