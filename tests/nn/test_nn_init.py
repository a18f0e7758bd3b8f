"""nn.init: values, and distributions by their moments and Kolmogorov's distance."""

import math

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn import init

N = 40_000


@pytest.fixture(autouse=True)
def seed():
    tg.manual_seed(5)


def normal_cdf(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def distance(values, cdf):
    """Kolmogorov's distance times √n: above 2 with probability below 0.0007."""
    values = np.sort(np.asarray(values, dtype=np.float64).ravel())
    theory = np.array([cdf(v) for v in values])
    steps = np.arange(len(values) + 1) / len(values)
    return max(np.max(theory - steps[:-1]), np.max(steps[1:] - theory)) * math.sqrt(len(values))


def uniform_cdf(low, high):
    return lambda v: min(max((v - low) / (high - low), 0), 1)


def test_the_distance_sees_a_wrong_distribution():
    values = np.random.default_rng(0).uniform(size=N)
    assert distance(values, uniform_cdf(0, 1)) < 2
    assert distance(values * 0.98, uniform_cdf(0, 1)) > 2
    assert distance(values * 0, uniform_cdf(0, 1)) > 2


@pytest.mark.parametrize(
    ("fill", "low", "high"),
    [
        (lambda t: init.uniform_(t), 0, 1),
        (lambda t: init.uniform_(t, -2, 5), -2, 5),
        (lambda t: init.xavier_uniform_(t), -math.sqrt(6 / 500), math.sqrt(6 / 500)),
        (lambda t: init.xavier_uniform_(t, gain=2), -math.sqrt(24 / 500), math.sqrt(24 / 500)),
        (lambda t: init.kaiming_uniform_(t), -math.sqrt(6 / 400), math.sqrt(6 / 400)),
        (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), -1 / 20, 1 / 20),
        (
            lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="tanh"),
            -math.sqrt(3) * 5 / 3 / 10,
            math.sqrt(3) * 5 / 3 / 10,
        ),
    ],
)
def test_uniform_fillings(fill, low, high):
    tensor = tg.empty(100, 400)
    assert fill(tensor) is tensor
    assert distance(tensor.numpy(), uniform_cdf(low, high)) < 2


