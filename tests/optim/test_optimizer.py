"""What all optimizers share: groups, state, hooks, and whatever may happen to a parameter."""

import copy
import gc
import inspect
import io
import pickle
import sys
from collections import defaultdict

import numpy as np
import pytest
from optim_runs import OPTIONS

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim

NAMES = list(OPTIONS)


def leaf(values, dtype=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


def adam(params, **options):
    return optim.Adam(params, lr=0.1, **options)


def momentum(params, **options):
    return optim.SGD(params, lr=0.1, momentum=0.9, **options)


def step(optimizer, *gradients):
    """One step with these gradients, for the parameters of all groups in order."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for p, g in zip(params, gradients, strict=True):
        p.grad = None if g is None else tg.tensor(g, dtype=p.dtype)
    optimizer.step()
    return [p.detach().numpy().copy() for p in params]


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# ---- groups ----


@pytest.mark.parametrize("make", [iter, tuple, lambda ps: [{"params": ps}], lambda ps: (ps[0],)])
def test_forms_of_parameters(make):
    p = leaf([1.0])
    optimizer = optim.SGD(make([p]), lr=1.0)
    assert optimizer.param_groups[0]["params"] == [p]
    same(step(optimizer, [0.25]), [[0.75]])


def test_named_parameters():
    model = nn.Linear(2, 3)
    optimizer = optim.Adam(model.named_parameters())
    group = optimizer.param_groups[0]
    assert group["param_names"] == ["weight", "bias"]
    assert group["params"][0] is model.weight
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_adagrad_has_its_state_from_the_start():
    a, b = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = optim.Adagrad([a], initial_accumulator_value=0.5)
    optimizer.add_param_group({"params": b, "initial_accumulator_value": 2})
    state = optimizer.state_dict()["state"]
    assert state.keys() == {0}
    assert (state[0]["step"].item(), state[0]["sum"].tolist()) == (0, [0.5, 0.5])
    step(optimizer, None, [1.0])
    assert optimizer.state[b]["sum"].tolist() == [3.0]
    assert optimizer.state[a]["step"].item() == 0


def test_a_group_added_on_the_way():
    a, b = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = momentum([a])
    alone = momentum([leaf([1.0, 2.0])])
    same(step(optimizer, [1.0, 1.0]), step(alone, [1.0, 1.0]))
    optimizer.add_param_group({"params": b, "lr": 1.0, "momentum": 0})
    moved = step(optimizer, [1.0, 1.0], [0.5])
    same(moved[:1], step(alone, [1.0, 1.0]))
    same(moved[1:], [[2.5]])


def test_duplicates_warn_and_count_twice():
    p = leaf([1.0])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.SGD([p, p], lr=0.25)
    p.grad = tg.tensor([1.0])
    optimizer.step()
    assert p.item() == 0.5


def test_group_options_are_checked():
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        optim.SGD([{"params": [leaf([1.0])], "lr": -1}], lr=0.1)
    with pytest.raises(NotImplementedError, match="Adam: l1 works in compiled steps only"):
        optim.Adam([{"params": [leaf([1.0])], "l1": 0.1}], differentiable=True)
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        optim.Adam([leaf([1.0])], differentiable=True, fused=True)
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        optim.Adam([leaf([1.0])], lr=tg.ones(2))
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optim.SGD([leaf([1.0])]).add_param_group([leaf([1.0])])


def test_learning_rate_as_a_tensor():
    lr = tg.tensor(0.5)
    optimizer = optim.SGD([leaf([1.0])], lr=lr)
    same(step(optimizer, [1.0]), [[0.5]])
    lr.fill_(0.25)
    same(step(optimizer, [1.0]), [[0.25]])


@pytest.mark.parametrize("name", NAMES)
def test_implementation_choices_change_nothing(name):
    def moved(**choice):
        return step(getattr(optim, name)([leaf([1.0, 2.0])], lr=0.1, **choice), [0.3, -0.4])

    accepted = inspect.signature(getattr(optim, name)).parameters.keys()
    for choice in {"fused", "foreach", "capturable"} & accepted:
        same(moved(), moved(**{choice: True}))


# ---- parameters: frozen, shared, replaced, in any layout ----


def test_no_gradient_no_step_no_state():
    a, b = leaf([1.0]), leaf([2.0])
    optimizer = adam([a, b])
    same(step(optimizer, [1.0], None)[1:], [[2.0]])
    assert b not in optimizer.state
    step(optimizer, [1.0], [1.0])
    assert [optimizer.state[p]["step"].item() for p in (a, b)] == [2, 1]
    before = a.item(), optimizer.state[a]["exp_avg"].item()
    step(optimizer, None, [1.0])
    assert (a.item(), optimizer.state[a]["exp_avg"].item()) == before
    assert [optimizer.state[p]["step"].item() for p in (a, b)] == [2, 2]


def test_all_frozen_is_no_error():
    optimizer = adam([leaf([1.0])])
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}


def test_plain_sgd_keeps_no_state():
    optimizer = optim.SGD([leaf([1.0])], lr=0.1)
    step(optimizer, [1.0])
    assert optimizer.state_dict()["state"] == {}


@pytest.mark.parametrize("make", [adam, momentum])
def test_types_mix_in_a_group(make):
    types = [tg.float32, tg.float64, tg.float64, tg.float32]
    mixed = make([leaf([1.0, 2.0], t) for t in types])
    apart = [make([leaf([1.0, 2.0], t)]) for t in types]
    for _ in range(3):
        gradients = [[0.5, -1.0]] * 4
        same(
            step(mixed, *gradients),
            [step(one, g)[0] for one, g in zip(apart, gradients, strict=True)],
        )
    for group in mixed.param_groups:
        for p in group["params"]:
            assert all(v.dtype == p.dtype for k, v in mixed.state[p].items() if k != "step")


@pytest.mark.parametrize("make", [adam, momentum])
@pytest.mark.parametrize("odd", ["parameter", "gradient", "both"])
def test_layouts(make, odd):
    values = np.arange(12.0).reshape(3, 4)
    plain, p = leaf(values), tg.tensor(values.T.copy()).t() if odd != "gradient" else leaf(values)
    p.requires_grad_(True)
    assert p.is_contiguous() == (odd == "gradient")
    one, other = make([plain]), make([p])
    for t in range(3):
        g = np.cos(values + t)
        plain.grad = tg.tensor(g)
        p.grad = tg.tensor(g) if odd == "parameter" else tg.tensor(g.T.copy()).t()
        one.step()
        other.step()
        same([plain.detach().numpy()], [p.detach().numpy()])
        for key, value in one.state[plain].items():
            same([other.state[p][key].numpy()], [value.numpy()])


def test_a_gradient_with_stride_zero():
    p = leaf([1.0, 1.0, 1.0])
    p.grad = tg.tensor([0.5]).expand(3)
    optim.SGD([p], lr=1.0).step()
    assert p.tolist() == [0.5, 0.5, 0.5]


def test_an_expanded_parameter_is_refused():
    p = tg.zeros(1).expand(3).requires_grad_()
    p.grad = tg.ones(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        optim.SGD([p], lr=1.0).step()


def test_a_parameter_replaced_in_its_group():
    a, b = leaf([1.0]), leaf([5.0, 6.0])
    optimizer = momentum([a])
    step(optimizer, [1.0])
    optimizer.param_groups[0]["params"][0] = b
    same(step(optimizer, [1.0, -1.0]), step(momentum([leaf([5.0, 6.0])]), [1.0, -1.0]))


def test_a_parameter_with_new_memory():
    p = leaf([1.0, 2.0])
    optimizer = optim.SGD([p], lr=1.0)
    step(optimizer, [0.5, 0.5])
    p.data = tg.tensor([10.0, 20.0])
    same(step(optimizer, [0.5, 0.5]), [[9.5, 19.5]])
    p.data = tg.tensor([1.0, 2.0, 3.0])
    same(step(optimizer, [0.5, 0.5, 0.5]), [[0.5, 1.5, 2.5]])


def test_a_parameter_whose_shape_no_longer_fits_its_state():
    p = leaf([1.0, 2.0])
    optimizer = adam([p])
    step(optimizer, [0.5, 0.5])
    p.data = tg.tensor([1.0, 2.0, 3.0])
    p.grad = tg.ones(3)
    with pytest.raises(RuntimeError, match=r"state 'exp_avg' .* must be .* of shape \(3,\)"):
        optimizer.step()
    assert p.tolist() == [1.0, 2.0, 3.0]


def test_empty_parameters():
    p = tg.zeros(0, 3, requires_grad=True)
    p.grad = tg.zeros(0, 3)
    optimizer = adam([p])
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 1
    assert optimizer.state[p]["exp_avg"].shape == (0, 3)


def test_writes_in_place_and_leaves_no_trace():
    p = leaf([1.0, 2.0])
    shared, array = p.detach(), p.detach().numpy()
    step(adam([p]), [1.0, 1.0])
    assert p.is_leaf and p.grad_fn is None and p.requires_grad
    assert shared.tolist() == p.tolist() == array.tolist() != [1.0, 2.0]


def test_a_step_between_forward_and_backward_is_noticed():
    p = leaf([1.0, 2.0])
    optimizer = momentum([p])
    step(optimizer, [1.0, 1.0])
    loss = (p * p).sum()
    step(optimizer, [1.0, 1.0])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    buffer = optimizer.state[p]["momentum_buffer"]
    loss = (buffer * leaf([1.0, 1.0])).sum()
    step(optimizer, [1.0, 1.0])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_options_changed_on_the_way():
    p = leaf([1.0])
    optimizer = adam([p])
    step(optimizer, [1.0])
    optimizer.param_groups[0]["amsgrad"] = True
    step(optimizer, [0.1])
    state = optimizer.state[p]
    assert state["max_exp_avg_sq"].tolist() == state["exp_avg_sq"].tolist()
    optimizer.param_groups[0]["maximize"] = True
    before = p.item()
    assert step(optimizer, [100.0])[0] > before


# ---- state ----


def test_state_exchanged_by_the_user_counts():
    p, q = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    optimizer, fresh = adam([p]), adam([q])
    step(optimizer, [1.0, -1.0])
    q.data = p.detach().clone()

    state = optimizer.state[p]  # kept by the user over steps
    state["exp_avg"] = tg.zeros(2)
    state.update(exp_avg_sq=tg.zeros(2), step=tg.tensor(0.0))
    same(step(optimizer, [0.3, 0.4]), step(fresh, [0.3, 0.4]))
    state.pop("exp_avg")
    fresh.state[q]["exp_avg"].zero_()
    same(step(optimizer, [0.3, 0.4]), step(fresh, [0.3, 0.4]))


@pytest.mark.parametrize("reset", ["clear", "defaultdict", "delete", "dict"])
def test_state_can_be_reset(reset):
    p, q = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    optimizer, fresh = adam([p]), adam([q])
    step(optimizer, [1.0, -1.0])
    q.data = p.detach().clone()
    if reset == "clear":
        optimizer.state.clear()
    elif reset == "defaultdict":
        optimizer.state = defaultdict(dict)
    elif reset == "delete":
        del optimizer.state[p]
    else:
        optimizer.state[p] = {}
    for _ in range(3):
        same(step(optimizer, [0.3, 0.4]), step(fresh, [0.3, 0.4]))


def test_a_plain_dict_as_state_is_followed():
    p = leaf([1.0])
    optimizer = momentum([p])
    state = {"momentum_buffer": tg.tensor([2.0])}
    optimizer.state.setdefault(p, state)
    same(step(optimizer, [0.0]), [np.float32(1.0) - np.float32(0.1) * np.float32(1.8)])
    state["momentum_buffer"] = tg.tensor([0.0])
    before = p.item()
    same(step(optimizer, [0.0]), [[before]])


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("exp_avg", tg.zeros(3), r"float32 \(3,\)"),
        ("exp_avg", tg.zeros(2, dtype=tg.float64), "float64"),
        ("exp_avg_sq", tg.zeros(2, 2)[:, 0], "non-contiguous"),
        ("exp_avg_sq", 1.0, "float"),
        ("step", 3, "int"),
    ],
)
def test_state_that_does_not_fit_is_refused(key, value, what):
    p = leaf([1.0, 2.0])
    optimizer = adam([p])
    step(optimizer, [1.0, 1.0])
    before = p.tolist()
    optimizer.state[p][key] = value
    p.grad = tg.ones(2)
    with pytest.raises(RuntimeError, match=f"state '{key}' of a parameter is {what}"):
        optimizer.step()
    assert p.tolist() == before


def trained(make, steps=3):
    model = nn.Linear(3, 2)
    optimizer = make(model.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        (model(tg.ones(4, 3)) ** 2).sum().backward()
        optimizer.step()
    return model, optimizer


def continue_both(one, other):
    for model, optimizer in (one, other):
        for _ in range(3):
            optimizer.zero_grad()
            (model(tg.ones(4, 3) * 0.5) ** 2).sum().backward()
            optimizer.step()
    same(*([p.detach().numpy() for p in model.parameters()] for model, _ in (one, other)))


@pytest.mark.parametrize("make", [adam, momentum])
@pytest.mark.parametrize("through", ["dict", "file", "deepcopy", "pickle"])
def test_state_survives(make, through):
    model, optimizer = trained(make)
    if through == "deepcopy":
        other = copy.deepcopy((model, optimizer))
    elif through == "pickle":
        other = pickle.loads(pickle.dumps((model, optimizer)))
    else:
        state = optimizer.state_dict()
        if through == "file":
            file = io.BytesIO()
            tg.save(state, file)
            file.seek(0)
            state = tg.load(file)
        clone = copy.deepcopy(model)
        other = clone, make(clone.parameters())
        other[1].load_state_dict(state)
    continue_both((model, optimizer), other)


def test_loading_copies_and_casts():
    _, optimizer = trained(adam)
    state = optimizer.state_dict()
    double = adam([tg.zeros(2, 3, dtype=tg.float64), tg.zeros(2, dtype=tg.float64)])
    double.load_state_dict(state)
    loaded = double.state_dict()["state"][0]
    assert loaded["exp_avg"].dtype == tg.float64
    assert loaded["step"].dtype == tg.float32
    before = state["state"][0]["exp_avg"].tolist()
    loaded["exp_avg"].zero_()
    assert state["state"][0]["exp_avg"].tolist() == before


def test_loading_options():
    _, optimizer = trained(adam)
    other = optim.AdamW([tg.zeros(2, 3), tg.zeros(2)], lr=0.7)
    state = optimizer.state_dict()
    del state["param_groups"][0]["amsgrad"]  # as older versions wrote it
    state["state"][0]["step"] = 3
    other.load_state_dict(state)
    group = other.param_groups[0]
    assert group["lr"] == 0.1
    assert group["amsgrad"] is False
    assert group["decoupled_weight_decay"] is True
    step(other, np.ones((2, 3)), None)
    assert other.state_dict()["state"][0]["step"].item() == 4


@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (lambda s: [s], TypeError, "dict-like"),
        (lambda s: {"state": {}}, ValueError, "no 'param_groups'"),
        (lambda s: {**s, "param_groups": []}, ValueError, "different number of parameter groups"),
        (
            lambda s: {**s, "param_groups": [{**s["param_groups"][0], "params": [0]}]},
            ValueError,
            "doesn't match the size",
        ),
        (
            lambda s: {**s, "param_groups": [{**s["param_groups"][0], "lr": -1}]},
            ValueError,
            "Invalid learning rate",
        ),
    ],
)
def test_loading_what_does_not_fit(spoil, error, text):
    _, optimizer = trained(adam)
    before = optimizer.state_dict()
    with pytest.raises(error, match=text):
        optimizer.load_state_dict(spoil(optimizer.state_dict()))
    assert optimizer.state_dict()["param_groups"] == before["param_groups"]


def test_a_step_within_a_step_is_refused():
    p = leaf([1.0])
    optimizer = adam([p])

    class Nosy(dict):
        def get(self, key):
            optimizer.step()

    optimizer.state[p] = Nosy()
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        step(optimizer, [1.0])
    optimizer.state.clear()
    step(optimizer, [1.0])


@pytest.mark.parametrize("make", [adam, momentum])
def test_memory_stays_flat(make):
    gc.collect()
    before = tg.memory_stats()["allocated_bytes.all.current"]
    params = [leaf(np.ones(50)), tg.tensor(np.ones((3, 4))).t().requires_grad_()]
    optimizer = make(params)
    step(optimizer, np.ones(50), np.ones((4, 3)))
    gc.collect()
    in_use, blocks = tg.memory_stats()["allocated_bytes.all.current"], sys.getallocatedblocks()
    for _ in range(2000):
        optimizer.step()
    assert tg.memory_stats()["allocated_bytes.all.current"] == in_use
    assert abs(sys.getallocatedblocks() - blocks) < 100
    del params, optimizer
    gc.collect()
    assert tg.memory_stats()["allocated_bytes.all.current"] == before


# ---- gradients, closures, hooks ----


def test_zero_grad():
    a, b = leaf([1.0]), leaf([2.0])
    optimizer = momentum([a, b])
    (a * a).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0.0] and b.grad is None
    optimizer.zero_grad()
    assert a.grad is None


def test_closure():
    p = leaf([3.0])
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        assert tg.is_grad_enabled()
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert optimizer.step(closure).item() == 0.0
    assert optimizer.step() is None


def test_hooks():
    p, seen = leaf([1.0]), []
    optimizer = optim.SGD([p], lr=0.5)

    def before(optimizer, args, kwargs):
        seen.append(("before", optimizer, args, kwargs, p.item()))

    def after(optimizer, args, kwargs):
        seen.append(("after", optimizer, args, kwargs, p.item()))

    handles = [
        optimizer.register_step_pre_hook(before),
        optimizer.register_step_post_hook(after),
    ]
    step(optimizer, [1.0])
    assert seen == [
        ("before", optimizer, (optimizer,), {}, 1.0),
        ("after", optimizer, (optimizer,), {}, 0.5),
    ]
    for handle in handles:
        handle.remove()
    step(optimizer, [1.0])
    assert len(seen) == 2
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o,), {"closure": lambda: 7}))
    assert optimizer.step() == 7
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


def test_an_optimizer_written_in_python():
    class Slow(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.5})

        @tg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    p.sub_(group["lr"] * p.grad)

    p, seen = leaf([1.0]), []
    slow = Slow([p])
    slow.register_step_post_hook(lambda *_: seen.append(1))
    same(step(slow, [1.0]), [[0.5]])
    assert seen == [1]
    assert slow.state_dict()["state"] == {0: {"count": 1}}

    class Nothing(optim.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing: step"):
        Nothing([p], {}).step()


def test_many_tensors_move_as_one():
    count = 17_000  # more than one call takes
    values = np.linspace(-1, 1, count * 3, dtype=np.float32).reshape(count, 3)
    many, one = [leaf(v) for v in values], leaf(values)
    a, b = adam(many), adam([one])
    for t in range(3):
        for p, g in zip(many, np.sin(values + t), strict=True):
            p.grad = tg.tensor(g)
        one.grad = tg.tensor(np.sin(values + t))
        a.step()
        b.step()
    same([np.stack([p.detach().numpy() for p in many])], [one.detach().numpy()])
