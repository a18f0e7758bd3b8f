"""Losses against torch's, over their options."""

import numpy as np
import pytest
import scipy.special

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


def test_kl_div_of_impossible_outcomes_and_its_mean():
    target = np.array([[0.0, 1.0], [0.5, 0.5]])
    x = np.log([[0.3, 0.7], [0.2, 0.8]])
    with pytest.warns(UserWarning, match="'batchmean' is the divergence"):
        mean = F.kl_div(tg.tensor(x), tg.tensor(target))
    assert mean.item() == pytest.approx(np.sum(scipy.special.rel_entr(target, np.exp(x))) / 4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (3,), (3, 1), (1, 4)])
def test_gaussian_nll(assert_parity, rng, reduction, full, shape):
    var = rng.uniform(0.1, 2, size=shape)
    var.flat[0] = 1e-9  # below eps
    options = {"reduction": reduction, "full": full, "eps": 1e-3}
    loss = both("GaussianNLLLoss", **options)
    assert_parity(*loss, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), var)


def test_gaussian_nll_of_one_variance():
    x, y = np.array([0.5, 2.0]), np.array([1.0, 1.0])
    ours = F.gaussian_nll_loss(tg.tensor(x), tg.tensor(y), 2.0).item()
    assert ours == pytest.approx(np.mean(0.5 * (np.log(2.0) + (x - y) ** 2 / 2)))


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
