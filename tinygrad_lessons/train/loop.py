"""The training loop of a classifier."""

import math
import sys
import time

from tqdm import tqdm

import tinygrad_lessons as tg
from tinygrad_lessons.train.metrics import accuracy, hits


def predict(model, loader):
    """All logits (n, classes) and all targets (n,) of one pass in evaluation mode, no graph.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons import nn
        >>> from tinygrad_lessons.train import predict
        >>> from tinygrad_lessons.utils.data import DataLoader, TensorDataset
        >>> loader = DataLoader(TensorDataset(tg.ones(3, 2), tg.zeros(3)), batch_size=2)
        >>> logits, target = predict(nn.Linear(2, 4), loader)
        >>> tuple(logits.shape), tuple(target.shape)
        ((3, 4), (3,))
    """
    training = model.training
    model.eval()
    with tg.no_grad():
        batches = [(model(x), y) for x, y in loader]
    model.train(training)
    logits, target = zip(*batches, strict=True)
    return tg.cat(logits), tg.cat(target)


def fit(
    model, loss_fn, optimizer, train_loader, val_loader, epochs, *, stopper=None, on_epoch=None
):
    """Train until `epochs` are over or `stopper` says so.

    Shows a progress bar where standard error is a terminal, and one line per epoch elsewhere.

    Args:
        model: maps a batch to logits (batch, classes).
        loss_fn: the mean loss of (logits, target).
        optimizer: over the model's parameters.
        train_loader: yields (batch, target).
        val_loader: the same, of data that is not trained on.
        epochs: how many at most.
        stopper: an `EarlyStopping`; its best weights are restored, however training ends.
        on_epoch: called with each epoch's metrics: epoch, train_loss, train_accuracy, val_loss,
            val_accuracy and seconds. The training figures are means over the epoch's batches.

    Returns:
        The list of those metrics.

    Raises:
        FloatingPointError: a loss is infinite or NaN.

    Example:
        >>> from tinygrad_lessons import nn, optim
        >>> from tinygrad_lessons.datasets import Digits
        >>> from tinygrad_lessons.train import fit, mlp
        >>> from tinygrad_lessons.utils.data import DataLoader
        >>> model = mlp(64, 10, hidden=(16,))
        >>> train, val = (DataLoader(Digits(split), batch_size=32) for split in ("train", "val"))
        >>> adam = optim.Adam(model.parameters())
        >>> history = fit(model, nn.CrossEntropyLoss(), adam, train, val, epochs=2)
        >>> [metrics["epoch"] for metrics in history]
        [1, 2]
    """
    history = []
    steps = epochs * len(train_loader)
    try:
        with tqdm(total=steps, unit="step", dynamic_ncols=True, disable=not _terminal()) as bar:
            for epoch in range(1, epochs + 1):
                bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)
                start = time.perf_counter()
                metrics = {"epoch": epoch}
                metrics |= _train(model, loss_fn, optimizer, train_loader, bar.update)
                metrics |= _validate(model, loss_fn, val_loader)
                metrics["seconds"] = time.perf_counter() - start
                _check(metrics)
                _show(metrics, bar, epochs)
                history.append(metrics)
                if on_epoch is not None:
                    on_epoch(metrics)
                if stopper is not None and stopper.step(metrics, model):
                    break
    finally:
        if stopper is not None:
            stopper.restore(model)
    return history


def _train(model, loss_fn, optimizer, loader, on_step):
    """One epoch of training; the metrics are means over its steps."""
    model.train()
    count = loss_sum = hit = 0
    for x, y in loader:
        optimizer.zero_grad()
        logits = model(x)
        loss = loss_fn(logits, y)
        loss.backward()
        optimizer.step()
        count += len(y)
        loss_sum += loss.item() * len(y)
        hit += hits(logits, y)
        on_step()
    return {"train_loss": loss_sum / count, "train_accuracy": hit / count}


def _validate(model, loss_fn, loader):
    logits, target = predict(model, loader)
    return {"val_loss": loss_fn(logits, target).item(), "val_accuracy": accuracy(logits, target)}


def _check(metrics):
    for name in ("train_loss", "val_loss"):
        if not math.isfinite(metrics[name]):
            raise FloatingPointError(
                f"fit: {name} is {metrics[name]} in epoch {metrics['epoch']}: "
                "lower the learning rate, and check the data for inf and nan"
            )


def _terminal():
    return sys.stderr.isatty()


def _show(metrics, bar, epochs):
    """Put the metrics behind the bar, or on a line of their own where there is no terminal."""
    summary = (
        f"loss {metrics['train_loss']:.4f}, val loss {metrics['val_loss']:.4f}, "
        f"val accuracy {100 * metrics['val_accuracy']:.1f} %"
    )
    if _terminal():
        bar.set_postfix_str(summary)
    else:
        print(f"epoch {metrics['epoch']:3}/{epochs}: {summary}", file=sys.stderr)
