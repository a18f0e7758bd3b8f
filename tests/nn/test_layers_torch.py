"""Layers against torch's: printing, state dicts, outputs, gradients, running statistics."""

import copy

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn

torch = pytest.importorskip("torch")


# Arguments of activations by class; the last of those that have it is `inplace`.
ACTIVATIONS = {
    "SiLU": [(), (True,)],
    "Mish": [(), (True,)],
    "SELU": [(), (True,)],
    "Hardswish": [(), (True,)],
    "Hardsigmoid": [(), (True,)],
    "ReLU6": [(), (True,)],
    "ELU": [(), (2.5,), (0.5, True)],
    "CELU": [(), (2.5,), (0.5, True)],
    "LeakyReLU": [(), (0.25,), (0.5, True)],
    "Hardtanh": [(), (-0.5, 2.0), (-0.5, 2.0, True)],
    "Threshold": [(0.5, 20.0), (0.5, 0.25, True)],
    "Softplus": [(), (2.0, 3.0)],
    "Hardshrink": [(), (1.5,)],
    "Softshrink": [(), (1.5,)],
    "Softsign": [()],
    "Tanhshrink": [()],
    "LogSigmoid": [()],
    "GLU": [(), (0,)],
    "PReLU": [()],
    "Softmin": [(-1,)],
    "LogSoftmax": [(0,), (-1,)],
}

BUILD = {
    "linear": lambda nn: nn.Linear(4, 3),
    "linear without bias": lambda nn: nn.Linear(4, 3, bias=False),
    "identity": lambda nn: nn.Identity(1, a=2),
    "flatten": lambda nn: nn.Flatten(),
    "flatten some": lambda nn: nn.Flatten(0, -2),
    "relu": lambda nn: nn.ReLU(),
    "relu in place": lambda nn: nn.ReLU(inplace=True),
    "tanh": lambda nn: nn.Tanh(),
    "sigmoid": lambda nn: nn.Sigmoid(),
    "gelu": lambda nn: nn.GELU(),
    "gelu tanh": lambda nn: nn.GELU(approximate="tanh"),
    "softmax": lambda nn: nn.Softmax(dim=-1),
    "dropout": lambda nn: nn.Dropout(0.25, inplace=True),
    "batch norm": lambda nn: nn.BatchNorm1d(3),
    "batch norm options": lambda nn: nn.BatchNorm1d(3, 1e-3, None, False, False),
    "batch norm without bias": lambda nn: nn.BatchNorm1d(3, bias=False),
    "batch norm of images": lambda nn: nn.BatchNorm2d(3, momentum=0.5),
    "instance norm": lambda nn: nn.InstanceNorm1d(3),
    "instance norm options": lambda nn: nn.InstanceNorm2d(3, 1e-3, 0.2, True, True, bias=False),
    "layer norm": lambda nn: nn.LayerNorm(3),
    "layer norm options": lambda nn: nn.LayerNorm([3, 4], 1e-3, bias=False),
    "layer norm without weight": lambda nn: nn.LayerNorm((3,), elementwise_affine=False),
    "rms norm": lambda nn: nn.RMSNorm(3),
    "rms norm options": lambda nn: nn.RMSNorm((3, 4), 1e-3, False),
    "group norm": lambda nn: nn.GroupNorm(2, 4),
    "group norm options": lambda nn: nn.GroupNorm(2, 4, 1e-3, False),
    "group norm without bias": lambda nn: nn.GroupNorm(2, 4, bias=False),
    "dropout of channels": lambda nn: nn.Dropout1d(0.25, inplace=True),
    "dropout of images": lambda nn: nn.Dropout2d(),
    **{
        f"{name} {k}": (lambda nn, name=name, a=a: getattr(nn, name)(*a))
        for name, options in ACTIVATIONS.items()
        for k, a in enumerate(options)
    },
    "mse": lambda nn: nn.MSELoss(),
    "l1": lambda nn: nn.L1Loss(reduction="sum"),
    "cross entropy": lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1),
    "nll": lambda nn: nn.NLLLoss(ignore_index=3),
    "bce": lambda nn: nn.BCEWithLogitsLoss(),
    "empty sequential": lambda nn: nn.Sequential(),
    "sequential": lambda nn: nn.Sequential(
        nn.Linear(8, 16), nn.Sequential(nn.ReLU(), nn.Dropout()), nn.Linear(16, 2)
    ),
    "empty list": lambda nn: nn.ModuleList(),
    "list": lambda nn: nn.ModuleList(
        [nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)]
        + [nn.Sequential(nn.ReLU(), nn.Linear(1, 1)) for _ in range(12)]
    ),
    "dict": lambda nn: nn.ModuleDict({"a": nn.ModuleList([nn.ReLU()]), "b": nn.Tanh()}),
}


