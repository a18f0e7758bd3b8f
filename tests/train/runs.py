"""Small runs that the tests of training share."""

import math

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import Trainer, mlp
from tinygrad_lessons.utils.data import DataLoader, TensorDataset


def blobs(n=70, classes=3, seed=0):
    """Points in the plane around `classes` centres, easy to tell apart."""
    generator = tg.Generator().manual_seed(seed)
    target = tg.randint(classes, (n,), generator=generator)
    angle = target.to(tg.float32) * (2 * math.pi / classes)
    centre = tg.stack([angle.cos(), angle.sin()], 1)
    return TensorDataset(centre + 0.2 * tg.randn(n, 2, generator=generator), target)


def loader(seed=0, batch_size=16, **arguments):
    return DataLoader(blobs(seed=seed), batch_size=batch_size, **arguments)


def classifier(seed=0, lr=0.1, optimizer=optim.SGD, scheduler=None, **arguments):
    """A trainer of a small net with batch norm and dropout."""
    tg.manual_seed(seed)
    model = mlp(2, 3, hidden=(8,), dropout=0.1)
    rule = optimizer(model.parameters(), lr=lr)
    if scheduler is not None:
        arguments["scheduler"] = scheduler(rule)
    return Trainer(model, nn.CrossEntropyLoss(), rule, **arguments)


def fit(trainer, epochs=3, **arguments):
    return trainer.fit(loader(0, shuffle=True), loader(1), epochs, **arguments)


def without_times(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


def bits(state):
    """All that a nested state holds, tensors as bytes."""
    if isinstance(state, tg.Tensor):
        return str(state.dtype), tuple(state.shape), state.detach().numpy().tobytes()
    if isinstance(state, dict):
        return {key: bits(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [bits(value) for value in state]
    return state


def outcome(trainer):
    """What must be the same bit for bit in an interrupted run: all but times."""
    state = trainer.state_dict()
    del state["seconds"]
    state["history"] = without_times(state["history"])
    return bits(state)
