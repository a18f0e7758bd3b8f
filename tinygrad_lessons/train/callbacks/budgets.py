"""How long training may go on, by the clock or by steps."""

import time

from .base import Callback


class TimeBudget(Callback):
    """Stops after so many seconds of training, those before a checkpoint included.

    Args:
        seconds: above 0; the step that is under way then is finished.

    Raises:
        ValueError: not above 0.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import TimeBudget, Trainer
    >>> model = tg.nn.Linear(1, 1)
    >>> sgd = tg.optim.SGD(model.parameters())
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[TimeBudget(0.05)])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))], epochs=10**9)
    >>> trainer.stopped_by
    'time budget'
    """

    def __init__(self, seconds: float):
        if not seconds > 0:
            raise ValueError(f"TimeBudget: got {seconds!r} seconds: expected more than 0")
        self.seconds = seconds
        self._spent = 0.0
        self._begun = time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds of training so far."""
        return self._spent + time.perf_counter() - self._begun

    def on_fit_start(self, trainer):
        """Start the clock, or stop at once if there is no time left."""
        if not trainer.resumed:
            self._spent = 0.0
        self._begun = time.perf_counter()
        self.on_step_end(trainer)

    def on_step_end(self, trainer):
        """Look at the clock."""
        if self.spent >= self.seconds:
            trainer.stop("time budget")

    def state_dict(self):
        """What was spent."""
        return {"spent": self.spent}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self._spent, self._begun = state["spent"], time.perf_counter()


class StepBudget(Callback):
    """Stops when so many steps were taken, in the middle of an epoch too.

    Args:
        steps: at least 1, those before a checkpoint included.

    Raises:
        ValueError: below 1.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import StepBudget, Trainer
    >>> model = tg.nn.Linear(1, 1)
    >>> sgd = tg.optim.SGD(model.parameters())
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[StepBudget(7)])
    >>> history = trainer.fit([(tg.ones(2, 1), tg.ones(2, 1))] * 5, epochs=10)
    >>> trainer.step, len(history), trainer.stopped_by
    (7, 1, 'step budget')
    """

    def __init__(self, steps: int):
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"StepBudget: got {steps!r} steps: expected 1 or more")
        self.steps = steps

    def on_fit_start(self, trainer):
        """Stop at once if there are none left."""
        self.on_step_end(trainer)

    def on_step_end(self, trainer):
        """Count."""
        if trainer.step >= self.steps:
            trainer.stop("step budget")