@pytest.mark.parametrize("name", BUILD)
def test_prints_as_torch(name):
    assert repr(BUILD[name](nn)) == repr(BUILD[name](torch.nn))


@pytest.mark.parametrize("name", BUILD)
def test_state_dict_names_and_shapes_as_torch(name):
    ours, theirs = BUILD[name](nn).state_dict(), BUILD[name](torch.nn).state_dict()
    assert [(k, tuple(v.shape)) for k, v in ours.items()] == [
        (k, tuple(v.shape)) for k, v in theirs.items()
    ]
    assert [str(v.dtype) for v in ours.values()] == [str(v.dtype) for v in theirs.values()]


def test_tied_and_named_modules_print_as_torch():
    def build(nn):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(2, 2))
                self.tied = self.body
                self.none = None
                self.register_module("nothing", None)

            def extra_repr(self):
                return "one=1,\ntwo=2"

        return Net()

    assert repr(build(nn)) == repr(build(torch.nn))


def pair(build):
    """Our layer and torch's with the same weights, in float64."""
    torch.manual_seed(0)
    theirs = build(torch.nn).double()
    ours = build(nn).double()
    result = ours.load_state_dict(theirs.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    return ours, theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 3, 4), (0, 4), (1, 1, 1, 4)])
def test_linear(assert_parity, rng, bias, shape):
    ours, theirs = pair(lambda nn: nn.Linear(4, 3, bias=bias))
    assert_parity(ours, theirs, rng.normal(size=shape))


@pytest.mark.parametrize("sizes", [(4, 0), (0, 4), (0, 0)])
def test_linear_without_elements(assert_parity, rng, sizes):
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        ours, theirs = pair(lambda nn: nn.Linear(*sizes))
    assert_parity(ours, theirs, rng.normal(size=(3, sizes[0])))


def test_linear_in_float32(assert_parity, rng):
    theirs = torch.nn.Linear(64, 10)
    ours = nn.Linear(64, 10)
    ours.load_state_dict(theirs.state_dict())
    x = rng.normal(size=(32, 64)).astype(np.float32)
    mine, other = ours(tg.tensor(x)), theirs(torch.tensor(x))
    assert mine.dtype == tg.float32
    np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=2e-6, atol=2e-6)


def test_linear_wrong_width():
    with pytest.raises(RuntimeError):
        nn.Linear(4, 3)(tg.zeros(2, 5))


@pytest.mark.parametrize(
    "build",
    [
        lambda nn: nn.Identity(),
        lambda nn: nn.ReLU(),
        lambda nn: nn.Tanh(),
        lambda nn: nn.Sigmoid(),
        lambda nn: nn.GELU(),
        lambda nn: nn.GELU("tanh"),
        lambda nn: nn.Softmax(dim=1),
        lambda nn: nn.Softmax(dim=-1),
        lambda nn: nn.Flatten(),
        lambda nn: nn.Flatten(start_dim=0, end_dim=1),
        lambda nn: nn.Dropout().eval(),
        lambda nn: nn.Dropout(0.0),
        lambda nn: nn.Dropout(1.0),
    ],
)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (0, 4)])
def test_layers_without_weights(assert_parity, rng, build, shape):
    x = rng.normal(size=shape) * 3
    x.reshape(-1)[:2] = 0.0
    assert_parity(build(nn), build(torch.nn), x, rtol=1e-10)


