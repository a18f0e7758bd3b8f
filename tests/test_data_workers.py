"""utils.data: workers, what goes wrong in them, and that none is left behind."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing import connection

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
)

PROCESSES = {"num_workers": 2}
THREADS = {"num_workers": 2, "multiprocessing_context": "thread"}
both = pytest.mark.parametrize("workers", [PROCESSES, THREADS], ids=["processes", "threads"])


class Numbers(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return index


class Calling(Numbers):
    """A sample is what a function says of its index."""

    def __init__(self, function):
        self.function = function

    def __getitem__(self, index):
        return self.function(index)


def raises_at_five(index):
    if index == 5:
        raise KeyError(f"no sample {index}")
    return index


class Peculiar(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def loader_of(function, workers, **more):
    return DataLoader(Calling(function), 2, **workers, **more)


def children():
    """Process ids of this process's children."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
        return {int(pid) for pid in file.read().split()}


def gone(pids, seconds=10):
    """Whether these processes end within so many seconds."""
    end = time.monotonic() + seconds
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@both
@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize("in_order", [True, False])
def test_every_batch_comes_once(workers, count, in_order):
    loader = DataLoader(Numbers(), 2, **workers | {"num_workers": count}, in_order=in_order)
    batches = [batch.tolist() for batch in loader]
    if in_order:
        assert batches == sorted(batches)
    assert sorted(batches) == [[i, i + 1] for i in range(0, 12, 2)]


@both
def test_out_of_order_a_slow_batch_keeps_none_waiting(workers):
    def slow_at_first(index):
        if index == 0:
            time.sleep(1)
        return index

    loader = loader_of(slow_at_first, workers, in_order=False)
    batches = iter(loader)
    assert next(batches).tolist() == [2, 3]
    state = loader.state_dict()
    assert [batch.tolist() for batch in batches][-2:] == [[0, 1], [4, 5]]
    loader.load_state_dict(state)
    assert sorted(batch.tolist() for batch in loader) == [[0, 1], [4, 5], [6, 7], [8, 9], [10, 11]]


@pytest.mark.parametrize("size", [1, 100, 100_000])
@pytest.mark.parametrize("persistent", [True, False])
def test_batches_of_any_size_come_whole(size, persistent):
    """Small ones in the message, large ones through shared memory, which is used again."""
    data = Calling(lambda i: {"x": tg.full((size,), i), "y": np.full(3, i, np.int32), "s": str(i)})
    loader = DataLoader(data, 5, num_workers=2, persistent_workers=persistent)
    for _ in range(2):
        kept = list(loader)
        assert [len(batch["s"]) for batch in kept] == [5, 5, 2]
        for number, batch in enumerate(kept):
            expected = np.arange(5 * number, min(5 * number + 5, 12))
            assert batch["x"].dtype == tg.int64 and batch["y"].dtype == tg.int32
            np.testing.assert_array_equal(
                batch["x"].numpy(), np.broadcast_to(expected[:, None], (len(expected), size))
            )
            assert batch["y"][:, 2].tolist() == expected.tolist()
            assert batch["s"] == [str(i) for i in expected]
            batch["x"] += 1  # the memory is the caller's


def test_a_batch_has_its_kind_of_tensor():
    x = tg.nn.Parameter(tg.rand(50_000))
    (batch,) = DataLoader([x], batch_size=None, num_workers=1)
    assert type(batch) is tg.nn.Parameter and batch.requires_grad and tg.equal(batch, x)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_start_methods(method):
    data = TensorDataset(tg.arange(10), tg.rand(10, 3))
    expected = [[x.tolist(), y.tolist()] for x, y in DataLoader(data, 4)]
    loader = DataLoader(data, 4, num_workers=1, multiprocessing_context=method)
    assert [[x.tolist(), y.tolist()] for x, y in loader] == expected


def test_context_of_another_kind():
    with pytest.raises(TypeError, match="got int"):
        DataLoader(Numbers(), num_workers=1, multiprocessing_context=3)


