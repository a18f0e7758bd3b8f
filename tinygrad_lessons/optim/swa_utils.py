"""Averages of weights: stochastic weight averaging (SWA) and exponential moving averages (EMA)."""

from collections.abc import Callable, Iterable
from copy import deepcopy

from tinygrad_lessons._core import Tensor, int64, no_grad, tensor
from tinygrad_lessons.nn.module import Module
from tinygrad_lessons.nn.normalization import _BatchNorm

from .lr_scheduler.base import LRScheduler, half_cosine, per_group, warn_outside_step

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """An `avg_fn` for `AveragedModel`: decay · averaged + (1 - decay) · current.

    Source: Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging, with
    exponential weights.

    Raises:
        ValueError: `decay` is not between 0 and 1.

    >>> import tinygrad_lessons as tg
    >>> average = tg.optim.swa_utils.get_ema_avg_fn(0.75)
    >>> average(tg.tensor([4.0]), tg.tensor([8.0]), 1)
    tensor([5.])
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(averaged, current, num_averaged):
        return decay * averaged + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Callable:
    """An `avg_fn` for `AveragedModel`: averaged + (current - averaged) / (num_averaged + 1).

    That is the mean of all models so far. Source: Izmailov et al. 2018, Averaging weights leads to
    wider optima and better generalization.

    >>> import tinygrad_lessons as tg
    >>> average = tg.optim.swa_utils.get_swa_avg_fn()
    >>> average(tg.tensor([4.0]), tg.tensor([10.0]), 2)
    tensor([6.])
    """

    @no_grad()
    def swa_update(averaged, current, num_averaged):
        return averaged + (current - averaged) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """`get_ema_avg_fn` as a `multi_avg_fn`, which updates lists of tensors in place.

    Raises:
        ValueError: `decay` is not between 0 and 1.

    >>> import tinygrad_lessons as tg
    >>> averaged = [tg.tensor([4.0]), tg.tensor([0.0])]
    >>> average = tg.optim.swa_utils.get_ema_multi_avg_fn(0.75)
    >>> average(averaged, [tg.tensor([8.0]), tg.tensor([1.0])], 1)
    >>> averaged
    [tensor([5.]), tensor([0.2500])]
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(averaged, current, num_averaged):
        _move(averaged, current, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """`get_swa_avg_fn` as a `multi_avg_fn`, which updates lists of tensors in place.

    >>> import tinygrad_lessons as tg
    >>> averaged = [tg.tensor([4.0])]
    >>> tg.optim.swa_utils.get_swa_multi_avg_fn()(averaged, [tg.tensor([10.0])], 2)
    >>> averaged
    [tensor([6.])]
    """

    @no_grad()
    def swa_update(averaged, current, num_averaged):
        _move(averaged, current, 1 / (int(num_averaged) + 1))

    return swa_update


def _check_decay(decay):
    if not 0 <= decay <= 1:
        raise ValueError(f"the decay of a moving average must be between 0 and 1, but is {decay}")


def _move(averaged, current, weight):
    """averaged ← averaged + weight · (current - averaged), cut to whole numbers in integers."""
    for mean, value in zip(averaged, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, weight)
        else:
            mean.copy_(mean + weight * (value - mean))


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's: SWA, or EMA by a function.

    `update_parameters(model)` copies the parameters the first time, and averages them from then
    on. The buffers (`BatchNorm`'s statistics) are copied every time; with `use_buffers` they are
    averaged as well; or call `update_bn` in the end.

    Source: Izmailov et al. 2018, Averaging weights leads to wider optima and better
    generalization.

    Args:
        model: is copied.
        avg_fn: (averaged, current, num_averaged) → the new average of one tensor.
        multi_avg_fn: (list of averaged, list of current, num_averaged), updates the first in
            place; all tensors of a list have one dtype. Without either, all models count alike.

    Raises:
        AssertionError: both functions are given.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> mean = AveragedModel(model)
    >>> ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    >>> for weight in (1.0, 2.0, 6.0):
    ...     _ = tg.nn.init.constant_(model.weight, weight)
    ...     mean.update_parameters(model)
    ...     ema.update_parameters(model)
    >>> mean.module.weight.item(), ema.module.weight.item()
    (3.0, 2.4375)
    """

    def __init__(
        self,
        model: Module,
        device=None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        """What the averaged copy gives."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's parameters into the average.

        Raises:
            ValueError: the model has not the parameters and buffers that were copied.
        """
        averaged, current = list(self.module.parameters()), list(model.parameters())
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        if self.use_buffers:
            averaged += [mine for mine, _ in buffers]
            current += [other for _, other in buffers]
        pairs = [
            (mean.detach(), value.detach()) for mean, value in zip(averaged, current, strict=True)
        ]
        if self.n_averaged == 0:
            for mean, value in pairs:
                mean.copy_(value)
        else:
            self._average(pairs)
        if not self.use_buffers:
            for mine, other in buffers:
                mine.copy_(other)
        self.n_averaged.add_(1)

    def _average(self, pairs):
        if self.avg_fn is not None:
            for mean, value in pairs:
                mean.copy_(self.avg_fn(mean, value, self.n_averaged))
            return
        by_dtype = {}
        for mean, value in pairs:
            means, values = by_dtype.setdefault(mean.dtype, ([], []))
            means.append(mean)
            values.append(value)
        update = self.multi_avg_fn or get_swa_multi_avg_fn()
        for means, values in by_dtype.values():
            update(means, values, self.n_averaged)


@no_grad()
def update_bn(loader: Iterable, model: Module, device=None) -> None:
    """Compute the running statistics of all `BatchNorm`s anew, by one pass over the data.

    All batches count alike. An averaged model needs that: its activations were never seen.

    Args:
        loader: yields batches, or lists or tuples that begin with one.

    >>> import tinygrad_lessons as tg
    >>> model = tg.nn.BatchNorm1d(1)
    >>> tg.optim.swa_utils.update_bn([tg.tensor([[1.0], [3.0]]), tg.tensor([[5.0], [7.0]])], model)
    >>> model.running_mean, model.running_var
    (tensor([4.]), tensor([2.]))
    """
    momenta = {
        module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)
    }
    if not momenta:
        return
    training = model.training
    model.train()
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None  # a mean of all batches
    try:
        for batch in loader:
            if isinstance(batch, (list, tuple)):
                batch = batch[0]
            model(batch if device is None else batch.to(device))
    finally:
        for module, momentum in momenta.items():
            module.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From where the learning rate is to `swa_lr` in `anneal_epochs`, to stay there.

        lr[t] - swa_lr = (lr[0] - swa_lr) · c(t / anneal_epochs)

    with c(x) = (1 + cos πx) / 2 ("cos") or 1 - x ("linear"), and c = 0 from x = 1 on.

    Args:
        swa_lr: one value, or a list with one per group.

    Raises:
        ValueError: the strategy is unknown; `anneal_epochs` is not an integer of at least 0; a
            list has not one value per group.

    >>> import tinygrad_lessons as tg
    >>> sgd = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.swa_utils.SWALR(sgd, swa_lr=0.5, anneal_epochs=4)
    >>> tg.optim.lr_scheduler.values(schedule, 6).round(3).tolist()
    [[1.0, 0.927, 0.75, 0.573, 0.5, 0.5]]
    """

    def __init__(
        self,
        optimizer,
        swa_lr,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):
        for group, lr in zip(
            optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr), strict=True
        ):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"SWALR: anneal_strategy must be 'cos' or 'linear', but is {anneal_strategy!r}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(
                f"SWALR: anneal_epochs must be an integer of at least 0, but is {anneal_epochs!r}"
            )
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _to_go(self, step):
        x = 1.0 if step >= self.anneal_epochs else max(step, 0) / self.anneal_epochs
        return half_cosine(x) if self._anneal_strategy == "cos" else 1 - x

    def get_lr(self) -> list[float | Tensor]:
        """The learning rates of the groups, a step nearer to "swa_lr"."""
        warn_outside_step(self)
        step = self._step_count - 1
        before = self._to_go(step - 1) if step > 0 else 1.0
        ratio = self._to_go(step) / before if before else 0.0
        return [
            group["swa_lr"] + (group["lr"] - group["swa_lr"]) * ratio
            for group in self.optimizer.param_groups
        ]
