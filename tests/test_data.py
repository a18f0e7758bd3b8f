"""utils.data: datasets, samplers, collation and the loader."""

from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Mapping
from types import MappingProxyType
from typing import get_origin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lessons as tg
from tinygrad_lessons._core.core import take_batch
from tinygrad_lessons.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    fetch,
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


@pytest.mark.parametrize(
    "arguments",
    [{}, {"shuffle": True}, {"drop_last": True}, {"sampler": [3, 1, 2]}],
    ids=str,
)
def test_tensors_are_gathered_once_a_batch(monkeypatch, arguments):
    calls = []

    def counting(tensors, index):
        calls.append(index)
        return take_batch(tensors, index)

    monkeypatch.setattr(fetch, "take_batch", counting)
    loader = DataLoader(random_split(pairs(10), [10])[0], batch_size=4, **arguments)
    assert len(list(loader)) == len(calls) == len(loader)
    assert all(isinstance(index, tg.Tensor) for index in calls)


@pytest.mark.kernel
@given(st.lists(st.integers(-9, 8), max_size=40), st.integers(0, 5))
def test_batch_kernel(index, width):
    tensors = [
        tg.randint(2, (9, width)).to(tg.bool),
        tg.randint(255, (9,)).to(tg.uint8),
        tg.rand(9, 2, 3),
        tg.rand(9, dtype=tg.float64),
        tg.rand(9, 4).T.clone().T,  # not contiguous
        tg.randint(9, (9, 1), dtype=tg.int32),
    ]
    for x, y in zip(tensors, take_batch(tensors, tg.tensor(index, dtype=tg.int64)), strict=True):
        expected = x.numpy()[np.array(index, dtype=np.int64)]
        assert y.numpy().dtype == expected.dtype
        np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.kernel
def test_batch_kernel_on_many_threads_and_tensors():
    x, index = tg.rand(5000, 300), tg.randint(5000, (7000,))
    for y in take_batch([x] * 18, index):
        np.testing.assert_array_equal(y.numpy(), x.numpy()[index.numpy()])


@pytest.mark.parametrize("wrong", [5, -6, 2**62, -(2**63)])
def test_batch_of_an_index_outside(wrong):
    with pytest.raises(IndexError, match=f"index {wrong} is out of range for a dataset of 5"):
        list(DataLoader(pairs(5), batch_size=3, sampler=[0, wrong, 1]))


def test_batch_index_is_int64():
    with pytest.raises(RuntimeError, match="contiguous int64 index"):
        take_batch([tg.rand(3)], tg.tensor([0], dtype=tg.int32))


def test_gradients_reach_a_dataset_of_tensors():
    x = tg.arange(4.0).requires_grad_()
    for (batch,) in DataLoader(TensorDataset(x), batch_size=2, sampler=[3, 3, 1]):
        batch.sum().backward()
    assert x.grad.tolist() == [0, 1, 0, 2]


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
    for _ in range(2):  # the second epoch draws on; each draws its seed first
        tg.randint(2, (), generator=generator)
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
        ({"num_workers": -1}, "num_workers=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": -3}, "batch_size=-3"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"batch_size": True}, "batch_size=True"),
        ({"batch_size": None, "drop_last": True}, "excludes drop_last"),
        ({"num_workers": 1.0}, "num_workers=1.0"),
        ({"timeout": -1}, "timeout=-1"),
        ({"timeout": None}, "timeout=None"),
        ({"prefetch_factor": 2}, "prefetch_factor=2"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor=0"),
        ({"persistent_workers": True}, "persistent_workers=True"),
        ({"multiprocessing_context": "fork"}, "with num_workers=0"),
        ({"num_workers": 1, "multiprocessing_context": "fast"}, "expected one of fork"),
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


class Countdown(IterableDataset):
    def __init__(self, n=7):
        self.n = n

    def __iter__(self):
        return iter(range(self.n, 0, -1))

    def __len__(self):
        return self.n


@pytest.mark.parametrize(
    "arguments", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}]
)
def test_stream_rejects(arguments):
    with pytest.raises(ValueError, match="an IterableDataset has an order of its own"):
        DataLoader(Countdown(), **arguments)


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}])
def test_stream_as_torch(arguments):
    torch_data = pytest.importorskip("torch.utils.data")
    theirs = type("Theirs", (Countdown, torch_data.IterableDataset), {})()
    ours, theirs = (
        DataLoader(Countdown(), **arguments),
        torch_data.DataLoader(theirs, **arguments),
    )
    assert len(ours) == len(theirs)
    assert [batch.tolist() for batch in ours] == [batch.tolist() for batch in theirs]


