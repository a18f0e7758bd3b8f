"""How good a classifier is: accuracy, top-k, confusion, F1, AUC.

Each is a function of all outputs and targets, and a class that takes them in batch by batch.
Outputs are logits (n, classes), or (n,) for two classes; targets are classes (n,), or rows of
probabilities (n, classes) such as `MixUp` makes.
"""

import math

import numpy as np

import tinygrad_lessons as tg

from .base import Collected, Metric
from .classes import chosen, classes_of, is_soft, share, true

_AVERAGES = ("macro", "micro", "weighted", "binary", None)


def hits(output, target):
    """How many samples are right, and of how many; in a soft target, the share that is right counts."""
    choice = chosen(output)
    if is_soft(target):
        return target.gather(1, choice.unsqueeze(1)).sum().item(), len(choice)
    wanted = true(target)
    if choice.shape != wanted.shape:
        raise ValueError(
            f"accuracy: outputs of shape {tuple(output.shape)} and targets of shape "
            f"{tuple(target.shape)} do not fit: expected a target for each output"
        )
    return (choice == wanted).sum().item(), choice.numel()


def accuracy(output, target):
    """The share of samples whose largest logit is the target's, as a Python float; NaN of none.

    With soft targets (n, classes), the mean of the probability that the target gives to the chosen class.

    Args:
        output: shape (n, classes), or (n,) where 1 is chosen above 0.
        target: classes (n,), or probabilities (n, classes).

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import accuracy
        >>> accuracy(tg.tensor([[2.0, 1.0], [0.0, 3.0]]), tg.tensor([0, 0]))
        0.5
        >>> accuracy(tg.tensor([[2.0, 1.0]]), tg.tensor([[0.75, 0.25]]))
        0.75
    """
    return share(*hits(output, target))


class Accuracy(Metric):
    """`accuracy` of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import Accuracy
    >>> metric = Accuracy()
    >>> metric.update(tg.tensor([[2.0, 1.0], [0.0, 3.0]]), tg.tensor([0, 0]))
    >>> metric.update(tg.tensor([[1.0, 2.0]]), tg.tensor([1]))
    >>> round(metric.compute(), 3)
    0.667
    """

    def reset(self):
        """Forget all batches."""
        self.hit, self.count = 0, 0

    def update(self, output, target):
        """Count the hits of a batch."""
        hit, count = hits(output, target)
        self.hit += hit
        self.count += count

    def compute(self):
        """Hits over samples; NaN of none."""
        return share(self.hit, self.count)


def _top_k_hits(output, target, k):
    if output.dim() != 2 or not 1 <= k <= output.size(1):
        raise ValueError(
            f"top_k_accuracy: got k={k!r} and outputs of shape {tuple(output.shape)}: expected "
            "logits (n, classes) and k from 1 to the number of classes"
        )
    wanted = true(target).unsqueeze(1)
    # as many logits before the target's as there are places; of equal ones the first comes first,
    # as in argmax, and NaN before all
    score = output.gather(1, wanted)
    tied = (output == score) & (tg.arange(output.size(1)) < wanted)
    above = ((output > score) | tied | (output != output)).sum(1)
    return ((above < k) & (score == score).squeeze(1)).sum().item()


def top_k_accuracy(output, target, k=5):
    """The share of samples whose target is among the k largest logits, as a Python float.

    Of equal logits, that of the lower class counts as the larger, as in `argmax`; NaN of no samples.

    Args:
        output: shape (n, classes).
        target: classes (n,), or probabilities (n, classes).

    Raises:
        ValueError: `k` is not between 1 and the number of classes.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import top_k_accuracy
        >>> top_k_accuracy(tg.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), tg.tensor([1, 0]), k=2)
        0.5
    """
    return share(_top_k_hits(output, target, k), len(output))


class TopKAccuracy(Accuracy):
    """`top_k_accuracy` of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import TopKAccuracy
    >>> metric = TopKAccuracy(k=2)
    >>> metric.update(tg.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), tg.tensor([1, 0]))
    >>> metric.compute()
    0.5
    """

    def __init__(self, k: int = 5):
        self.k = k
        super().__init__()

    def update(self, output, target):
        """Count the hits of a batch."""
        self.hit += _top_k_hits(output, target, self.k)
        self.count += len(output)


def confusion_matrix(output, target, classes=None):
    """Counts, int64 of shape (classes, classes): row = true class, column = predicted class.

    Args:
        output: shape (n, classes), or (n,) for two classes.
        target: classes (n,), or probabilities (n, classes).
        classes: how many there are; as many as there are logits if None.

    Raises:
        ValueError: a class, wanted or chosen, is not below `classes`, or the shapes do not fit.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import confusion_matrix
        >>> confusion_matrix(tg.tensor([[2.0, 1.0], [0.0, 3.0]]), tg.tensor([0, 0]))
        tensor([[1, 1],
                [0, 0]])
    """
    wanted, classes = classes_of("confusion_matrix", output, target, classes)
    choice = chosen(output)
    if choice.numel() and (most := choice.max().item()) >= classes:
        raise ValueError(
            f"confusion_matrix: got outputs of shape {tuple(output.shape)} that chose classes "
            f"up to {most}: expected classes from 0 to {classes - 1}; name more classes"
        )
    cells = wanted * classes + choice
    counts = tg.zeros(classes * classes, dtype=tg.int64)
    counts.scatter_add_(0, cells, tg.ones_like(cells))
    return counts.view(classes, classes)


