"""Workers that load batches ahead: processes, or threads."""

import contextlib
import multiprocessing
import os
import pickle
import queue
import random
import select
import signal
import threading
import time
import traceback
import weakref
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import connection

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons.utils.data.dataset import Dataset
from tinygrad_lessons.utils.data.epoch import Batches
from tinygrad_lessons.utils.data.fetch import without_stop
from tinygrad_lessons.utils.data.transport import Packer, Unpacker

THREAD = "thread"
PATIENCE = 2  # seconds for a worker to end by itself

_here = threading.local()


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is.

    Attributes:
        id: its number, from 0.
        num_workers: how many there are.
        seed: what its generators were seeded with: the seed of the first epoch, plus its number.
        dataset: its copy of the dataset; in a thread, the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Dataset


def _infos(job, count, seed):
    return [WorkerInfo(i, count, (seed + i) % 2**63, job.dataset) for i in range(count)]


def worker_info():
    """The info of the worker that this runs in, or None."""
    return getattr(_here, "info", None)


def start_method(context):
    """What `multiprocessing_context` means: "thread", or a context of multiprocessing.

    Raises:
        ValueError: there is no start method of this name.
        TypeError: it is neither a name, nor a context, nor None.
    """
    if isinstance(context, multiprocessing.context.BaseContext) or context == THREAD:
        return context
    if context is not None and not isinstance(context, str):
        raise TypeError(
            "DataLoader: expected multiprocessing_context to be a name or a context of "
            f"multiprocessing, got {type(context).__name__}"
        )
    methods = multiprocessing.get_all_start_methods()
    if context is not None and context not in methods:
        raise ValueError(
            f"DataLoader: got multiprocessing_context={context!r}: expected one of "
            f"{', '.join([*methods, THREAD])}"
        )
    return multiprocessing.get_context(context)


class WorkerIterator(Batches):
    """One epoch, loaded by workers: each has `prefetch_factor` batches asked of it at any time.

    The batch of number n is loaded by worker n modulo their count, or, out of order, by whoever has
    become free.
    """

    def __init__(self, loader, job, epoch):
        super().__init__(loader, epoch)
        self._in_order, self._timeout = loader.in_order, loader.timeout
        self._kept = loader.persistent_workers
        self._workers = workers_of(loader, job, epoch.seed)
        self._turn = self._workers.begin(epoch.seed)
        self._asked = {}  # number -> worker, in the order of numbers
        self._arrived = {}  # number -> reply
        self._ended = set()  # workers whose streams have come to their end
        for _ in range(loader.prefetch_factor):
            for worker in range(self._workers.count):
                self._ask(worker)

    def __next__(self):
        if self._workers.turn != self._turn:
            raise RuntimeError(
                "DataLoader: another epoch has been started on these persistent workers: "
                "finish one before iter(), or leave persistent_workers at False"
            )
        while self._asked and len(self._ended) < self._workers.count:
            number, worker, reply = self._receive()
            if reply.kind == ENDED:
                self._ended.add(worker)
                self._epoch.give(number)
            self._ask(worker)
            if reply.kind == FAILED:
                raise reply.value.error() if isinstance(reply.value, Failure) else reply.value
            if reply.kind == BATCH and not self._epoch.has_given(number):
                self._epoch.give(number)
                return reply.value
        self._epoch.finished = True
        if not self._kept:
            self._workers.stop()
        raise StopIteration

    def _ask(self, free):
        try:
            number, position, indices = next(self._epoch)
        except StopIteration:
            return
        worker = number % self._workers.count if self._in_order else free
        self._asked[number] = worker
        self._workers.send(worker, Task(self._turn, number, position, indices))

    def _receive(self):
        """(number, worker, reply) of the next batch, or of any."""
        wanted = next(iter(self._asked)) if self._in_order else None
        while not (self._arrived if wanted is None else wanted in self._arrived):
            among = {self._asked[wanted]} if self._in_order else set(self._asked.values())
            reply = self._workers.receive(among, self._timeout)
            if reply.turn == self._turn:
                self._arrived[reply.number] = reply
        number = next(iter(self._arrived)) if wanted is None else wanted
        return number, self._asked.pop(number), self._arrived.pop(number)


BATCH, ENDED, FAILED = "batch", "ended", "failed"


@dataclass(frozen=True)
class Task:
    """A batch that a worker is to load; number None: an epoch of the seed `position` begins."""

    turn: int
    number: int | None
    position: int
    indices: object = None


