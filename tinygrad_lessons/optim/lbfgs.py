"""Rules that evaluate the loss several times in a step: L-BFGS, and gradient descent with a line search."""

from tinygrad_lessons._core import no_grad

from .line_search import Line, Point, backtracking, evaluate, exact, strong_wolfe
from .optimizer import Optimizer


class LBFGS(Optimizer):
    """L-BFGS: Newton's method with the curvature guessed from the latest steps, for whole batches.

        s = the last steps,   y = how the gradient changed over each,   H ≈ the inverse Hessian of them
        d = -H g                                          (-g in the first iteration)
        p ← p + t · d

    t is `lr` (less in the first iteration), or what a search for the strong Wolfe conditions finds.
    A step is up to `max_iter` iterations. All parameters are one vector, in a single group, and
    the state is kept with the first: `n_iter`, `func_evals`, `d`, `t`, `old_dirs` (y), `old_stps` (s),
    `ro` (1 / yᵀs), `H_diag`, `al`, `prev_flat_grad` and `prev_loss`, as in PyTorch.

    Source: Nocedal and Wright 2006, Numerical optimization, algorithms 7.4, 7.5, 3.5 and 3.6.

    Args:
        params: tensors, or (name, tensor) pairs.
        lr: the length of the step, or where the search begins.
        max_iter: iterations in a step.
        max_eval: evaluations in a step; 5/4 of `max_iter` if None.
        tolerance_grad: ends a step where no element of the gradient is larger.
        tolerance_change: ends a step where loss or parameters change less.
        history_size: how many steps are remembered.
        line_search_fn: None or "strong_wolfe".

    Raises:
        ValueError: several groups, an option out of range, or no parameters.
        RuntimeError: another line search.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([3.0, -4.0], requires_grad=True)
    >>> lbfgs = tg.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     lbfgs.zero_grad()
    ...     loss = (p * p * tg.tensor([1.0, 10.0])).sum()
    ...     loss.backward()
    ...     return loss
    >>> lbfgs.step(closure).item()
    169.0
    >>> closure().item() < 1e-9
    True
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @no_grad()
    def step(self, closure):
        """Up to `max_iter` iterations; returns the loss that `closure` returned first.

        Args:
            closure: computes the loss anew, calls `backward`, and returns the loss; it is called
                several times.
        """
        (group,) = self.param_groups
        params, lr = group["params"], float(group["lr"])
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss, g = evaluate(closure, params)
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        if g.abs().max().item() <= group["tolerance_grad"]:
            return first_loss

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
                d, t = -g, min(1.0, 1.0 / g.abs().sum().item()) * lr
            else:
                self._remember(state, g, group["history_size"])
                d, t = self._direction(state, g, group["history_size"]), lr
            start = Point(0.0, loss, g, g.dot(d).item())
            state.update(d=d, t=t, prev_flat_grad=g, prev_loss=loss)
            if start.slope > -group["tolerance_change"]:
                break

            line = Line(closure, params, d)
            if group["line_search_fn"] is None:
                if iteration < group["max_iter"]:
                    point = line.at(t)
                    loss, g = point.loss, point.gradient
                else:
                    line.go(t)
            elif group["line_search_fn"] == "strong_wolfe":
                most = group["max_eval"] - evaluations
                tolerance = group["tolerance_change"]
                point = strong_wolfe(line, start, t, tolerance=tolerance, most=most)
                loss, g, t = point.loss, point.gradient, point.t
                line.go(t)
                state["t"] = t
            else:
                raise RuntimeError("only 'strong_wolfe' is supported")
            evaluations += line.evaluations
            state["func_evals"] += line.evaluations
            if (
                evaluations >= group["max_eval"]
                or g.abs().max().item() <= group["tolerance_grad"]
                or abs(t) * d.abs().max().item() <= group["tolerance_change"]
                or abs(loss - start.loss) < group["tolerance_change"]
            ):
                break
        return first_loss

    @staticmethod
    def _remember(state, g, size):
        """Take the last step into the history, where the curvature along it is positive."""
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        ys = y.dot(s)
        if ys.item() <= 1e-10:
            return
        for name, new in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / ys)):
            if len(state[name]) == size:
                state[name].pop(0)
            state[name].append(new)
        state["H_diag"] = ys / y.dot(y)

    @staticmethod
    def _direction(state, g, size):
        """-H g by two loops over the history: Nocedal and Wright 2006, algorithm 7.4."""
        history = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        state.setdefault("al", [None] * size)
        d = -g
        for i, (y, s, ro) in reversed(list(enumerate(history))):
            state["al"][i] = s.dot(d) * ro
            d.sub_(y * state["al"][i])
        d.mul_(state["H_diag"])
        for i, (y, s, ro) in enumerate(history):
            d.add_(s * (state["al"][i] - y.dot(d) * ro))
        return d


class GradientDescent(Optimizer):
    """Gradient descent on the whole loss, as textbooks have it, with a choice of step lengths.

        p ← p - t · g

    t is `lr`; or the first of lr, lr / 2, lr / 4, … that lowers the loss by 1e-4 · t · |g|² or more
    (`line_search="backtracking"`, Armijo 1966); or that of the minimum along the line
    (`line_search="exact"`), after which the next gradient is at a right angle to this one. There
    is no state; `last_step` is the latest t.

    Source: Boyd and Vandenberghe 2004, Convex optimization, section 9.3.

    Args:
        params: tensors, or (name, tensor) pairs; a single group.
        lr: the step, or where the search begins.
        line_search: None, "backtracking" or "exact".

    Raises:
        ValueError: several groups, another line search, an option out of range, or no parameters.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([3.0, -4.0], requires_grad=True)
    >>> descent = tg.optim.GradientDescent([p], line_search="exact")
    >>> def closure():
    ...     descent.zero_grad()
    ...     loss = 2 * (p * p).sum()
    ...     loss.backward()
    ...     return loss
    >>> descent.step(closure).item(), descent.last_step
    (50.0, 0.25)
    >>> p.tolist()
    [0.0, 0.0]
    """

    _searches = {"backtracking": backtracking, "exact": exact}

    def __init__(self, params, lr=1.0, *, line_search: str | None = None):
        if line_search is not None and line_search not in self._searches:
            raise ValueError(
                f"GradientDescent: line_search is {line_search!r}, but must be None, "
                "'backtracking' or 'exact'"
            )
        super().__init__(params, {"lr": lr, "line_search": line_search})
        if len(self.param_groups) != 1:
            raise ValueError("GradientDescent: all parameters are one vector, in a single group")
        self.last_step: float | None = None

    @no_grad()
    def step(self, closure):
        """One step; returns the loss that `closure` returned first.

        Args:
            closure: computes the loss anew, calls `backward`, and returns the loss; a line search
                calls it several times.
        """
        (group,) = self.param_groups
        loss, g = evaluate(closure, group["params"])
        line, t = Line(closure, group["params"], -g), float(group["lr"])
        start = Point(0.0, float(loss), g, -g.dot(g).item())
        if group["line_search"] is not None and start.slope < 0:
            t = self._searches[group["line_search"]](line, start, t).t
        line.go(t)
        self.last_step = t
        return loss
