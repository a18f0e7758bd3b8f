"""Sequential makes one launch of a Linear and the activation after it; nobody can tell."""

import pytest
from fused import ACTIVATIONS, assert_as_apart, equal, names, tape

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons._core import launched, linear


def operands(dtype, shape, bias=True):
    tg.manual_seed(3)
    tensors = [tg.randn(*shape, dtype=dtype), tg.randn(70, shape[-1], dtype=dtype)]
    tensors += [tg.randn(70, dtype=dtype)] if bias else []
    return [t.requires_grad_() for t in tensors]


@names
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 33), (2, 3, 33), (33,), (0, 33), (300, 300)])
def test_bits_tape_and_gradients_are_those_of_two_ops(name, dtype, bias, shape):
    inputs = operands(dtype, shape, bias)
    fused = linear(*inputs, activation=name) if bias else linear(*inputs, None, name)
    apart = ACTIVATIONS[name]()(linear(*inputs))
    with tg.no_grad():
        assert equal(linear(*inputs, *[None] * (not bias), name), apart)
    assert_as_apart(fused, apart, inputs)


def test_special_values_pass_as_through_two_ops():
    x = tg.tensor([[float("nan")], [float("inf")], [-float("inf")], [1e-40], [-0.0]])
    w = tg.ones(40, 1)
    for name, make in ACTIVATIONS.items():
        fused, apart = linear(x, w, None, name), make()(linear(x, w))
        assert fused.numpy().tobytes() == apart.numpy().tobytes()
        assert bool(fused[0].isnan().all()) and bool((fused[1] == float("inf")).all())


@names
def test_a_write_to_the_result_is_noticed_by_backward_as_for_two_ops(name):
    x, w, b = operands(tg.float32, (4, 5))
    fused, apart = linear(x, w, b, name), ACTIVATIONS[name]()(linear(x, w, b))
    raised = []
    for y in (fused, apart):
        total = (y * 1.0).sum()
        with tg.no_grad():
            y.zero_()
        try:
            total.backward()
            raised.append(False)
        except RuntimeError:
            raised.append(True)
    assert raised[0] == raised[1] == (name == "relu")


def applied(model, x):
    """What the model gives, and what its modules give one after the other."""
    y = x
    for module in model:
        y = module(y)
    return model(x), y


@names
def test_sequential_gives_what_its_modules_give(name):
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), ACTIVATIONS[name](), nn.Linear(8, 3), nn.Linear(3, 2))
    fused, apart = applied(model, tg.randn(5, 4))
    assert equal(fused, apart) and tape(fused) == tape(apart)


@names
def test_sequential_starts_one_kernel_for_two_modules(name):
    model, x = nn.Sequential(nn.Linear(4, 8), ACTIVATIONS[name]()), tg.randn(5, 4)
    assert launched(lambda: model(x)).count(True) == 1
    assert launched(lambda: model[1](model[0](x))).count(True) == 2


def test_modules_that_somebody_changed_run_themselves():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    seen = []

    class Loud(nn.ReLU):
        def forward(self, input):
            seen.append("subclass")
            return super().forward(input)

    x = tg.randn(3, 4)
    nn.Sequential(model[0], Loud())(x)
    model[1].register_forward_hook(lambda *_: seen.append("activation"))
    model[0].register_forward_pre_hook(lambda *_: seen.append("linear"))
    model(x)
    assert seen == ["subclass", "linear", "activation"]
    quiet = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    quiet[1].forward = lambda input: input * 0 + 7
    assert bool((quiet(x) == 7).all())


def test_a_patched_class_is_honoured(monkeypatch):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, input: input * 0 + 7)
    assert bool((model(tg.randn(3, 4)) == 7).all())


@pytest.mark.parametrize("kind", [nn.Module, nn.Linear, nn.ReLU])
def test_a_patched_call_is_honoured(monkeypatch, kind):
    """As profilers and tracers do it."""
    seen = []

    def call(self, input):
        seen.append(type(self))
        return self.forward(input)

    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    monkeypatch.setattr(kind, "__call__", call)
    model(tg.randn(3, 4))
    assert seen == [each for each in (nn.Sequential, nn.Linear, nn.ReLU) if issubclass(each, kind)]


def test_relu_in_place_writes_over_its_input():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True))
    fused, apart = applied(model, tg.randn(5, 4))
    assert equal(fused, apart) and tape(fused) == tape(apart)


def test_errors_are_those_of_the_layers():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    for wrong in (tg.zeros(3, 5), tg.zeros(3, 4, dtype=tg.float64), [1.0]):
        messages = []
        for call in (model, model[0]):
            with pytest.raises((RuntimeError, TypeError)) as error:
                call(wrong)
            messages.append((error.type, str(error.value)))
        assert messages[0] == messages[1]
    unknown = nn.Sequential(nn.Linear(4, 8), nn.GELU("other"))
    with pytest.raises(RuntimeError, match="other"):
        unknown(tg.zeros(3, 4))