@dataclass(frozen=True)
class Reply:
    """What became of a task: a batch, an end of the stream, or a `Failure`."""

    turn: int
    number: int
    kind: str
    value: object = None


class Failure:
    """An exception in a worker process: its type and its trace, which travel where it may not."""

    def __init__(self, error, worker):
        self._kind = kind = type(error)
        try:
            pickle.dumps(kind)
        except Exception:  # a class inside a function
            self._kind = RuntimeError
        trace = "".join(traceback.format_exception(error))
        self._text = f"Caught {kind.__name__} in DataLoader worker process {worker}.\n{trace}"

    def error(self):
        """The exception to raise here."""
        try:
            return self._kind(_Text(self._text))
        except Exception:  # its constructor takes something else
            return RuntimeError(self._text)


class _Text(str):
    """Shown as it is, even by exceptions that show the repr of what they hold, as KeyError does."""

    __repr__ = str.__str__


def serve(job, info, init_fn, failure, receive, send):
    """What a worker does: loads what it is asked for, until it is asked for nothing.

    An exception of any kind is an answer too: a thread that ended by one would be waited for.
    """
    _here.info = info
    fetch = useless = trouble = ended = None
    if init_fn is not None:
        try:
            without_stop(init_fn)(info.id)
        except BaseException as error:
            useless = failure(error)
    while (task := receive()) is not None:
        if task.number is None:
            fetch, trouble, ended = None, useless, False
            try:
                fetch = job.fetcher(task.position, info.id)
            except BaseException as error:
                trouble = trouble or failure(error)
            continue
        kind, value = (FAILED, trouble) if trouble else (ENDED, None)
        if not trouble and not ended:
            try:
                kind, value = BATCH, fetch(task.position, task.indices)
            except StopIteration:
                kind, value, ended = ENDED, None, True
            except BaseException as error:
                kind, value = FAILED, failure(error)
        send(Reply(task.turn, task.number, kind, value))


class Workers:
    """Some workers, and the number of the epoch that they load, which tasks and replies bear."""

    def __init__(self, count):
        self.count, self.turn = count, 0

    def begin(self, seed):
        """Starts an epoch; returns its number."""
        self.turn += 1
        for worker in range(self.count):
            self.send(worker, Task(self.turn, None, seed))
        return self.turn


class ThreadWorkers(Workers):
    """Threads of this process."""

    def __init__(self, job, count, init_fn, seed):
        super().__init__(count)
        self._tasks = [queue.SimpleQueue() for _ in range(count)]
        self._replies = queue.SimpleQueue()
        for info, tasks in zip(_infos(job, count, seed), self._tasks, strict=True):
            threading.Thread(
                target=serve,
                args=(job, info, init_fn, lambda error: error, tasks.get, self._replies.put),
                name=f"DataLoader worker {info.id}",
                daemon=True,
            ).start()
        self.stop = weakref.finalize(self, _stop_threads, self._tasks)

    def send(self, worker, task):
        self._tasks[worker].put(task)

    def receive(self, among, timeout):
        """The next reply of any worker."""
        try:
            return self._replies.get(timeout=timeout or None)
        except queue.Empty:
            raise _timed_out(timeout) from None


def _stop_threads(tasks):
    for each in tasks:
        with contextlib.suppress(queue.Empty):  # what nobody waits for
            while True:
                each.get_nowait()
        each.put(None)


