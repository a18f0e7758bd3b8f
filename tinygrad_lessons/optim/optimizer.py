"""What all optimizers share: parameter groups, state, saving and loading it, hooks, the step."""

import itertools
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from copy import deepcopy
from types import MethodType

from tinygrad_lessons._core import (
    OPTIM_RULES,
    MultiTensorStep,
    RemovableHandle,
    Tensor,
    clear_gradients,
    enable_grad,
    refuse_sparse,
    take_steps,
)

from .differentiable import NOT_TAPED, take_taped_step
from .state import State, copied
from .trace import Trace

_NOT_NEGATIVE = {
    "lr": "learning rate",
    "eps": "epsilon value",
    "momentum": "momentum value",
    "weight_decay": "weight_decay value",
    "lr_decay": "lr_decay value",
    "initial_accumulator_value": "initial_accumulator_value value",
    "momentum_decay": "momentum_decay value",
    "rho": "rho value",
    "warmup_steps": "warmup_steps value",
    "trust_coefficient": "trust_coefficient value",
    "max_grad_norm": "max_grad_norm value",
    "l1": "l1 value",
    "l2": "l2 value",
    "group_lasso": "group_lasso value",
    "max_norm": "max_norm value",
}

_hook_keys = itertools.count()


def _step_with_hooks(self, *args, **kwargs):
    args = (self, *args)
    for hook in tuple(self._pre_hooks.values()):
        changed = hook(self, args, kwargs)
        if changed is not None:
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise RuntimeError(
                    f"{type(self).__name__}: a step pre-hook must return None or a tuple of "
                    f"(new_args, new_kwargs), but got {changed}."
                )
            args, kwargs = changed
    traces = [(trace, trace._before()) for trace in self._traces]
    result = type(self).step(*args, **kwargs)
    for trace, found in traces:
        trace._after(found)
    for hook in tuple(self._post_hooks.values()):
        hook(self, args, kwargs)
    return result