# ---- what a worker knows ----


@both
def test_worker_info_and_init_function(workers):
    known = []

    def note(worker):
        known.append(worker)
        assert get_worker_info().id == worker

    def describe(index):
        info = get_worker_info()
        return info.id, info.num_workers, info.seed, len(info.dataset), len(known)

    rows = list(loader_of(describe, workers, worker_init_fn=note, generator=tg.Generator()))
    ids, counts, seeds, lengths, noted = (
        [part.tolist() for part in c] for c in zip(*rows, strict=True)
    )
    assert ids == [[0, 0], [1, 1]] * 3
    assert {n for row in counts for n in row} == {2}
    assert {n for row in lengths for n in row} == {12}
    assert seeds[1][0] == seeds[0][0] + 1
    assert all(n >= 1 for row in noted for n in row)
    assert get_worker_info() is None


def test_processes_are_seeded_each():
    def draws(index):
        import random

        return random.random(), float(np.random.random())

    def run():
        tg.manual_seed(3)
        return [[part.tolist() for part in batch] for batch in loader_of(draws, PROCESSES)]

    first = run()
    assert run() == first
    assert len({x for batch in first for part in batch for x in part}) == 24


@both
def test_each_worker_yields_its_part_of_a_stream(workers):
    class Shard(IterableDataset):
        def __iter__(self):
            info = get_worker_info()
            return iter(range(info.id, 11, info.num_workers))

    batches = [batch.tolist() for batch in DataLoader(Shard(), 2, **workers)]
    assert batches == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9]]


@both
def test_streams_of_unequal_length(workers):
    class Uneven(IterableDataset):
        def __iter__(self):
            return iter(range(10 * get_worker_info().id))

    for _ in range(2):
        batches = [batch.tolist() for batch in DataLoader(Uneven(), 3, **workers)]
        assert batches == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


# ---- kept workers ----


@both
def test_persistent_workers_are_kept(workers):
    loader = loader_of(
        lambda _: threading.get_native_id(), workers, persistent_workers=True, worker_init_fn=int
    )
    epochs = [{i for batch in loader for i in batch.tolist()} for _ in range(3)]
    assert epochs[0] == epochs[1] == epochs[2]
    assert len(epochs[0]) == 2
    fresh = loader_of(lambda _: threading.get_native_id(), workers)
    assert {i for batch in fresh for i in batch.tolist()} != epochs[0]


@both
def test_a_new_epoch_of_persistent_workers_ends_the_old_one(workers):
    loader = DataLoader(Numbers(), 2, **workers, persistent_workers=True)
    old = iter(loader)
    next(old)
    new = iter(loader)
    with pytest.raises(RuntimeError, match="another epoch has been started"):
        next(old)
    assert [batch.tolist() for batch in new] == [[i, i + 1] for i in range(0, 12, 2)]


@both
def test_two_iterators(workers):
    loader = DataLoader(Numbers(), 6, **workers)
    first, second = iter(loader), iter(loader)
    assert [next(first)[0].item(), next(second)[0].item(), next(first)[0].item()] == [0, 0, 6]


# ---- what goes wrong ----


@both
def test_an_exception_comes_out_with_its_type_and_trace(workers):
    batches = iter(loader_of(raises_at_five, workers))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(KeyError, match="no sample 5") as caught:
        next(batches)
    if workers is PROCESSES:
        text = str(caught.value)
        assert text.startswith("Caught KeyError in DataLoader worker process 0.\nTraceback")
        assert "in raises_at_five" in text and text.endswith("KeyError: 'no sample 5'\n")
    else:
        assert any(entry.name == "raises_at_five" for entry in caught.traceback)
    assert next(batches).tolist() == [6, 7]  # the others come


def test_an_exception_that_cannot_be_made_again():
    def fail(index):
        raise Peculiar(1, 2)

    with pytest.raises(RuntimeError, match=r"Caught Peculiar in DataLoader worker process 0"):
        next(iter(loader_of(fail, PROCESSES)))


