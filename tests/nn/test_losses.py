"""Losses by hand, their errors and their buffers; against torch they stand in test_losses_torch.py."""

import numpy as np
import pytest
import scipy.special

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn import functional as F


def test_kl_div_of_impossible_outcomes_and_its_mean():
    target = np.array([[0.0, 1.0], [0.5, 0.5]])
    x = np.log([[0.3, 0.7], [0.2, 0.8]])
    with pytest.warns(UserWarning, match="'batchmean' is the divergence"):
        mean = F.kl_div(tg.tensor(x), tg.tensor(target))
    assert mean.item() == pytest.approx(np.sum(scipy.special.rel_entr(target, np.exp(x))) / 4)


def test_gaussian_nll_of_one_variance():
    x, y = np.array([0.5, 2.0]), np.array([1.0, 1.0])
    ours = F.gaussian_nll_loss(tg.tensor(x), tg.tensor(y), 2.0).item()
    assert ours == pytest.approx(np.mean(0.5 * (np.log(2.0) + (x - y) ** 2 / 2)))


def test_cross_entropy_when_all_is_ignored():
    loss = F.cross_entropy(tg.zeros(2, 3), tg.tensor([-100, -100]))
    assert np.isnan(loss.item())
    total = F.cross_entropy(tg.zeros(2, 3), tg.tensor([-100, -100]), reduction="sum")
    assert total.item() == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, i: F.cross_entropy(x, tg.zeros(3)), RuntimeError, "class probabilities"),
        (lambda x, i: F.cross_entropy(x, tg.zeros(3, 5)), RuntimeError, r"\(3, 4\), got \(3, 5\)"),
        (
            lambda x, i: F.cross_entropy(x, tg.zeros(3, 4), ignore_index=1),
            RuntimeError,
            "ignore_index is not supported",
        ),
        (
            lambda x, i: F.cross_entropy(x, tg.zeros(3, 4), label_smoothing=2.0),
            RuntimeError,
            "label_smoothing must be between 0.0 and 1.0. Got: 2.0",
        ),
        (lambda x, i: F.cross_entropy(x, [0, 1, 2]), TypeError, "must be a tensor, got list"),
        (lambda x, i: F.cross_entropy(x, i, label_smoothing=-1.0), RuntimeError, "label_smoothing"),
        (lambda x, i: F.cross_entropy(x, i, reduction="max"), ValueError, "max"),
        (lambda x, i: F.cross_entropy(x, x, reduction="max"), ValueError, "'max' is not a valid"),
        (lambda x, i: F.cross_entropy(x, tg.tensor([0, 1, 4])), IndexError, "4"),
        (lambda x, i: F.cross_entropy(x, tg.tensor([0, 1, -1])), IndexError, "-1"),
        (lambda x, i: F.cross_entropy(x, tg.tensor([0, 1])), (ValueError, RuntimeError), "2"),
        (lambda x, i: F.cross_entropy(x, i, tg.ones(3)), RuntimeError, "weight"),
        (lambda x, i: F.nll_loss(x, i, reduction="max"), ValueError, "max"),
        (lambda x, i: F.nll_loss(x, tg.tensor([0, 1, 4])), IndexError, "4"),
        (lambda x, i: F.mse_loss(x, x, reduction="max"), ValueError, "'max' is not a valid"),
        (lambda x, i: F.l1_loss(x, x, reduction="max"), ValueError, "'max' is not a valid"),
        (lambda x, i: F.huber_loss(x, x, delta=0.0), RuntimeError, "non-positive values for delta"),
        (
            lambda x, i: F.huber_loss(x, x, weight=tg.ones(4)),
            ValueError,
            r"same size, got \(4,\) and \(3, 4\)",
        ),
        (
            lambda x, i: F.mse_loss(x, x, weight=tg.ones(4)),
            ValueError,
            "mse_loss: Weights and input",
        ),
        (lambda x, i: F.mse_loss(x, x, weight=x, reduction="max"), ValueError, "'max' is not"),
        (lambda x, i: F.smooth_l1_loss(x, x, beta=-1.0), RuntimeError, "negative values for beta"),
        (
            lambda x, i: F.binary_cross_entropy(x, tg.zeros(3)),
            ValueError,
            "different to the input size",
        ),
        (lambda x, i: F.binary_cross_entropy(x + 1.5, x), RuntimeError, "between 0 and 1"),
        (lambda x, i: F.binary_cross_entropy(x / 0, x), RuntimeError, "between 0 and 1"),
        (lambda x, i: F.gaussian_nll_loss(x, x, x - 1), ValueError, "negative entry"),
        (lambda x, i: F.gaussian_nll_loss(x, x, tg.ones(2)), ValueError, "incorrect size"),
        (lambda x, i: F.gaussian_nll_loss(x, x, tg.ones(1, 1)), ValueError, "incorrect size"),
        (lambda x, i: F.kl_div(x, x, reduction="max"), ValueError, "'max' is not a valid"),
        (
            lambda x, i: F.binary_cross_entropy_with_logits(x, tg.zeros(3)),
            ValueError,
            r"Target size \(torch.Size\(\[3\]\)\) must be the same as input size",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(tg.zeros(3, 4), tg.tensor([0, 1, 2]))


def test_deprecated_options_are_refused():
    with pytest.raises(TypeError, match="size_average"):
        nn.MSELoss(size_average=False)
    with pytest.raises(TypeError):
        nn.CrossEntropyLoss(None, False)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CrossEntropyLoss", {}),
        ("NLLLoss", {}),
        ("BCELoss", {}),
        ("BCEWithLogitsLoss", {"pos_weight": True}),
    ],
)
def test_weights_are_buffers(name, options):
    options = {key: tg.ones(3) for key in options}
    loss = getattr(nn, name)(tg.tensor([1.0, 2.0, 3.0]), **options)
    assert list(loss.state_dict()) == ["weight", *options]
    assert loss.double().weight.dtype == tg.float64
    assert list(getattr(nn, name)().state_dict()) == []