class Optimizer:
    """Base of all optimizers: holds parameter groups (dicts) and the state of each parameter.

    A compiled rule names its row of csrc/optim.def in `_rule`, and its options are the keys of
    `defaults`; `step` does the rest. An optimizer written in Python overrides `step`, and finds
    its parameters in `self.param_groups` and a dict for each in `self.state`.

    Beside its rule's options, a group of a compiled rule may set these; all are off unless set:

        max_grad_norm   clips: g ← g · min(1, max_grad_norm / (|g| + 1e-6)), as `clip_grad_norm_`
                        over the group's gradients before the step, but .grad stays as it is
        l1, l2          after the step, p ← sign(p) · max(0, |p| - lr · l1) / (1 + lr · l2): weights
                        become exactly zero (lasso; with both, elastic net)
        group_lasso     after the step, every row r of a matrix (or more dimensions) becomes
                        r · max(0, 1 - lr · group_lasso · √n / |r|), n its size: whole rows vanish
        max_norm        after the step, every row longer than max_norm is scaled to that length

    With `differentiable` the step stays on the tape: write to parameters that are no leaves, and
    what follows can be differentiated by the gradients, the parameters before and `lr`.

    Sources: Parikh and Boyd 2014, Proximal algorithms, sections 6.5.2 to 6.5.4; Yuan and Lin 2006;
    Srebro and Shraibman 2005.

    Args:
        params: an iterable of tensors, of (name, tensor) pairs, or of dicts with "params" and
            options that differ from the defaults.
        defaults: the options, by name.

    Raises:
        TypeError: `params` is a tensor, or holds something that is none.
        ValueError: no parameters; one that is no leaf, or in two groups; an option out of range.

    >>> import tinygrad_lessons as tg
    >>> class SignDescent(tg.optim.Optimizer):
    ...     @tg.no_grad()
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.sub_(group["lr"] * p.grad.sign())
    >>> p = tg.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = SignDescent([p], {"lr": 0.5})
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.tolist()
    [0.5, -2.5]
    """

    _rule = None
    _gradients = ("dense",)  # the kinds that the compiled steps take

    def __init__(self, params, defaults: dict):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state = {}
        self.param_groups = []
        self._prepare()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _prepare(self):
        """What is not part of the state: hooks, traces, and the tables of the compiled steps."""
        self._pre_hooks, self._post_hooks, self._traces = OrderedDict(), OrderedDict(), []
        self._steps = []

    # ---- options ----

    def _check_group(self, group):
        for name, what in _NOT_NEGATIVE.items():
            value = group.get(name)
            if value is None:
                continue
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ValueError(f"Tensor {name} must be 1-element")
            if not value >= 0:
                raise ValueError(f"Invalid {what}: {value}")
        for i, beta in enumerate(group.get("betas", ())):
            if not 0 <= beta < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        if group.get("fused") and group.get("foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        if group.get("fused") and group.get("differentiable"):
            raise RuntimeError("`fused` does not support `differentiable`")
        for name in NOT_TAPED if group.get("differentiable") else ():
            if group.get(name):
                raise NotImplementedError(
                    f"{type(self).__name__}: {name} works in compiled steps only, not with "
                    "differentiable=True"
                )

    def add_param_group(self, param_group: dict) -> None:
        """Add a group: a dict with "params" and the options in which it differs from the defaults.

        Raises:
            TypeError, ValueError: as the constructor.

        >>> import tinygrad_lessons as tg
        >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.1)
        >>> sgd.add_param_group({"params": tg.zeros(3, requires_grad=True), "lr": 0.01})
        >>> [group["lr"] for group in sgd.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [param[0] for param in params if isinstance(param, tuple)]
        if names and len(names) < len(params):
            raise ValueError(
                "all optimizer params should be with/without names. Some param names are missing"
            )
        params = [param[1] for param in params] if names else params
        taped = param_group.get("differentiable", self.defaults.get("differentiable"))
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    f"{type(param).__name__}"
                )
            if not (taped or param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(param) for param in params}) < len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; a parameter is "
                "updated as often as it occurs",
                stacklevel=3,
            )
        taken = {id(param) for group in self.param_groups for param in group["params"]}
        if not taken.isdisjoint(id(param) for param in params):
            raise ValueError("some parameters appear in more than one parameter group")

        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self._check_group(param_group)
        self.param_groups.append(param_group)

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # ---- the step ----

    def step(self, closure=None):
        """Update every parameter that has a gradient; returns what `closure` returns.

        Args:
            closure: called first, with gradients enabled: it computes the loss anew, calls
                `backward`, and returns the loss.

        Raises:
            NotImplementedError: in a subclass that has neither a rule nor a `step` of its own.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if self._rule is None:
            self._refuse_sparse()
        self._update()
        return loss

    def _update(self):
        if self._rule is None:
            raise NotImplementedError(f"{type(self).__name__}: step is not defined")
        steps = self._compiled()
        for group in self.param_groups:  # a loop, as any() would cost what a small step does
            if group.get("differentiable"):
                break
        else:
            take_steps(steps, self.param_groups, self._state)
            return
        self._refuse_sparse()
        for step, group in zip(steps, self.param_groups, strict=True):
            if group.get("differentiable"):
                with enable_grad():
                    take_taped_step(self._rule, group, self._state)
            else:
                take_steps([step], [group], self._state)

    def _refuse_sparse(self):
        """Raise if a gradient is sparse; the compiled steps see to that themselves."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None and param.grad.is_sparse:
                    refuse_sparse(type(self).__name__)

    def _compiled(self):
        """The compiled step of each group."""
        if len(self._steps) != len(self.param_groups):
            self._steps = [
                MultiTensorStep(
                    self._rule,
                    type(self).__name__,
                    dense="dense" in self._gradients,
                    sparse="sparse" in self._gradients,
                )
                for _ in self.param_groups
            ]
        return self._steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Let go of all gradients, or fill them with zeros if not `set_to_none`.

        A parameter whose gradient is None is passed over by `step`; one whose gradient is zero
        still moves by momentum and weight decay.
        """
        for group in self.param_groups:
            if set_to_none:
                clear_gradients(group["params"])
                continue
            for param in group["params"]:
                if param.grad is not None:
                    param.grad.detach_().zero_()

    def _watch(self):
        """Hide `step` behind what calls hooks and traces, so that a step without any pays nothing."""
        self.step = MethodType(_step_with_hooks, self)

    def _unwatch(self):
        """Undo `_watch`, if there is nothing left to call."""
        # not by __dict__: once it is asked for, CPython looks every attribute up more slowly
        watched = self.step == MethodType(_step_with_hooks, self)
        if watched and not (self._pre_hooks or self._post_hooks or self._traces):
            del self.step

    def _add_hook(self, hooks, hook):
        self._watch()
        key = next(_hook_keys)
        hooks[key] = hook
        return RemovableHandle(hooks, key)

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` before each step; a returned (args, kwargs) counts.

        As in PyTorch, `args` begins with the optimizer. Returns a handle with `remove()`.

        >>> import tinygrad_lessons as tg
        >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)])
        >>> handle = sgd.register_step_pre_hook(lambda *_: print("before"))
        >>> sgd.step()
        before
        """
        return self._add_hook(self._pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` after each step; returns a handle to remove it."""
        return self._add_hook(self._post_hooks, hook)

    def trace(self, elements: Mapping | None = None, *, directions: Mapping | None = None) -> Trace:
        """Record what each step does, until the `with` block or `remove()` ends it.

        Copies are made right before and after the step, inside of its hooks; when no trace is on, a
        step does what it did before. Of every chosen parameter the `Trace` holds, with a row per
        step, the parameter, its gradient, each buffer of the state, the effective step, and the
        numbers that hold for the whole tensor, such as bias corrections.

        Args:
            elements: parameter → index; each row is then that of `param[index]`. All elements of all
                parameters if neither is given.
            directions: parameter → directions, of the parameter's shape or with further dimensions in
                front, as (k, *shape); rows are then scalar products, in float64. What several
                parameters have along a common direction is the sum of theirs.

        Raises:
            TypeError: both elements and directions, or not a dict.
            ValueError: a parameter is not the optimizer's, or directions do not have its shape.
            IndexError: a parameter has no such elements.

        >>> import tinygrad_lessons as tg
        >>> p = tg.tensor([1.0, -2.0, 3.0], requires_grad=True)
        >>> optimizer = tg.optim.SGD([p], lr=0.25, momentum=0.5)
        >>> with optimizer.trace({p: [0, 2]}) as trace:
        ...     for _ in range(2):
        ...         optimizer.zero_grad()
        ...         (p * p).sum().backward()
        ...         optimizer.step()
        >>> trace[p]["grad"]
        array([[2., 6.],
               [1., 3.]], dtype=float32)
        >>> trace[p]["momentum_buffer"]
        array([[2., 6.],
               [2., 6.]], dtype=float32)
        >>> trace[p]["change"]
        array([[-0.5, -1.5],
               [-0.5, -1.5]], dtype=float32)
        """
        trace = Trace(self, elements, directions)
        self._traces.append(trace)
        self._watch()
        return trace

    def _remove_trace(self, trace):
        if trace in self._traces:
            self._traces.remove(trace)
            self._unwatch()

    # ---- state ----

    @property
    def state(self):
        """Parameter → dict of its state; the dict comes to be when first asked for."""
        return self._state

    @state.setter
    def state(self, state):
        self._state = State(state)

    def state_dict(self) -> dict:
        """The state and the groups' options, in PyTorch's layout: parameters are numbered.

            {"state": {0: {"step": tensor(3.), "exp_avg": …}, …},
             "param_groups": [{"lr": 0.001, …, "params": [0, 1]}, …]}

        The tensors are the living state, not copies. `tg.save` saves it.
        """
        numbers, groups = {}, []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(id(param), len(numbers))
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [numbers[id(p)] for p in group["params"]]})
        state = {
            numbers.get(id(key), key): dict(value) if isinstance(value, dict) else value
            for key, value in self._state.items()
        }
        return {"state": state, "param_groups": groups}

    def _numbers(self):
        """The names of what is a number, not a buffer, in the state of a parameter."""
        return {"step", *(OPTIM_RULES[self._rule].numbers if self._rule is not None else ())}

    def load_state_dict(self, state_dict: Mapping) -> None:
        """Take over the state and options of a `state_dict`, also one of PyTorch's.

        State is copied, in the type of its parameter; numbers such as `step` stay float32. Leaves
        may be tensors or whatever NumPy reads as an array. Parameters are matched by their order; the options of the groups are
        those of `state_dict` afterwards.

        Raises:
            TypeError: not a mapping.
            ValueError: "state" or "param_groups" is missing, or the numbers of groups or of
                parameters differ.

        >>> import tinygrad_lessons as tg
        >>> old = tg.optim.Adam([tg.zeros(2, requires_grad=True)], lr=0.5)
        >>> new = tg.optim.Adam([tg.zeros(2, requires_grad=True)])
        >>> new.load_state_dict(old.state_dict())
        >>> new.param_groups[0]["lr"]
        0.5
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "load_state_dict: expected state_dict to be dict-like, got "
                f"{type(state_dict).__name__}"
            )
        for key in ("state", "param_groups"):
            if key not in state_dict:
                raise ValueError(f"load_state_dict: the state dict has no {key!r}")
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        owners = {}
        for group, own in zip(saved, self.param_groups, strict=True):
            if len(group["params"]) != len(own["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    "optimizer's group"
                )
            owners.update(zip(group["params"], own["params"], strict=True))
            group["params"] = own["params"]
            if "param_names" in own:
                group.setdefault("param_names", own["param_names"])
        state, numbers = {}, self._numbers()
        for key, value in state_dict["state"].items():
            param = owners.get(key)
            state[key if param is None else param] = copied(value, param, numbers)
        self.__setstate__({"state": state, "param_groups": saved})

    def __getstate__(self):
        return {
            "defaults": self.defaults,
            "state": self._state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state):
        if "_steps" not in self.__dict__:
            self._prepare()
        defaults = state.get("defaults", self.__dict__.get("defaults"))
        for group in state["param_groups"]:
            for name, default in defaults.items():
                group.setdefault(name, default)
            self._check_group(group)
        for name, value in state.items():
            setattr(self, name, value)