def test_without_batches():
    assert list(DataLoader(Countdown(3), batch_size=None)) == [3, 2, 1]
    loader = DataLoader(pairs(3), batch_size=None, sampler=[2, 0])
    assert [(x.tolist(), y.item()) for x, y in loader] == [([2, -2], 20), ([0, 0], 0)]
    assert len(loader) == 2


def test_full_and_mini_batch_and_single_samples():
    data = pairs(6)
    sizes = [[len(y) for _, y in DataLoader(data, batch_size=n)] for n in (len(data), 4, 1)]
    assert sizes == [[6], [4, 2], [1] * 6]


def test_concatenated():
    data = ConcatDataset([pairs(3), Squares(), pairs(1)])
    assert len(data) == 11
    assert [data[i] for i in (3, 9, -2)] == [0, 36, 36]
    assert data[10][1].item() == data[-1][1].item() == data[0][1].item() == 0
    assert len(Squares() + Squares()) == 14
    for wrong in (11, -12):
        with pytest.raises(IndexError, match=f"index {wrong} is out of range for 11"):
            data[wrong]
    with pytest.raises(AssertionError, match="got none"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="use ChainDataset"):
        ConcatDataset([Countdown()])


def test_chained():
    data = Countdown(2) + Countdown(3)
    assert isinstance(data, ChainDataset)
    assert (list(data), len(data)) == ([2, 1, 3, 2, 1], 5)
    with pytest.raises(AssertionError, match="use ConcatDataset"):
        list(ChainDataset([Squares()]))
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


def test_stacked():
    assert StackDataset(Squares(), "abcdefg")[2] == (4, "c")
    data = StackDataset(n=Squares(), name="abcdefg")
    batch = next(iter(DataLoader(data, batch_size=3)))
    assert (batch["n"].tolist(), batch["name"]) == ([0, 1, 4], ["a", "b", "c"])
    for arguments, names in [((), {}), (("ab",), {"x": "ab"})]:
        with pytest.raises(ValueError, match="either by position"):
            StackDataset(*arguments, **names)
    with pytest.raises(ValueError, match=r"lengths \[1, 2\]"):
        StackDataset("a", "ab")


def test_converted_samples():
    sample = Point(np.float32(0.5), [np.arange(2), "a", {"n": 1}])
    x, (array, text, rest) = default_convert(sample)
    assert (x.dtype, x.item(), array.tolist(), text, rest) == (
        tg.float32, 0.5, [0, 1], "a", {"n": 1},
    )  # fmt: skip


def test_loader_rejects_what_cannot_be_indexed():
    with pytest.raises(TypeError, match="got generator"):
        DataLoader(i for i in range(3))


def test_pinning_warns_as_in_torch():
    torch_data = pytest.importorskip("torch.utils.data")
    for library in (torch_data, tg.utils.data):
        loader = library.DataLoader(range(3), pin_memory=True)
        with pytest.warns(UserWarning, match="pin"):
            assert [x.item() for x in loader] == [0, 1, 2]


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


