"""Hooks on modules; calling must be the same before and after the process's first hook."""

import copy
import pickle
import subprocess
import sys

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn


class Add(nn.Module):
    def forward(self, x, y=0):
        return x + y


def test_forward_pre_hook_sees_and_replaces_arguments():
    module, seen = Add(), []
    with module.register_forward_pre_hook(lambda m, args: seen.append((m, args))):
        assert module(1, 2) == 3
    assert seen == [(module, (1, 2))]
    handle = module.register_forward_pre_hook(lambda m, args: (10, *args[1:]))
    assert module(1, 2) == 12
    handle.remove()
    handle.remove()
    assert module(1, 2) == 3
    module.register_forward_pre_hook(lambda m, args: 7)
    assert module(1) == 7


def test_forward_pre_hook_with_kwargs():
    module = Add()
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"y": kwargs["y"] * 10}), with_kwargs=True
    )
    assert module(1, y=2) == 21
    module.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(
        RuntimeError, match=r"None or a tuple \(args, kwargs\), but returned \(1,\)"
    ):
        module(1, y=2)


def test_forward_hook_sees_and_replaces_the_output():
    module, seen = Add(), []
    module.register_forward_hook(lambda m, args, output: seen.append((args, output)))
    module.register_forward_hook(lambda m, args, output: output * 100)
    module.register_forward_hook(
        lambda m, args, kwargs, output: output + kwargs["y"], with_kwargs=True
    )
    assert module(1, y=2) == 302
    assert seen == [((1,), 3)]


def test_order_and_prepend():
    module, order = Add(), []
    for name in "ab":
        module.register_forward_hook(lambda m, a, o, name=name: order.append(name))
        module.register_forward_pre_hook(lambda m, a, name=name: order.append("pre " + name))
    module.register_forward_hook(lambda m, a, o: order.append("first"), prepend=True)
    module.register_forward_pre_hook(lambda m, a: order.append("pre first"), prepend=True)
    module(1)
    assert order == ["pre first", "pre a", "pre b", "first", "a", "b"]


def test_a_hook_may_remove_itself():
    module, count = Add(), []

    def once(m, args, output):
        count.append(1)
        handle.remove()

    handle = module.register_forward_hook(once)
    module(1)
    module(1)
    assert count == [1]


def test_hooks_belong_to_one_instance_and_not_to_forward():
    hooked, plain = Add(), Add()
    hooked.register_forward_hook(lambda m, args, output: -1)
    assert hooked(1) == -1
    assert plain(1) == 1
    assert hooked.forward(1) == 1
    assert nn.Sequential(plain, hooked)(1) == -1


def test_hooks_do_not_show_in_repr_or_state():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda m, args, output: None)
    assert repr(layer) == "Linear(in_features=2, out_features=2, bias=True)"
    assert list(layer.state_dict()) == ["weight", "bias"]


def negate(module, args, output):
    return -output


def test_copies_carry_hooks():
    module = Add()
    module.register_forward_hook(negate)
    twin = copy.deepcopy(module)
    twin.register_forward_hook(negate)
    assert twin(1) == 1
    assert module(1) == -1
    assert pickle.loads(pickle.dumps(module))(1) == -1


def test_hooks_arrive_with_a_pickle_in_a_fresh_process():
    """There the first hook of the process comes in by unpickling."""
    module = nn.Identity()
    module.register_forward_hook(print)
    code = (
        "import pickle, sys, tinygrad_lessons;pickle.load(sys.stdin.buffer)('in the fresh process')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(module), capture_output=True, check=True
    )
    assert b"in the fresh process" in done.stdout


# Backward


class Affine(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(tg.tensor(3.0))

    def forward(self, x, y=None):
        return x * self.weight if y is None else (x * self.weight, y * 5)


def test_full_backward_hook_sees_gradients():
    module, seen = Affine(), []
    module.register_full_backward_hook(lambda m, gi, go: seen.append((m, gi, go)))
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (module(x) * tg.tensor([10.0, 20.0])).sum().backward()
    (m, (grad_input,), (grad_output,)) = seen[0]
    assert len(seen) == 1
    assert m is module
    assert grad_input.tolist() == [30.0, 60.0]
    assert grad_output.tolist() == [10.0, 20.0]
    assert x.grad.tolist() == [30.0, 60.0]
    assert module.weight.grad.item() == 50.0


def test_full_backward_hook_gets_this_modules_part_only():
    module, seen = Affine(), []
    module.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].item()))
    x = tg.tensor(1.0, requires_grad=True)
    (module(x) + x * 100).backward()
    assert seen == [3.0]
    assert x.grad.item() == 103.0


def test_full_backward_hook_with_several_inputs_and_outputs():
    module, seen = Affine(), []
    module.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    x, y = tg.tensor(1.0, requires_grad=True), tg.tensor(2.0, requires_grad=True)
    output = module(x, y)
    (output[0] * 7).backward()
    (grad_input, grad_output) = seen.pop()
    assert grad_input[0].item() == 21.0
    assert grad_output[0].item() == 7.0
    assert grad_output[1] is None
    assert y.grad is None or y.grad.item() == 0.0


def test_full_backward_hook_replaces_grad_input():
    module = Affine()
    module.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    x = tg.tensor(1.0, requires_grad=True)
    module(x).backward()
    assert x.grad.item() == 6.0
    module.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="returned 2 grad_input, but the module has 1"):
        module(x).backward()


def test_full_backward_pre_hook_replaces_grad_output():
    module = Affine()
    module.register_full_backward_pre_hook(lambda m, go: (go[0] * 10,))
    x = tg.tensor(1.0, requires_grad=True)
    module(x).backward()
    assert x.grad.item() == 30.0
    assert module.weight.grad.item() == 10.0


def test_full_backward_hook_without_input_gradients():
    module, seen = Affine(), []
    handle = module.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].item())))
    module(tg.tensor(2.0)).backward()
    assert seen == [((None,), 1.0)]
    assert module.weight.grad.item() == 2.0
    handle.remove()
    module.register_full_backward_hook(lambda m, gi, go: (tg.tensor(1.0),))
    with pytest.raises(RuntimeError, match="no input of the module requires grad"):
        module(tg.tensor(2.0)).backward()


def test_backward_hooks_are_quiet_without_grad():
    module, seen = Affine(), []
    module.register_full_backward_hook(lambda *args: seen.append(args))
    with tg.no_grad():
        assert module(tg.tensor(2.0)).item() == 6.0
    assert seen == []
