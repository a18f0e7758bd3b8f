"""Convolution, padding and their layers against torch's: outputs, gradients to second order, options, errors."""

import numpy as np
import pytest
from nn_cases import convolution

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.nn import functional as F

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.kernel


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("seed", range(60))
def test_convolution(assert_parity, dims, seed):
    rng = np.random.default_rng([dims, seed])
    x, w, options = convolution(rng, dims)
    arrays = [rng.normal(size=x), rng.normal(size=w)]
    if seed % 3:
        arrays.append(rng.normal(size=w[0]))
    name = f"conv{dims}d"
    assert_parity(
        lambda *xs: getattr(F, name)(*xs, **options),
        lambda *xs: getattr(torch.nn.functional, name)(*xs, **options),
        *arrays,
    )


@pytest.mark.parametrize(
    "shape", [(32, 1, 28, 28, 32, 3), (8, 32, 14, 14, 64, 3), (8, 6, 14, 14, 16, 5)]
)
def test_convolution_in_float32(shape):
    n, c, h, w, o, k = shape
    rng = np.random.default_rng(shape)
    arrays = [rng.normal(size=s).astype(np.float32) for s in ((n, c, h, w), (o, c, k, k), (o,))]
    ours = [tg.tensor(a, requires_grad=True) for a in arrays]
    wide = [torch.tensor(a).double().requires_grad_() for a in arrays]
    y, expected = F.conv2d(*ours, padding=1), torch.nn.functional.conv2d(*wide, padding=1)
    g = rng.normal(size=tuple(y.shape)).astype(np.float32)
    y.backward(tg.tensor(g))
    expected.backward(torch.tensor(g).double())
    pairs = [(y.detach(), expected.detach())] + [
        (a.grad, b.grad) for a, b in zip(ours, wide, strict=True)
    ]
    for got, want in pairs:
        assert got.dtype == tg.float32
        scale = want.abs().max().item()
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-5 * scale)


