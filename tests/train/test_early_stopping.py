"""Early stopping without a trainer: when it stops, what it keeps."""

import math

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.train import EarlyStopping


def stops(values, monitor="val_loss", **arguments):
    """What `step` answers to a series of values, and the stopper."""
    model, stopper = nn.Linear(1, 1), EarlyStopping(monitor, **arguments)
    return [stopper.step({monitor: value}, model) for value in values], stopper


@pytest.mark.parametrize(
    ("values", "arguments", "best_epoch"),
    [
        ([3, 2, 2, 2], {"patience": 2}, 2),  # equal is no improvement
        ([3, 4, 2, 3, 3], {"patience": 2}, 3),  # an improvement starts the count anew
        ([1, 2], {"patience": 1}, 1),
        ([1.0, 0.95, 0.92], {"patience": 2, "min_delta": 0.1}, 1),
        ([1.0, 0.95, 0.85, 0.80, 0.80], {"patience": 2, "min_delta": 0.1}, 3),
        ([0.5, 0.7, 0.6, 0.7], {"patience": 2, "mode": "max"}, 2),
        ([2, math.nan, math.nan], {"patience": 2}, 1),
        ([math.nan, math.nan], {"patience": 2}, 0),
    ],
)
def test_early_stopping(values, arguments, best_epoch):
    answers, stopper = stops(values, **arguments)
    assert answers == [False] * (len(values) - 1) + [True]
    assert stopper.best_epoch == best_epoch
    assert best_epoch == 0 or stopper.best == values[best_epoch - 1]


def test_early_stopping_restores_the_best_weights():
    model, stopper = nn.BatchNorm1d(2), EarlyStopping("loss")
    for value, loss in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0)):
        with tg.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(-value)
        stopper.step({"loss": loss}, model)
    stopper.restore(model)
    assert model.weight.tolist() == [2, 2]
    assert model.running_mean.tolist() == [-2, -2]


def test_early_stopping_without_restore_best():
    model, stopper = nn.Linear(1, 1), EarlyStopping("loss", restore_best=False)
    stopper.step({"loss": 1.0}, model)
    with tg.no_grad():
        model.weight.fill_(7)
    stopper.restore(model)
    assert model.weight.item() == 7


@pytest.mark.parametrize(
    "arguments",
    [{"mode": "less"}, {"patience": 0}, {"min_delta": -0.1}, {"min_delta": math.nan}],
    ids=str,
)
def test_early_stopping_rejects(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"EarlyStopping: got {name}"):
        EarlyStopping(**arguments)


def test_early_stopping_without_its_metric():
    with pytest.raises(KeyError, match=r"no metric 'val_loss': expected one of \['loss'\]"):
        EarlyStopping().step({"loss": 1.0}, nn.Linear(1, 1))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, tg.tensor, int])
def test_numbers_of_any_kind(kind):
    stopper = EarlyStopping("val_loss")
    stopper.step({"val_loss": kind(3)}, nn.Linear(1, 1))
    assert stopper.best == 3.0 and type(stopper.best) is float
