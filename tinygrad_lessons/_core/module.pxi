# What of nn.Module is compiled: its call, the walk over its tensors, and Sequential's forward.

cdef bint hooks_exist = False

def heed_hooks():
    """From now on, calls of modules look for hooks: so programs without any do not pay for them."""
    global hooks_exist
    hooks_exist = True

@cython.auto_pickle(False)
cdef class Forward:
    """The base of nn.Module: calling it is calling its forward(), with no Python frame in between."""

    def __call__(self, *args, **kwargs):
        if hooks_exist and self._hooks is not None:
            return self._hooks.call(self, args, kwargs)
        if len(args) == 1 and not kwargs:
            return self.forward(args[0])
        return self.forward(*args, **kwargs)

cdef int add_own(module, str kind, list found, set seen) except -1:
    """The tensors of one kind that a module holds itself, each once."""
    cdef dict values = module.__dict__
    cdef Py_ssize_t before
    for name in <dict>(<dict>module._registry)[kind]:
        value = values[name]
        if value is not None:
            before = len(seen)
            seen.add(<size_t><void *>value)
            if len(seen) > before:
                found.append(value)
    return 0

cdef int add_below(module, str kind, named_modules, list found, set seen, set met) except -1:
    """The same of a module and all below it, parents first, each module once."""
    cdef dict values, children
    cdef Py_ssize_t before = len(met)
    if type(module).named_modules is not named_modules:  # a class that walks in its own way
        for _, inner in module.named_modules(met):
            add_own(inner, kind, found, seen)
        return 0
    met.add(module)
    if len(met) == before:
        return 0
    add_own(module, kind, found, seen)
    children = (<dict>module._registry)["module"]
    if children:
        values = module.__dict__
        for name in children:
            child = values[name]
            if child is not None:
                add_below(child, kind, named_modules, found, seen, met)
    return 0

def tensors_of(module, str kind, bint recurse, named_modules):
    """The "parameter"s or "buffer"s of a module, and with recurse of all below it, each once, as a list; named_modules is
    the walk of Module, which this one repeats."""
    cdef list found = []
    if recurse:
        add_below(module, kind, named_modules, found, set(), set())
    else:
        add_own(module, kind, found, set())
    return found

cdef inline bint is_plain(module, forward) except -1:
    """Nobody has changed what a module whose class came with this forward does: no other forward or call, no hook."""
    kind = type(module)
    if kind.forward is not forward or (<PyTypeObject *>kind).tp_call is not (<PyTypeObject *>Forward).tp_call:
        return False
    cdef dict held = module.__dict__
    return "forward" not in held and held.get("_hooks") is None

cdef bint takes_activation(module, dict layers) except -1:
    """A layer that does what its class does, and ends with a product."""
    cdef tuple row = layers.get(type(module))
    return (row is not None and is_plain(module, row[0])
            and (row[1] == 0 or module.padding_mode == "zeros"))

cdef object activated_layer(module, int dims, input, activation):
    """A Linear (dims = 0) or a convolution over 1 or 2 dimensions, and an activation of what it gives."""
    if dims == 0:
        return linear(input, module.weight, module.bias, activation)
    convolve = conv1d if dims == 1 else conv2d
    return convolve(input, module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups,
                    activation)

def chain(dict values, names, input, dict layers, dict activations):
    """input through the modules of these names, one after the other. A layer that ends with a product takes an activation
    that follows it along in its launch, which changes neither the numbers nor the tape."""
    cdef object waiting = None, module
    cdef tuple row
    for name in names:
        module = values[name]
        if waiting is not None:
            row = activations.get(type(module))
            if row is not None and is_plain(module, row[0]):
                activation = (<dict>row[2]).get(getattr(module, row[1]))
                if activation is not None:
                    input = activated_layer(waiting, (<tuple>layers[type(waiting)])[1], input, activation)
                    waiting = None
                    continue
            input = waiting(input)
            waiting = None
        if takes_activation(module, layers):
            waiting = module
        else:
            input = module(input)
    return input if waiting is None else waiting(input)
