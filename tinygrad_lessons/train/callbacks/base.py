"""What callbacks are: functions that the trainer calls at the seams of training."""

from collections.abc import Mapping


class Callback:
    """Base of all callbacks: override what you need, each is given the `Trainer`.

        on_setup             before on_fit_start of all of them: to refuse, while nothing is written yet
        on_fit_start         before the first step, after a checkpoint was loaded
        on_epoch_start
        on_step_start        a batch is about to be used
        on_backward_end      gradients are complete, the optimizer has not stepped
        on_step_end          the step is taken; `trainer.step_loss` is its loss
        on_validation_start
        on_validation_end
        on_epoch_end         the epoch is the last of `trainer.history`
        on_train_end         the last step is taken; not called if training failed
        on_fit_end           however training ended (`trainer.error` says by what); in reverse order

    Callbacks are called in the order given, but those of a higher `order` after those of a lower.
    A hook that is not overridden costs nothing.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons import nn, optim
        >>> from tinygrad_lessons.train import Callback, Trainer
        >>> class Printer(Callback):
        ...     def on_step_end(self, trainer):
        ...         print(f"step {trainer.step}: {trainer.step_loss:.2f}")
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(model.weight, 2.0)
        >>> sgd = optim.SGD(model.parameters(), lr=0.25)
        >>> data = [(tg.ones(4, 1), tg.zeros(4, 1))] * 2
        >>> _ = Trainer(model, nn.MSELoss(), sgd, callbacks=[Printer()]).fit(data, epochs=1)
        step 1: 4.00
        step 2: 1.00
    """

    order = 0

    def on_setup(self, trainer):
        """Before any callback has begun: the place to refuse."""

    def on_fit_start(self, trainer):
        """Before the first step, after a checkpoint was loaded."""

    def on_epoch_start(self, trainer):
        """Before the first batch of an epoch; not when one goes on in its middle."""

    def on_step_start(self, trainer):
        """Before a step."""

    def on_backward_end(self, trainer):
        """Gradients are complete, the optimizer has not stepped; once per evaluation of a closure."""

    def on_step_end(self, trainer):
        """A step is taken."""

    def on_validation_start(self, trainer):
        """Before the validation of an epoch."""

    def on_validation_end(self, trainer):
        """After the validation of an epoch."""

    def on_epoch_end(self, trainer):
        """An epoch is complete: `trainer.history[-1]`."""

    def on_train_end(self, trainer):
        """The last step is taken, and nothing restored yet: what a checkpoint must hold."""

    def on_fit_end(self, trainer):
        """Training is over; `trainer.error` is what it failed by, or None."""

    def state_dict(self) -> dict:
        """What a checkpoint keeps; empty if there is nothing to keep."""
        return {}

    def load_state_dict(self, state: Mapping) -> None:
        """Go on from a `state_dict`; called before `on_fit_start`."""


def hooks_of(callbacks):
    """Hook's name → the bound methods of those callbacks that override it."""
    names = [name for name in vars(Callback) if name.startswith("on_")]
    return {
        name: tuple(
            getattr(callback, name)
            for callback in callbacks
            if getattr(type(callback), name) is not getattr(Callback, name)
        )
        for name in names
    }