def test_relu_in_place(assert_parity, rng):
    def build(nn):
        return lambda x: nn.ReLU(inplace=True)(x * 2)

    assert_parity(build(nn), build(torch.nn), rng.normal(size=(3, 4)))
    x = tg.tensor([-1.0, 1.0])
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [0.0, 1.0]
    with pytest.raises(RuntimeError):
        nn.ReLU(inplace=True)(tg.zeros(1, requires_grad=True))


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4), (1, 2, 3, 4)])
def test_softmax_chooses_torchs_dimension(assert_parity, rng, shape):
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert_parity(nn.Softmax(), torch.nn.Softmax(), rng.normal(size=shape))


# Batch norm


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.75, None])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (1, 3, 5), (2, 3, 1)])
def test_batch_norm(assert_parity, rng, training, track, affine, momentum, shape):
    ours, theirs = pair(
        lambda nn: nn.BatchNorm1d(
            3, eps=1e-3, momentum=momentum, affine=affine, track_running_stats=track
        )
    )
    if affine:
        weight, bias = rng.normal(size=3), rng.normal(size=3)
        theirs.load_state_dict(
            theirs.state_dict() | {"weight": torch.tensor(weight), "bias": torch.tensor(bias)}
        )
        ours.load_state_dict(theirs.state_dict())
    for _ in range(3):  # so that the running statistics are no longer those of the start
        x = rng.normal(size=shape) * 2 + 1
        ours(tg.tensor(x))
        theirs(torch.tensor(x))
    ours.train(training)
    theirs.train(training)
    assert_parity(ours, theirs, rng.normal(size=shape), rtol=1e-9, atol=1e-11)
    for name, value in theirs.state_dict().items():
        mine = ours.state_dict()[name]
        assert str(mine.dtype) == str(value.dtype)
        np.testing.assert_allclose(mine.numpy(), value.numpy(), rtol=1e-12)


def test_batch_norm_with_tracking_switched_off_later(assert_parity, rng):
    ours, theirs = pair(lambda nn: nn.BatchNorm1d(3))
    ours.track_running_stats = theirs.track_running_stats = False
    assert_parity(ours, theirs, rng.normal(size=(4, 3)), rtol=1e-9)
    assert ours.running_mean.tolist() == [0.0] * 3
    assert ours.num_batches_tracked.item() == 0
    ours.eval()
    theirs.eval()
    assert_parity(ours, theirs, rng.normal(size=(4, 3)), rtol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_without_bias(assert_parity, rng, training):
    ours, theirs = pair(lambda nn: nn.BatchNorm1d(3, bias=False))
    ours.train(training)
    theirs.train(training)
    assert_parity(ours, theirs, rng.normal(size=(4, 3)), rtol=1e-9)


def test_batch_norm_reset():
    norm = nn.BatchNorm1d(2)
    norm(tg.tensor([[1.0, 2.0], [3.0, 5.0]]))
    nn.init.zeros_(norm.weight)
    assert norm.num_batches_tracked.item() == 1
    assert norm.num_batches_tracked.shape == ()
    norm.reset_parameters()
    fresh = nn.BatchNorm1d(2).state_dict()
    assert {k: v.tolist() for k, v in norm.state_dict().items()} == {
        k: v.tolist() for k, v in fresh.items()
    }


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4, 5)])
def test_batch_norm_wrong_dimensions(shape):
    with pytest.raises(ValueError, match=rf"expected 2D or 3D input \(got {len(shape)}D input\)"):
        nn.BatchNorm1d(3)(tg.zeros(*shape))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1)])
def test_batch_norm_of_one_value(shape):
    norm = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="xpected more than 1 value per channel when training"):
        norm(tg.zeros(*shape))
    assert norm.eval()(tg.zeros(*shape)).shape == shape


def test_batch_norm_wrong_channels():
    with pytest.raises(RuntimeError):
        nn.BatchNorm1d(3)(tg.zeros(4, 5))


def shuffled(ours, theirs, rng):
    """Both with the same random weights and buffers, of which a variance stays positive."""
    state = {
        k: torch.tensor(rng.uniform(0.5, 2.0, v.shape))
        for k, v in theirs.state_dict().items()
        if v.is_floating_point()
    }
    theirs.load_state_dict(theirs.state_dict() | state)
    ours.load_state_dict(theirs.state_dict())