@pytest.mark.parametrize(
    ("fill", "mean", "std"),
    [
        (lambda t: init.normal_(t), 0, 1),
        (lambda t: init.normal_(t, 3, 0.5), 3, 0.5),
        (lambda t: init.xavier_normal_(t), 0, math.sqrt(2 / 500)),
        (lambda t: init.xavier_normal_(t, 3.0), 0, 3 * math.sqrt(2 / 500)),
        (lambda t: init.kaiming_normal_(t), 0, math.sqrt(2 / 400)),
        (lambda t: init.kaiming_normal_(t, a=1.0), 0, math.sqrt(1 / 400)),
        (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="selu"), 0, 0.75 / 10),
    ],
)
def test_normal_fillings(fill, mean, std):
    tensor = tg.empty(100, 400)
    assert fill(tensor) is tensor
    assert distance(tensor.numpy(), lambda v: normal_cdf((v - mean) / std)) < 2


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (0.5, 0.1, 0.45, 3.0),
        (0, 1, 0.1, 0.2),
        (0, 1, 2, 50),
        (0, 1, -math.inf, -2.5),
        (0, 1, 6, math.inf),
        (5, 2, -math.inf, math.inf),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_normal(mean, std, a, b, dtype):
    tensor = tg.empty(N // 4, dtype=getattr(tg, dtype))
    assert init.trunc_normal_(tensor, mean, std, a, b) is tensor
    values = tensor.numpy()
    slack = 1e-6 if dtype == "float32" else 0
    assert values.min() >= a - slack
    assert values.max() <= b + slack

    def upper(v):  # the complement keeps its digits in the tail
        return 0.5 * math.erfc((v - mean) / std / math.sqrt(2))

    total = upper(a) - upper(b)
    assert distance(values, lambda v: min(max((upper(a) - upper(v)) / total, 0), 1)) < 2


@pytest.mark.parametrize(
    "arguments", [(0, 1, 2, 2), (0, 1, 3, 2), (0, 0), (0, -1), (math.nan, 1), (0, 1, math.nan, 2)]
)
def test_truncated_normal_of_nothing(arguments):
    with pytest.raises(ValueError, match="expected a < b"):
        init.trunc_normal_(tg.empty(3), *arguments)


def test_fans_count_the_kernel():
    tensor = tg.empty(8, 4, 5, 5)
    init.kaiming_uniform_(tensor, nonlinearity="linear")
    bound = math.sqrt(3 / (4 * 25))
    assert 0.9 * bound < tensor.abs().max().item() <= bound
    init.kaiming_uniform_(tensor, mode="fan_out", nonlinearity="linear")
    bound = math.sqrt(3 / (8 * 25))
    assert 0.9 * bound < tensor.abs().max().item() <= bound


def test_generators_make_draws_repeatable():
    def draw(fill):
        return fill(tg.empty(4, 5), generator=tg.Generator().manual_seed(11)).tolist()

    for fill in [
        init.uniform_,
        init.normal_,
        init.trunc_normal_,
        init.xavier_uniform_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.kaiming_normal_,
        lambda t, generator: init.sparse_(t, 0.4, generator=generator),
    ]:
        first = draw(fill)
        assert draw(fill) == first
        assert fill(tg.empty(4, 5), generator=tg.Generator().manual_seed(12)).tolist() != first


def test_constants():
    assert init.constant_(tg.empty(2, 2), 7.0).tolist() == [[7.0, 7.0]] * 2
    assert init.ones_(tg.empty(2)).tolist() == [1.0, 1.0]
    assert init.zeros_(tg.empty(2)).tolist() == [0.0, 0.0]
    for shape in [(3, 3), (2, 4), (4, 2)]:
        assert init.eye_(tg.empty(*shape)).tolist() == np.eye(*shape).tolist()
    with pytest.raises(ValueError, match="Only tensors with 2 dimensions"):
        init.eye_(tg.empty(2))


@pytest.mark.parametrize("shape", [(4, 4, 3), (4, 2, 3, 3), (2, 6, 3, 5, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac(shape, groups):
    values = init.dirac_(tg.empty(*shape), groups=groups).numpy()
    expected = np.zeros(shape)
    per_group = shape[0] // groups
    for out in range(shape[0]):
        if out % per_group < shape[1]:
            expected[(out, out % per_group, *(size // 2 for size in shape[2:]))] = 1
    np.testing.assert_array_equal(values, expected)


def test_dirac_errors():
    with pytest.raises(ValueError, match="3, 4, or 5 dimensions"):
        init.dirac_(tg.empty(2, 2))
    with pytest.raises(ValueError, match=r"dim 0 \(3\) must be divisible by groups \(2\)"):
        init.dirac_(tg.empty(3, 2, 1), groups=2)


def test_sparse():
    tensor = init.sparse_(tg.empty(20, 300), sparsity=0.33, std=2.0)
    zero = tensor.numpy() == 0
    assert zero.sum(0).tolist() == [math.ceil(0.33 * 20)] * 300
    assert zero.any(1).all()
    assert distance(tensor.numpy()[~zero], lambda v: normal_cdf(v / 2)) < 2
    with pytest.raises(ValueError, match="Only tensors with 2 dimensions"):
        init.sparse_(tg.empty(2), 0.1)


def test_errors_and_warnings():
    for fill in (init.xavier_uniform_, init.xavier_normal_, init.kaiming_normal_):
        with pytest.raises(ValueError, match="fewer than 2 dimensions"):
            fill(tg.empty(3))
    with pytest.raises(ValueError, match="Mode 'fan' not supported.*'fan_in', 'fan_out'"):
        init.kaiming_uniform_(tg.empty(2, 2), mode="fan")
    with pytest.raises(ValueError, match="Unsupported nonlinearity 'step'"):
        init.kaiming_normal_(tg.empty(2, 2), nonlinearity="step")
    for fill in (init.kaiming_uniform_, init.kaiming_normal_):
        with pytest.warns(UserWarning, match="zero-element") as log:
            fill(tg.empty(0, 3))
        assert log[0].filename == __file__


def test_nothing_is_recorded():
    parameter = nn.Parameter(tg.empty(4, 4))
    for fill in (init.zeros_, init.normal_, init.kaiming_uniform_, init.eye_, init.trunc_normal_):
        assert fill(parameter) is parameter
        assert parameter.is_leaf
        assert parameter.requires_grad
    assert init.sparse_(parameter, 0.5) is parameter
    assert init.dirac_(nn.Parameter(tg.empty(2, 2, 1))).is_leaf


@pytest.mark.parametrize("slope", [True, "0.1"])
def test_gain_wrong_slope(slope):
    with pytest.raises(ValueError, match="negative_slope .* not a valid number"):
        init.calculate_gain("leaky_relu", slope)


def test_gains_are_torchs():
    torch = pytest.importorskip("torch")
    for name in [
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "sigmoid",
        "tanh",
        "relu",
        "selu",
        "leaky_relu",
    ]:
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name), name
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_starts_as_in_torch(bias):
    """Weight and bias uniform in ±1/√in_features."""
    layer = nn.Linear(400, 100, bias=bias)
    assert distance(layer.weight.detach().numpy(), uniform_cdf(-0.05, 0.05)) < 2
    if bias:
        assert distance(layer.bias.detach().numpy(), uniform_cdf(-0.05, 0.05)) < 2
    before = layer.weight.tolist()
    layer.reset_parameters()
    assert layer.weight.tolist() != before


def test_layers_take_a_dtype():
    assert nn.Linear(2, 2, dtype=tg.float64, device="cpu").bias.dtype == tg.float64
    norm = nn.BatchNorm1d(2, dtype=tg.float64, device="cpu")
    assert norm.running_var.dtype == norm.weight.dtype == tg.float64
    assert norm.num_batches_tracked.dtype == tg.int64
