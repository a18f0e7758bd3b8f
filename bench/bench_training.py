"""Whole training steps with Adam, and Adam alone."""

import pytest

LR = 1e-6  # so small that the last of many thousand steps sees the gradients of the first


def mlp(nn, sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def case(*sizes, batch, target, expected=None):
    name = f"{'-'.join(map(str, sizes))} batch {batch}"
    return pytest.param(sizes, batch, id=name, marks=pytest.mark.target(target, expected=expected))


@pytest.mark.parametrize(
    "sizes, batch",
    [
        case(4, 32, 32, 2, batch=16, target=40),
        case(64, 128, 10, batch=32, target=11, expected=4),
        case(784, 256, 256, 10, batch=128, target=1.2),
    ],
)
def bench_step_of_mlp(measure, taped, tensor, sizes, batch):
    taped.manual_seed(0)
    model = mlp(taped.nn, sizes)
    optimizer = taped.optim.Adam(model.parameters(), lr=LR, fused=True)
    cross_entropy = taped.nn.functional.cross_entropy
    x, y = tensor(batch, sizes[0]), tensor(batch, low=0, high=sizes[-1], dtype="int64")

    def step():
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    measure("step()", step=step)


@pytest.mark.target(15)
def bench_adam_over_10_tensors_of_1000(measure, taped, tensor):
    params = [taped.nn.Parameter(tensor(1000)) for _ in range(10)]
    for p in params:
        p.grad = tensor(1000)
    measure("step()", step=taped.optim.Adam(params, lr=LR, fused=True).step)