class ProcessWorkers(Workers):
    """Processes of their own, each at the other end of a pipe."""

    def __init__(self, job, count, init_fn, seed, context):
        super().__init__(count)
        self._processes, self._pipes = [], []
        self._unpackers = [Unpacker() for _ in range(count)]
        self._empty = [[] for _ in range(count)]  # slots that a worker gets back with its next task
        self._end = "DataLoader: the workers have been stopped: iterate again"
        self.stop = weakref.finalize(
            self, _stop_processes, os.getpid(), self._processes, self._pipes
        )
        for info in _infos(job, count, seed):
            ours, theirs = context.Pipe()
            inherited = [*self._pipes, ours] if context.get_start_method() == "fork" else []
            process = context.Process(
                target=_process_main,
                args=(job, info, init_fn, theirs, inherited),
                name=f"DataLoader worker {info.id}",
                daemon=True,
            )
            process.start()
            theirs.close()
            self._processes.append(process)
            self._pipes.append(ours)

    def send(self, worker, task):
        slots, self._empty[worker] = self._empty[worker], []
        with self._whole(), contextlib.suppress(OSError):  # receiving from it says why
            self._pipes[worker].send((task, slots))

    def receive(self, among, timeout):
        """The next reply of one of those workers."""
        if not self.stop.alive:
            raise RuntimeError(self._end)
        pipes = {self._pipes[worker]: worker for worker in among}
        ends = {self._processes[worker].sentinel: worker for worker in among}
        ready = connection.wait([*pipes, *ends], timeout or None)
        if not ready:
            raise _timed_out(timeout)
        for pipe in ready:
            if pipe in pipes:
                worker = pipes[pipe]
                try:
                    with self._whole():
                        data = pipe.recv_bytes()
                    reply, slot = self._unpackers[worker].unpack(data)
                except (EOFError, OSError):  # its memory ends with it, too
                    raise self._death_of(worker) from None
                if slot is not None:
                    self._empty[worker].append(slot)
                return reply
        raise self._death_of(ends[ready[0]])

    @contextlib.contextmanager
    def _whole(self):
        """Ends the workers if Ctrl-C comes here: half a message would be left in the pipe."""
        try:
            yield
        except KeyboardInterrupt:
            self.stop()
            raise

    def _death_of(self, worker):
        process = self._processes[worker]
        process.join(PATIENCE)
        code = process.exitcode
        self.stop()
        if code is not None and code < 0:
            how = f"was killed by signal {signal.Signals(-code).name}"
        elif code is None:
            how = "cannot be read from"
        else:
            how = f"ended with exit code {code}"
        self._end = (
            f"DataLoader: worker process {worker} (pid {process.pid}) {how}: if memory ran short, "
            "use fewer workers or smaller batches"
        )
        return RuntimeError(self._end)


def _stop_processes(owner, processes, pipes):
    if os.getpid() != owner:  # a fork has copies of these
        return
    for pipe in pipes:
        if select.select([], [pipe], [], 0)[1]:
            with contextlib.suppress(OSError):
                pipe.send((None, []))
        pipe.close()
    end = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0, end - time.monotonic()))
    for process in processes:
        if process.is_alive():
            process.terminate()
            process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def _process_main(job, info, init_fn, pipe, inherited):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for each in inherited:  # so that the pipes end with the parent
        each.close()
    tg.set_num_threads(1)
    tg.manual_seed(info.seed)
    random.seed(info.seed)
    np.random.seed(info.seed % 2**32)
    parent = multiprocessing.parent_process().sentinel
    packer, outbox, tasks = Packer(), queue.SimpleQueue(), deque()

    def receive():
        while not tasks or pipe.poll():  # all that has come: what nobody waits for is not loaded
            if pipe not in connection.wait([pipe, parent]):
                return None
            try:
                task, slots = pipe.recv()
            except (EOFError, OSError):
                return None
            if task is None:
                return None
            for slot in slots:
                packer.give_back(slot)
            tasks.append(task)
        return tasks.popleft()

    def send(reply):
        try:
            data = packer.pack(reply)
        except Exception as error:  # what pickle says of a batch that cannot travel
            data = packer.pack(replace(reply, kind=FAILED, value=Failure(error, info.id)))
        outbox.put(data)

    def post():
        with contextlib.suppress(OSError):  # the parent has gone, or wants no more
            while True:
                pipe.send_bytes(outbox.get())

    # A thread of its own, so that a full pipe keeps no task waiting: the parent may be sending one.
    threading.Thread(target=post, daemon=True).start()
    serve(job, info, init_fn, partial(Failure, worker=info.id), receive, send)


def _timed_out(timeout):
    return RuntimeError(
        f"DataLoader: no batch came from a worker within timeout={timeout} seconds: "
        "allow more, or look for what the dataset waits for"
    )


def workers_of(loader, job, seed):
    """The loader's workers: those that it keeps, or new ones."""
    kept = loader._workers
    if kept is not None and kept.stop.alive:
        return kept
    arguments = (job, loader.num_workers, loader.worker_init_fn, seed)
    context = loader.multiprocessing_context
    workers = (
        ThreadWorkers(*arguments) if context == THREAD else ProcessWorkers(*arguments, context)
    )
    loader._workers = workers if loader.persistent_workers else None
    return workers
