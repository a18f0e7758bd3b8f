"""Hooks: functions of the user's that run before, after and backward through a module.

A module without hooks never comes here (see `Module.__call__`).
"""

import itertools
from collections import OrderedDict

from tinygrad_lessons._core import Function, RemovableHandle, Tensor

_keys = itertools.count()


class Hooks:
    """The hooks of one module, in the order they run, and the call that runs them."""

    def __init__(self):
        self.forward_pre = OrderedDict()
        self.forward = OrderedDict()
        self.backward_pre = OrderedDict()
        self.backward = OrderedDict()

    @staticmethod
    def add(hooks, hook, prepend):
        """Add `hook` (any value) to one of the four dicts, in front if `prepend`."""
        key = next(_keys)
        hooks[key] = hook
        if prepend:
            hooks.move_to_end(key, last=False)
        return RemovableHandle(hooks, key)

    def call(self, module, args, kwargs):
        """`module.forward(*args, **kwargs)` with the hooks around it."""
        for hook, with_kwargs in tuple(self.forward_pre.values()):
            if with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    args, kwargs = _args_and_kwargs(module, changed)
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        backward = _BackwardCall(module, self) if self.backward or self.backward_pre else None
        if backward:
            args = backward.watch_inputs(args)
        output = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self.forward.values()):
            changed = (
                hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            )
            if changed is not None:
                output = changed
        return backward.watch_outputs(output) if backward else output


def _args_and_kwargs(module, changed):
    if isinstance(changed, tuple) and len(changed) == 2:
        return changed
    raise RuntimeError(
        f"{type(module).__name__}: a forward pre-hook with kwargs must return None or a tuple "
        f"(args, kwargs), but returned {changed!r}"
    )


class _Tap(Function):
    """Identity whose backward hands all incoming gradients at once to `receive`."""

    @staticmethod
    def forward(ctx, receive, *tensors):
        ctx.receive = receive
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx, *grads):
        return (None, *ctx.receive(grads))


class _BackwardCall:
    """One call of a module, seen backward: gradients of its outputs come in, of its inputs go out.

    A gradient stands at the position of its tensor; what is no tensor has None.
    """

    def __init__(self, module, hooks):
        self.module = module
        self.hooks = hooks
        self.grad_output = None
        self.input_count = 0
        self.inputs_watched = False

    def watch_inputs(self, args):
        self.input_count = len(args)
        watched, self.inputs_watched = _tap(args, self._on_grad_input)
        return watched

    def watch_outputs(self, output):
        outputs = output if isinstance(output, tuple) else (output,)
        watched, _ = _tap(outputs, self._on_grad_output)
        return watched if isinstance(output, tuple) else watched[0]

    def _on_grad_output(self, grad_output):
        for hook in tuple(self.hooks.backward_pre.values()):
            grad_output = self._changed(hook(self.module, grad_output), grad_output, "grad_output")
        self.grad_output = grad_output
        if not self.inputs_watched:  # no gradient will come out at the inputs: run the hooks here
            nothing = (None,) * self.input_count
            if self._on_grad_input(nothing) != nothing:
                raise RuntimeError(
                    f"{type(self.module).__name__}: no input of the module requires grad, so a "
                    "backward hook must return None or only None, but it returned a gradient"
                )
        return grad_output

    def _on_grad_input(self, grad_input):
        for hook in tuple(self.hooks.backward.values()):
            changed = hook(self.module, grad_input, self.grad_output)
            grad_input = self._changed(changed, grad_input, "grad_input")
        return grad_input

    def _changed(self, changed, grads, what):
        if changed is None:
            return grads
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(grads):
            raise RuntimeError(
                f"{type(self.module).__name__}: a backward hook returned {len(changed)} {what}, "
                f"but the module has {len(grads)}"
            )
        return changed


def _tap(values, receive):
    """Pass the tensors among `values` through one `_Tap`; also tell whether any requires grad."""
    positions = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not any(values[i].requires_grad for i in positions):
        return values, False

    def spread(grads):
        all_grads = [None] * len(values)
        for i, grad in zip(positions, grads, strict=True):
            all_grads[i] = grad
        received = receive(tuple(all_grads))
        return tuple(received[i] for i in positions)

    watched = list(values)
    tapped = _Tap.apply(spread, *(values[i] for i in positions))
    for i, tensor in zip(positions, tapped, strict=True):
        watched[i] = tensor
    return tuple(watched), True
