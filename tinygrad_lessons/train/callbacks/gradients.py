"""What happens to gradients between backward and step: accumulation and clipping."""

from tinygrad_lessons.nn.utils import clip_grad_adaptive_, clip_grad_norm_, clip_grad_value_

from .base import Callback


class GradientAccumulation(Callback):
    """Makes each step of several batches: its gradient is that of the mean over all their samples.

    So a step sees a batch that would be too large for memory; batch norm and the like still see the
    small ones. The last step of an epoch takes what is left.

    Args:
        batches: how many make a step.

    Raises:
        ValueError: fewer than 1.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import GradientAccumulation, Trainer
    >>> model = tg.nn.Linear(1, 1)
    >>> sgd = tg.optim.SGD(model.parameters())
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[GradientAccumulation(4)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))] * 10, epochs=1)
    >>> trainer.step
    3
    """

    order = -1  # before those who count steps

    def __init__(self, batches: int):
        if not isinstance(batches, int) or batches < 1:
            raise ValueError(f"GradientAccumulation: got {batches!r} batches: expected 1 or more")
        self.batches = batches

    def on_fit_start(self, trainer):
        """Tell the trainer."""
        trainer.accumulate = self.batches

    def on_fit_end(self, trainer):
        """A batch is a step again."""
        trainer.accumulate = 1


class GradientClipping(Callback):
    """Clips gradients before each step, by one of three measures.

    Args:
        norm: the largest norm of all gradients together, as `nn.utils.clip_grad_norm_`.
        value: the largest element, as `nn.utils.clip_grad_value_`.
        adaptive: the largest share of each unit's own norm, as `nn.utils.clip_grad_adaptive_`.
        norm_type: of `norm`.

    Raises:
        ValueError: not one of the three, or it is not above 0.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import GradientClipping, Trainer
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> _ = tg.nn.init.constant_(model.weight, 3.0)
    >>> sgd = tg.optim.SGD(model.parameters(), lr=1.0)
    >>> clipping = GradientClipping(norm=0.5)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[clipping])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=1)
    >>> round(model.weight.item(), 4), clipping.last_norm
    (2.5, 4.0)
    """

    def __init__(
        self,
        norm: float | None = None,
        *,
        value: float | None = None,
        adaptive: float | None = None,
        norm_type: float = 2.0,
    ):
        given = [limit for limit in (norm, value, adaptive) if limit is not None]
        if len(given) != 1 or not given[0] > 0:
            raise ValueError(
                f"GradientClipping: got norm={norm!r}, value={value!r}, adaptive={adaptive!r}: "
                "expected one of them, above 0"
            )
        self.norm = norm
        self.value = value
        self.adaptive = adaptive
        self.norm_type = norm_type
        self.last_norm = None  # of the latest step, before clipping

    def on_backward_end(self, trainer):
        """Clip."""
        parameters = list(trainer.model.parameters())
        if self.norm is not None:
            self.last_norm = clip_grad_norm_(parameters, self.norm, self.norm_type).item()
        elif self.value is not None:
            clip_grad_value_(parameters, self.value)
        else:
            clip_grad_adaptive_(parameters, self.adaptive)
