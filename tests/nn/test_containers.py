"""Sequential, ModuleList, ModuleDict."""

from collections import OrderedDict

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import nn


def layers(count):
    return [nn.Linear(index + 1, index + 2) for index in range(count)]


ORDERED = [lambda modules: nn.Sequential(*modules), nn.ModuleList]


@pytest.mark.parametrize("make", ORDERED, ids=["Sequential", "ModuleList"])
class TestOrdered:
    def test_is_a_sequence(self, make):
        modules = layers(3)
        held = make(modules)
        assert len(held) == 3
        assert list(held) == modules
        assert [held[i] for i in (0, 1, 2, -1)] == [*modules, modules[-1]]
        assert list(held[1:]) == modules[1:]
        assert list(held[::-1]) == modules[::-1]
        assert type(held[:1]) is type(held)
        for index in (3, -4):
            with pytest.raises(IndexError, match=f"index {index} is out of range"):
                held[index]
        with pytest.raises(TypeError):
            held["0"]

    def test_changes_like_a_list(self, make):
        modules = layers(4)
        held, expected = make(modules), list(modules)
        extra = nn.ReLU()
        for change in [
            lambda it: it.append(extra),
            lambda it: it.insert(1, nn.Tanh()) if it is held else it.insert(1, held[1]),
            lambda it: it.__delitem__(0),
            lambda it: it.__delitem__(slice(0, 2)),
            lambda it: it.extend(m for m in (extra, extra)),
            lambda it: it.insert(-1, extra),
            lambda it: it.pop(-1),
            lambda it: it.__setitem__(-1, extra),
            lambda it: it.__iadd__([extra]),
        ]:
            change(held)
            change(expected)
            assert list(held) == expected
            assert list(held._modules) == [str(i) for i in range(len(expected))]

    def test_state_names_follow_positions(self, make):
        held = make(layers(3))
        del held[1]
        assert list(held.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]

    def test_extend_with_itself_ends(self, make):
        held = make(layers(2))
        held.extend(held)
        assert len(held) == 4
        assert len(list(held.parameters())) == 4

    def test_chaining(self, make):
        held = make([])
        assert held.append(nn.ReLU()) is held
        assert held.extend([]) is held
        assert held.insert(0, nn.Tanh()) is held
        assert repr(held[0]) == "Tanh()"

    def test_errors(self, make):
        held = make(layers(2))
        with pytest.raises(TypeError, match="Module or None expected"):
            held.append(1)
        with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
            held.extend(5)
        with pytest.raises(IndexError, match="index 3 is out of range"):
            held.insert(3, nn.ReLU())
        with pytest.raises(IndexError, match="index 2 is out of range"):
            del held[2]
        with pytest.raises(IndexError, match="index 2 is out of range"):
            held[2] = nn.ReLU()
        with pytest.raises(IndexError):
            held.pop(2)
        assert len(held) == 2

    def test_a_failed_insert_loses_nothing(self, make):
        modules = layers(2)
        held = make(modules)
        with pytest.raises(TypeError):
            held.insert(0, "no module")
        assert list(held) == modules


def test_sequential_runs_in_order():
    model = nn.Sequential(nn.Flatten(), nn.Identity(), nn.ReLU())
    assert model(tg.tensor([[[-1.0, 2.0]]])).tolist() == [[0.0, 2.0]]
    assert nn.Sequential()(5) == 5


def test_sequential_from_names():
    model = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), second=nn.ReLU()))
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    assert model.first is model[0]
    assert list(model[1:]._modules) == ["second"]
    assert model(tg.zeros(1, 2)).shape == (1, 3)


def test_sequential_skips_its_own_tensors():
    model = nn.Sequential(nn.ReLU())
    model.register_buffer("note", tg.zeros(1))
    assert model(tg.tensor([-1.0])).tolist() == [0.0]


def test_sequential_add():
    one, two = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh(), nn.Sigmoid())
    assert list(one + two) == [*one, *two]
    assert len(one) == 1
    with pytest.raises(TypeError, match="can only add a Sequential, got list"):
        one + [nn.ReLU()]
    with pytest.raises(TypeError, match="Module or None expected"):
        nn.Sequential(nn.ReLU(), 5)


def test_module_list_add_and_forward():
    one = nn.ModuleList([nn.ReLU()])
    assert [type(m) for m in one + [nn.Tanh()]] == [nn.ReLU, nn.Tanh]
    with pytest.raises(NotImplementedError, match="ModuleList"):
        one(1)


def test_module_dict_is_a_mapping():
    relu, tanh = nn.ReLU(), nn.Tanh()
    held = nn.ModuleDict({"relu": relu, "tanh": tanh})
    assert list(held) == list(held.keys()) == ["relu", "tanh"]
    assert list(held.values()) == [relu, tanh]
    assert list(held.items()) == [("relu", relu), ("tanh", tanh)]
    assert len(held) == 2
    assert "relu" in held
    assert "none" not in held
    assert held["tanh"] is tanh
    held["relu"] = tanh
    assert list(held.values()) == [tanh, tanh]
    assert held.pop("relu") is tanh
    assert list(held) == ["tanh"]
    held.update([("a", relu), ("b", relu)])
    held.update(nn.ModuleDict({"c": relu}))
    assert list(held) == ["tanh", "a", "b", "c"]
    del held["a"]
    held.clear()
    assert len(held) == 0
    assert nn.ModuleDict() is not None


def test_module_dict_holds_parameters():
    held = nn.ModuleDict({"a": nn.Linear(1, 2)})
    assert [name for name, _ in held.named_parameters()] == ["a.weight", "a.bias"]


def test_module_dict_errors():
    held = nn.ModuleDict()
    with pytest.raises(KeyError, match="missing"):
        held["missing"]
    with pytest.raises(KeyError, match="training"):
        del held["training"]
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        held["keys"] = nn.ReLU()
    with pytest.raises(TypeError, match="Module or None expected"):
        held["a"] = 5
    with pytest.raises(TypeError, match="iterable of key/value pairs, but got int"):
        held.update(5)
