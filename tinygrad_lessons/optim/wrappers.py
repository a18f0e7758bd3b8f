"""Optimizers around optimizers: SAM and Lookahead."""

from tinygrad_lessons._core import enable_grad, no_grad

from .optimizer import Optimizer


class _Wrapper(Optimizer):
    """Groups, state and defaults are those of the optimizer inside, so schedules and state dicts are too."""

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: expected an optimizer, but got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self._prepare()

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    @property
    def state(self):
        return self.optimizer.state

    @property
    def defaults(self):
        return self.optimizer.defaults

    @property
    def _rule(self):
        return self.optimizer._rule

    def _compiled(self):
        return self.optimizer._compiled()

    def add_param_group(self, param_group):
        self.optimizer.add_param_group(param_group)

    def state_dict(self):
        return self.optimizer.state_dict()

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict)

    def __repr__(self):
        return f"{type(self).__name__} of {self.optimizer!r}"

    def __getstate__(self):
        hooks = ("_pre_hooks", "_post_hooks", "_traces", "_steps", "step")
        return {name: value for name, value in self.__dict__.items() if name not in hooks}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._prepare()


class SAM(_Wrapper):
    """Sharpness-aware minimization: steps by the gradient of the worst place near by.

        e = rho · g / |g|                                 (rho · p² · g / |p · g| if adaptive)
        the wrapped optimizer's step at p, by the gradient at p + e

    where |·| is the Euclidean norm over all parameters. A step evaluates the closure twice.

    Sources: Foret et al. 2021, Sharpness-aware minimization, algorithm 1; adaptive: Kwon et al. 2021,
    ASAM.

    Args:
        optimizer: takes the steps.
        rho: how far the place is.
        adaptive: measure the distance of each element by its size.

    Raises:
        TypeError: `optimizer` is none.
        ValueError: `rho` is negative.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([3.0, -4.0], requires_grad=True)
    >>> sam = tg.optim.SAM(tg.optim.SGD([p], lr=0.25), rho=5.0)
    >>> def closure():
    ...     sam.zero_grad()
    ...     loss = (p * p).sum()
    ...     loss.backward()
    ...     return loss
    >>> sam.step(closure).item()
    25.0
    >>> p.tolist()
    [0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, rho: float = 0.05, adaptive: bool = False):
        if not rho >= 0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(optimizer)
        self.rho, self.adaptive = rho, adaptive

    @no_grad()
    def step(self, closure):
        """One step; returns the loss that `closure` returned first, at p.

        Args:
            closure: computes the loss anew, calls `backward`, and returns the loss.
        """
        with enable_grad():
            loss = closure()
        self._refuse_sparse()
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        pulls = [p * p.grad if self.adaptive else p.grad for p in moved]
        norm = sum((pull * pull).sum().item() for pull in pulls) ** 0.5
        before = [p.detach().clone() for p in moved]
        if norm > 0:
            for p, pull in zip(moved, pulls, strict=True):
                p.add_(p * pull if self.adaptive else pull, alpha=self.rho / norm)
        try:
            with enable_grad():
                closure()
        finally:
            for p, start in zip(moved, before, strict=True):
                p.copy_(start)
        self.optimizer.step()
        return loss


class Lookahead(_Wrapper):
    """Lookahead: every k steps, goes back part of the way that the wrapped optimizer went.

        s ← s + alpha · (p - s),   p ← s                  every k steps; s is p at first

    s is `slow` in the state of each parameter, and the steps taken are `lookahead_step` in each
    group, so that the state dict is that of the wrapped optimizer with these beside.

    Source: Zhang et al. 2019, Lookahead optimizer: k steps forward, 1 step back, algorithm 1.

    Args:
        optimizer: takes the steps.
        k: how many it takes before it goes back.
        alpha: how much of the way is kept.

    Raises:
        TypeError: `optimizer` is none.
        ValueError: `k` is not a positive integer, or `alpha` not between 0 and 1.

    >>> import tinygrad_lessons as tg
    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> lookahead = tg.optim.Lookahead(tg.optim.SGD([p], lr=1.0), k=2)
    >>> for _ in range(2):
    ...     p.grad = tg.tensor([1.0])
    ...     lookahead.step()
    >>> p.tolist()
    [0.0]
    """

    def __init__(self, optimizer: Optimizer, k: int = 5, alpha: float = 0.5):
        if not (isinstance(k, int) and k >= 1):
            raise ValueError(f"Invalid k value: {k}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"Invalid alpha value: {alpha}")
        super().__init__(optimizer)
        self.k, self.alpha = k, alpha

    @no_grad()
    def step(self, closure=None):
        """A step of the wrapped optimizer, and every k of them one back; returns what it returns."""
        for group in self.param_groups:
            for p in group["params"]:
                if "slow" not in self.state[p]:
                    self.state[p]["slow"] = p.detach().clone()
        loss = self.optimizer.step(closure)
        for group in self.param_groups:
            group["lookahead_step"] = group.get("lookahead_step", 0) + 1
            if group["lookahead_step"] % self.k == 0:
                for p in group["params"]:
                    p.copy_(self.state[p]["slow"].lerp_(p, self.alpha))
        return loss
