"""Batches of a dataset in memory: an epoch of the DataLoader, in a new order each time."""

import pytest

SHAPES = {"images": (1, 28, 28), "table rows": (13,)}
SAMPLES = 2048
CASES = [(kind, batch) for kind in SHAPES for batch in (1, 32, 128, SAMPLES)]


def dataset(data, tensor, kind):
    x, y = tensor(SAMPLES, *SHAPES[kind]), tensor(SAMPLES, low=0, high=10, dtype="int64")
    return data.TensorDataset(x, y), 2 * (x.nbytes + y.nbytes)


@pytest.mark.parametrize(
    "kind, batch", CASES, ids=[f"batches of {batch} {kind}" for kind, batch in CASES]
)
def bench_batches(measure, taped, tensor, kind, batch):
    data = taped.utils.data
    samples, moved = dataset(data, tensor, kind)
    loader = data.DataLoader(samples, batch_size=batch, shuffle=True)
    measure("for x, y in loader: pass", loader=loader, moved=moved)


@pytest.mark.parametrize(
    "kind", SHAPES, ids=[f"batches of 32 of a split, {kind}" for kind in SHAPES]
)
def bench_batches_of_a_split(measure, taped, tensor, kind):
    data = taped.utils.data
    samples, moved = dataset(data, tensor, kind)
    part, _ = data.random_split(samples, [0.8, 0.2])
    loader = data.DataLoader(part, batch_size=32, shuffle=True)
    measure("for x, y in loader: pass", loader=loader, moved=0.8 * moved)
