"""Averages of the weights along the way: EMA and SWA."""

import tinygrad_lessons as tg
from tinygrad_lessons.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from ..rng import kept_rng_states
from .base import Callback


class _Averaging(Callback):
    """Keeps an averaged copy; in the end, the model has its weights.

    During validation and until the epoch's end, an average that is to be validated is in the model,
    so that early stopping keeps it; a checkpoint holds both.
    """

    order = 1  # those who look at the weights of an epoch come before

    _validates = True

    def __init__(self):
        self.averaged = None
        self._state = None
        self._swapped = False

    def _average(self, model):
        raise NotImplementedError

    def on_fit_start(self, trainer):
        """Begin the average, or go on with that of the checkpoint."""
        self.averaged, self._swapped = self._average(trainer.model), False
        if trainer.resumed and self._state is not None:
            self.averaged.load_state_dict(self._state["average"])
            self._swapped = self._state["swapped"]
            if self._swapped:
                self._swap(trainer)
        self._state = None

    @property
    def ready(self) -> bool:
        """Whether there is an average yet."""
        return self.averaged is not None and self.averaged.n_averaged.item() > 0

    def on_validation_start(self, trainer):
        """Put the average into the model."""
        if self._validates and self.ready:
            self._swap(trainer)

    def on_epoch_end(self, trainer):
        """Put the weights in training back."""
        if self._swapped:
            self._swap(trainer)

    def on_fit_end(self, trainer):
        """Leave the average in the model."""
        if self.ready and not self._swapped:
            self._swap(trainer)

    @tg.no_grad()
    def _swap(self, trainer):
        """Exchange the weights and buffers of the model and its average."""
        mine, other = self.averaged.module.state_dict(), trainer.model.state_dict()
        for name, tensor in other.items():
            held = tensor.detach().clone()
            tensor.copy_(mine[name])
            mine[name].copy_(held)
        self._swapped = trainer.averaged = not self._swapped

    def state_dict(self):
        """The average, and whether it is the model that has it now."""
        if self.averaged is None:
            return {}
        return {"average": dict(self.averaged.state_dict()), "swapped": self._swapped}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self._state = state


def _tensors(model):
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]


class EMA(_Averaging):
    """The exponential moving average of the weights: a ← decay · a + (1 - decay) · w after each step.

    It is what validation sees and what the model has in the end; buffers (the statistics of batch
    norm) are averaged too, but for whole numbers, which are copied. Without a trainer: `optim.swa_utils.AveragedModel`.

    Args:
        decay: from 0 to 1; the average is over about 1 / (1 - decay) steps.
        every: average after so many steps.

    Raises:
        ValueError: an argument is out of range.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import EMA, Trainer
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> _ = tg.nn.init.constant_(model.weight, 2.0)
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.25)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[EMA(decay=0.5)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.zeros(2, 1))] * 2, epochs=1)  # 2 → 1 → 0.5
    >>> model.weight.item()
    0.75
    """

    def __init__(self, decay: float = 0.999, every: int = 1):
        if not 0 <= decay <= 1:
            raise ValueError(f"EMA: got decay {decay!r}: expected a number from 0 to 1")
        if every < 1:
            raise ValueError(f"EMA: got every={every!r}: expected 1 or more")
        super().__init__()
        self.decay = decay
        self.every = every

    def _average(self, model):
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.decay), use_buffers=True)

    def on_step_end(self, trainer):
        """Average."""
        if trainer.step % self.every == 0:
            self.averaged.update_parameters(trainer.model)


class SWA(_Averaging):
    """The mean of the weights after each epoch from `start` on; the model has it in the end.

    The statistics of batch norm are then computed anew, by a pass over the training data as
    `batch_transform` gives it. Beside it goes a schedule such as `optim.swa_utils.SWALR`. Validation sees the weights in training.

    Source: Izmailov et al. 2018, Averaging weights leads to wider optima and better generalization.

    Args:
        start: the first epoch that counts, from 1.

    Raises:
        ValueError: below 1.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import SWA, Trainer
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> _ = tg.nn.init.constant_(model.weight, 4.0)
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.25)
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[SWA(start=2)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.zeros(2, 1))], epochs=3)  # 4 → 2 → 1 → 0.5
    >>> model.weight.item()
    0.75
    """

    _validates = False

    def __init__(self, start: int):
        if start < 1:
            raise ValueError(f"SWA: got start={start!r}: expected an epoch, 1 or more")
        super().__init__()
        self.start = start

    def _average(self, model):
        return AveragedModel(model)

    def on_epoch_end(self, trainer):
        """Average."""
        if trainer.epoch >= self.start:
            self.averaged.update_parameters(trainer.model)

    def on_fit_end(self, trainer):
        """Leave the average in the model, with statistics of its own."""
        super().on_fit_end(trainer)
        if self._swapped and trainer.error is None:
            with tg.no_grad(), kept_rng_states():
                update_bn(map(trainer.transformed, trainer.train_data), trainer.model)
