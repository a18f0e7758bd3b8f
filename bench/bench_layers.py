"""Layers forward and backward, with gradients of their inputs."""

import pytest

# By name: a function from the framework's nn, shapes of input and result, multiply-adds of a forward pass.
LAYERS = {
    "batch norm 512x256": (lambda nn: nn.BatchNorm1d(256), (512, 256), None, 0),
    "batch norm 32x32x28x28": (lambda nn: nn.BatchNorm2d(32), (32, 32, 28, 28), None, 0),
    "layer norm 512x256": (lambda nn: nn.LayerNorm(256), (512, 256), None, 0),
    "group norm 32x32x28x28": (lambda nn: nn.GroupNorm(8, 32), (32, 32, 28, 28), None, 0),
    "conv2d 1-32 28x28 batch 32": (
        lambda nn: nn.Conv2d(1, 32, 3, padding=1), (32, 1, 28, 28), (32, 32, 28, 28),
        32 * 28 * 28 * 32 * 9,
    ),
    "conv2d 32-64 14x14 batch 32": (
        lambda nn: nn.Conv2d(32, 64, 3, padding=1), (32, 32, 14, 14), (32, 64, 14, 14),
        32 * 14 * 14 * 64 * 32 * 9,
    ),
    "conv2d 32-64 28x28 stride 2 batch 16": (
        lambda nn: nn.Conv2d(32, 64, 3, 2, 1), (16, 32, 28, 28), (16, 64, 14, 14),
        16 * 14 * 14 * 64 * 32 * 9,
    ),
    "conv2d 32 depthwise 28x28 batch 16": (
        lambda nn: nn.Conv2d(32, 32, 3, padding=1, groups=32), (16, 32, 28, 28), (16, 32, 28, 28),
        16 * 28 * 28 * 32 * 9,
    ),
    "conv2d 32-4 28x28 batch 16": (
        lambda nn: nn.Conv2d(32, 4, 3, padding=1), (16, 32, 28, 28), (16, 4, 28, 28),
        16 * 28 * 28 * 4 * 32 * 9,
    ),
    "max pool2d 64x64x14x14": (
        lambda nn: nn.MaxPool2d(2), (64, 64, 14, 14), (64, 64, 7, 7), 0,
    ),
    "max pool2d 32x32x28x28": (
        lambda nn: nn.MaxPool2d(2), (32, 32, 28, 28), (32, 32, 14, 14), 0,
    ),
    "average pool2d 32x32x28x28": (
        lambda nn: nn.AvgPool2d(2), (32, 32, 28, 28), (32, 32, 14, 14), 0,
    ),
    "linear 512-512 batch 128": (
        lambda nn: nn.Linear(512, 512), (128, 512), None, 128 * 512 * 512,
    ),
}  # fmt: skip


def count(shape):
    total = 1
    for size in shape:
        total *= size
    return total


@pytest.mark.parametrize("name", LAYERS)
def bench_layer(measure, taped, tensor, name):
    make, given, result, products = LAYERS[name]
    taped.manual_seed(0)
    layer, x, gradient = make(taped.nn), tensor(*given), tensor(*(result or given))
    x.requires_grad_()
    parameters = [x, *layer.parameters()]

    def run():
        for parameter in parameters:
            parameter.grad = None
        layer(x).backward(gradient)

    # A product is summed three times: forward, for the weight and for the input. Elsewhere, an operation for each input.
    inputs, results, weights = (
        count(given),
        count(result or given),
        sum(p.numel() for p in layer.parameters()),
    )
    measure(
        "run()", run=run,
        operations=6 * products or 2 * inputs, moved=4 * (3 * inputs + 2 * results + 2 * weights),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "columns", "picked", "sparse"),
    [
        pytest.param(100, 8, 32, False, id="embedding of 32 in 100x8"),
        pytest.param(10000, 64, 4096, False, id="embedding of 4096 in 10000x64"),
        pytest.param(10000, 64, 4096, True, id="embedding of 4096 in 10000x64, sparse"),
    ],
)
def bench_embedding(measure, taped, tensor, rows, columns, picked, sparse):
    layer = taped.nn.Embedding(rows, columns, sparse=sparse)
    x, gradient = tensor(picked, low=0, high=rows, dtype="int64"), tensor(picked, columns)

    def run():
        layer.weight.grad = None
        layer(x).backward(gradient)

    # A dense gradient is set to zero first; else, what is picked is touched alone.
    elements, zeros = picked * columns, 0 if sparse else rows * columns
    measure("run()", run=run, operations=elements, moved=4 * (zeros + 5 * elements))


@pytest.mark.parametrize("name", [pytest.param("cross_entropy", id="cross entropy 512x256")])
def bench_loss(measure, taped, find_op, tensor, name):
    x, y, loss = tensor(512, 256), tensor(512, low=0, high=256, dtype="int64"), find_op(name)
    x.requires_grad_()

    def run():
        x.grad = None
        loss(x, y).backward()

    measure("run()", run=run, operations=2 * 512 * 256, moved=12 * 512 * 256)


@pytest.mark.parametrize(
    "name", [pytest.param(n, id=f"{n} of 512x256, backward") for n in ("softmax", "log_softmax")]
)
def bench_softmax(measure, taped, find_op, tensor, name):
    x, gradient, op = tensor(512, 256), tensor(512, 256), find_op(name)
    x.requires_grad_()

    def run():
        x.grad = None
        op(x, 1).backward(gradient)

    measure("run()", run=run, operations=2 * 512 * 256, moved=20 * 512 * 256)


def bench_max_pool2d_and_gradient_of_the_gradient(measure, taped, tensor):
    pool, grad = taped.nn.functional.max_pool2d, taped.autograd.grad
    x, gradient = tensor(32, 32, 28, 28), tensor(32, 32, 14, 14)
    x.requires_grad_()
    gradient.requires_grad_()

    def run():
        (first,) = grad(pool(x, 2), x, gradient, create_graph=True)
        grad(first, gradient, x)

    measure("run()", run=run, operations=3 * 32 * 32 * 28 * 28, moved=15 * 32 * 32 * 28 * 28)