def test_an_exception_whose_class_cannot_travel():
    class Local(Exception):
        pass

    def fail(index):
        raise Local("here")

    with pytest.raises(RuntimeError, match=r"(?s)Caught Local in .*Local: here"):
        next(iter(loader_of(fail, PROCESSES)))


@both
def test_an_exit_comes_out_and_is_not_waited_for(workers):
    with pytest.raises(SystemExit):
        next(iter(loader_of(lambda index: sys.exit(3), workers, timeout=20)))


def test_a_batch_that_cannot_travel():
    loader = DataLoader(Numbers(), 2, num_workers=1, collate_fn=lambda batch: lambda: batch)
    with pytest.raises(Exception, match=r"(?s)Caught .* worker process 0.*pickle"):
        next(iter(loader))


@both
def test_an_init_function_that_fails(workers):
    def fail(worker):
        raise ValueError(f"worker {worker} does not like it")

    with pytest.raises(ValueError, match="worker 0 does not like it"):
        next(iter(DataLoader(Numbers(), 2, **workers, worker_init_fn=fail)))


@both
def test_a_stream_that_cannot_begin(workers):
    class Broken(IterableDataset):
        def __iter__(self):
            raise OSError("no such stream")

    with pytest.raises(OSError, match="no such stream"):
        next(iter(DataLoader(Broken(), 2, **workers)))


@both
def test_timeout(workers):
    loader = loader_of(lambda index: time.sleep(2) or index, workers, timeout=0.2)
    batches = iter(loader)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"within timeout=0\.2 seconds"):
        next(batches)
    assert time.monotonic() - start < 1.9
    assert len(list(loader_of(int, workers, timeout=60))) == 6


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_a_worker_that_dies_is_an_error(how, in_order, persistent):
    marker = threading.Event()  # in the parent alone

    def die(index):
        if index == 7 and not marker.is_set():
            if how == "exit":
                os._exit(3)
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    loader = loader_of(die, PROCESSES, in_order=in_order, persistent_workers=persistent)
    what = "was killed by signal SIGKILL" if how == "kill" else "ended with exit code 3"
    before = children()
    with pytest.raises(RuntimeError, match=rf"worker process 1 \(pid \d+\) {what}"):
        list(loader)
    assert children() <= before
    marker.set()
    assert len(list(loader)) == 6  # with new ones


@pytest.mark.parametrize("persistent", [True, False])
def test_a_worker_that_dies_with_a_batch_in_its_memory_is_an_error(persistent):
    loader = loader_of(
        lambda index: tg.full((100_000,), index), PROCESSES, persistent_workers=persistent
    )
    before = children()
    batches = iter(loader)
    connection.wait(
        batches._workers._pipes[:1]
    )  # a message has come, its memory is yet to be mapped
    process = batches._workers._processes[0]
    process.kill()
    process.join()
    for _ in range(2):  # the end is the same however often one asks
        with pytest.raises(RuntimeError, match=r"worker process 0 .* was killed by signal SIGKILL"):
            next(batches)
    assert children() <= before
    assert len(list(loader)) == 6  # with new ones


@pytest.mark.parametrize("workers", [{}, PROCESSES, THREADS], ids=["none", "processes", "threads"])
@pytest.mark.parametrize("where", ["dataset", "collate_fn", "stream", "iter", "init"])
def test_a_stray_stop_iteration_is_an_error(workers, where):
    """It would end the epoch, and batches with it, in silence."""

    def stop(*_):
        raise StopIteration

    class Stream(IterableDataset):
        def __iter__(self):
            return stop() if where == "iter" else iter(range(12))

    data = Calling(stop) if where == "dataset" else Numbers() if where == "collate_fn" else Stream()
    options = {"collate_fn": stop} if where in ("collate_fn", "stream") else {}
    if where == "init":
        if not workers:
            return
        options = {"worker_init_fn": stop}
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(data, 2, **workers, **options))


