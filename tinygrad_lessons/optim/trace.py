"""What happened in each step of an optimizer: copies made before and after it."""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from tinygrad_lessons._core import OPTIM_RULES, Tensor

from .differentiable import ratios, scalars


class Trace(Mapping):
    """What an optimizer did in each step: parameter → {name: array}; `Optimizer.trace` makes one.

    Every array has one row per step, so that all of them line up:

        param           the parameter before the step
        grad            the gradient that the step took
        change          the effective step: the parameter after it, minus before
        exp_avg, …      each buffer of the state, after the step, by its name there
        step, …         each number of the state, after the step
        lr              the learning rate of the parameter's group
        unbias, …       what a compiled rule works out once for the whole tensor, bias corrections
                        among it: the SCALARS, and RATIOS if there are any, of its row in
                        csrc/optim.def, in float64

    What is not there in a step is NaN: gradient and scalars of a parameter that had no gradient, a
    buffer that had not come to be. A buffer of means over rows or columns is repeated to the
    parameter's shape; state that does not fit the parameter (the history of LBFGS) is left out. If
    a step evaluates the closure several times, `grad` is the last gradient.

    Attributes:
        steps: how many steps are recorded.
    """

    def __init__(self, optimizer, elements, directions):
        params = [p for group in optimizer.param_groups for p in group["params"]]
        if elements is not None and directions is not None:
            raise TypeError("trace: got elements and directions; make one trace of each")
        if directions is not None:
            chosen, reader = directions, _projections
        else:
            chosen, reader = dict.fromkeys(params, ...) if elements is None else elements, _elements
        if not isinstance(chosen, Mapping):
            raise TypeError(
                f"trace: expected a dict, parameter → what to record, but got {type(chosen).__name__}"
            )
        known = set(params)
        for p in chosen:
            if p not in known:
                what = f"of shape {tuple(p.shape)}" if isinstance(p, Tensor) else repr(p)
                raise ValueError(f"trace: the optimizer has no such parameter, {what}")
        self._readers = {p: reader(p, what) for p, what in chosen.items()}
        self._optimizer, self._rows = optimizer, []

    __eq__, __hash__ = object.__eq__, object.__hash__  # a trace is equal to itself alone

    @property
    def steps(self):
        return len(self._rows)

    def __getitem__(self, param):
        if param not in self._readers:
            raise KeyError("the trace does not record this parameter")
        rows = [row.get(param, {}) for row in self._rows]
        likes = {name: value for row in rows for name, value in row.items()}
        blanks = {name: np.full_like(like, np.nan) for name, like in likes.items()}
        return {name: np.stack([row.get(name, blanks[name]) for row in rows]) for name in likes}

    def __iter__(self):
        return iter(self._readers)

    def __len__(self):
        return len(self._readers)

    def __repr__(self):
        return f"Trace of {len(self)} parameters over {self.steps} steps"

    def remove(self) -> None:
        """End the recording, as leaving a `with` block does; what is recorded stays."""
        self._optimizer._remove_trace(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    # ---- around a step ----

    def _before(self):
        """Parameter → what `_after` needs: its group's number, values so far, and its row's names."""
        optimizer, found = self._optimizer, {}
        rule = OPTIM_RULES.get(optimizer._rule)
        for k, group in enumerate(optimizer.param_groups):
            for p in group["params"]:
                if p not in self._readers:
                    continue
                values, names, made = {"param": self._readers[p](p)}, {}, {}
                if "lr" in group:
                    values["lr"] = np.float64(float(group["lr"]))
                if rule is not None:
                    with suppress(ArithmeticError):  # where C goes on with an infinity
                        names, made = scalars(rule, group, optimizer.state.get(p, {}))
                found[p] = k, values, names, made
        return found

    def _after(self, found):
        """Add the step to the record, which began with what was `found` before."""
        optimizer, numbers = self._optimizer, self._optimizer._numbers()
        rule = OPTIM_RULES.get(optimizer._rule)
        for p, (k, values, names, made) in found.items():
            read = self._readers[p]
            values["change"] = read(p) - values["param"]
            if p.grad is not None:
                values["grad"] = read(p.grad.to_dense() if p.grad.is_sparse else p.grad)
                if rule is not None and rule.measured:
                    with suppress(ArithmeticError):
                        made |= ratios(rule, names | made, optimizer._compiled()[k].summed(p))
                values |= {name: np.float64(float(value)) for name, value in made.items()}
            for name, value in optimizer.state.get(p, {}).items():
                if (
                    isinstance(value, Tensor)
                    and name not in numbers
                    and value.ndim >= min(1, p.ndim)
                ):
                    if _fits(value.shape, p.shape):
                        values[name] = read(value)
                elif isinstance(value, (Tensor, int, float)):
                    values[name] = np.float64(float(value))
        self._rows.append({p: values for p, (_, values, *_) in found.items()})


def _fits(shape, whole):
    """Whether a tensor of this shape can be repeated to the whole one."""
    ends = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in ends)


def _elements(param, index):
    """A function that copies the elements param[index] of what has the parameter's shape, or fits it."""
    param[index]  # raises now, if there are no such elements

    def read(x):
        return x.detach().expand(param.shape)[index].clone().numpy()

    return read


def _projections(param, directions):
    """A function that projects what has the parameter's shape, or fits it, onto each direction."""
    shape = tuple(param.shape)
    directions = np.asarray(directions, np.float64)
    if directions.shape[directions.ndim - len(shape) :] != shape or directions.ndim < len(shape):
        raise ValueError(
            f"trace: directions of shape {directions.shape} for a parameter of shape {shape}; the "
            "last dimensions must be the parameter's"
        )

    def read(x):
        return np.tensordot(directions, x.detach().expand(shape).numpy(), len(shape))

    return read
