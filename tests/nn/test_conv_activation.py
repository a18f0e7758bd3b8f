"""Sequential makes one launch of a convolution and the activation after it; nobody can tell."""

import pytest
from fused import ACTIVATIONS, assert_as_apart, equal, names, tape

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons._core import conv1d, conv2d, launched

pytestmark = pytest.mark.kernel

# input, weight, options: one block and several, images that make runs, groups, strides, sums in parts, nothing at all
CASES = [
    ((3, 6, 14, 14), (16, 6, 5, 5), {}),
    ((2, 3, 90, 90), (5, 3, 3, 3), {"padding": 1}),
    ((4, 8, 9, 9), (6, 4, 3, 3), {"groups": 2, "stride": 2}),
    ((9, 70, 7, 7), (33, 70, 3, 3), {"padding": 1, "dilation": 2}),
    ((2, 4, 40), (3, 4, 5), {"padding": "same"}),
    ((4, 40), (3, 4, 5), {}),
    ((0, 4, 40), (3, 4, 5), {}),
    ((2, 0, 4, 4), (3, 0, 2, 2), {}),
]


@names
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("x", "w", "options"), CASES)
def test_bits_tape_and_gradients_are_those_of_two_ops(name, dtype, bias, x, w, options):
    tg.manual_seed(3)
    inputs = [tg.randn(*shape, dtype=dtype, requires_grad=True) for shape in (x, w, w[:1])]
    inputs = inputs if bias else inputs[:2]
    convolve = conv1d if len(w) == 3 else conv2d
    fused = convolve(*inputs, **options, activation=name)
    apart = ACTIVATIONS[name]()(convolve(*inputs, **options))
    with tg.no_grad():
        assert equal(convolve(*inputs, **options, activation=name), apart)
    assert_as_apart(fused, apart, inputs)


def test_special_values_pass_as_through_two_ops():
    x = tg.tensor([float("nan"), float("inf"), -float("inf"), 1e-40, -0.0] * 9).reshape(1, 1, 45)
    for name, make in ACTIVATIONS.items():
        fused, apart = (
            conv1d(x, tg.ones(40, 1, 1), activation=name),
            make()(conv1d(x, tg.ones(40, 1, 1))),
        )
        assert fused.numpy().tobytes() == apart.numpy().tobytes()
        assert bool(fused[:, :, 0].isnan().all()) and bool((fused[:, :, 1] == float("inf")).all())


@names
def test_sequential_starts_one_kernel_for_two_modules(name):
    for layer, x in (
        (nn.Conv1d(4, 8, 3, 2, 1), tg.randn(5, 4, 9)),
        (nn.Conv2d(4, 8, 3, padding="same", groups=2), tg.randn(5, 4, 9, 7)),
    ):
        model = nn.Sequential(layer, ACTIVATIONS[name]())
        apart = model[1](model[0](x))
        assert equal(model(x), apart) and tape(model(x)) == tape(apart)
        assert launched(lambda model=model, x=x: model(x)).count(True) == 1
        assert launched(lambda model=model, x=x: model[1](model[0](x))).count(True) == 2


def test_other_paddings_and_changed_layers_run_themselves():
    seen, x = [], tg.randn(2, 3, 6)
    circular = nn.Sequential(nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular"), nn.ReLU())
    assert equal(circular(x), circular[1](circular[0](x)))
    hooked = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU())
    hooked[0].register_forward_hook(lambda *_: seen.append("convolution"))
    hooked(x)
    assert seen == ["convolution"]


def test_errors_are_those_of_the_layers():
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU())
    for wrong in (tg.zeros(3, 5, 9, 9), tg.zeros(3, 4, 9, 9, dtype=tg.float64), [1.0]):
        messages = []
        for call in (model, model[0]):
            with pytest.raises((RuntimeError, TypeError)) as error:
                call(wrong)
            messages.append((error.type, str(error.value)))
        assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="conv2d: the activation .* 'tanh'"):
        conv2d(tg.zeros(1, 1, 3, 3), tg.zeros(1, 1, 3, 3), activation="tanh")
