"""What predictions are worth: counts, scores per class, the worst mistakes."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Scores:
    """A classifier's predictions, counted.

    Attributes:
        counts: array (classes, classes): row = true class, column = predicted class.
        precision, recall, f1: arrays (classes,); NaN for a class that was never predicted
            (precision), never there (recall), or neither (F1).
        support: array (classes,): how many samples there are.
        predicted: array (n,): the class with the largest logit.
        confidence: array (n,): its probability, by softmax.
        loss: array (n,): cross-entropy, -log of the true class's probability.
    """

    counts: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    target: np.ndarray

    @property
    def accuracy(self):
        """The share of samples that were predicted right."""
        return float((self.predicted == self.target).mean())

    def worst(self, count):
        """Indices of at most `count` wrong predictions, the highest loss first."""
        wrong = np.flatnonzero(self.predicted != self.target)
        # a NaN is no less bad than infinity
        loss = np.where(np.isnan(self.loss), np.inf, self.loss)
        return wrong[np.argsort(-loss[wrong], kind="stable")][:count]

    def confused(self, count):
        """At most `count` triples (true class, predicted class, how often), the most often first."""
        wrong = self.counts * (1 - np.eye(len(self.counts), dtype=np.int64))
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [(*np.unravel_index(cell, wrong.shape), wrong.flat[cell]) for cell in order]
        return [tuple(map(int, pair)) for pair in pairs if pair[2] > 0]


def score(logits, target):
    """Count and score predictions.

    precision = hits / predicted, recall = hits / support, F1 = 2 · hits / (predicted + support),
    the harmonic mean of both (van Rijsbergen, Information Retrieval, 1979).

    Args:
        logits: shape (n, classes), n >= 1; or as many as targets, one for class 1 each.
        target: class indices, shape (n,); with one logit each 0.0 or 1.0, of any shape.

    Raises:
        ValueError: these are not the logits and targets of a classifier.

    Example:
        >>> import numpy as np
        >>> from tinygrad_lessons.report import score
        >>> found = score(np.array([[2.0, 1.0], [0.0, 3.0], [4.0, 0.0]]), np.array([0, 1, 1]))
        >>> found.counts.tolist(), found.precision.tolist(), found.recall.tolist()
        ([[1, 0], [1, 1]], [0.5, 1.0], [1.0, 0.5])
    """
    logits, target = np.asarray(logits, np.float64), np.asarray(target)
    if logits.size == target.size and is_binary(target):
        # the sigmoid of a logit is the softmax of 0 and the logit
        logits = np.stack([np.zeros(logits.size), logits.ravel()], axis=1)
        target = target.ravel().astype(np.int64)
    if (
        logits.ndim != 2
        or logits.shape[1] < 2
        or target.shape != logits.shape[:1]
        or not len(target)
    ):
        raise ValueError(
            f"score: logits {logits.shape} and targets {target.shape} are not those of a "
            "classifier: expected (n, classes) and (n,)"
        )
    classes = logits.shape[1]
    if target.dtype.kind not in "iu" or target.min() < 0 or target.max() >= classes:
        raise ValueError(f"score: expected targets as whole numbers from 0 to {classes - 1}")
    rows = np.arange(len(target))
    predicted = logits.argmax(1)  # a row with NaN: where the NaN is, as argmax of tensors
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = logits - logits.max(1, keepdims=True)
        log_shares = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        counts = np.bincount(target * classes + predicted, minlength=classes * classes)
        counts = counts.reshape(classes, classes)
        hits, support, guesses = np.diag(counts), counts.sum(1), counts.sum(0)
        return Scores(
            counts,
            hits / guesses,
            hits / support,
            2 * hits / (guesses + support),
            support,
            predicted,
            np.exp(log_shares[rows, predicted]),
            -log_shares[rows, target],
            target,
        )


def is_binary(target):
    """Whether targets are floats 0 and 1, as for binary cross-entropy.

    Example:
        >>> import numpy as np
        >>> from tinygrad_lessons.report.scores import is_binary
        >>> is_binary(np.array([0.0, 1.0])), is_binary(np.array([0, 1])), is_binary(np.array([0.5]))
        (True, False, False)
    """
    return target.dtype.kind == "f" and bool(np.isin(target, (0, 1)).all())
