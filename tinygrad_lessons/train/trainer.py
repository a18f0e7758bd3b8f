"""The `Trainer`: the training loop with its seams."""

import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from math import isfinite, nan
from numbers import Integral
from operator import attrgetter

from tinygrad_lessons._core import Tensor
from tinygrad_lessons.nn import Module
from tinygrad_lessons.optim import Optimizer
from tinygrad_lessons.optim.lr_scheduler import ReduceLROnPlateau
from tinygrad_lessons.utils.data.epoch import set_states, sources_of, states_of

from .callbacks.base import Callback, hooks_of
from .callbacks.early_stopping import monitored
from .checkpoints import CheckpointError, load_checkpoint
from .diagnosis import non_finite_value
from .evaluation import batch_size, computed, evaluate, no_batches, pair_of, predict
from .interrupts import interrupts
from .metrics import named_metrics
from .modes import paused, set_mode, wants_closure
from .position import Position, load_state_of_loader, state_of_loader
from .rng import get_rng_states, set_rng_states
from .states import (
    callback_states,
    check_metrics,
    check_optimizer,
    check_transform,
    kinds,
    load_callbacks,
    load_model,
)

_FORMAT = "tinygrad_lessons.train.Trainer"


class Trainer:
    """Trains, evaluates and predicts; what else is to happen on the way are callbacks.

    A step is one update of the optimizer: gradients, `optimizer.step()`, and that of a scheduler
    of steps. Rules that need a closure (`LBFGS`, `SAM`) get one, those with `train()` and `eval()`
    (schedule-free) are switched. An epoch is one pass over the loader and one over the validation
    data.

    Attributes that callbacks read: `model`, `loss`, `optimizer`, `scheduler`; `epoch` (its number,
    from 1) and `epochs` (how many there are to be), `step` (taken in all), `step_loss`, `lr`,
    `history`, `record` (of this epoch, so far), `resumed`, `averaged` (whether the model now holds
    an average of its weights), `stopped_by`, `error`.

    Args:
        model: maps a batch to outputs.
        loss: the mean loss of (outputs, target).
        optimizer: over the model's parameters.
        scheduler: of the optimizer's learning rate.
        scheduler_interval: "epoch" or "step": after which it steps.
        scheduler_monitor: what a `ReduceLROnPlateau` watches; val_loss, or train_loss if there is
            no validation, if None.
        callbacks: see `Callback`.
        metrics: name → metric, or a list of names: see `train.metrics`.
        batch_transform: (batch, target) → (batch, target), in training only: augmentation, `MixUp`.

    Raises:
        TypeError, ValueError: an argument is none of these.

    Example:
        >>> from tinygrad_lessons import nn, optim
        >>> from tinygrad_lessons.datasets import Digits
        >>> from tinygrad_lessons.train import EarlyStopping, Trainer, mlp
        >>> from tinygrad_lessons.utils.data import DataLoader
        >>> train, val = (DataLoader(Digits(split), batch_size=32) for split in ("train", "val"))
        >>> model = mlp(64, 10, hidden=(16,))
        >>> trainer = Trainer(
        ...     model,
        ...     nn.CrossEntropyLoss(),
        ...     optim.Adam(model.parameters()),
        ...     callbacks=[EarlyStopping("val_loss", patience=3)],
        ...     metrics=["accuracy"],
        ... )
        >>> history = trainer.fit(train, val, epochs=2)
        >>> sorted(history[-1])  # doctest: +NORMALIZE_WHITESPACE
        ['epoch', 'lr', 'seconds', 'step', 'train_accuracy', 'train_loss', 'val_accuracy',
         'val_loss']
    """

    def __init__(
        self,
        model: Module,
        loss: Callable,
        optimizer: Optimizer,
        *,
        scheduler=None,
        scheduler_interval: str = "epoch",
        scheduler_monitor: str | None = None,
        callbacks: Sequence[Callback] = (),
        metrics: Mapping | Sequence[str] | None = None,
        batch_transform: Callable | None = None,
    ):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Trainer: expected an optimizer, got {type(optimizer).__name__}")
        if scheduler_interval not in ("epoch", "step"):
            raise ValueError(
                f"Trainer: got scheduler_interval {scheduler_interval!r}: expected 'epoch' or 'step'"
            )
        if isinstance(scheduler, ReduceLROnPlateau) and scheduler_interval == "step":
            raise ValueError(
                "Trainer: ReduceLROnPlateau follows a metric, which there is once an epoch: "
                "choose scheduler_interval='epoch'"
            )
        for callback in callbacks:
            if not isinstance(callback, Callback):
                hint = ": make an object of it" if inspect.isclass(callback) else ""
                raise TypeError(f"Trainer: expected callbacks, got {callback!r}{hint}")
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        self.scheduler_monitor = scheduler_monitor
        self.callbacks = tuple(sorted(callbacks, key=attrgetter("order")))
        self.metrics = named_metrics(metrics)
        self.batch_transform = batch_transform
        self.train_data = self.val_data = None
        self.epochs = 0
        self.accumulate = 1  # batches in a step; GradientAccumulation sets it
        self._hooks = hooks_of(self.callbacks)
        self._wants_closure = wants_closure(optimizer)
        self._loaded = None  # the state of data and random streams, from load_state_dict to fit
        self._position = None
        self._restart()

    def _restart(self):
        """Begin a run: nothing is done yet."""
        self.history = []
        self.record = {}
        self.epoch = self.step = 0
        self.step_loss = nan
        self.resumed = self.averaged = False
        self.stopped_by = None
        self.error = None
        self._begun = time.perf_counter()
        self._lr_used = None
        self._clear_sums()

    def _clear_sums(self):
        self._loss_sum, self._samples = 0.0, 0
        for metric in self.metrics.values():
            metric.reset()

    # ---- for callbacks ----

    @property
    def lr(self) -> float:
        """The learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def where(self) -> str:
        """The epoch, and the number of the step that is under way, in words."""
        return f"epoch {self.epoch}, step {self.step + 1}"

    def stop(self, reason: str) -> None:
        """End training after this step; `stopped_by` is the first reason given."""
        if self.stopped_by is None:
            self.stopped_by = reason

    def transformed(self, batch):
        """The batch and its target as training sees them, behind `batch_transform`."""
        pair = pair_of(batch, "fit")
        return pair if self.batch_transform is None else self.batch_transform(*pair)

    def _call(self, name):
        for hook in self._hooks[name]:
            hook(self)

    # ---- training ----

    def fit(
        self, train: Iterable, val: Iterable | None = None, epochs: int = 10, resume=None
    ) -> list[dict]:
        """Train until there are `epochs` in all, or a callback, Ctrl-C or SIGTERM stops it.

        The first Ctrl-C finishes the step, saves, restores and returns; `stopped_by` is "SIGINT"
        then. A second one ends at once, by KeyboardInterrupt.

        Without `resume`, a run begins: epochs count from 1, `history` is empty and callbacks begin
        anew, but model, optimizer and scheduler go on from where they are. With it, or after
        `load_state_dict`, the run goes on to the same bits as if it had never been interrupted.

        Args:
            train: yields (batch, target), a `DataLoader` or anything that can be iterated again.
            val: the same, of data that is not trained on.
            epochs: how many there are to be in all, those before `resume` included.
            resume: path of a checkpoint or of a folder of them.

        Returns:
            `history`: a dict per epoch with epoch, step, train_loss, train_ and each metric, the same
            of val, lr and seconds. Training figures are means over the epoch's samples, while the
            weights change.

        Raises:
            FloatingPointError: a loss is infinite or NaN; says in which epoch and step, and which
                layer.
            ValueError: a loader gives no batches.
            CheckpointError: a checkpoint is damaged, or of another model, optimizer or scheduler.
            FileNotFoundError: there is no checkpoint.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, Integral) or epochs < 0:
            raise ValueError(f"fit: got epochs={epochs!r}: expected a whole number of at least 0")
        epochs = int(epochs)
        if resume is not None:
            self.load_state_dict(load_checkpoint(resume))
        if self._loaded is None:
            self._restart()
        elif self.epoch > epochs:
            raise ValueError(
                f"fit: got epochs={epochs}, but the checkpoint is in epoch {self.epoch}: epochs are "
                "counted from the run's beginning"
            )
        loaded, self._loaded = self._loaded, None
        self.resumed, self.stopped_by, self.error = loaded is not None, None, None
        self.train_data, self.val_data, self.epochs = train, val, epochs
        self._position = Position(train, loaded and loaded["position"])
        with ExitStack() as ends:
            ends.callback(self.model.train, self.model.training)
            try:
                ends.enter_context(interrupts(self.stop))
                self._call("on_setup")
                for callback in self.callbacks:
                    callback.on_fit_start(self)
                    ends.callback(callback.on_fit_end, self)
                ends.callback(set_mode, self.optimizer, "eval")
                if loaded is not None:
                    load_state_of_loader(val, loaded["val_position"])
                    set_rng_states(loaded["rng"])
                while len(self.history) < epochs and self.stopped_by is None:
                    self._train_epoch()
                self.stop("epochs")
                self._call("on_train_end")
            except BaseException as error:
                self.error = error
                self.stopped_by = type(error).__name__
                raise
        return self.history

    def _train_epoch(self):
        """An epoch, or what is left of the one that a checkpoint was taken in."""
        self.model.train()
        set_mode(self.optimizer, "train")
        if self.epoch > len(self.history):
            batches = self._position.resume()
        else:
            self.epoch += 1
            self._begun = time.perf_counter()
            self._call("on_epoch_start")
            batches = self._position.begin()
        if not self._train_on(batches):
            return
        if not self._samples:
            raise no_batches("fit")
        self._end_epoch()

    def _train_on(self, batches):
        """A step after the other; whether the epoch came to its end."""
        position = self._position
        starts, ends = self._hooks["on_step_start"], self._hooks["on_step_end"]
        schedule = self.scheduler if self.scheduler_interval == "step" else None
        many = self.accumulate
        groups = zip(batches) if many == 1 else iter(lambda: tuple(islice(batches, many)), ())  # noqa: B905
        for group in groups:
            position.batches += len(group)
            if self.batch_transform is not None:
                group = [self.transformed(batch) for batch in group]
            for hook in starts:
                hook(self)
            if many == 1 and not self._wants_closure:
                self._step_on(group[0])
            else:
                self._step_on_several(group)
            self.step += 1
            if schedule is not None:
                self._lr_used = self.lr
                schedule.step()
            for hook in ends:
                hook(self)
            if self.stopped_by is not None and not position.at_end():
                return False
        return True

    def _step_on(self, batch):
        """One update of the optimizer by one batch: the usual case, kept short."""
        self.optimizer.zero_grad()
        loss, value, output, target, count = self._forward(batch)
        loss.backward()
        for hook in self._hooks["on_backward_end"]:
            hook(self)
        self.optimizer.step()
        self.step_loss = value
        self._note(value, output, target, count)

    def _step_on_several(self, batches):
        """One update by the gradient of the mean loss over some batches, which a closure may ask again."""
        counts = [batch_size(pair_of(batch, "fit")[1]) for batch in batches]
        samples = sum(counts)
        seen = []  # the first evaluation, at the parameters, is the one that counts

        def gradient():
            first, mean = not seen, 0.0
            self.optimizer.zero_grad()
            for batch, count in zip(batches, counts, strict=True):
                loss, *figures = self._forward(batch)
                if first:
                    seen.append(figures)
                loss = loss * (count / samples)
                loss.backward()
                mean = mean + loss.detach()
            for hook in self._hooks["on_backward_end"]:
                hook(self)
            return mean

        if self._wants_closure:
            self.optimizer.step(gradient)
        else:
            gradient()
            self.optimizer.step()
        for figures in seen:
            self._note(*figures)
        self.step_loss = sum(value * count for value, *_, count in seen) / samples

    def _forward(self, batch):
        """Of a batch: the loss, the same as a number, the output, the target, the number of samples.

        Raises:
            FloatingPointError: the loss is not finite.
            ValueError: batch norm was given a single sample, or the batch is no pair.
        """
        input, target = pair_of(batch, "fit")
        count = len(target) if type(target) is Tensor else batch_size(target)
        try:
            output = self.model(input)
        except ValueError as error:
            if count > 1:
                raise
            raise ValueError(
                f"fit, {self.where}: the batch is a single sample, and {error}; pass "
                "drop_last=True to the DataLoader, or choose another batch_size"
            ) from error
        loss = self.loss(output, target)
        value = loss.item()
        if not isfinite(value):
            raise FloatingPointError(
                f"fit, {self.where}: the loss is {value}: "
                f"{non_finite_value(self.model, input) or 'every layer is finite'}; lower the "
                "learning rate, clip gradients, and check the data for inf and nan"
            )
        return loss, value, output, target, count

    def _note(self, value, output, target, count):
        """Add a batch to the epoch's sums."""
        self._loss_sum += value * count
        self._samples += count
        if self.metrics:
            output = output.detach()
            for metric in self.metrics.values():
                metric.update(output, target)

    def _end_epoch(self):
        """Validation, the schedule of epochs, and the record of the epoch."""
        set_mode(self.optimizer, "eval")
        self.record = {
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": self._loss_sum / self._samples,
        } | computed(self.metrics, "train_")
        if self.val_data is not None:
            self._call("on_validation_start")
            figures = evaluate(self.model, self.loss, self.val_data, self.metrics)
            self.record |= {f"val_{name}": figure for name, figure in figures.items()}
            self._call("on_validation_end")
        by_step = self.scheduler_interval == "step" and self.scheduler is not None
        self.record["lr"] = self._lr_used if by_step else self.lr
        self.record["seconds"] = time.perf_counter() - self._begun
        if not isfinite(self.record.get("val_loss", 0.0)):
            raise FloatingPointError(
                f"fit: val_loss is {self.record['val_loss']} in epoch {self.epoch}, after step "
                f"{self.step}: lower the learning rate, and check the data for inf and nan"
            )
        if self.scheduler is not None and not by_step:
            self._step_scheduler()
        self._clear_sums()
        self.history.append(self.record)
        self._call("on_epoch_end")

    def _step_scheduler(self):
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
            return
        monitor = self.scheduler_monitor
        if monitor is None:
            monitor = "val_loss" if self.val_data is not None else "train_loss"
        self.scheduler.step(monitored("ReduceLROnPlateau", self.record, monitor))

    # ---- without training ----

    def evaluate(self, loader: Iterable) -> dict:
        """The mean loss and the metrics over a loader, in evaluation mode; see `train.evaluate`."""
        with paused(self.optimizer):
            return evaluate(self.model, self.loss, loader, self.metrics)

    def predict(self, loader: Iterable):
        """All outputs and all targets over a loader, in evaluation mode; see `train.predict`."""
        with paused(self.optimizer):
            return predict(self.model, loader)

    # ---- state ----

    def state_dict(self) -> dict:
        """All that the run depends on, for `save_checkpoint`; tensors are the living ones.

        The weights, the states of optimizer, scheduler, loss, batch_transform (its `state_dict`, and
        generators that are its attributes) and callbacks, the random streams, the place in the
        data, the history, and what the epoch has summed up.
        """
        state = {
            "format": _FORMAT,
            "kinds": kinds(self),
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "loss": dict(self.loss.state_dict()) if isinstance(self.loss, Module) else {},
            "batch_transform": states_of(sources_of(self.batch_transform)),
            "epoch": self.epoch,
            "step": self.step,
            "step_loss": self.step_loss,
            "lr_used": self._lr_used,
            "loss_sum": self._loss_sum,
            "samples": self._samples,
            "metrics": {name: metric.state_dict() for name, metric in self.metrics.items()},
            "seconds": time.perf_counter() - self._begun,
            "history": list(self.history),
            "callbacks": callback_states(self),
        }
        if self._position is not None:
            state["position"] = self._position.state_dict()
            state["val_position"] = state_of_loader(self.val_data)
        return state | {"rng": get_rng_states()}

    def load_state_dict(self, state: Mapping) -> None:
        """Take over what a `state_dict` holds; the next `fit` goes on from there.

        Raises:
            CheckpointError: it is of another model, optimizer, scheduler or batch_transform: says
                what differs. Nothing has changed then.
        """
        if not isinstance(state, Mapping) or state.get("format") != _FORMAT:
            raise CheckpointError(
                "the checkpoint is not a trainer's: expected what Trainer.state_dict() gave"
            )
        check_optimizer(self, state)
        check_transform(self, state)
        if state["samples"]:
            check_metrics(self, state)
        load_model(self, state)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        if isinstance(self.loss, Module):
            self.loss.load_state_dict(state["loss"])
        set_states(sources_of(self.batch_transform), state["batch_transform"])
        self._restart()
        if state["samples"]:
            for name, metric in self.metrics.items():
                metric.load_state_dict(state["metrics"][name])
        self.epoch, self.step = state["epoch"], state["step"]
        self.step_loss, self._lr_used = state["step_loss"], state["lr_used"]
        self._loss_sum, self._samples = state["loss_sum"], state["samples"]
        self._begun = time.perf_counter() - state["seconds"]
        self.history = [dict(record) for record in state["history"]]
        self._loaded = {name: state.get(name) for name in ("position", "val_position", "rng")}
        load_callbacks(self, state["callbacks"])