NORMS = {
    "batch norm of images": (lambda nn: nn.BatchNorm2d(3), (4, 3, 5, 6)),
    "batch norm of small images": (lambda nn: nn.BatchNorm2d(3), (2, 3, 1, 1)),
    "instance norm": (lambda nn: nn.InstanceNorm1d(3), (4, 3, 5)),
    "instance norm of one": (lambda nn: nn.InstanceNorm1d(3, affine=True), (3, 5)),
    "instance norm that follows": (
        lambda nn: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
        (4, 3, 5, 6),
    ),
    "layer norm": (lambda nn: nn.LayerNorm(5), (4, 3, 5)),
    "layer norm of two dimensions": (lambda nn: nn.LayerNorm([3, 5]), (4, 3, 5)),
    "layer norm of all": (lambda nn: nn.LayerNorm([4, 3, 5]), (4, 3, 5)),
    "layer norm without bias": (lambda nn: nn.LayerNorm(70, bias=False), (300, 70)),
    "layer norm without weight": (lambda nn: nn.LayerNorm(33, elementwise_affine=False), (40, 33)),
    "rms norm": (lambda nn: nn.RMSNorm(5), (4, 3, 5)),
    "rms norm of many": (lambda nn: nn.RMSNorm(300, eps=0.5), (300, 300)),
    "rms norm without weight": (lambda nn: nn.RMSNorm(5, elementwise_affine=False), (4, 5)),
    "group norm": (lambda nn: nn.GroupNorm(2, 4), (3, 4, 5)),
    "group norm of rows": (lambda nn: nn.GroupNorm(3, 6), (4, 6)),
    "group norm of images": (lambda nn: nn.GroupNorm(1, 4), (3, 4, 5, 6)),
    "group norm without bias": (lambda nn: nn.GroupNorm(4, 4, bias=False), (3, 4, 5)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_norms(assert_parity, rng, name, training):
    build, shape = NORMS[name]
    ours, theirs = pair(build)
    shuffled(ours, theirs, rng)
    ours.train(training)
    theirs.train(training)
    assert_parity(ours, theirs, rng.normal(size=shape) * 2 + 1, rtol=1e-9, atol=1e-11)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(2, 3)), ValueError),
        (lambda lib: lib.nn.InstanceNorm1d(3)(lib.zeros(3)), ValueError),
        (lambda lib: lib.nn.InstanceNorm1d(3)(lib.zeros(2, 3, 1)), ValueError),
        (lambda lib: lib.nn.InstanceNorm1d(3, affine=True)(lib.zeros(2, 4, 5)), ValueError),
        (lambda lib: lib.nn.LayerNorm(3)(lib.zeros(2, 4)), RuntimeError),
        (lambda lib: lib.nn.LayerNorm([3, 4])(lib.zeros(4)), RuntimeError),
        (lambda lib: lib.nn.RMSNorm(3)(lib.zeros(2, 4)), RuntimeError),
        (lambda lib: lib.nn.GroupNorm(3, 4), ValueError),
        (lambda lib: lib.nn.GroupNorm(2, 4)(lib.zeros(2, 6)), RuntimeError),
        (lambda lib: lib.nn.GroupNorm(2, 4)(lib.zeros(4)), RuntimeError),
        (lambda lib: lib.nn.functional.group_norm(lib.zeros(1, 2), 2), ValueError),
        (lambda lib: lib.nn.Hardtanh(1.0, 1.0), AssertionError),
        (lambda lib: lib.nn.functional.hardtanh(lib.zeros(1), 2.0, 1.0), ValueError),
        (lambda lib: lib.nn.CELU(0.0)(lib.zeros(1)), RuntimeError),
        (lambda lib: lib.nn.Softshrink(-1.0)(lib.zeros(1)), RuntimeError),
        (lambda lib: lib.nn.GLU()(lib.zeros(3)), RuntimeError),
        (lambda lib: lib.nn.PReLU(3)(lib.zeros(2, 4)), RuntimeError),
        (lambda lib: lib.nn.Dropout1d(2.0), ValueError),
        (lambda lib: lib.nn.Dropout1d()(lib.zeros(2, 3, 4, 5)), RuntimeError),
    ],
)
def test_errors_are_torchs(call, error):
    for lib in (tg, torch):
        with pytest.raises(error):
            call(lib)


