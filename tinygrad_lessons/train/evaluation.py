"""What a model gives and how good that is, in evaluation mode and without a graph."""

from contextlib import contextmanager

import tinygrad_lessons as tg

from .metrics import named_metrics


def pair_of(batch, caller):
    """The batch and its target.

    Raises:
        ValueError: it is something else than the two.
    """
    if isinstance(batch, (list, tuple)) and len(batch) == 2:
        return batch
    what = type(batch).__name__  # a tensor of two rows is no pair either
    if isinstance(batch, (list, tuple)):
        what += f" of {len(batch)}"
    raise ValueError(
        f"{caller}: the loader gave a {what}: expected pairs of a batch and its target"
    )


def batch_size(target):
    """How many samples a target is of: of the first tensor, if there are several."""
    while isinstance(target, (list, tuple)):
        target = target[0]
    if isinstance(target, dict):
        target = next(iter(target.values()))
    return len(target)


@contextmanager
def evaluating(model):
    """A block in evaluation mode without graph; after it, every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with tg.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def no_batches(caller):
    """The error of an empty loader."""
    return ValueError(
        f"{caller}: the loader gave no batch: the data set is empty, drop_last leaves nothing, or "
        "it is an iterator that has come to its end (pass what can be iterated again)"
    )


def predict(model, loader):
    """All outputs and all targets of one pass in evaluation mode, without a graph.

    Args:
        model: maps a batch to a tensor with a row per sample, such as logits (batch, classes).
        loader: yields (batch, target), or batches alone; then the targets are None.

    Returns:
        The outputs, (n, …), and the targets, (n, …).

    Raises:
        ValueError: there are no batches.

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
    outputs, targets = [], []
    with evaluating(model):
        for batch in loader:
            input, target = (
                (batch, None) if isinstance(batch, tg.Tensor) else pair_of(batch, "predict")
            )
            outputs.append(model(input))
            targets.append(target)
    if not outputs:
        raise no_batches("predict")
    return tg.cat(outputs), None if targets[0] is None else tg.cat(targets)


def evaluate(model, loss, loader, metrics=None):
    """The mean loss and the metrics of one pass in evaluation mode, without a graph.

    Args:
        model: maps a batch to outputs.
        loss: the mean loss of (outputs, target).
        loader: yields (batch, target).
        metrics: name → metric, or a list of names.

    Returns:
        A dict: "loss", the mean over all samples, and each metric by its name.

    Raises:
        ValueError: there are no batches.

    Example:
        >>> import tinygrad_lessons as tg
        >>> from tinygrad_lessons import nn
        >>> from tinygrad_lessons.train import evaluate
        >>> loader = [(tg.tensor([[1.0]]), tg.tensor([[3.0]])), (tg.zeros(3, 1), tg.zeros(3, 1))]
        >>> evaluate(nn.Identity(), nn.MSELoss(), loader, ["mae"])
        {'loss': 1.0, 'mae': 0.5}
    """
    metrics = {name: metric.fresh() for name, metric in named_metrics(metrics).items()}
    total = samples = 0
    with evaluating(model):
        for batch in loader:
            input, target = pair_of(batch, "evaluate")
            output = model(input)
            count = batch_size(target)
            total += loss(output, target).item() * count
            samples += count
            for metric in metrics.values():
                metric.update(output, target)
    if not samples:
        raise no_batches("evaluate")
    return {"loss": total / samples} | computed(metrics)


def computed(metrics, prefix=""):
    """Prefixed name → figure, of metrics by name; tensors, arrays and NumPy's numbers become plain
    numbers or lists of them, as records hold them."""
    figures = {prefix + name: metric.compute() for name, metric in metrics.items()}
    return {
        name: figure.tolist() if hasattr(figure, "tolist") else figure
        for name, figure in figures.items()
    }
