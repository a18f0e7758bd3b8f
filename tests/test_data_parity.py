"""utils.data beside torch.utils.data: same batches, lengths, attributes and kinds of error."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import tinygrad_lessons as tg

torch = pytest.importorskip("torch")
LIBRARIES = (tg, torch)
Point = namedtuple("Point", "x y")


def plain(value):
    """A batch as lists and numbers, each tensor beside its type."""
    if isinstance(value, LIBRARIES[0].Tensor | LIBRARIES[1].Tensor):
        return str(value.dtype).rpartition(".")[2], tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__, *map(plain, value)
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    return type(value).__name__, value


def both(make):
    """What make(library) gives with ours and with torch."""
    return [make(library) for library in LIBRARIES]


def tensors(library, n=11):
    column = library.arange(n)
    return library.utils.data.TensorDataset(column * 1.5, library.stack([column, -column], 1))


def dicts(library, n=11):
    class Dicts(library.utils.data.Dataset):
        def __len__(self):
            return n

        def __getitem__(self, index):
            return {
                "number": index,
                "float": index / 2,
                "flag": index % 2 == 0,
                "name": f"sample {index}",
                "array": np.full(2, index, np.float32),
                "scalar": np.float64(index),
                "point": Point(index, library.tensor([index])),
                "pair": (index, [0.5]),
            }

    return Dicts()


def bulk(library):
    class Bulk(type(dicts(library))):
        def __getitems__(self, indices):
            return [-index for index in indices]

    return Bulk()


def stream(library):
    class Stream(library.utils.data.IterableDataset):
        def __iter__(self):
            info = library.utils.data.get_worker_info()
            part = (info.id, info.num_workers) if info else (0, 1)
            return iter(range(part[0], 11, part[1]))

        def __len__(self):
            return 11

    return Stream()


DATASETS = {
    "tensors": tensors,
    "dicts": dicts,
    "bulk": bulk,
    "range": lambda library: range(11),
    "subset": lambda library: library.utils.data.Subset(tensors(library, 20), [*range(1, 12)]),
    "subset of bulk": lambda library: library.utils.data.Subset(
        bulk(library), [*range(10, -1, -1)]
    ),
    "concatenated": lambda library: library.utils.data.ConcatDataset(
        [tensors(library, 4), tensors(library, 7)]
    ),
    "stacked": lambda library: library.utils.data.StackDataset(
        a=tensors(library), b=dicts(library)
    ),
}
ARGUMENTS = [
    {},
    {"batch_size": 4},
    {"batch_size": 4, "drop_last": True},
    {"batch_size": 11},
    {"batch_size": 100},
    {"batch_size": 100, "drop_last": True},
    {"batch_size": None},
    {"batch_size": None, "sampler": [3, 3, 0]},
    {"batch_size": 2, "sampler": [10, 0, 5, 5, 1]},
    {"batch_sampler": [[0, 1, 2], [9]]},
    {"batch_sampler": [[1], [2]], "collate_fn": len},
    {"batch_size": 3, "collate_fn": str},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_batches(dataset, arguments):
    if arguments.get("collate_fn") is str:
        arguments = arguments | {"collate_fn": lambda batch: [type(s).__name__ for s in batch]}
    ours, theirs = both(lambda lib: lib.utils.data.DataLoader(dataset(lib), **arguments))
    assert len(ours) == len(theirs)
    assert [plain(batch) for batch in ours] == [plain(batch) for batch in theirs]
    for name in ("batch_size", "drop_last", "num_workers", "timeout", "prefetch_factor",
                 "persistent_workers", "pin_memory", "in_order", "generator", "worker_init_fn"):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("sampler", "batch_sampler"):
        kinds = {type(getattr(loader, name)).__name__ for loader in (ours, theirs)}
        assert len(kinds) == 1, name


@pytest.mark.parametrize(
    "arguments", [{}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}]
)
@pytest.mark.parametrize("workers", [0, 2])
def test_streams(arguments, workers):
    ours, theirs = both(
        lambda lib: lib.utils.data.DataLoader(stream(lib), num_workers=workers, **arguments)
    )
    assert len(ours) == len(theirs)
    assert [plain(batch) for batch in ours] == [plain(batch) for batch in theirs]


@pytest.mark.parametrize("dataset", ["tensors", "dicts", "stacked"])
def test_batches_of_workers(dataset):
    ours, theirs = both(
        lambda lib: lib.utils.data.DataLoader(DATASETS[dataset](lib), batch_size=4, num_workers=2)
    )
    assert [plain(batch) for batch in ours] == [plain(batch) for batch in theirs]
    assert ours.prefetch_factor == theirs.prefetch_factor == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"batch_size": -1},
        {"batch_size": 2.5},
        {"batch_size": True},
        {"batch_size": None, "drop_last": True},
        {"drop_last": 1},
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "sampler": [0]},
        {"batch_sampler": [[0]], "drop_last": True},
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"num_workers": 2, "prefetch_factor": -1},
        {"persistent_workers": True},
        {"multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "nothing"},
        {"num_workers": 1, "multiprocessing_context": 3},
    ],
    ids=str,
)
def test_arguments_that_are_refused(assert_same_error, arguments):
    assert_same_error(lambda lib: lib.utils.data.DataLoader(range(5), **arguments))


@pytest.mark.parametrize(
    "arguments", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}]
)
def test_arguments_that_a_stream_refuses(assert_same_error, arguments):
    assert_same_error(lambda lib: lib.utils.data.DataLoader(stream(lib), **arguments))


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.RandomSampler(range(5), replacement=1),
        lambda d: d.RandomSampler(range(5), num_samples=0),
        lambda d: d.RandomSampler(range(5), num_samples=2.0),
        lambda d: d.RandomSampler([]),
        lambda d: d.WeightedRandomSampler([1.0], 0),
        lambda d: d.WeightedRandomSampler([1.0], True),
        lambda d: d.WeightedRandomSampler([1.0], 2, replacement=None),
        lambda d: d.WeightedRandomSampler([[1.0]], 2),
        lambda d: list(d.WeightedRandomSampler([1.0], 2, replacement=False)),
        lambda d: list(d.WeightedRandomSampler([-1.0], 2)),
        lambda d: list(d.SequentialSampler(3)),
        lambda d: d.ConcatDataset([]),
        lambda d: list(d.ChainDataset([range(3)])),
        lambda d: d.StackDataset(),
        lambda d: d.StackDataset([1], [1, 2]),
        lambda d: d.StackDataset([1], a=[1]),
        lambda d: d.random_split(range(5), [2, 2]),
        lambda d: d.default_collate([[1], [1, 2]]),
        lambda d: d.default_collate([object()]),
        lambda d: d.Dataset()[0],
        lambda d: setattr(d.DataLoader(range(5)), "batch_size", 2),
        lambda d: setattr(d.DataLoader(range(5)), "dataset", 2),
        lambda d: next(iter(d.DataLoader(range(5), sampler=[7]))),
        lambda d: next(iter(d.DataLoader(range(5), sampler=[7], num_workers=1))),
    ],
)
def test_kinds_of_error(assert_same_error, call):
    assert_same_error(lambda lib: call(lib.utils.data))


@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.SequentialSampler(range(7)),
        lambda d: d.BatchSampler(range(7), 3, False),
        lambda d: d.BatchSampler(range(7), 3, True),
        lambda d: d.BatchSampler(d.SequentialSampler(range(6)), 3, True),
        lambda d: d.WeightedRandomSampler([0, 0, 1.0], 5),
        lambda d: d.SubsetRandomSampler([4]),
        lambda d: d.RandomSampler([1]),
        lambda d: d.RandomSampler([1], num_samples=4),
        lambda d: d.RandomSampler([1], replacement=True, num_samples=40),
    ],
)
def test_samplers(make):
    ours, theirs = both(lambda lib: make(lib.utils.data))
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("replacement", [True, False])
def test_random_samplers_have_the_same_law(replacement):
    """How often an index comes at a place: chi-squared over both libraries' draws."""
    from scipy.stats import chisquare

    for library in LIBRARIES:
        library.manual_seed(1)
        sampler = library.utils.data.RandomSampler(range(5), replacement=replacement, num_samples=5)
        orders = np.array([list(sampler) for _ in range(2000)])
        for place in range(5):
            assert chisquare(np.bincount(orders[:, place], minlength=5)).pvalue > 1e-4


@pytest.mark.parametrize(
    "samples",
    [
        [1, 2],
        [0.5, 1.5],
        [True, False],
        ["a", "b"],
        [b"a", b"b"],
        [np.float32(1), np.float32(2)],
        [np.int32(1), np.int32(2)],
        [np.ones(2), np.zeros(2)],
        [np.array(1), np.array(2)],
        [(1, "a"), (2, "b")],
        [[1, [2.0]], [3, [4.0]]],
        [{"a": 1, "b": {"c": 2.0}}, {"a": 3, "b": {"c": 4.0}}],
        [OrderedDict(a=1), OrderedDict(a=2)],
        [Point(1, 2.0), Point(3, 4.0)],
        [],
    ],
    ids=str,
)
def test_collation(samples):
    if not samples:
        for library in LIBRARIES:
            with pytest.raises(IndexError):
                library.utils.data.default_collate(samples)
        return
    ours, theirs = both(lambda lib: plain(lib.utils.data.default_collate(samples)))
    assert ours == theirs
    ours, theirs = both(lambda lib: plain(lib.utils.data.default_convert(samples)))
    assert ours == theirs
