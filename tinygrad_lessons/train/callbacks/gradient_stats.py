"""How gradients and weights fare: norms, updates, dead units, histograms, what is not finite."""

import math

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.nn.utils import get_total_norm

from ..diagnosis import non_finite_gradient
from ..lines import Lines, json_line
from .base import Callback


class GradientStats(Callback):
    """Measures each parameter, and stops where a gradient is not finite.

    Every so many steps, and in the first of each epoch, it takes the norms of weight and gradient
    and how far the step went beside the weight (about 1e-3 is healthy). A line of JSON per epoch
    holds, per parameter:

        weight_norm, grad_norm      means over the measured steps
        update_ratio                |change of the weight| / |weight|, its mean
        dead_units                  share of units (rows) without any gradient in all measured steps;
                                    null of vectors
        weight, gradient            histograms of the last measured step: {"edges", "counts"}

    Without a file, they are in `records`, a dict per epoch.

    Args:
        path: the file, `gradients.jsonl` in a run's folder; None: no file.
        every: measure each so-manieth step.
        bins: of the histograms.
        watch: raise in the step in which a gradient is not finite, before it reaches the weights.

    Raises:
        ValueError: `every` or `bins` is below 1.
        FloatingPointError: in training: names the epoch, the step and the parameter.
        OSError: as `JSONLLogger`.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import GradientStats, Trainer
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> _ = tg.nn.init.constant_(model.weight, 2.0)
    >>> sgd = tg.optim.SGD(model.parameters(), lr=0.25)
    >>> stats = GradientStats()
    >>> trainer = Trainer(model, tg.nn.MSELoss(), sgd, callbacks=[stats])
    >>> _ = trainer.fit([(tg.ones(2, 1), tg.zeros(2, 1))], epochs=1)
    >>> found = stats.records[0]["parameters"]["weight"]
    >>> found["weight_norm"], found["grad_norm"], found["update_ratio"], found["dead_units"]
    (2.0, 4.0, 0.5, 0.0)
    """

    def __init__(self, path=None, every: int = 50, bins: int = 40, watch: bool = True):
        for name, value in (("every", every), ("bins", bins)):
            if value < 1:
                raise ValueError(f"GradientStats: got {name}={value!r}: expected 1 or more")
        self.every = every
        self.bins = bins
        self.watch = watch
        self.records = []
        self._lines = None if path is None else Lines(path, "GradientStats")
        self._sums = {}
        self._before, self._gradients = {}, {}
        self._measured_epoch = 0
        self._size = 0

    def on_fit_start(self, trainer):
        """Begin the file, or cut it to where the checkpoint was taken."""
        if not trainer.resumed:
            self.records, self._sums, self._measured_epoch, self._size = [], {}, 0, 0
        if self._lines is not None:
            self._lines.open(self._size)

    def _due(self, trainer):
        return trainer.epoch != self._measured_epoch or (trainer.step + 1) % self.every == 0

    def on_step_start(self, trainer):
        """Keep the weights that the step is about to change."""
        self._before, self._gradients = {}, {}
        if self._due(trainer):
            parameters = trainer.model.named_parameters()
            self._before = {name: p.detach().clone() for name, p in parameters}

    def on_backward_end(self, trainer):
        """Watch, and keep the gradients: of a closure, those of its first evaluation, at the weights."""
        parameters = dict(trainer.model.named_parameters())
        if self.watch:
            self._check(trainer, parameters)
        if self._before and not self._gradients:
            self._gradients = {
                name: _dense(p.grad) for name, p in parameters.items() if p.grad is not None
            }

    def _check(self, trainer, parameters):
        gradients = [p.grad for p in parameters.values() if p.grad is not None]
        if any(gradient.is_sparse for gradient in gradients):
            finite = False  # to be looked at one by one
        else:
            finite = math.isfinite(get_total_norm(gradients).item())
        if not finite and (cause := non_finite_gradient(trainer.model)):
            raise FloatingPointError(
                f"fit, {trainer.where}: {cause}; the weights are as before the step: lower the "
                "learning rate, or clip gradients"
            )

    def on_step_end(self, trainer):
        """Measure what the step has changed."""
        if not self._gradients:
            return
        self._measured_epoch = trainer.epoch
        parameters = dict(trainer.model.named_parameters())
        for name, gradient in self._gradients.items():
            before = self._before[name]
            sums = self._sums.setdefault(
                name, {"steps": 0, "weight": 0.0, "grad": 0.0, "ratio": 0.0}
            )
            size = before.norm().item()
            moved = (parameters[name].detach() - before).norm().item()
            sums["steps"] += 1
            sums["weight"] += size
            sums["grad"] += gradient.norm().item()
            sums["ratio"] += moved / size if size else 0.0
            if gradient.dim() > 1:
                dead = (gradient.flatten(1) == 0).all(1)
                sums["dead"] = dead & sums["dead"] if "dead" in sums else dead
            sums["histograms"] = {
                "weight": histogram(before, self.bins),
                "gradient": histogram(gradient, self.bins),
            }

    def on_epoch_end(self, trainer):
        """Note the epoch's figures."""
        record = {
            "epoch": trainer.epoch,
            "step": trainer.step,
            "parameters": {name: _figures(sums) for name, sums in self._sums.items()},
        }
        self._sums = {}
        if self._lines is None:
            self.records.append(record)
        else:
            self._lines.add(json_line(record))

    def on_fit_end(self, trainer):
        """Write what could not be written before, or say so by an OSError."""
        if self._lines is not None:
            self._lines.close()

    def state_dict(self):
        """The sums of the epoch under way, and the figures of those before, or how long their file is."""
        state = {"sums": self._sums, "measured": self._measured_epoch}
        if self._lines is None:
            return state | {"records": self.records}
        return state | {"size": self._lines.sync()}

    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        self._sums, self._measured_epoch = state["sums"], state["measured"]
        self.records, self._size = list(state.get("records", ())), state.get("size", 0)


def _dense(gradient):
    return gradient.to_dense() if gradient.is_sparse else gradient.detach().clone()


def _figures(sums):
    steps = sums["steps"]
    return {
        "weight_norm": sums["weight"] / steps,
        "grad_norm": sums["grad"] / steps,
        "update_ratio": sums["ratio"] / steps,
        "dead_units": sums["dead"].to(tg.float64).mean().item() if "dead" in sums else None,
        **sums["histograms"],
    }


def histogram(tensor, bins=40) -> dict:
    """The counts of a tensor's finite elements between equally spaced edges, as lists.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train.callbacks.gradient_stats import histogram
    >>> histogram(tg.tensor([0.0, 1.0, 1.0, 2.0]), bins=2)
    {'edges': [0.0, 1.0, 2.0], 'counts': [1, 3]}
    """
    values = tensor.detach().numpy().astype(np.float64).ravel()
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    size = max(abs(low), abs(high)) or 1.0
    if high - low < 1e-9 * size:  # all one value: in the middle
        low, high = low - size / 2, high + size / 2
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
