"""Layers against torch's: printing, state dicts, outputs, gradients, running statistics."""

import copy

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn

torch = pytest.importorskip("torch")


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