class ConfusionMatrix(Metric):
    """`confusion_matrix` of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import ConfusionMatrix
    >>> metric = ConfusionMatrix()
    >>> for target in (0, 1, 1):
    ...     metric.update(tg.tensor([[2.0, 1.0]]), tg.tensor([target]))
    >>> metric.compute()
    tensor([[1, 0],
            [2, 0]])
    """

    def reset(self):
        """Forget all batches."""
        self.counts = None

    def update(self, output, target):
        """Add a batch's counts."""
        counts = confusion_matrix(output, target)
        self.counts = counts if self.counts is None else self.counts + counts

    def compute(self):
        """The counts.

        Raises:
            ValueError: there was no batch.
        """
        if self.counts is None:
            raise ValueError(f"{type(self).__name__}: compute before any batch: call update first")
        return self.counts


def _f1_of(counts, average):
    """F1 from a confusion matrix, in float64."""
    counts = np.asarray(counts.numpy(), np.float64)
    hit, wanted, found = counts.diagonal(), counts.sum(1), counts.sum(0)
    both = wanted + found
    scores = np.divide(2 * hit, both, out=np.zeros_like(both), where=both > 0)
    if average is None:
        return tg.tensor(scores)
    if average == "micro":
        return share(float(2 * hit.sum()), float(both.sum()))
    if average == "weighted":
        return share(float(scores @ wanted), float(wanted.sum()))
    if average == "macro":
        return share(float(scores.sum()), int((both > 0).sum()))
    if len(scores) != 2:
        raise ValueError(
            f"f1_score: average='binary' of {len(scores)} classes: expected two; "
            "choose 'macro', 'micro', 'weighted' or None"
        )
    return float(scores[1]) if both.any() else math.nan


def _check_average(average):
    if average not in _AVERAGES:
        raise ValueError(f"f1_score: got average {average!r}: expected one of {_AVERAGES}")


def f1_score(output, target, average="macro"):
    """F1 = 2 · true positives / (predicted + actual), of each class; 0 for a class that never occurs.

    Args:
        output: shape (n, classes), or (n,) for two classes.
        target: classes (n,), or probabilities (n, classes).
        average: "macro" (mean of the classes that are a target or chosen), "weighted" (by how often
            each is a target), "micro" (of all decisions, here the accuracy), "binary" (of class
            1), or None: a tensor with one value per class. NaN of no samples.

    Raises:
        ValueError: an unknown average, "binary" of more than two classes, or shapes that do not fit.

    Source: van Rijsbergen 1979, Information retrieval, chapter 7.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import f1_score
        >>> logits = tg.tensor([[2.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
        >>> f1_score(logits, tg.tensor([0, 1, 1]), average=None)
        tensor([0.6667, 0.6667], dtype=torch.float64)
    """
    _check_average(average)
    return _f1_of(confusion_matrix(output, target), average)


class F1(ConfusionMatrix):
    """`f1_score` of all batches.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import F1
    >>> metric = F1(average="micro")
    >>> metric.update(tg.tensor([[2.0, 1.0], [0.0, 3.0]]), tg.tensor([0, 0]))
    >>> metric.compute()
    0.5
    """

    def __init__(self, average: str | None = "macro"):
        _check_average(average)
        self.average = average
        super().__init__()

    def compute(self):
        """The score; NaN of none."""
        return math.nan if self.counts is None else _f1_of(self.counts, self.average)


def _auc_of(scores, positive):
    """The share of (positive, negative) pairs that the scores order rightly; ties count half."""
    wins = positive.sum() * (~positive).sum()
    if wins == 0 or np.isnan(scores).any():
        return math.nan
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = counts.cumsum() - (counts - 1) / 2  # of equal scores, the mean of their ranks
    least = positive.sum() * (positive.sum() + 1) / 2
    return float((ranks[places][positive].sum() - least) / wins)


def _against_others(logits, c):
    """x[c] - log Σ exp(x[others]); the others in order, so that equal sums are equal bit by bit."""
    return logits[:, c] - np.logaddexp.reduce(np.sort(np.delete(logits, c, 1), 1), 1)


def auc(output, target):
    """The area under the ROC curve: how often a sample of a class is scored above one of another.

    Of two classes, the score is the logit of 1, or logit 1 less logit 0. Of more, each class is
    scored against the rest, x[c] - log Σ exp(x[others]), which is in the order of its softmax
    where that has become 1, and the mean of the classes is returned.

    Args:
        output: shape (n, classes), or (n,) for two classes.
        target: classes (n,), or probabilities (n, classes).

    Returns:
        A Python float; NaN if no class has both samples in it and samples outside.

    Raises:
        ValueError: there is not a class for each output.

    Source: Hanley and McNeil 1982; by ranks, as Mann and Whitney 1947.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons.train import auc
        >>> auc(tg.tensor([0.1, 0.4, 0.35, 0.8]), tg.tensor([0, 0, 1, 1]))
        0.75
    """
    wanted, classes = classes_of("auc", output, target)
    wanted, output = wanted.numpy(), output.detach().double().numpy()
    if classes == 2:
        one = output.size == len(output)
        return _auc_of(output.ravel() if one else output[:, 1] - output[:, 0], wanted == 1)
    output = output - output.max(1, keepdims=True)
    areas = [_auc_of(_against_others(output, c), wanted == c) for c in range(classes)]
    areas = [area for area in areas if not math.isnan(area)]
    return sum(areas) / len(areas) if areas else math.nan


class AUC(Collected):
    """`auc` of all batches, which are kept until the end.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import AUC
    >>> metric = AUC()
    >>> metric.update(tg.tensor([0.1, 0.4]), tg.tensor([0, 0]))
    >>> metric.update(tg.tensor([0.35, 0.8]), tg.tensor([1, 1]))
    >>> metric.compute()
    0.75
    """

    def __init__(self):
        super().__init__(auc)