def test_memory_goes_back_to_the_worker_that_it_came_from():
    """One worker needs memory, the other none: were it given back to that one, new memory would be made each time."""

    class Large(Numbers):
        def __len__(self):
            return 80

        def __getitem__(self, index):
            return tg.zeros(50_000 if index % 2 else 1), len(os.listdir("/proc/self/fd"))

    files = [int(count) for x, (count,) in DataLoader(Large(), 1, num_workers=2) if x.numel() > 1]
    assert len(files) == 40 and max(files) - min(files) <= 6  # three pieces, each open twice


def test_a_full_pipe_and_a_full_batch_do_not_wait_for_each_other():
    data = TensorDataset(tg.arange(300_000))
    batches = [[*range(300_000)]] * 6
    loader = DataLoader(data, batch_sampler=batches, num_workers=1, prefetch_factor=6)
    assert [len(x) for (x,) in loader] == [300_000] * 6


# ---- none is left ----


@pytest.mark.parametrize("persistent", [True, False])
def test_workers_end_with_their_iterator_or_loader(persistent):
    before = children()
    loader = DataLoader(Numbers(), 2, num_workers=3, persistent_workers=persistent)
    batches = iter(loader)
    next(batches)
    pids = children() - before
    assert len(pids) == 3
    del loader, batches
    gc.collect()
    assert gone(pids, 0)


def test_workers_that_are_busy_are_ended_too(monkeypatch):
    from tinygrad_lessons.utils.data import workers

    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    before = children()
    batches = iter(loader_of(lambda index: time.sleep(30 * (index > 1)) or index, PROCESSES))
    next(batches)
    pids = children() - before
    del batches
    assert gone(pids, 0)


def test_threads_end():
    before = set(threading.enumerate())
    batches = iter(DataLoader(Numbers(), 2, **THREADS))
    next(batches)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    del batches
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


@both
def test_workers_leave_what_they_were_asked_for(workers, tmp_path):
    def load(index):
        (tmp_path / str(index)).touch()
        time.sleep(0.1)
        return index

    before = set(threading.enumerate())
    batches = iter(loader_of(load, workers, prefetch_factor=3))
    next(batches)
    threads = set(threading.enumerate()) - before
    del batches  # ends processes
    for thread in threads:
        thread.join(10)
    assert len(list(tmp_path.iterdir())) <= 8  # of 12: batches that had been begun


def test_ctrl_c_in_the_middle_of_a_message_ends_kept_workers(monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    loader = DataLoader(Numbers(), 2, num_workers=2, persistent_workers=True)
    before = children()
    batches = iter(loader)
    pids = children() - before
    with monkeypatch.context() as patch:
        patch.setattr(connection.Connection, "recv_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    assert gone(pids, 0)
    assert len(list(loader)) == 6  # with new ones


def test_workers_are_imported_when_used():
    program = "import sys, tinygrad_lessons; print({'multiprocessing', 'queue'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"


PROGRAM = """
    import os, sys, time
    from tinygrad_lessons.utils.data import DataLoader, Dataset

    class Slow(Dataset):
        def __len__(self):
            return 1000
        def __getitem__(self, index):
            time.sleep(0.01)
            return os.getpid()

    loader = DataLoader(Slow(), 2, num_workers=2, persistent_workers={persistent})
    pids = set()
    for batch in loader:
        pids |= set(batch.tolist())
        if len(pids) == 2:
            print(*pids, flush=True)
            pids = set()
"""


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(how, persistent):
    """Ctrl-C reaches the whole group, as in a terminal; the others the parent alone."""
    program = textwrap.dedent(PROGRAM.format(persistent=persistent))
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    if how == signal.SIGINT:
        os.killpg(parent.pid, how)
    else:
        parent.send_signal(how)
    _, errors = parent.communicate(timeout=20)
    assert gone(pids)
    assert parent.returncode == -how
    if how == signal.SIGINT:  # one trace, the parent's
        assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n")
