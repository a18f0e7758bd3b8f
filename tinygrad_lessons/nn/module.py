"""`Module`, the base class of every layer and model."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tinygrad_lessons._core import (
    Forward,
    Parameter,
    Tensor,
    empty,
    heed_hooks,
    no_grad,
    tensors_of,
)

from .hooks import Hooks, RemovableHandle
from .state import IncompatibleKeys, load


class _ForwardSignature:
    """What `inspect.signature(module)` finds: the compiled call has none of its own."""

    def __get__(self, module, kind):
        if module is None:
            raise AttributeError("__signature__")  # a class has that of its constructor
        from inspect import signature  # heavy, and seldom asked for

        return signature(module.forward)


class Module(Forward):
    """Base class of all layers and models: holds parameters, buffers and child modules.

    A subclass calls `super().__init__()`, assigns parameters and modules as attributes and
    defines `forward`; calling the module runs `forward` with the hooks around it.

    Parameters, buffers and children are ordinary entries of the instance's `__dict__`, so that
    reading `self.weight` costs what any attribute costs. `_registry` only remembers, for each of
    the kinds "parameter", "buffer" and "module", the names in order of registration, and for
    buffers whether they are persistent. A registered name may hold None: it stays reserved.

    >>> from tinygrad_lessons import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 8)
    ...         self.out = nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training: bool
    _hooks = None
    __signature__ = _ForwardSignature()

    def __init__(self):
        self.__dict__.update(training=True, _registry={kind: {} for kind in _CLASS})

    # Calling

    def forward(self, *input) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Run `hook(module, args)` before each forward; it may return new arguments.

        With `with_kwargs`, `hook(module, args, kwargs)`, which may return `(args, kwargs)`.
        Returns a handle whose `remove()` takes the hook off.
        """
        hooks = self._hooked()
        return hooks.add(hooks.forward_pre, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Run `hook(module, args, output)` after each forward; it may return a new output.

        With `with_kwargs`, `hook(module, args, kwargs, output)`. Returns a handle.
        """
        hooks = self._hooked()
        return hooks.add(hooks.forward, (hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """Run `hook(module, grad_output)` when the gradients of the outputs are known, before
        those of the inputs; it may return new ones. Returns a handle."""
        hooks = self._hooked()
        return hooks.add(hooks.backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Run `hook(module, grad_input, grad_output)` when the gradients of the inputs are known;
        it may return a new `grad_input`. Both are tuples, one entry per positional input and per
        output, None for what is no tensor or gets no gradient. Returns a handle."""
        hooks = self._hooked()
        return hooks.add(hooks.backward, hook, prepend)

    def _hooked(self):
        """The module's hooks."""
        heed_hooks()
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self._hooks is not None:
            self._hooked()

    # Parameters, buffers and child modules

    def __setattr__(self, name, value):
        kind = _kind_of(value)
        held = self._kind_held(name)
        if kind == held or value is None:
            object.__setattr__(self, name, value)
        elif kind is None:
            if not isinstance(value, _CLASS[held]):
                raise TypeError(_wrong_kind(name, value, held))
            object.__setattr__(self, name, value)
        elif held == "parameter":
            raise TypeError(_wrong_kind(name, value, held))
        else:
            if name in self.__dict__:
                delattr(self, name)
            self._register(kind, name, value)

    def __delattr__(self, name):
        object.__delattr__(self, name)
        for names in self.__dict__.get("_registry", {}).values():
            names.pop(name, None)

    def _kind_held(self, name):
        """The kind `name` is registered as, or None."""
        for kind, names in self.__dict__.get("_registry", {}).items():
            if name in names:
                return kind
        return None

    def _register(self, kind, name, value, persistent=True):
        """Give the attribute `name` to a value of `kind`, or None to reserve the name."""
        if "_registry" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} {name!r} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, got {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f'{kind} name can\'t be empty or contain ".", got {name!r}')
        names = self._registry[kind]
        if hasattr(self, name) and name not in names:
            raise KeyError(f"attribute {name!r} already exists")
        if value is not None and not isinstance(value, _CLASS[kind]):
            raise TypeError(_wrong_kind(name, value, kind))
        names[name] = persistent
        self.__dict__[name] = value

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a `Parameter` under `name`, or reserve the name with None.

        Raises KeyError for a name that is taken, empty or dotted, TypeError for another type.
        """
        self._register("parameter", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not learned.

        A buffer that is not persistent stays out of the `state_dict`. None reserves the name.
        """
        self._register("buffer", name, tensor, persistent)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Add a child module under `name`, or reserve the name with None."""
        self._register("module", name, module)

    register_module = add_module

    def _members(self, kind):
        """The (name, value) pairs of one kind, in order of registration, None included."""
        values = self.__dict__
        return [(name, values[name]) for name in self._registry[kind]]

    # Read-only snapshots under the names PyTorch uses.
    _parameters = property(lambda self: MappingProxyType(dict(self._members("parameter"))))
    _buffers = property(lambda self: MappingProxyType(dict(self._members("buffer"))))
    _modules = property(lambda self: MappingProxyType(dict(self._members("module"))))

    # Walking the tree

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """Yield (path, module) for this module and all below it, parents first, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._members("module"):
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator["Module"]:
        """Yield this module and all below it, parents first, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Yield (name, module) for the direct children, each module once."""
        seen = set()
        for name, module in self._members("module"):
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator["Module"]:
        """Yield the direct children, each once."""
        for _, module in self.named_children():
            yield module

    def _named_tensors(self, kind, prefix, recurse, remove_duplicate):
        seen = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, value in module._members(kind):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter), each parameter once even if several modules share it."""
        return self._named_tensors("parameter", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters of this module and, with `recurse`, of all below it, each once."""
        if (
            type(self).named_parameters is not Module.named_parameters
        ):  # a class with a walk of its own
            return iter([value for _, value in self.named_parameters(recurse=recurse)])
        return iter(tensors_of(self, "parameter", recurse, Module.named_modules))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (path, buffer), each buffer once."""
        return self._named_tensors("buffer", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers of this module and, with `recurse`, of all below it, each once."""
        if type(self).named_buffers is not Module.named_buffers:  # a class with a walk of its own
            return iter([value for _, value in self.named_buffers(recurse=recurse)])
        return iter(tensors_of(self, "buffer", recurse, Module.named_modules))

    def get_submodule(self, target: str) -> "Module":
        """The module at a dotted path such as "encoder.0"; "" is the module itself."""
        module = self
        for name in target.split(".") if target else ():
            module = module._member("module", name)
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path such as "encoder.0.weight"."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._member("parameter", name)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path such as "encoder.1.running_mean"."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._member("buffer", name)

    def _member(self, kind, name):
        if name not in self._registry[kind] or self.__dict__[name] is None:
            names = [name for name, value in self._members(kind) if value is not None]
            raise AttributeError(f"{type(self).__name__} has no {kind} {name!r}, only {names}")
        return self.__dict__[name]

    # State

    def state_dict(
        self, *, destination: dict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """All parameters and persistent buffers by path; they share memory with the module.

        The tensors are detached unless `keep_vars`.
        """
        destination = OrderedDict() if destination is None else destination
        for kind in ("parameter", "buffer"):
            for name, persistent in self._registry[kind].items():
                value = self.__dict__[name]
                if persistent and value is not None:
                    destination[prefix + name] = value if keep_vars else value.detach()
        for name, module in self._members("module"):
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        return destination

    def load_state_dict(self, state_dict: Mapping, strict: bool = True) -> IncompatibleKeys:
        """Copy the values of `state_dict` (tensors, or arrays with `__array__`) into the module.

        Returns the pair (missing_keys, unexpected_keys). Raises RuntimeError if a shape does not
        fit or, with `strict`, if the names do not meet; the module is then left as it was.
        """
        return load(self, state_dict, strict)

    # Modes, gradients and types

    def train(self, mode: bool = True):
        """Set training mode here and below (dropout and batch norm behave accordingly)."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Set `requires_grad` of all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with `set_to_none=False` set them to zero."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def apply(self, fn: Callable[["Module"], Any]):
        """Call `fn(module)` on every module below, children first, and on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *args, **kwargs):
        """Convert floating-point parameters and buffers in place; takes what `Tensor.to` takes.

        Parameters stay the same objects, so that optimizers keep them.
        """
        target = empty(0).to(*args, **kwargs)  # Tensor.to checks the arguments
        if not target.is_floating_point():
            raise TypeError(
                f"Module.to: only floating-point dtypes can hold parameters, got {target.dtype}"
            )
        return self._apply(lambda t: t.to(*args, **kwargs) if t.is_floating_point() else t)

    def float(self):
        """Convert floating-point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self):
        """Convert floating-point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def cpu(self):
        """The module itself: everything lives on the CPU."""
        return self

    def _apply(self, fn):
        """Replace every parameter's data, gradient and every buffer by `fn` of it."""
        with no_grad():
            for parameter in self.parameters():
                grad, parameter.grad = parameter.grad, None
                parameter.data = fn(parameter.data)
                if grad is not None:
                    parameter.grad = fn(grad)
            for module in self.modules():
                for name, buffer in module._members("buffer"):
                    if buffer is not None:
                        module.__dict__[name] = fn(buffer)
        return self

    # Printing

    def extra_repr(self) -> str:
        """What stands between the parentheses of `repr`; subclasses say their options."""
        return ""

    def _repr_children(self):
        return [(name, repr(module)) for name, module in self._members("module")]

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {text}" for name, text in self._repr_children()]
        name = type(self).__name__
        if not children and "\n" not in extra:
            return f"{name}({extra})"
        lines = (extra.split("\n") if extra else []) + children
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{name}(\n  {body}\n)"

    def __dir__(self):
        return [name for name in super().__dir__() if not name[0].isdigit()]


_CLASS = {"parameter": Parameter, "buffer": Tensor, "module": Module}


def _kind_of(value):
    """The kind an assigned value registers itself as; a plain tensor is no buffer by itself."""
    if isinstance(value, Parameter):
        return "parameter"
    return "module" if isinstance(value, Module) else None


def _wrong_kind(name, value, kind):
    return (
        f"cannot assign {type(value).__name__!r} as {kind} {name!r} "
        f"({_CLASS[kind].__name__} or None expected); delete the {kind} first to reuse its name"
    )