def test_subset_random_sampler():
    sampler = SubsetRandomSampler([7, 3, 5, 3], generator=seeded(1))
    orders = [list(sampler) for _ in range(20)]
    assert all(sorted(order) == [3, 3, 5, 7] for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    assert len(sampler) == 4
    assert [x for (x,) in DataLoader(TensorDataset(tg.arange(9)), sampler=sampler)] != []


def test_weighted_random_sampler():
    weights = [1.0, 0.0, 2.0, 5.0]
    sampler = WeightedRandomSampler(weights, 8000, generator=seeded(0))
    counts = np.bincount(list(sampler), minlength=4)
    expected = np.array(weights) / 8
    # binomial: within five standard deviations
    assert (abs(counts - 8000 * expected) <= 5 * np.sqrt(8000 * expected * (1 - expected))).all()
    assert counts[1] == 0 and len(sampler) == 8000
    without = WeightedRandomSampler(weights, 3, replacement=False, generator=seeded(0))
    assert sorted(without) == [0, 2, 3]
    with pytest.raises(ValueError, match="1d sequence"):
        WeightedRandomSampler([[1.0]], 1)
    with pytest.raises(ValueError, match="replacement"):
        WeightedRandomSampler([1.0], 1, replacement=1)
    with pytest.raises(ValueError, match="num_samples=0"):
        WeightedRandomSampler([1.0], 0)


def test_sampler_with_a_generator_none_leaves_one_draw():
    """However many indices it draws."""
    after = []
    for n in (3, 1000):
        tg.manual_seed(4)
        list(RandomSampler(range(n)))
        after.append(tg.rand(1).item())
    assert after[0] == after[1]


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


def test_numpys_strings_stay_strings():
    assert default_collate([np.str_("a"), np.str_("b")]) == ["a", "b"]
    assert default_collate([np.bytes_(b"a")]) == [b"a"]
    assert default_convert(np.str_("a")) == "a"


@pytest.mark.parametrize(
    "mapping", [OrderedDict(b=1, a=2), defaultdict(list, b=1, a=2), Counter(b=1, a=2),
                MappingProxyType({"b": 1, "a": 2})], ids=lambda m: type(m).__name__
)  # fmt: skip
def test_mappings_keep_their_type(mapping):
    batch, sample = default_collate([mapping, mapping]), default_convert(mapping)
    assert type(batch) is type(sample) is type(mapping)
    assert {key: value.tolist() for key, value in batch.items()} == {"b": [1, 1], "a": [2, 2]}
    assert list(batch) == list(sample) == list(mapping) == ["b", "a"]
    assert dict(sample) == dict(mapping) == {"b": 1, "a": 2}
    assert getattr(batch, "default_factory", list) is list


def test_a_mapping_that_cannot_be_made_becomes_a_dict():
    class Fixed(Mapping):
        def __init__(self, one, two):
            self.entries = {"one": one, "two": two}

        def __getitem__(self, key):
            return self.entries[key]

        def __iter__(self):
            return iter(self.entries)

        def __len__(self):
            return 2

    made = default_collate([Fixed(1, 2)])
    assert type(made) is dict and [v.tolist() for v in made.values()] == [[1], [2]]


def test_classes_take_types_of_samples():
    class Typed(Dataset[int]):
        pass

    assert Typed.__mro__[1] is Dataset
    for kind in (
        Dataset,
        IterableDataset,
        TensorDataset,
        Subset,
        Sampler,
        BatchSampler,
        DataLoader,
    ):
        assert get_origin(kind[int]) is kind


@pytest.mark.parametrize(
    "indices", [[0.9, 1.7], [True, False], tg.tensor([0.0]), np.zeros(2, bool)]
)
def test_indices_are_whole_numbers(indices):
    with pytest.raises(TypeError, match="whole numbers"):
        list(DataLoader(Subset(pairs(3), indices)))


@pytest.mark.parametrize(
    "indices", [[2, 0], (2, 0), range(2, -1, -2), np.array([2, 0], np.uint16), tg.tensor([2, 0]),
                [np.int64(2), 0], [tg.tensor(2), tg.tensor(0)]]
)  # fmt: skip
def test_indices_of_any_form(indices):
    assert seen(DataLoader(Subset(pairs(3), indices), np.int64(2))) == [[20, 0]]
    assert seen(DataLoader(Subset(pairs(3), []))) == []


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