ERRORS = {
    "dimensions": lambda lib: lib.nn.functional.conv2d(lib.ones(3, 3), lib.ones(1, 1, 2, 2)),
    "weight's dimensions": lambda lib: lib.nn.functional.conv2d(
        lib.ones(1, 3, 3), lib.ones(1, 1, 2)
    ),
    "channels": lambda lib: lib.nn.functional.conv2d(lib.ones(1, 2, 3, 3), lib.ones(1, 1, 2, 2)),
    "kernel too large": lambda lib: lib.nn.functional.conv1d(lib.ones(1, 1, 3), lib.ones(1, 1, 4)),
    "groups": lambda lib: lib.nn.functional.conv1d(lib.ones(1, 2, 3), lib.ones(3, 1, 2), groups=2),
    "no groups": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 2, 3), lib.ones(3, 1, 2), groups=0
    ),
    "stride": lambda lib: lib.nn.functional.conv1d(lib.ones(1, 1, 3), lib.ones(1, 1, 2), stride=0),
    "strides": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 1, 3), lib.ones(1, 1, 2), stride=(1, 2)
    ),
    "padding": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 1, 3), lib.ones(1, 1, 2), padding=-1
    ),
    "padding's name": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 1, 3), lib.ones(1, 1, 2), padding="all"
    ),
    "strided same": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 1, 3), lib.ones(1, 1, 2), stride=2, padding="same"
    ),
    "dilation": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 1, 3), lib.ones(1, 1, 2), dilation=0
    ),
    "dtypes": lambda lib: lib.nn.functional.conv1d(
        lib.ones(1, 1, 3), lib.ones(1, 1, 2, dtype=lib.float64)
    ),
    "bias": lambda lib: lib.nn.functional.conv1d(lib.ones(1, 1, 3), lib.ones(1, 1, 2), lib.ones(2)),
    "layer's groups": lambda lib: lib.nn.Conv2d(3, 4, 3, groups=2),
    "layer's outputs": lambda lib: lib.nn.Conv2d(4, 3, 3, groups=2),
    "layer without groups": lambda lib: lib.nn.Conv2d(4, 3, 3, groups=0),
    "layer's padding": lambda lib: lib.nn.Conv2d(4, 3, 3, padding="all"),
    "layer's padding mode": lambda lib: lib.nn.Conv2d(4, 3, 3, padding_mode="all"),
    "layer's strided same": lambda lib: lib.nn.Conv2d(4, 3, 3, 2, padding="same"),
    "pad reflects too much": lambda lib: lib.nn.functional.pad(
        lib.ones(1, 3), (3, 0), mode="reflect"
    ),
    "pad goes round twice": lambda lib: lib.nn.functional.pad(
        lib.ones(1, 1, 3), (4, 0), mode="circular"
    ),
    "pad's count": lambda lib: lib.nn.functional.pad(lib.ones(3), (1,)),
    "pad cuts too much": lambda lib: lib.nn.functional.pad(lib.ones(3), (-2, -2)),
    "pad cuts and adds": lambda lib: lib.nn.functional.pad(lib.ones(3), (-5, 4)),
    "pad adds and cuts": lambda lib: lib.nn.functional.pad(lib.ones(2, 3), (1, 1, 4, -5)),
    "pad leaves nothing to reflect": lambda lib: lib.nn.functional.pad(
        lib.ones(1, 1, 3), (-3, 0), mode="reflect"
    ),
    "pad leaves nothing to replicate": lambda lib: lib.nn.functional.pad(
        lib.ones(1, 1, 3), (-2, -1), mode="replicate"
    ),
    "pad goes round what is cut": lambda lib: lib.nn.functional.pad(
        lib.ones(1, 1, 3), (-5, 4), mode="circular"
    ),
    "pad of all dimensions": lambda lib: lib.nn.functional.pad(lib.ones(3), (1, 1), mode="reflect"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_of_the_type_of_torch(name, assert_same_error):
    assert_same_error(ERRORS[name])


MODES = ["constant", "reflect", "replicate", "circular"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "pad"),
    [
        ((2, 5), (1, 2)),
        ((2, 3, 5), (4, 0)),
        ((2, 3, 5), (0, 0)),
        ((1, 2, 4, 5), (2, 1, 3, 2)),
        ((2, 4, 5), (0, 3, 1, 0)),
        ((2, 4, 5), (-1, 2, 2, -2)),
    ],
)
def test_pad(assert_parity, rng, mode, shape, pad):
    assert_parity(
        lambda x: F.pad(x, pad, mode=mode),
        lambda x: torch.nn.functional.pad(x, pad, mode=mode),
        rng.normal(size=shape),
    )


def test_pad_with_a_value(assert_parity, rng):
    assert_parity(
        lambda x: F.pad(x, (1, 0, 2, 1, 0, 1), value=2.5),
        lambda x: torch.nn.functional.pad(x, (1, 0, 2, 1, 0, 1), value=2.5),
        rng.normal(size=(2, 3, 2)),
    )


LAYERS = {
    "conv1d": lambda nn: nn.Conv1d(4, 6, 3),
    "conv1d options": lambda nn: nn.Conv1d(4, 6, 3, 2, 1, 2, 2, False),
    "conv2d": lambda nn: nn.Conv2d(4, 6, 3),
    "conv2d sizes": lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2)),
    "conv2d depthwise": lambda nn: nn.Conv2d(4, 4, 3, padding="same", groups=4),
    "conv2d valid": lambda nn: nn.Conv2d(4, 2, 3, padding="valid", bias=False),
    "conv2d reflect": lambda nn: nn.Conv2d(4, 2, 3, padding=2, padding_mode="reflect"),
    "conv2d replicate": lambda nn: nn.Conv2d(4, 2, 3, 2, (1, 2), padding_mode="replicate"),
    "conv1d circular": lambda nn: nn.Conv1d(4, 2, 4, padding="same", padding_mode="circular"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(assert_parity, rng, name):
    torch.manual_seed(0)
    theirs, ours = LAYERS[name](torch.nn).double(), LAYERS[name](nn).double()
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    shape = (4, 7, 6)[: 2 if "1d" in name else 3]
    assert_parity(ours, theirs, rng.normal(size=(2, *shape)))
    assert_parity(ours, theirs, rng.normal(size=shape))
