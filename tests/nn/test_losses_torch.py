"""Losses against torch's, over their options."""

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional

REDUCTIONS = ["mean", "sum", "none"]


def both(name, *weights, **options):
    """Our loss module and torch's; the weights are arrays."""
    theirs = getattr(torch.nn, name)(*(torch.tensor(w) for w in weights), **options)
    return getattr(nn, name)(*(tg.tensor(w) for w in weights), **options), theirs


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MSELoss", {}),
        ("L1Loss", {}),
        ("HuberLoss", {}),
        ("HuberLoss", {"delta": 0.3}),
        ("SmoothL1Loss", {}),
        ("SmoothL1Loss", {"beta": 0.3}),
        ("SmoothL1Loss", {"beta": 0.0}),
    ],
)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (0, 2)])
def test_differences(assert_parity, rng, name, options, reduction, shape):
    x, y = rng.normal(size=shape), rng.normal(size=shape)
    if x.size > 1:
        x.flat[0] = y.flat[0]  # |0| has gradient 0
    assert_parity(*both(name, reduction=reduction, **options), x, y)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weighted_differences(assert_parity, rng, name, reduction):
    def loss(functional):
        return lambda x, y, w: getattr(functional, name)(x, y, reduction=reduction, weight=w)

    x, y, w = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.uniform(size=(3, 4))
    assert_parity(loss(F), loss(TF), x, y, w)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_bce(assert_parity, rng, reduction, weighted):
    weights = [rng.uniform(size=(5, 1))] if weighted else []
    x, y = rng.uniform(0.05, 0.95, size=(5, 4)), rng.uniform(size=(5, 4))
    assert_parity(*both("BCELoss", *weights, reduction=reduction), x, y)


def test_bce_at_the_ends():
    x, y = np.array([0.0, 1.0, 0.0, 1.0, 1e-30, 0.5]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.3])
    ours, theirs = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a = F.binary_cross_entropy(ours, tg.tensor(y), reduction="none")
    b = TF.binary_cross_entropy(theirs, torch.tensor(y), reduction="none")
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(
        ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-8
    )  # theirs has a float32 1e-12


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (5,)])
def test_kl_div(assert_parity, rng, reduction, log_target, shape):
    options = {"reduction": reduction, "log_target": log_target}
    x, y = -rng.uniform(0.1, 3, size=shape), rng.uniform(0.1, 1, size=shape)
    assert_parity(*both("KLDivLoss", **options), x, np.log(y) if log_target else y)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (3,), (3, 1), (1, 4)])
def test_gaussian_nll(assert_parity, rng, reduction, full, shape):
    var = rng.uniform(0.1, 2, size=shape)
    var.flat[0] = 1e-9  # below eps
    options = {"reduction": reduction, "full": full, "eps": 1e-3}
    loss = both("GaussianNLLLoss", **options)
    assert_parity(*loss, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), var)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("log_input", [False, True])
@pytest.mark.parametrize("full", [False, True])
def test_poisson_nll(assert_parity, rng, reduction, log_input, full):
    options = {"reduction": reduction, "log_input": log_input, "full": full}
    x, y = rng.uniform(0.2, 2, size=(3, 4)), rng.integers(0, 5, size=(3, 4)).astype(float)
    ours, theirs = both("PoissonNLLLoss", **options)
    assert_parity(
        lambda x: ours(x, tg.tensor(y)), lambda x: theirs(x, torch.tensor(y)), x, rtol=1e-10
    )


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_differences_warn_when_sizes_differ(assert_parity, rng, name):
    with pytest.warns(UserWarning, match=r"Using a target size \(torch.Size\(\[3, 1\]\)\)") as log:
        getattr(F, name)(tg.zeros(3), tg.zeros(3, 1))
    assert log[0].filename == __file__
    with pytest.warns(UserWarning):
        assert_parity(
            getattr(F, name), getattr(TF, name), rng.normal(size=3), rng.normal(size=(3, 1))
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 1])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (2, 4, 3), (2, 4, 3, 2)])
def test_cross_entropy_of_indices(
    assert_parity, rng, reduction, smoothing, weighted, ignore_index, shape
):
    target_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()
    target = np.asarray(rng.integers(0, 4, size=target_shape))
    if target.size > 1:
        target.flat[0], target.flat[1] = max(0, ignore_index), 2
    else:
        target = np.asarray(2)
    weights = [rng.uniform(0.5, 2.0, size=4)] if weighted else []
    ours, theirs = both(
        "CrossEntropyLoss",
        *weights,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=smoothing,
    )
    x = rng.normal(size=shape) * 3
    assert_parity(
        lambda x: ours(x, tg.tensor(target)), lambda x: theirs(x, torch.tensor(target)), x
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (2, 4, 3), (2, 4, 3, 2)])
def test_cross_entropy_of_probabilities(assert_parity, rng, reduction, smoothing, weighted, shape):
    weights = [rng.uniform(0.5, 2.0, size=4)] if weighted else []
    ours, theirs = both(
        "CrossEntropyLoss", *weights, reduction=reduction, label_smoothing=smoothing
    )
    assert_parity(ours, theirs, rng.normal(size=shape) * 3, rng.uniform(size=shape), rtol=1e-10)


def test_cross_entropy_of_huge_logits(assert_parity):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 3.0]])
    target = np.array([0, 0])
    assert_parity(
        lambda x: F.cross_entropy(x, tg.tensor(target)),
        lambda x: TF.cross_entropy(x, torch.tensor(target)),
        x,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 1])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (2, 4, 3)])
def test_nll_loss(assert_parity, rng, reduction, weighted, ignore_index, shape):
    target_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()
    target = np.asarray(rng.integers(0, 4, size=target_shape))
    target.flat[-1] = 3
    weights = [rng.uniform(0.5, 2.0, size=4)] if weighted else []
    ours, theirs = both("NLLLoss", *weights, ignore_index=ignore_index, reduction=reduction)
    assert_parity(
        lambda x: ours(x, tg.tensor(target)),
        lambda x: theirs(x, torch.tensor(target)),
        rng.normal(size=shape),
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_bce_with_logits(assert_parity, rng, reduction, weighted, positive):
    weight, pos_weight = rng.uniform(size=(5, 1)), rng.uniform(0.5, 3.0, size=4)

    def build(library):
        return library.nn.BCEWithLogitsLoss(
            weight=library.tensor(weight) if weighted else None,
            reduction=reduction,
            pos_weight=library.tensor(pos_weight) if positive else None,
        )

    x = rng.normal(size=(5, 4)) * 3
    x.flat[0] = 0.0  # where |x| has a kink, the loss has none
    assert_parity(build(tg), build(torch), x, rng.uniform(size=(5, 4)), rtol=1e-9)


def test_bce_with_logits_is_stable(assert_parity):
    x = np.array([-1e4, -40.0, -1e-9, 0.0, 1e-9, 40.0, 1e4])
    for target in (np.zeros(7), np.ones(7)):
        assert_parity(
            lambda x, y=target: F.binary_cross_entropy_with_logits(
                x, tg.tensor(y), reduction="none"
            ),
            lambda x, y=target: TF.binary_cross_entropy_with_logits(
                x, torch.tensor(y), reduction="none"
            ),
            x,
        )
