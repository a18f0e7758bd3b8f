"""Whole training steps with Adam, and epochs of them."""

from importlib import import_module

import pytest

from . import jax_nets, nets
from .nets import cnn, lenet, mlp
from .targets import OURS, WIDTHS

NETS = {
    "step of mlp 4-32-32-2 batch 16": mlp(4, 32, 32, 2, batch=16),
    "step of mlp 4-120-84-2 batch 32": mlp(4, 120, 84, 2, batch=32),
    "step of mlp 64-128-10 batch 32": mlp(64, 128, 10, batch=32),
    "step of mlp 784-256-256-10 batch 128": mlp(784, 256, 256, 10, batch=128),
    "step of mlp with batch norm and dropout": mlp(784, 256, 256, 10, batch=128, regularised=True),
    "step of lenet": lenet(batch=64),
    "step of cnn": cnn(batch=64),
}
SMALLEST = mlp(4, 32, 32, 2, batch=16)
SWEEP = {f"step at width {width}": mlp(10, width, width, 10, batch=128) for width in WIDTHS}


def batch_of(net, numbers):
    return numbers(*net.x), numbers(net.x[0], low=0, high=net.classes, dtype="int64")


@pytest.fixture
def training_step(framework, numbers):
    """Makes the function that trains a net for one step."""

    def training_step(net):
        x, y = batch_of(net, numbers)
        if hasattr(framework, "jax"):
            return jax_nets.training_step(framework.jax, net, x, y)
        if not hasattr(framework, "nn"):
            pytest.skip("no gradients here")
        return nets.training_step(framework, net, x, y)

    return training_step


@pytest.mark.parametrize("name", NETS)
def bench_step(measure, training_step, name):
    measure("step()", step=training_step(NETS[name]), operations=NETS[name].operations)


@pytest.mark.parametrize("name", SWEEP)
def bench_step_at_width(measure, ours, training_step, name):
    measure("step()", step=training_step(SWEEP[name]), operations=SWEEP[name].operations)


def bench_epoch_of_100_steps(measure, taped, numbers):
    """Of the smallest net, by the loop that users write: with the sum of the losses."""
    measure("epoch()", epoch=nets.training_epoch(taped, SMALLEST, *batch_of(SMALLEST, numbers)))


def bench_epoch_of_100_steps_by_the_trainer(measure, taped, pytestconfig, numbers):
    """Beside the peers' loop: what the trainer adds to ours."""
    x, y = batch_of(SMALLEST, numbers)
    if pytestconfig.variant.framework != OURS:
        measure("epoch()", epoch=nets.training_epoch(taped, SMALLEST, x, y))
        return
    model, loss, optimizer, batches = nets.training_parts(taped, SMALLEST, x, y)
    trainer = import_module(f"{OURS}.train").Trainer(model, loss, optimizer)
    measure("fit(batches, epochs=1)", fit=trainer.fit, batches=batches)


def bench_checkpoint_of_mlp_784_256_256_10(measure, ours, tmp_path, numbers):
    """The whole state of a trainer, to a file that is on disk in the end."""
    net = NETS["step of mlp 784-256-256-10 batch 128"]
    model, loss, optimizer, batches = nets.training_parts(ours, net, *batch_of(net, numbers))
    train = import_module(f"{OURS}.train")
    trainer = train.Trainer(model, loss, optimizer)
    trainer.fit(batches[:1], epochs=1)
    measure(
        "save(state_dict(), path)",
        save=train.save_checkpoint,
        state_dict=trainer.state_dict,
        path=tmp_path / "checkpoint.safetensors",
    )
