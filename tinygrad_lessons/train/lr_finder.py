"""The learning rate range test: the loss while the learning rate grows."""

import math
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain

import numpy as np

from tinygrad_lessons._figure import new_figure

from .evaluation import no_batches, pair_of
from .modes import set_mode, wants_closure
from .position import load_state_of_loader, state_of_loader
from .rng import kept_rng_states


@dataclass(frozen=True)
class LRFinding:
    """What `lr_find` found.

    Attributes:
        lrs: the learning rates that were tried, in order.
        losses: the loss of each step, before it was taken.
        smoothed: the same as a moving average.
        diverged: whether the loss grew so much that the test ended early.
        spacing: "exponential" or "linear".
    """

    lrs: list
    losses: list
    smoothed: list
    diverged: bool
    spacing: str

    @property
    def suggestions(self) -> dict:
        """Learning rates to train with: "steepest", "minimum/10" and "valley"; NaN of too few steps.

            steepest     where the smoothed loss falls fastest, along the axis that was spaced equally
            minimum/10   a tenth of where the smoothed loss is lowest
            valley       two thirds into the longest way down, past its steep part and before it turns

        Sources: Smith 2017, Cyclical learning rates for training neural networks, section 3.3; Howard
        and Gugger 2020, fastai: a layered API for deep learning.
        """
        losses = np.array(self.smoothed)
        if len(losses) < 4:
            return dict.fromkeys(("steepest", "minimum/10", "valley"), math.nan)
        axis = np.log(self.lrs) if self.spacing == "exponential" else np.array(self.lrs)
        lowest = int(losses.argmin())
        slopes = np.gradient(losses, axis)
        first, last = _longest_descent(losses)
        return {
            "steepest": self.lrs[int(slopes[: max(lowest, 1) + 1].argmin())],
            "minimum/10": self.lrs[lowest] / 10,
            "valley": self.lrs[first + round((last - first) * 2 / 3)],
        }

    def plot(self):
        """The loss over the learning rate, with the suggestions, as a matplotlib figure.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
        """
        figure = new_figure("Learning rate range test", width=7, height=4.5)
        axes = figure.subplots()
        axes.plot(self.lrs, self.losses, ".", color="#bbbbbb", markersize=3, label="loss of a step")
        axes.plot(self.lrs, self.smoothed, color="#4477aa", label="smoothed")
        colours = ("#cc3311", "#228833", "#aa3377")
        for (name, lr), colour in zip(self.suggestions.items(), colours, strict=True):
            if not math.isnan(lr):
                axes.axvline(lr, linestyle="--", color=colour, label=f"{name}: {lr:.2g}")
        low, high = min(self.smoothed), self.smoothed[0]
        axes.set_ylim(low - 0.1 * (high - low or 1), high + 0.5 * (high - low or 1))
        if self.spacing == "exponential":
            axes.set_xscale("log")
        axes.set(xlabel="learning rate", ylabel="loss")
        axes.grid(alpha=0.3)
        axes.legend()
        return figure


def _longest_descent(losses):
    """First and last place of the longest falling subsequence."""
    length, before = np.ones(len(losses), int), np.full(len(losses), -1)
    for i in range(1, len(losses)):
        higher = np.flatnonzero(losses[:i] > losses[i])
        if len(higher):
            before[i] = higher[length[higher].argmax()]
            length[i] = length[before[i]] + 1
    last = first = int(length.argmax())
    while before[first] >= 0:
        first = before[first]
    return first, last


