"""The nets of the benches, of layers by PyTorch's names; and what a training step of them takes."""

from collections.abc import Callable
from dataclasses import dataclass

LR = 1e-6  # so small that the last of many thousand steps sees the gradients of the first


@dataclass(frozen=True)
class Net:
    """A net and its batch.

    Attributes:
        build: a function from the framework's `nn` to the model.
        x: the shape of a batch.
        products: multiply-adds of each layer's forward pass, first to last.
        classes: how many the labels are drawn from.
    """

    build: Callable
    x: tuple[int, ...]
    products: tuple[int, ...]
    classes: int

    @property
    def operations(self):
        """Of a training step: each product forward, for the weight, and but in the first layer for the input."""
        return 2 * (3 * sum(self.products) - self.products[0])


def mlp(*sizes, batch, regularised=False):
    pairs = list(zip(sizes, sizes[1:], strict=False))

    def build(nn):
        layers = []
        for inputs, outputs in pairs[:-1]:
            layers += [nn.Linear(inputs, outputs)]
            layers += [nn.BatchNorm1d(outputs)] if regularised else []
            layers += [nn.ReLU()]
            layers += [nn.Dropout(0.3)] if regularised else []
        return nn.Sequential(*layers, nn.Linear(*pairs[-1]))

    products = tuple(batch * inputs * outputs for inputs, outputs in pairs)
    return Net(build, (batch, sizes[0]), products, sizes[-1])


def lenet(batch):
    """LeNet-5 with ReLU and maxima, as it is usually written today."""

    def build(nn):
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )  # fmt: skip

    products = (28 * 28 * 6 * 25, 10 * 10 * 16 * 150, 400 * 120, 120 * 84, 84 * 10)
    return Net(build, (batch, 1, 28, 28), tuple(batch * each for each in products), 10)


def cnn(batch):
    """Two convolutions with batch norm."""

    def build(nn):
        return nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
        )  # fmt: skip

    products = (28 * 28 * 32 * 9, 14 * 14 * 64 * 288, 64 * 7 * 7 * 10)
    return Net(build, (batch, 1, 28, 28), tuple(batch * each for each in products), 10)


def training_step(framework, net, x, y):
    """A function that trains the net for one step with Adam, in PyTorch's words."""
    framework.manual_seed(0)
    model, x, y = net.build(framework.nn), framework.tensor(x), framework.tensor(y)
    optimizer = framework.optim.Adam(model.parameters(), lr=LR, fused=True)
    cross_entropy = framework.nn.functional.cross_entropy

    def step():
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return step


def training_parts(framework, net, x, y):
    """Model, loss, optimizer, and an epoch of 100 batches: what `training_epoch` goes through."""
    framework.manual_seed(0)
    model, batch = net.build(framework.nn), (framework.tensor(x), framework.tensor(y))
    optimizer = framework.optim.Adam(model.parameters(), lr=LR, fused=True)
    return model, framework.nn.CrossEntropyLoss(), optimizer, [batch] * 100


def training_epoch(framework, net, x, y):
    """A function that trains the net for an epoch, and gives its mean loss."""
    model, loss_fn, optimizer, batches = training_parts(framework, net, x, y)

    def epoch():
        total = count = 0
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            count += len(y)
        return total / count

    return epoch
