"""Module: registry, walking, state, modes, copies."""

import copy
import gc
import inspect
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn


class Net(nn.Module):
    """One of everything; the second layer's weight is shared with the first."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(tg.tensor(2.0))
        self.register_buffer("offset", tg.tensor([1.0, 2.0, 3.0]))
        self.register_buffer("scratch", tg.zeros(2), persistent=False)

    def forward(self, x):
        return self.second(self.norm(self.first(x))) * self.scale + self.offset


# Calling


class Echo(nn.Module):
    def forward(self, *args, **kwargs):
        return args, kwargs


def test_call_passes_all_arguments():
    assert Echo()() == ((), {})
    assert Echo()(1, 2, self_=3, input=4) == ((1, 2), {"self_": 3, "input": 4})


def test_call_uses_the_forward_of_today():
    class Plain(nn.Module):
        def forward(self, x):
            return x + 1

    module = Plain()
    assert module(1) == 2
    module.forward = lambda x: x + 10
    assert module(1) == 11
    del module.forward
    Plain.forward = lambda self, x: x + 100
    assert module(1) == 101


def test_call_through_super_and_unbound():
    class Doubled(Echo):
        def __call__(self, *args):
            return super().__call__(*args * 2)

    assert Doubled()(1, 2) == ((1, 2, 1, 2), {})
    assert nn.Module.__call__(Echo(), 5, k=6) == ((5,), {"k": 6})
    assert callable(Echo())
    assert inspect.signature(Echo()).bind(1, 2, k=3)
    assert list(inspect.signature(nn.Linear(2, 3)).parameters) == ["input"]
    assert list(inspect.signature(nn.Linear).parameters)[:2] == ["in_features", "out_features"]


def test_missing_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r'\[Empty\] is missing the required "forward"'):
        Empty()(1)


# Registry


def test_attributes_are_registered_by_kind():
    net = Net()
    assert list(net._parameters) == ["scale"]
    assert list(net._buffers) == ["offset", "scratch"]
    assert list(net._modules) == ["first", "norm", "second"]
    assert net._modules["first"] is net.first
    assert dict(net.named_children()) == dict(net._modules)


def test_registry_views_are_read_only():
    net = Net()
    with pytest.raises(TypeError):
        net._parameters["scale"] = None
    with pytest.raises(TypeError):
        del net._modules["first"]


def test_reading_an_attribute_needs_no_python():
    assert "__getattr__" not in vars(nn.Module)
    assert Net().__dict__["scale"] is not None


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda: nn.Parameter(tg.zeros(1)), "parameter"),
        (lambda: nn.Linear(1, 1), "module"),
    ],
)
def test_assigning_before_init_fails(value, what):
    class Late(nn.Module):
        def __init__(self):
            self.plain = 1
            self.child = value()

    message = rf"cannot assign {what} 'child' before Module.__init__\(\) call"
    with pytest.raises(AttributeError, match=message):
        Late()


def test_registering_before_init_fails():
    class Late(nn.Module):
        def __init__(self):
            self.register_buffer("b", tg.zeros(1))

    with pytest.raises(AttributeError, match="before Module.__init__"):
        Late()


@pytest.mark.parametrize("wrong", [lambda: tg.zeros(3, 3), lambda: 1.0, lambda: nn.ReLU()])
def test_a_parameter_is_replaced_by_parameter_or_none_only(wrong):
    layer = nn.Linear(3, 3)
    before = layer.weight
    with pytest.raises(TypeError, match="as parameter 'weight'.*Parameter or None expected"):
        layer.weight = wrong()
    assert layer.weight is before
    layer.weight = None
    assert layer.weight is None
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    layer.weight = before
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_a_deleted_parameter_frees_its_name():
    layer = nn.Linear(3, 3)
    del layer.weight
    assert not hasattr(layer, "weight")
    layer.weight = tg.zeros(3, 3)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    with pytest.raises(AttributeError):
        del layer.nothing


def test_a_buffer_takes_tensors_and_none():
    net = Net()
    net.offset = tg.zeros(3)
    assert [name for name, _ in net.named_buffers(recurse=False)] == ["offset", "scratch"]
    with pytest.raises(TypeError, match="as buffer 'offset'.*Tensor or None expected"):
        net.offset = 5
    net.offset = None
    assert "offset" not in net.state_dict()


def test_a_module_is_replaced_by_module_or_none_only():
    net = Net()
    with pytest.raises(TypeError, match="as module 'first'.*Module or None expected"):
        net.first = tg.zeros(1)
    net.first = None
    assert "first" not in dict(net.named_children())
    assert list(net._modules) == ["first", "norm", "second"]


def test_a_name_changes_its_kind():
    net = Net()
    net.offset = nn.Parameter(tg.zeros(3))
    net.norm = nn.Parameter(tg.zeros(3))
    net.scratch = nn.ReLU()
    assert list(net._parameters) == ["scale", "offset", "norm"]
    assert list(net._buffers) == []
    assert list(net._modules) == ["first", "second", "scratch"]


def test_a_plain_attribute_becomes_a_parameter():
    net = Net()
    net.extra = None
    net.extra = nn.Parameter(tg.zeros(3))
    assert list(net._parameters) == ["scale", "extra"]


def test_a_plain_tensor_is_no_buffer():
    net = Net()
    net.note = tg.zeros(3)
    assert "note" not in dict(net.named_buffers())


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.b", KeyError, "can't be empty or contain \".\", got 'a.b'"),
        ("", KeyError, "can't be empty or contain \".\", got ''"),
        ("forward", KeyError, "attribute 'forward' already exists"),
        ("training", KeyError, "attribute 'training' already exists"),
        ("first", KeyError, "attribute 'first' already exists"),
        (5, TypeError, "name should be a string, got int"),
    ],
)
def test_bad_names(name, error, message):
    net = Net()
    for register, value in [
        (net.register_parameter, nn.Parameter(tg.zeros(1))),
        (net.register_buffer, tg.zeros(1)),
        (net.add_module, nn.ReLU()),
    ]:
        if name == "first" and register == net.add_module:
            continue
        with pytest.raises(error) as caught:
            register(name, value)
        assert message in caught.value.args[0]


def test_bad_values():
    net = Net()
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'p'"):
        net.register_parameter("p", tg.zeros(1))
    with pytest.raises(TypeError, match="cannot assign 'int' as buffer 'b'"):
        net.register_buffer("b", 1)
    with pytest.raises(TypeError, match="cannot assign 'int' as module 'm'"):
        net.add_module("m", 1)
    for name in "pbm":
        assert not hasattr(net, name)


# Walking


def test_walks_name_everything_once_and_in_order():
    net = Net()
    assert [name for name, _ in net.named_modules()] == ["", "first", "norm", "second"]
    assert [name for name, _ in net.named_parameters()] == [
        "scale",
        "first.weight",
        "first.bias",
        "norm.weight",
        "norm.bias",
    ]
    everything = dict(net.named_parameters(remove_duplicate=False))
    assert everything["second.weight"] is everything["first.weight"]
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in net.named_buffers()] == [
        "offset",
        "scratch",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert list(net.modules()) == [net, net.first, net.norm, net.second]
    assert list(net.children()) == [net.first, net.norm, net.second]
    assert len(list(net.parameters())) == 5
    assert len(list(net.buffers())) == 5


def test_a_shared_module_is_walked_once():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, layer)
    assert [name for name, _ in model.named_modules()] == ["", "0"]
    assert [name for name, _ in model.named_modules(remove_duplicate=False)] == ["", "0", "1"]
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert list(model.children()) == [layer]


def test_parameters_and_buffers_are_the_named_ones_after_every_edit():
    net = Net()
    net.again = net.first

    def check(module):
        for recurse in (True, False):
            for kind in ("parameters", "buffers"):
                found = list(getattr(module, kind)(recurse))
                named = [x for _, x in getattr(module, f"named_{kind}")(recurse=recurse)]
                assert len(found) == len(named)
                assert all(x is y for x, y in zip(found, named, strict=True))
        return len(list(module.parameters()))

    model = nn.Sequential(net, nn.Identity(), net)
    count = check(model)
    net.first.bias = None
    assert check(model) == count - 1
    net.first.bias = nn.Parameter(tg.zeros(3))
    net.extra = nn.Parameter(tg.zeros(1))
    assert check(model) == count + 1
    del net.extra, net.norm
    assert check(model) < count
    net.register_module("nothing", None)
    net.register_buffer("offset", tg.zeros(2))
    model.append(nn.Linear(2, 2))
    check(model)
    net.above = model  # a cycle
    check(model)
    check(net)
    while_walking = []
    for p in model.parameters():  # a snapshot: an edit meanwhile changes nothing
        model.append(nn.Identity())
        while_walking.append(p)
    assert len(while_walking) == check(model)


def test_a_class_may_walk_in_its_own_way():
    class Student(nn.Module):
        def __init__(self):
            super().__init__()
            self.own, self.teacher = nn.Linear(2, 2), nn.Linear(2, 2)

        def named_modules(self, memo=None, prefix="", remove_duplicate=True):
            for name, module in super().named_modules(memo, prefix, remove_duplicate):
                if "teacher" not in name:
                    yield name, module

    class Chosen(nn.Linear):
        def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
            yield "weight", self.weight

    student, chosen = Student(), Chosen(2, 2)
    for model in (student, nn.Sequential(student)):
        assert [id(p) for p in model.parameters()] == [id(p) for p in student.own.parameters()]
    assert list(chosen.parameters())[0] is chosen.weight and len(list(chosen.parameters())) == 1


def test_modules_that_were_not_initialised_say_so():
    class Late(nn.Module):
        def __init__(self):
            pass

    with pytest.raises(AttributeError, match="_registry"):
        list(Late().parameters())


def test_get_by_path():
    net = nn.Sequential(Net())
    assert net.get_submodule("") is net
    assert net.get_submodule("0.norm") is net[0].norm
    assert net.get_parameter("0.first.weight") is net[0].first.weight
    assert net.get_buffer("0.norm.running_mean") is net[0].norm.running_mean
    with pytest.raises(AttributeError, match=r"Sequential has no module '1', only \['0'\]"):
        net.get_submodule("1.norm")
    with pytest.raises(AttributeError, match="Net has no parameter 'offset'"):
        net.get_parameter("0.offset")
    with pytest.raises(AttributeError, match="Net has no buffer 'scale'"):
        net.get_buffer("0.scale")
    with pytest.raises(AttributeError, match="Linear has no parameter 'bias'"):
        nn.Linear(1, 1, bias=False).get_parameter("bias")


def test_apply_visits_children_first():
    seen = []
    net = Net()
    assert net.apply(seen.append) is net
    assert seen == [net.first, net.norm, net.second, net]


def test_dir_lists_members_but_no_numbers():
    names = dir(nn.Sequential(nn.ReLU()))
    assert "forward" in names
    assert "training" in names
    assert "0" not in names
    assert "weight" in dir(nn.Linear(1, 1))


# State


def test_state_dict_names_and_shares():
    net = Net()
    state = net.state_dict()
    assert list(state) == [
        "scale",
        "offset",
        "first.weight",
        "first.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
        "second.weight",
    ]
    assert not state["first.weight"].requires_grad
    state["offset"].fill_(9)
    assert net.offset.tolist() == [9.0, 9.0, 9.0]
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert list(net.first.state_dict(prefix="x.")) == ["x.weight", "x.bias"]


def test_state_dict_round_trip():
    one, two = Net(), Net()
    one.norm(tg.randn(5, 3))
    kept = two.first.weight
    result = two.load_state_dict(one.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert two.first.weight is kept
    for (name, a), (_, b) in zip(one.state_dict().items(), two.state_dict().items(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy()), name
    assert not np.shares_memory(one.offset.numpy(), two.offset.numpy())


def test_load_accepts_arrays_and_other_float_types():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[1, 2]]), "bias": tg.tensor([3.0]).double()})
    assert layer.weight.dtype == tg.float32
    assert layer.weight.tolist() == [[1.0, 2.0]]
    assert layer.bias.tolist() == [3.0]
    assert layer.weight.requires_grad


def test_load_strict_reports_all_and_changes_nothing():
    layer = nn.Linear(3, 2)
    before = layer.weight.tolist()
    with pytest.raises(RuntimeError) as caught:
        layer.load_state_dict({"weight": tg.zeros(3, 3), "extra": tg.zeros(1), "more": 1})
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tMissing key(s) in state_dict: "bias". \n'
        '\tUnexpected key(s) in state_dict: "extra", "more". \n'
        "\tsize mismatch for weight: copying a param with shape torch.Size([3, 3]) from "
        "checkpoint, the shape in current model is torch.Size([2, 3])."
    )
    with pytest.raises(RuntimeError, match="Missing"):
        layer.load_state_dict({"weight": tg.zeros(2, 3)})
    assert layer.weight.tolist() == before


def test_load_not_strict():
    layer = nn.Linear(3, 2)
    result = layer.load_state_dict({"weight": tg.ones(2, 3), "extra": 1}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["extra"]
    assert repr(result) == "IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['extra'])"
    assert layer.weight.tolist() == [[1.0] * 3] * 2
    with pytest.raises(RuntimeError, match="size mismatch for bias"):
        layer.load_state_dict({"bias": tg.zeros(3)}, strict=False)


def test_load_wrong_types():
    with pytest.raises(TypeError, match="dict-like, got list"):
        nn.Linear(1, 1).load_state_dict([])
    with pytest.raises(RuntimeError, match="weight: expected a tensor or an array, got str"):
        nn.Linear(1, 1, bias=False).load_state_dict({"weight": "x"})


def test_load_leaves_gradients_to_flow():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": [3.0]} | layer.state_dict())
    layer(tg.ones(1, 2)).sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]


# Modes, gradients, types


def test_train_and_eval_reach_everything():
    net = nn.Sequential(Net())
    assert net.eval() is net
    assert [module.training for module in net.modules()] == [False] * 5
    net.train()
    assert [module.training for module in net.modules()] == [True] * 5
    with pytest.raises(ValueError, match="expected to be boolean, got 1"):
        net.train(1)


def test_train_respects_an_overriding_child():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(nn.Sequential(Frozen(3))).train()
    assert not net[0][0].training
    assert net[0].training


def test_requires_grad_and_zero_grad():
    net = Net()
    net(tg.randn(4, 3)).sum().backward()
    grads = [parameter.grad for parameter in net.parameters()]
    assert any(bool((grad != 0).any()) for grad in grads)
    net.zero_grad(set_to_none=False)
    assert all(not bool((grad != 0).any()) for grad in grads)
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.requires_grad_(False) is net
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_zero_grad_cuts_the_graph_of_a_gradient():
    layer = nn.Linear(2, 1)
    layer(tg.ones(1, 2)).square().sum().backward(create_graph=True)
    assert layer.weight.grad.requires_grad
    layer.zero_grad(set_to_none=False)
    assert not layer.weight.grad.requires_grad
    assert layer.weight.grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    "convert",
    [
        lambda net: net.double(),
        lambda net: net.to(tg.float64),
        lambda net: net.to("cpu", tg.float64),
        lambda net: net.to(device="cpu", dtype=tg.float64),
        lambda net: net.to(tg.zeros(1, dtype=tg.float64)),
    ],
)
def test_conversion_keeps_parameters_and_integers(convert):
    net = Net()
    net(tg.randn(4, 3)).sum().backward()
    before, values = list(net.parameters()), net.first.weight.tolist()
    assert convert(net) is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert net.second.weight is net.first.weight
    assert {parameter.dtype for parameter in net.parameters()} == {tg.float64}
    assert {parameter.grad.dtype for parameter in net.parameters()} == {tg.float64}
    assert net.norm.running_mean.dtype == tg.float64
    assert net.norm.num_batches_tracked.dtype == tg.int64
    assert net.first.weight.tolist() == values
    assert net(tg.randn(4, 3, dtype=tg.float64)).dtype == tg.float64
    assert net.float().scale.dtype == tg.float32


def test_moving_to_the_cpu_changes_no_type():
    net = Net().double()
    assert net.to("cpu").scale.dtype == tg.float64
    assert net.to(tg.device("cpu")).scale.dtype == tg.float64
    assert net.cpu() is net


def test_conversion_refuses_integers():
    with pytest.raises(TypeError, match="only floating-point dtypes can hold parameters"):
        Net().to(tg.int64)
    with pytest.raises((TypeError, RuntimeError)):
        Net().to("nowhere")


# Copies


def _assert_equal_but_separate(one, two):
    assert type(two) is type(one)
    assert repr(two) == repr(one)
    state = two.state_dict()
    assert list(state) == list(one.state_dict())
    for name, value in one.state_dict().items():
        assert np.array_equal(value.numpy(), state[name].numpy()), name
        assert not np.shares_memory(value.numpy(), state[name].numpy()), name
    assert two.second.weight is two.first.weight
    assert isinstance(two.first.weight, nn.Parameter)
    assert [p.requires_grad for p in one.parameters()] == [
        p.requires_grad for p in two.parameters()
    ]
    assert "scratch" not in state


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["deepcopy", "pickle"],
)
def test_copies(duplicate):
    net = Net()
    net.first.bias.requires_grad_(False)
    net.norm(tg.randn(5, 3))
    net.eval()
    twin = duplicate(net)
    _assert_equal_but_separate(net, twin)
    assert not twin.norm.training
    x = tg.randn(2, 3)
    assert twin(x).tolist() == net(x).tolist()
    twin.extra = nn.Parameter(tg.zeros(1))
    assert "extra" not in dict(net.named_parameters())
    twin(x).sum().backward()
    assert net.first.weight.grad is None
    assert twin.first.weight.grad is not None


def test_shallow_copy_shares_tensors():
    layer = nn.Linear(2, 2)
    twin = copy.copy(layer)
    assert twin.weight is layer.weight


def test_a_module_is_freed_without_the_collector():
    net = nn.Sequential(Net())
    net.register_forward_hook(lambda m, args, output: None)
    net(tg.zeros(2, 3))
    alive = weakref.ref(net[0])
    gc.disable()
    try:
        del net
        assert alive() is None
    finally:
        gc.enable()


# Printing


def test_repr_of_own_modules():
    class Custom(nn.Module):
        def __init__(self, text):
            super().__init__()
            self.text = text

        def extra_repr(self):
            return self.text

    assert repr(Custom("")) == "Custom()"
    assert repr(Custom("a=1")) == "Custom(a=1)"
    assert repr(Custom("a=1\nb=2")) == "Custom(\n  a=1\n  b=2\n)"
    parent = Custom("a=1")
    parent.child = Custom("b\nc")
    parent.missing = nn.ReLU()
    parent.missing = None
    assert repr(parent) == (
        "Custom(\n  a=1\n  (child): Custom(\n    b\n    c\n  )\n  (missing): None\n)"
    )
