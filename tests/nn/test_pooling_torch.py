"""Pooling against torch's: outputs, indices, gradients to second order, options, errors."""

import numpy as np
import pytest
from nn_cases import pooling

import tinygrad_lessons as tg
from tinygrad_lessons import nn

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.kernel


def with_options(library, name, options):
    return lambda x: getattr(library.nn.functional, name)(x, **options)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("seed", range(50))
def test_max_pool(assert_parity, dims, seed):
    rng = np.random.default_rng([1, dims, seed])
    shape, options = pooling(rng, dims, dilated=True)
    name = f"max_pool{dims}d"
    x = (
        rng.permutation(int(np.prod(shape))).reshape(shape) / 7
    )  # no ties, of which either may be chosen
    assert_parity(with_options(tg, name, options), with_options(torch, name, options), x)
    options["return_indices"] = True
    ours, theirs = (with_options(lib, name, options)(lib.tensor(x)) for lib in (tg, torch))
    np.testing.assert_array_equal(ours[0].numpy(), theirs[0].numpy())
    np.testing.assert_array_equal(ours[1].numpy(), theirs[1].numpy())
    assert ours[1].dtype == tg.int64


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("seed", range(50))
def test_avg_pool(assert_parity, dims, seed):
    rng = np.random.default_rng([2, dims, seed])
    shape, options = pooling(rng, dims, dilated=False)
    options["count_include_pad"] = bool(seed % 2)
    if dims == 2 and seed % 3 == 0:
        options["divisor_override"] = 5
    name = f"avg_pool{dims}d"
    assert_parity(
        with_options(tg, name, options), with_options(torch, name, options), rng.normal(size=shape)
    )


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 3, 7), 3),
        ((3, 8), (4,)),
        ((3, 5), 9),
        ((2, 3, 7, 9), 1),
        ((2, 3, 7, 9), (3, 4)),
        ((3, 6, 8), (None, 4)),
        ((0, 3, 6, 8), 2),
        ((1, 2, 30, 31), (2, 2)),
    ],
)
def test_adaptive_pool(assert_parity, rng, kind, shape, size):
    dims = 2 if len(shape) > 3 or isinstance(size, tuple) and len(size) == 2 else 1
    name, options = f"adaptive_{kind}_pool{dims}d", {"output_size": size}
    x = rng.permutation(int(np.prod(shape))).reshape(shape) / 7
    assert_parity(with_options(tg, name, options), with_options(torch, name, options), x)
    if kind == "max":
        options["return_indices"] = True
        ours, theirs = (with_options(lib, name, options)(lib.tensor(x)) for lib in (tg, torch))
        np.testing.assert_array_equal(ours[1].numpy(), theirs[1].numpy())


@pytest.mark.parametrize("size", [8, 9, 40])
def test_ties_and_special_values_as_torch(size):
    rng = np.random.default_rng(size)
    values = np.array([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf], np.float32)
    x = rng.choice(values, (3, size, size), p=[0.2, 0.1, 0.2, 0.1, 0.1, 0.3])
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        ours, theirs = (
            lib.nn.functional.max_pool2d(lib.tensor(x), **options, return_indices=True)
            for lib in (tg, torch)
        )
        np.testing.assert_array_equal(ours[0].numpy(), theirs[0].numpy())
        np.testing.assert_array_equal(ours[1].numpy(), theirs[1].numpy())


def test_a_window_over_padding_alone_as_torch():
    for shape, options in (
        ((1, 1), {"padding": 1, "dilation": 2}),
        ((2, 3, 3), {"padding": 1, "dilation": 4}),
    ):
        ours, theirs = (
            lib.nn.functional.max_pool1d(lib.ones(*shape), 2, **options) for lib in (tg, torch)
        )
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_large_windows(assert_parity, rng):
    x = rng.permutation(3 * 40 * 41).reshape(3, 40, 41) / 7
    for options in ({"kernel_size": 20}, {"kernel_size": (1, 300), "padding": (0, 150)}):
        y = np.concatenate([x] * 8, -1)
        assert_parity(
            with_options(tg, "max_pool2d", options), with_options(torch, "max_pool2d", options), y
        )


ERRORS = {
    "dimensions": lambda lib: lib.nn.functional.max_pool2d(lib.ones(3), 2),
    "no channels": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 0, 3, 3), 2),
    "no width": lambda lib: lib.nn.functional.avg_pool2d(lib.ones(1, 3, 0), 2),
    "too much padding": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 3, 3), 2, padding=2),
    "too much padding for the kernel": lambda lib: lib.nn.functional.max_pool2d(
        lib.ones(1, 2, 3), 2, 1, padding=2, dilation=4
    ),
    "too much padding for the line": lambda lib: lib.nn.functional.max_pool1d(
        lib.ones(1, 8), 2, 1, padding=2, dilation=4
    ),
    "too much padding around averages": lambda lib: lib.nn.functional.avg_pool1d(
        lib.ones(1, 3), 2, padding=2
    ),
    "kernel too large": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 3, 3), 4),
    "stride": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 3, 3), 2, stride=0),
    "kernel": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 3, 3), (1, 2, 3)),
    "divisor": lambda lib: lib.nn.functional.avg_pool2d(lib.ones(1, 3, 3), 2, divisor_override=0),
    "adaptive": lambda lib: lib.nn.functional.adaptive_avg_pool2d(lib.ones(1, 3, 3), -1),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_of_the_type_of_torch(name, assert_same_error):
    assert_same_error(ERRORS[name])


LAYERS = {
    "max 1d": lambda nn: nn.MaxPool1d(3),
    "max 2d": lambda nn: nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True),
    "max 2d dilated": lambda nn: nn.MaxPool2d(2, dilation=2),
    "average 1d": lambda nn: nn.AvgPool1d(3, 2, 1, True, False),
    "average 2d": lambda nn: nn.AvgPool2d((3, 2), divisor_override=3),
    "adaptive 1d": lambda nn: nn.AdaptiveAvgPool1d(3),
    "adaptive 2d": lambda nn: nn.AdaptiveAvgPool2d((None, 2)),
    "adaptive max 1d": lambda nn: nn.AdaptiveMaxPool1d(3),
    "adaptive max 2d": lambda nn: nn.AdaptiveMaxPool2d((2, None)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(assert_parity, rng, name):
    ours, theirs = LAYERS[name](nn), LAYERS[name](torch.nn)
    assert repr(ours) == repr(theirs)
    shape = (2, 3, 7, 6)[: 3 if "1d" in name else 4]
    assert_parity(ours, theirs, rng.permutation(int(np.prod(shape))).reshape(shape) / 7)
