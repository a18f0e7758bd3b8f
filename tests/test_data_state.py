"""utils.data: what is random in a sample, and a loader that is stopped and goes on."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

N = 23


class Noisy(Dataset):
    """Each sample draws as many numbers as its index says, and one more."""

    def __len__(self):
        return N

    def __getitem__(self, index):
        return index, tg.rand(index + 1)[-1]


class NoisyStream(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        for i in range(info.id if info else 0, N, info.num_workers if info else 1):
            yield i, tg.rand(())


class Lazy(Sampler):
    """Draws each index when it is asked for."""

    def __init__(self, generator=None):
        self.generator = generator

    def __iter__(self):
        for _ in range(N):
            yield tg.randint(N, (), generator=self.generator).item()

    def __len__(self):
        return N


def noisy_collate(samples):
    indices, noise = zip(*samples, strict=True)
    return tg.tensor(indices), tg.stack(noise) + tg.rand(())


def seeded(seed):
    return tg.Generator().manual_seed(seed)


def values(batch):
    return [tg.as_tensor(part).tolist() for part in batch]


def through_a_file(state):
    file = io.BytesIO()
    tg.save(state, file)
    file.seek(0)
    return tg.load(file)


WORKERS = {
    "in this process": {},
    "three processes": {"num_workers": 3, "prefetch_factor": 1},
    "persistent": {"num_workers": 2, "persistent_workers": True},
    "threads": {"num_workers": 2, "multiprocessing_context": "thread"},
    "persistent threads": {
        "num_workers": 3, "multiprocessing_context": "thread", "persistent_workers": True,
    },
}  # fmt: skip
workers = pytest.mark.parametrize("workers", WORKERS.values(), ids=WORKERS)

LOADERS = {
    "in order": lambda: {},
    "shuffled": lambda: {"shuffle": True},
    "own generator": lambda: {"shuffle": True, "generator": seeded(3)},
    "last dropped": lambda: {"shuffle": True, "drop_last": True},
    "lazy sampler": lambda: {"sampler": Lazy()},
    "lazy sampler, own generator": lambda: {"sampler": Lazy(seeded(4))},
    "collation draws": lambda: {"shuffle": True, "collate_fn": noisy_collate},
    "weights": lambda: {"sampler": WeightedRandomSampler([1.0] * N, 30, generator=seeded(5))},
    "subset": lambda: {"sampler": SubsetRandomSampler(range(3, N))},
    "own batches": lambda: {
        "batch_sampler": BatchSampler(RandomSampler(range(N), generator=seeded(6)), 3, False)
    },
    "samples": lambda: {"shuffle": True, "batch_size": None},
}
kinds = pytest.mark.parametrize("kind", LOADERS.values(), ids=LOADERS)


def loader_of(kind, **more):
    arguments = {"batch_size": 4} | kind() | more
    if "batch_sampler" in arguments:
        del arguments["batch_size"]
    return DataLoader(arguments.pop("dataset", None) or Noisy(), **arguments)


@kinds
@workers
def test_same_bits_with_any_workers(kind, workers):
    runs = []
    for more in ({}, workers):
        tg.manual_seed(1)
        loader = loader_of(kind, **more)
        runs.append([[values(batch) for batch in loader] for _ in range(2)] + [tg.rand(3).tolist()])
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]  # the epochs differ


def test_epochs_and_samples_have_streams_of_their_own():
    tg.manual_seed(0)
    noise = [x for _ in range(3) for _, xs in DataLoader(Noisy(), 4) for x in xs.tolist()]
    assert len(set(noise)) == 3 * N


def test_a_sample_does_not_depend_on_its_batch():
    noise = []
    for size in (1, 4, N):
        tg.manual_seed(0)
        noise.append([x for _, xs in DataLoader(Noisy(), size) for x in xs.tolist()])
    assert noise[0] == noise[1] == noise[2]


def test_a_generator_that_others_draw_from_goes_on_where_it_was():
    generator = seeded(3)
    loader = DataLoader(Noisy(), 4, shuffle=True, generator=generator)
    batches = iter(loader)
    next(batches), tg.rand(5, generator=generator)
    state = loader.state_dict()
    expected = [values(batch) for batch in batches] + [tg.rand(2, generator=generator).tolist()]
    generator = seeded(4)
    loader = DataLoader(Noisy(), 4, shuffle=True, generator=generator)
    loader.load_state_dict(state)
    resumed = [values(batch) for batch in loader] + [tg.rand(2, generator=generator).tolist()]
    assert resumed == expected


def test_the_default_generator_is_left_alone():
    tg.manual_seed(9)
    before = tg.rand(2).tolist()
    tg.manual_seed(9)
    batches = iter(DataLoader(Noisy(), 4, generator=seeded(0)))
    next(batches)
    assert tg.rand(2).tolist() == before
    tg.manual_seed(9)
    next(batches)
    with pytest.raises(IndexError):
        list(DataLoader([1, 2], sampler=[5], generator=seeded(0)))
    assert tg.rand(2).tolist() == before


def test_manual_seed_in_a_sample_ends_with_it():
    class Seeding(Noisy):
        def __getitem__(self, index):
            tg.manual_seed(7)
            return tg.rand(())

    tg.manual_seed(9)
    before = tg.get_rng_state()
    list(DataLoader(Seeding(), 4, generator=seeded(0)))
    assert tg.equal(tg.get_rng_state(), before)


@kinds
@pytest.mark.parametrize(
    ("workers", "stop"),
    [({}, 0), ({}, 4)] + [(workers, stop) for workers in WORKERS.values() for stop in (1, None)],
    ids=str,
)
def test_goes_on_in_the_middle(kind, workers, stop):
    """Stopped in the second epoch, taken up by a new loader, whatever was drawn since."""
    tg.manual_seed(1)
    loader = loader_of(kind, **workers)
    list(loader)
    batches = iter(loader)
    for _ in range(len(loader) if stop is None else stop):
        next(batches)
    state, rng = through_a_file(loader.state_dict()), tg.get_rng_state()
    expected = [values(batch) for batch in batches]
    expected += [values(batch) for batch in loader] + [tg.rand(2).tolist()]
    assert len(expected) > 1

    tg.manual_seed(123)
    again = loader_of(kind, **workers)
    again.load_state_dict(state)
    tg.set_rng_state(rng)
    resumed = [values(batch) for batch in again]
    resumed += [values(batch) for batch in again] + [tg.rand(2).tolist()]
    assert resumed == expected


@workers
def test_goes_on_with_other_workers(workers):
    tg.manual_seed(1)
    loader = DataLoader(Noisy(), 4, shuffle=True, num_workers=2)
    batches = iter(loader)
    next(batches), next(batches)
    state = loader.state_dict()
    again = DataLoader(Noisy(), 4, shuffle=True, **workers)
    again.load_state_dict(state)
    assert [values(b) for b in again] == [values(b) for b in batches]


@pytest.mark.parametrize("shuffle", [False, True])
@given(st.integers(0, 6))
def test_gathered_batches_go_on(shuffle, stop):
    data = Subset(TensorDataset(tg.arange(30), tg.rand(30, 2)), range(2, 28))
    loader = DataLoader(data, 4, shuffle=shuffle)
    batches = iter(loader)
    for _ in range(stop):
        next(batches)
    state = loader.state_dict()
    expected = [values(batch) for batch in batches]
    loader.load_state_dict(state)
    assert [values(batch) for batch in loader] == expected
    assert len(expected) == 7 - stop


def test_between_epochs_the_next_one_begins():
    generator = seeded(2)
    loader = DataLoader(Noisy(), 4, shuffle=True, generator=generator)
    list(loader)
    state = through_a_file(loader.state_dict())
    assert state["epoch"] is None
    expected = [values(batch) for batch in loader]
    again = DataLoader(Noisy(), 4, shuffle=True, generator=seeded(99))
    again.load_state_dict(state)
    assert [values(batch) for batch in again] == expected


def test_no_sample_is_loaded_again():
    seen = []

    class Noting(Noisy):
        def __getitem__(self, index):
            seen.append(index)
            return index

    loader = DataLoader(Noting(), 4)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    state = loader.state_dict()
    seen.clear()
    loader.load_state_dict(state)
    list(loader)
    assert seen == [*range(12, N)]


def test_state_is_kept_until_it_is_used():
    loader = DataLoader(Noisy(), 4)
    next(iter(loader))
    state = loader.state_dict()
    other = DataLoader(Noisy(), 4)
    other.load_state_dict(state)
    assert other.state_dict()["epoch"] == state["epoch"]
    assert len(list(other)) == 5
    assert len(list(other)) == 6  # a whole one


@workers
@pytest.mark.parametrize("stop", [0, 2])
def test_stream_goes_on(workers, stop):
    def batches_of(state=None):
        loader = DataLoader(NoisyStream(), 4, **workers)
        if state is not None:
            loader.load_state_dict(state)
        return loader, iter(loader)

    tg.manual_seed(1)
    loader, batches = batches_of()
    given = [values(next(batches)) for _ in range(stop)]
    state = through_a_file(loader.state_dict())
    expected = [values(batch) for batch in batches]
    tg.manual_seed(2)
    assert [values(batch) for batch in batches_of(state)[1]] == expected
    assert sorted(i for batch in given + expected for i in batch[0]) == [*range(N)]


def test_state_of_another_loader():
    state = DataLoader(Noisy(), 4).state_dict()
    with pytest.raises(
        ValueError, match=r"'batches': 6.* and 0 generators, this one has .*'batches': 5"
    ):
        DataLoader(Noisy(), 5).load_state_dict(state)
    with pytest.raises(ValueError, match="this one has .* and 1: build"):
        DataLoader(Noisy(), 4, generator=seeded(0)).load_state_dict(state)
    state = DataLoader(NoisyStream(), 4).state_dict()
    with pytest.raises(ValueError, match="'workers': 0.*this one has .*'workers': 2"):
        DataLoader(NoisyStream(), 4, num_workers=2).load_state_dict(state)
    for wrong in ({}, None, {"built": 6}, {**state, "epoch": {"seed": 1}}):
        with pytest.raises(ValueError, match="expected what state_dict"):
            DataLoader(Noisy(), 4).load_state_dict(wrong)
