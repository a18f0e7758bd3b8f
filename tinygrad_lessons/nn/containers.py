"""Modules that hold other modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from tinygrad_lessons._core import Tensor, chain

from .activation import GELU, ReLU
from .conv import Conv1d, Conv2d
from .linear import Linear
from .module import Module

# What `chain` makes one launch of: layers, with how many dimensions they go over, and by an attribute of the activation
# what the layers' functions call it.
_LAYERS = {
    Linear: (Linear.forward, 0),
    Conv1d: (Conv1d.forward, 1),
    Conv2d: (Conv2d.forward, 2),
}
_ACTIVATIONS = {
    ReLU: (ReLU.forward, "inplace", {False: "relu"}),
    GELU: (GELU.forward, "approximate", {"none": "gelu", "tanh": "gelu_tanh"}),
}


class _Ordered(Module):
    """What Sequential and ModuleList share: children in order, reached by index."""

    def __len__(self) -> int:
        return len(self._registry["module"])

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self._members("module")])

    def _name(self, index):
        """The name under which the child at `index` is registered."""
        names = list(self._registry["module"])
        try:
            return names[index]
        except IndexError:
            raise IndexError(
                f"index {index} is out of range for {type(self).__name__} of {len(names)} modules"
            ) from None

    def _assign(self, modules):
        """Hold exactly these modules, under the names "0", "1", …"""
        for name in list(self._registry["module"]):
            delattr(self, name)
        for index, module in enumerate(modules):
            self.add_module(str(index), module)

    def __getitem__(self, index: int) -> Module:
        return self.__dict__[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        self._name(index)
        del modules[index]
        self._assign(modules)

    def append(self, module: Module):
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]):
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            name = type(self).__name__
            raise TypeError(
                f"{name}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module):
        """Add a module before the one at `index`; the later ones are renumbered."""
        if not -len(self) <= index <= len(self):
            raise IndexError(
                f"index {index} is out of range for {type(self).__name__} of {len(self)} modules"
            )
        modules = list(self.append(module))
        modules.insert(index, modules.pop())
        self._assign(modules)
        return self

    def pop(self, index: int) -> Module:
        """Take out the module at `index` and return it."""
        module = self[index]
        del self[index]
        return module

    def __iadd__(self, modules: Iterable[Module]):
        return self.extend(modules)


class Sequential(_Ordered):
    """Passes its input through its modules, one after the other.

    Takes modules, or one dict from names to modules.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> model(tg.zeros(3, 4)).shape
    torch.Size([3, 2])
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Module | Mapping[str, Module]):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self._assign(args)

    def forward(self, input: Tensor) -> Tensor:
        return chain(self.__dict__, self._registry["module"], input, _LAYERS, _ACTIVATIONS)

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)(dict(self._members("module")[index]))
        return super().__getitem__(index)

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise TypeError(f"Sequential: can only add a Sequential, got {type(other).__name__}")
        return Sequential(*self, *other)


class ModuleList(_Ordered):
    """A list of modules whose parameters belong to the module that holds it.

    >>> from tinygrad_lessons import nn
    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> layers
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return super().__getitem__(index)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def _repr_children(self):
        """Neighbours that print alike share one line."""
        lines, first = [], 0
        for text, group in groupby(repr(module) for module in self):
            count = len(list(group))
            last = first + count - 1
            lines.append((f"{first}-{last}", f"{count} x {text}") if count > 1 else (first, text))
            first = last + 1
        return lines


class ModuleDict(Module):
    """A dict of modules whose parameters belong to the module that holds it.

    >>> from tinygrad_lessons import nn
    >>> activations = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> activations["tanh"]
    Tanh()
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable | None = None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """The (name, module) pairs."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable) -> None:
        """Add or replace modules, from a mapping or from (name, module) pairs."""
        items = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        if not isinstance(items, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, "
                f"but got {type(modules).__name__}"
            )
        for name, module in list(items):
            self[name] = module

    def pop(self, key: str) -> Module:
        """Take out the module under `key` and return it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take out all modules."""
        for key in self.keys():
            del self[key]
