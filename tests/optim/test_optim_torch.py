"""The same trajectories as PyTorch's, and state that moves between the two in mid-flight."""

import numpy as np
import pytest
from optim_runs import (
    CASES,
    FILLED,
    IDS,
    OPTIONS,
    SHAPES,
    SHARED_CASES,
    SHARED_IDS,
    assert_same_path,
    go,
    problem,
    run,
)

import tinygrad_lessons as tg

torch = pytest.importorskip("torch")


def maker(name, options):
    return lambda lib, params: getattr(lib.optim, name)(params, **options)


def shapes_for(name):
    return FILLED if name == "Adafactor" else SHAPES


@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "_rule", "_fixed", "options"), SHARED_CASES, ids=SHARED_IDS)
def test_same_path(name, _rule, _fixed, options, dtype, gaps):
    make, shapes = maker(name, options), shapes_for(name)
    assert_same_path(
        run(tg, make, dtype, gaps, shapes), run(torch, make, dtype, gaps, shapes), dtype
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*OPTIONS, "Adafactor"])
def test_two_groups(name, dtype):
    def make(lib, params):
        groups = [{"params": params[:2], "lr": 0.02}, {"params": params[2:], "maximize": True}]
        if name != "Rprop":
            groups[1]["weight_decay"] = 0.3
        return getattr(lib.optim, name)(groups, lr=0.01)

    shapes = shapes_for(name)
    assert_same_path(
        run(tg, make, dtype, True, shapes), run(torch, make, dtype, True, shapes), dtype
    )


def as_torch(value):
    """A state dict of ours with torch's tensors for leaves."""
    if isinstance(value, dict):
        return {key: as_torch(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_torch(item) for item in value]
    return torch.tensor(value.numpy()) if isinstance(value, tg.Tensor) else value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("source", "target"), [(torch, tg), (tg, torch)], ids=["from", "to"])
@pytest.mark.parametrize(("name", "_rule", "_fixed", "options"), SHARED_CASES, ids=SHARED_IDS)
def test_state_moves_over(name, _rule, _fixed, options, dtype, source, target):
    make, shapes = maker(name, options), shapes_for(name)
    starts, gradients = problem(dtype, gaps=True, shapes=shapes)
    params = [source.tensor(start, requires_grad=True) for start in starts]
    old = make(source, params)
    path = go(source, old, params, gradients[:50])

    moved = [target.tensor(p.detach().numpy(), requires_grad=True) for p in params]
    new = make(target, moved)
    state = old.state_dict()
    new.load_state_dict(as_torch(state) if target is torch else state)
    path += go(target, new, moved, gradients[50:], first=50)
    assert_same_path(path, run(torch, make, dtype, True, shapes), dtype)


@pytest.mark.parametrize(("name", "_rule", "_fixed", "options"), CASES, ids=IDS)
def test_state_dict_has_the_same_layout(name, _rule, _fixed, options):
    def state_dict(lib):
        params = [lib.tensor(np.ones(3), requires_grad=True), lib.tensor(2.0, requires_grad=True)]
        optimizer = getattr(lib.optim, name)([{"params": params}], **options)
        params[0].grad = lib.ones_like(params[0])
        optimizer.step()
        return optimizer.state_dict()

    def layout(value):
        if isinstance(value, dict):
            return [(key, layout(item)) for key, item in value.items()]
        if isinstance(value, list):
            return [layout(item) for item in value]
        if hasattr(value, "shape"):
            return str(value.dtype).split(".")[-1], tuple(value.shape)
        return value

    assert layout(state_dict(tg)) == layout(state_dict(torch))


@pytest.mark.parametrize(("name", "_rule", "_fixed", "options"), CASES, ids=IDS)
def test_same_repr(name, _rule, _fixed, options):
    def text(lib):
        return repr(getattr(lib.optim, name)([lib.tensor([1.0], requires_grad=True)], **options))

    assert text(tg) == text(torch)


def nothing(lib, params):
    return []


def twice(lib, params):
    return [{"params": params}, {"params": params}]


BAD = [
    ("LBFGS", lambda lib, params: [{"params": params[:1]}, {"params": params[1:]}], {}),
    ("LBFGS", None, {"lr": -1.0}),
    ("Muon", None, {}),
    ("Muon", None, {"lr": -1.0}),
    ("Muon", None, {"momentum": -1.0}),
    ("Muon", None, {"weight_decay": -1.0}),
    ("Muon", None, {"adjust_lr_fn": "other"}),
    ("SGD", nothing, {}),
    ("SGD", twice, {}),
    ("SGD", lambda lib, params: params[0], {}),
    ("SGD", lambda lib, params: [params[0] * 2], {}),
    ("SGD", lambda lib, params: [1.0], {}),
    ("SGD", lambda lib, params: [{"params": set(params)}], {}),
    ("SGD", lambda lib, params: [("a", params[0]), params[1]], {}),
    ("SGD", None, {"lr": -1.0}),
    ("SGD", None, {"momentum": -0.1}),
    ("SGD", None, {"weight_decay": -0.1}),
    ("SGD", None, {"nesterov": True}),
    ("SGD", None, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("SGD", None, {"fused": True, "foreach": True}),
    ("Adam", None, {"lr": -1e-3}),
    ("Adam", None, {"lr": float("nan")}),
    ("Adam", None, {"eps": -1e-8}),
    ("Adam", None, {"betas": (1.0, 0.999)}),
    ("Adam", None, {"betas": (0.9, -0.1)}),
    ("Adam", None, {"weight_decay": -1.0}),
    ("AdamW", None, {"weight_decay": -1.0}),
    ("ASGD", None, {"lr": -1.0}),
    ("ASGD", None, {"weight_decay": -1.0}),
    ("Rprop", None, {"lr": -1.0}),
    ("Rprop", None, {"etas": (1.0, 1.2)}),
    ("Rprop", None, {"etas": (0.5, 1.0)}),
    ("Adagrad", None, {"lr_decay": -1.0}),
    ("Adagrad", None, {"eps": -1.0}),
    ("Adagrad", None, {"initial_accumulator_value": -1.0}),
    ("RMSprop", None, {"alpha": -1.0}),
    ("RMSprop", None, {"momentum": -1.0}),
    ("RMSprop", None, {"eps": -1.0}),
    ("Adadelta", None, {"rho": -0.1}),
    ("Adadelta", None, {"rho": 1.1}),
    ("Adadelta", None, {"eps": -1.0}),
    ("Adamax", None, {"betas": (1.0, 0.9)}),
    ("NAdam", None, {"momentum_decay": -1.0}),
    ("RAdam", None, {"betas": (0.9, 1.0)}),
]


@pytest.mark.parametrize(("name", "arrange", "options"), BAD)
def test_same_errors(name, arrange, options):
    def error(lib):
        params = [lib.tensor([1.0], requires_grad=True) for _ in range(2)]
        with pytest.raises(Exception) as caught:
            getattr(lib.optim, name)(arrange(lib, params) if arrange else params, **options)
        return caught.type, str(caught.value).split(",")[0].split(" is ")[0].replace("torch.", "")

    kind, text = error(tg)
    expected_kind, expected_text = error(torch)
    assert kind is expected_kind
    assert text == expected_text