def test_norms_in_float32_keep_their_digits():
    """A mean of 1000 standard deviations costs three digits, not all."""
    x = np.random.default_rng(0).normal(size=(64, 8, 100)) + 1000
    exact = x.astype(np.float32).astype(np.float64)
    for layer, axes in (
        (nn.BatchNorm1d(8), (0, 2)),
        (nn.LayerNorm(100), 2),
        (nn.GroupNorm(2, 8), None),
    ):
        wide = exact if axes is not None else exact.reshape(64, 2, 400)
        axes = 2 if axes is None else axes
        expected = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True))
        result = layer(tg.tensor(exact.astype(np.float32))).detach().numpy()
        np.testing.assert_allclose(result, expected.reshape(x.shape), atol=3e-4)


# Activations


KINKS = [-3.0, -2.5, -1.5, -1.0, -0.5, -0.25, -0.0, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 6.0, 10.0]
HUGE = [-1e30, -1000.0, -100.0, -30.0, 30.0, 100.0, 1000.0, 1e30]


@pytest.mark.parametrize(
    ("name", "arguments"), [(n, a) for n, options in ACTIVATIONS.items() for a in options]
)
def test_activations(assert_parity, rng, name, arguments):
    """At random places, at kinks and far out; times 1, so that what is in place meets no leaf."""
    x = np.concatenate([rng.normal(size=8) * 4, KINKS, HUGE]).reshape(4, 8)

    def build(lib):
        layer = getattr(lib.nn, name)(*arguments).double()
        return lambda x: layer(x * 1)

    # PyTorch keeps some constants, and CELU's 1 / alpha, in float32.
    rtol = 2e-7 if name in ("CELU", "Hardsigmoid") else 1e-11
    assert_parity(build(tg), build(torch), x, rtol=rtol)


@pytest.mark.parametrize(
    "name",
    [n for n, options in ACTIVATIONS.items() if options[-1][-1:] == (True,) and n != "Threshold"],
)
def test_activations_in_place(name):
    x = tg.tensor([-1.0, 1.0])
    expected = getattr(nn, name)()(x.clone())
    assert getattr(nn, name)(inplace=True)(x) is x
    assert x.tolist() == expected.tolist()


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("weights", [1, 3])
def test_prelu(assert_parity, rng, shape, weights):
    if weights == 3 and len(shape) == 1:
        return
    ours, theirs = pair(lambda nn: nn.PReLU(weights, init=0.1))
    shuffled(ours, theirs, rng)
    assert_parity(ours, theirs, rng.normal(size=shape))


# Dropout of channels


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Dropout1d, (50, 40, 3)), (nn.Dropout1d, (2000, 3)), (nn.Dropout2d, (50, 40, 3, 2))],
)
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_of_channels(layer, shape, inplace):
    tg.manual_seed(1)
    x = tg.ones(*shape, requires_grad=True)
    y = layer(0.25, inplace)(x * 1)
    channels = y.detach().numpy().reshape(2000, -1)
    assert (channels == channels[:, :1]).all()
    np.testing.assert_allclose(np.unique(channels), [0, 4 / 3], rtol=1e-6)
    assert abs((channels[:, 0] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    evaluated = layer(0.25, inplace).eval()
    assert evaluated(x.detach()).tolist() == x.tolist()


def test_dropout_of_images_warns_of_other_dimensions():
    for shape in ((2, 3, 4), (2, 3)):
        for lib in (tg, torch):
            with pytest.warns(UserWarning, match=f"dropout2d: Received a {len(shape)}"):
                assert lib.nn.Dropout2d(0.0)(lib.ones(*shape)).shape == shape


# Whole models


def test_state_goes_both_ways_and_a_model_trains_alike(assert_parity, rng):
    def build(nn):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, 3)
        )

    ours, theirs = pair(build)
    assert_parity(ours, theirs, rng.normal(size=(5, 2, 3)), rtol=1e-9, atol=1e-12)
    back = copy.deepcopy(theirs)
    for parameter in back.parameters():
        parameter.data.zero_()
    back.load_state_dict({name: torch.tensor(v.numpy()) for name, v in ours.state_dict().items()})
    x = rng.normal(size=(5, 2, 3))
    np.testing.assert_allclose(
        back.eval()(torch.tensor(x)).detach().numpy(),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-10,
        atol=1e-13,
    )