def lr_find(
    model,
    loss,
    optimizer,
    loader,
    *,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 100,
    spacing: str = "exponential",
    smoothing: float = 0.9,
    divergence: float | None = 4.0,
    batch_transform=None,
) -> LRFinding:
    """The learning rate range test: trains while the learning rate grows, and looks at the loss.

    It works on copies of model, optimizer, loss and batch_transform and puts all random streams and the loader back: to
    find, then train, gives the bits of training alone. The smoothed loss is a moving average,

        a ← smoothing · a + (1 - smoothing) · loss,    a / (1 - smoothingᵗ)

    Sources: Smith 2015, No more pesky learning rate guessing games; Smith 2017, Cyclical learning
    rates for training neural networks.

    Args:
        model: maps a batch to outputs.
        loss: the mean loss of (outputs, target).
        optimizer: over the model's parameters; groups keep the ratios of their learning rates, of
            which the largest is `start` to `end`.
        loader: yields (batch, target); it is iterated again if it ends before `steps`.
        start, end: the learning rates of the first and the last step.
        steps: how many, at least 2.
        spacing: "exponential": each is so many times the last; "linear": so much more.
        smoothing: from 0 (none) to below 1.
        divergence: end when the smoothed loss is above so many times its minimum; None: never.
        batch_transform: (batch, target) → (batch, target), as the training has it.

    Raises:
        ValueError: an argument is out of range, or there are no batches.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons import nn, optim
        >>> from tinygrad_lessons.datasets import Digits
        >>> from tinygrad_lessons.train import lr_find, mlp
        >>> from tinygrad_lessons.utils.data import DataLoader
        >>> _ = tg.manual_seed(0)
        >>> loader = DataLoader(Digits("train"), batch_size=32, shuffle=True)
        >>> model = mlp(64, 10, hidden=(16,))
        >>> adam = optim.Adam(model.parameters())
        >>> finding = lr_find(model, nn.CrossEntropyLoss(), adam, loader)
        >>> 1e-4 < finding.suggestions["valley"] < 1
        True
    """
    if not 0 < start < end < math.inf:
        raise ValueError(f"lr_find: got start={start!r}, end={end!r}: expected 0 < start < end")
    if steps < 2:
        raise ValueError(f"lr_find: got steps={steps!r}: expected 2 or more")
    if spacing not in ("exponential", "linear"):
        raise ValueError(f"lr_find: got spacing {spacing!r}: expected 'exponential' or 'linear'")
    if not 0 <= smoothing < 1:
        raise ValueError(
            f"lr_find: got smoothing {smoothing!r}: expected a number from 0 to below 1"
        )
    if divergence is not None and not divergence > 1:
        raise ValueError(f"lr_find: got divergence {divergence!r}: expected more than 1, or None")
    space = np.geomspace if spacing == "exponential" else np.linspace
    before = state_of_loader(loader)
    with kept_rng_states():
        model, optimizer, loss, batch_transform = deepcopy(
            (model, optimizer, loss, batch_transform)
        )
        try:
            return _run(
                _Steps(model, loss, optimizer, batch_transform),
                _endless(loader),
                space(start, end, steps).tolist(),
                smoothing,
                math.inf if divergence is None else divergence,
                spacing,
            )
        finally:
            load_state_of_loader(loader, before)


def _endless(loader):
    """The batches of one epoch after the other."""
    while True:
        batches = iter(loader)
        first = next(batches, None)
        if first is None:
            raise no_batches("lr_find")
        yield from chain([first], batches)


class _Steps:
    """Steps of a copy of the model, with a learning rate for each."""

    def __init__(self, model, loss, optimizer, transform):
        self.model, self.loss, self.optimizer, self.transform = model, loss, optimizer, transform
        self.closure = wants_closure(optimizer)
        largest = max(float(group["lr"]) for group in optimizer.param_groups)
        self.shares = [
            float(group["lr"]) / largest if largest else 1.0 for group in optimizer.param_groups
        ]
        model.train()
        set_mode(optimizer, "train")

    def take(self, batch, lr):
        """One step; the loss before it."""
        for group, share in zip(self.optimizer.param_groups, self.shares, strict=True):
            group["lr"] = lr * share
        input, target = pair_of(batch, "lr_find")
        if self.transform is not None:
            input, target = self.transform(input, target)
        losses = []

        def gradient():
            self.optimizer.zero_grad()
            value = self.loss(self.model(input), target)
            losses.append(value.item())
            value.backward()
            return value

        if self.closure:
            self.optimizer.step(gradient)
        else:
            gradient()
            self.optimizer.step()
        return losses[0]


def _run(steps, batches, lrs, smoothing, divergence, spacing):
    losses, smoothed, average, lowest = [], [], 0.0, math.inf
    diverged = False
    for t, (lr, batch) in enumerate(zip(lrs, batches, strict=False), 1):
        loss = steps.take(batch, lr)
        average = smoothing * average + (1 - smoothing) * loss
        value = average / (1 - smoothing**t)
        if not math.isfinite(value) or (t > 1 and lowest > 0 and value > divergence * lowest):
            diverged = True
            break
        losses.append(loss)
        smoothed.append(value)
        lowest = min(lowest, value)
    return LRFinding(lrs[: len(losses)], losses, smoothed, diverged, spacing)
