"""utils.data: datasets, samplers, collation and the loader."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)


def seeded(seed):
    return tg.Generator().manual_seed(seed)


def pairs(n):
    """n samples: row i is ([i, -i], 10 i)."""
    column = tg.arange(n)
    return TensorDataset(tg.stack([column, -column], 1).to(tg.float32), 10 * column)


def seen(loader):
    """The 10 i of each batch of `pairs`, as lists."""
    return [y.tolist() for _, y in loader]


class Squares(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return index * index


def test_tensor_dataset_sample():
    x, y = pairs(4)[3]
    assert (x.tolist(), y.item(), len(pairs(4))) == ([3, -3], 30, 4)


@pytest.mark.parametrize("shapes", [[(3, 2), (4,)], []])
def test_tensor_dataset_of_unequal_lengths(shapes):
    with pytest.raises(AssertionError, match="same first dimension"):
        TensorDataset(*(tg.zeros(shape) for shape in shapes))


def test_tensor_dataset_of_an_array():
    with pytest.raises(TypeError, match="got ndarray"):
        TensorDataset(np.zeros((3, 2)))


def test_dataset_without_getitem():
    with pytest.raises(NotImplementedError, match="Plain"):
        type("Plain", (Dataset,), {})()[0]


@given(st.integers(0, 40), st.integers(1, 45), st.booleans())
def test_batches_cut_the_data_in_order(n, size, drop_last):
    loader = DataLoader(pairs(n), batch_size=size, drop_last=drop_last)
    values = [10 * i for i in range(n)]
    expected = [values[i : i + size] for i in range(0, n, size)]
    expected = [batch for batch in expected if len(batch) == size or not drop_last]
    assert seen(loader) == expected
    assert len(loader) == len(expected)


@pytest.mark.parametrize(
    "dataset",
    [
        pairs(11),
        Subset(pairs(11), [9, 0, 3, 3, 10]),
        Subset(Subset(pairs(11), [9, 0, 3, 10]), [3, 1, 0, 1]),
        Subset(pairs(11), range(1, 11, 2)),
    ],
    ids=["tensors", "subset", "subset of subset", "range"],
)
def test_gathered_batches_equal_collated_samples(dataset):
    gathered = list(DataLoader(dataset, batch_size=3))
    collated = list(DataLoader(dataset, batch_size=3, collate_fn=lambda b: default_collate(b)))
    assert len(gathered) == len(collated) > 1
    for batch, other in zip(gathered, collated, strict=True):
        assert type(batch) is type(other) is list
        for a, b in zip(batch, other, strict=True):
            assert (a.dtype, a.tolist()) == (b.dtype, b.tolist())


def test_tensor_dataset_is_indexed_once_a_batch(monkeypatch):
    calls = []
    getitem = TensorDataset.__getitem__

    def counting(self, index):
        calls.append(index)
        return getitem(self, index)

    monkeypatch.setattr(TensorDataset, "__getitem__", counting)
    assert len(list(DataLoader(random_split(pairs(10), [10])[0], batch_size=4))) == len(calls) == 3


def test_getitem_of_a_subclass_is_used():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return 2 * super().__getitem__(index)[0]

    (batch,) = DataLoader(Doubled(tg.arange(3)), batch_size=3)
    assert batch.tolist() == [0, 2, 4]


def test_getitems_is_used():
    class Bulk(Squares):
        def __getitems__(self, indices):
            return [-index for index in indices]

    assert [batch.tolist() for batch in DataLoader(Bulk(), batch_size=4)] == [
        [0, -1, -2, -3],
        [-4, -5, -6],
    ]


def test_batch_is_a_copy():
    x = tg.zeros(4)
    for (batch,) in DataLoader(TensorDataset(x), batch_size=4):
        batch.fill_(1)
    assert x.tolist() == [0, 0, 0, 0]


def test_shuffled_order_is_randperm_of_the_generator():
    loader = DataLoader(pairs(50), batch_size=8, shuffle=True, generator=seeded(3))
    generator = seeded(3)
    for _ in range(2):  # the second epoch draws on
        order = [10 * i for i in tg.randperm(50, generator=generator).tolist()]
        assert [value for batch in seen(loader) for value in batch] == order
        assert order != sorted(order)


def test_shuffled_order_without_generator_follows_manual_seed():
    orders = []
    for seed in (1, 1, 2):
        tg.manual_seed(seed)
        orders.append(seen(DataLoader(pairs(50), batch_size=50, shuffle=True)))
    assert orders[0] == orders[1] != orders[2]


def test_two_iterators_do_not_disturb_each_other():
    loader = DataLoader(pairs(4), batch_size=2)
    first, second = iter(loader), iter(loader)
    next(first)
    assert next(second)[1].tolist() == [0, 10]
    assert next(first)[1].tolist() == [20, 30]


def test_sampler_and_batch_sampler():
    assert seen(DataLoader(pairs(5), batch_size=2, sampler=[4, 0, 2])) == [[40, 0], [20]]
    loader = DataLoader(pairs(5), batch_sampler=[[1], [2, 3, 4]])
    assert seen(loader) == [[10], [20, 30, 40]]
    assert (len(loader), loader.batch_size) == (2, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": 2}, "num_workers=2"),
        ({"num_workers": -1}, "num_workers=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": -3}, "batch_size=-3"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"batch_size": True}, "batch_size=True"),
        ({"batch_size": None}, "batch_size=None"),
        ({"drop_last": 1}, "drop_last=1"),
        ({"sampler": [0], "shuffle": True}, "sampler excludes shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "sampler": [0]}, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler excludes"),
    ],
)
def test_loader_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(pairs(5), **arguments)


def test_loader_rejects_what_cannot_be_indexed():
    with pytest.raises(TypeError, match="got generator"):
        DataLoader(i for i in range(3))


def test_empty_dataset():
    assert list(DataLoader(pairs(0), batch_size=2)) == []
    with pytest.raises(ValueError, match="num_samples=0"):
        DataLoader(pairs(0), shuffle=True)


@given(st.integers(1, 30), st.one_of(st.none(), st.integers(1, 70)), st.integers(0, 5))
def test_random_sampler_without_replacement(n, num_samples, seed):
    sampler = RandomSampler(range(n), num_samples=num_samples, generator=seeded(seed))
    order = list(sampler)
    assert len(order) == len(sampler) == (n if num_samples is None else num_samples)
    for start in range(0, len(order), n):
        part = order[start : start + n]
        assert len(set(part)) == len(part)
        assert set(part) <= set(range(n))


def test_random_sampler_with_replacement():
    sampler = RandomSampler(range(4), replacement=True, num_samples=4000, generator=seeded(0))
    counts = np.bincount(list(sampler), minlength=4)
    # each count is binomial(4000, 1/4): mean 1000, standard deviation 27.4
    assert counts.sum() == 4000
    assert (abs(counts - 1000) < 5 * 27.4).all()


@pytest.mark.parametrize("num_samples", [0, -1, 2.5, True])
def test_random_sampler_rejects(num_samples):
    with pytest.raises(ValueError, match="num_samples"):
        RandomSampler(range(3), num_samples=num_samples)
    with pytest.raises(TypeError, match="replacement"):
        RandomSampler(range(3), replacement=1)


def test_samplers_by_hand():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert list(BatchSampler(SequentialSampler("abc"), 2, drop_last=False)) == [[0, 1], [2]]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(Sampler())


# a sum of 1 would read as fractions
@given(st.lists(st.integers(0, 9), max_size=5).filter(lambda x: sum(x) != 1), st.integers(0, 9))
def test_random_split_is_a_partition(lengths, seed):
    n = sum(lengths)
    parts = random_split(range(n), lengths, seeded(seed))
    assert [len(part) for part in parts] == lengths
    assert sorted(i for part in parts for i in part) == list(range(n))
    again = random_split(range(n), lengths, seeded(seed))
    assert [list(part) for part in parts] == [list(part) for part in again]


def test_random_split_by_fractions():
    assert [len(part) for part in random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.warns(UserWarning, match="leave a part empty"):
        assert [len(part) for part in random_split(range(2), [0.9, 0.05, 0.05])] == [2, 0, 0]


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.6], [-1, 11], [1.5, -0.5], [5.0, 5.0], []])
def test_random_split_rejects(lengths):
    with pytest.raises(ValueError, match="random_split: got lengths"):
        random_split(range(10), lengths)


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("batch", "dtype", "values"),
    [
        ([1, 2], tg.int64, [1, 2]),
        ([1.5, 2.5], tg.float64, [1.5, 2.5]),
        ([True, False], tg.bool, [True, False]),
        ([np.float32(1), np.float32(2)], tg.float32, [1, 2]),
        ([np.float64(1), np.float64(2)], tg.float64, [1, 2]),
        ([np.arange(2), np.arange(2)], tg.int64, [[0, 1], [0, 1]]),
        ([tg.zeros(2), tg.ones(2)], tg.float32, [[0, 0], [1, 1]]),
    ],
)
def test_default_collate_of_numbers_and_arrays(batch, dtype, values):
    result = default_collate(batch)
    assert (result.dtype, result.tolist()) == (dtype, values)


def test_default_collate_of_containers():
    samples = [
        {"p": Point(i, [i, -i]), "name": str(i), "raw": b"x", "pair": (i, 0.5)} for i in (1, 2)
    ]
    batch = default_collate(samples)
    assert set(batch) == {"p", "name", "raw", "pair"}
    assert type(batch["p"]) is Point
    assert batch["p"].x.tolist() == [1, 2]
    assert [t.tolist() for t in batch["p"].y] == [[1, 2], [-1, -2]]
    assert list(batch["name"]) == ["1", "2"]
    assert list(batch["raw"]) == [b"x", b"x"]
    assert type(batch["pair"]) is list
    assert [t.dtype for t in batch["pair"]] == [tg.int64, tg.float64]


def test_default_collate_rejects():
    with pytest.raises(RuntimeError, match=r"lengths \[1, 2\]"):
        default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="type object"):
        default_collate([object(), object()])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"batch_size": 3},
        {"batch_size": 3, "drop_last": True},
        {"batch_size": 4, "sampler": [5, 1, 1, 0, 6]},
        {"batch_sampler": [[2, 1], [0]]},
    ],
    ids=str,
)
def test_loader_as_torch(arguments):
    torch_data = pytest.importorskip("torch.utils.data")
    ours, theirs = DataLoader(Squares(), **arguments), torch_data.DataLoader(Squares(), **arguments)
    assert len(ours) == len(theirs)
    assert [batch.tolist() for batch in ours] == [batch.tolist() for batch in theirs]


@pytest.mark.parametrize("n", [1, 7, 100])
@pytest.mark.parametrize("fractions", [[1.0], [0.5, 0.5], [0.7, 0.15, 0.15], [1 / 3] * 3])
@pytest.mark.filterwarnings("ignore:.*empty")
def test_split_lengths_as_torch(n, fractions):
    torch_data = pytest.importorskip("torch.utils.data")
    ours, theirs = random_split(range(n), fractions), torch_data.random_split(range(n), fractions)
    assert [len(part) for part in ours] == [len(part) for part in theirs]
