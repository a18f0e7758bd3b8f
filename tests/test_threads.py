"""Threads: their number, when they start, and that results never depend on them."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons.nn import functional as F

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def same_number_after():
    before = tg.get_num_threads()
    yield
    tg.set_num_threads(before)


def matrix(*shape, seed=0):
    return tg.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def with_gradients(function, *leaves):
    """The result and the gradients of a function, as bytes."""
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    out = function(*leaves)
    out.backward(matrix(*out.shape, seed=9) if out.ndim else None)
    return [t.detach().numpy().tobytes() for t in (out, *[leaf.grad for leaf in leaves])]


def adam_step():
    p = matrix(300_000).requires_grad_()
    p.grad = matrix(300_000, seed=1)
    tg.optim.Adam([p]).step()
    return [p.detach().numpy().tobytes()]


def drawn(draw):
    return lambda: [draw(tg.Generator().manual_seed(3)).numpy().tobytes()]


WORK = {
    "matmul": lambda: with_gradients(tg.matmul, matrix(300, 410), matrix(410, 290)),
    "batched matmul": lambda: with_gradients(tg.matmul, matrix(64, 33, 70), matrix(64, 70, 41)),
    "matrix by vector": lambda: with_gradients(tg.matmul, matrix(1500, 1100), matrix(1100)),
    "linear": lambda: with_gradients(F.linear, matrix(500, 300), matrix(700, 300), matrix(700)),
    "exp": lambda: with_gradients(tg.exp, matrix(1033, 1027)),
    "add of a transpose": lambda: with_gradients(lambda x: x + x.T, matrix(777, 777)),
    "add of a row": lambda: with_gradients(tg.add, matrix(2000, 500), matrix(500)),
    "sum": lambda: with_gradients(tg.sum, matrix(1 << 20)),
    "sum of rows": lambda: with_gradients(lambda x: x.sum(1), matrix(1500, 1000)),
    "sum of columns": lambda: with_gradients(lambda x: x.sum(0), matrix(1500, 1000)),
    "var": lambda: with_gradients(lambda x: x.var(0), matrix(1500, 1000)),
    "softmax": lambda: with_gradients(lambda x: x.softmax(1), matrix(1500, 1000)),
    "cross-entropy": lambda: with_gradients(
        lambda x: F.cross_entropy(x, tg.arange(2000) % 500), matrix(2000, 500)
    ),
    "batch norm": lambda: with_gradients(
        lambda x: F.batch_norm(x, None, None, training=True), matrix(32, 32, 28, 28)
    ),
    "batch norm of rows": lambda: with_gradients(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        matrix(1000, 700),
        matrix(700),
        matrix(700),
    ),
    "layer norm": lambda: with_gradients(
        lambda x, w, b: F.layer_norm(x, (300,), w, b), matrix(3001, 300), matrix(300), matrix(300)
    ),
    "group norm": lambda: with_gradients(
        lambda x, w, b: F.group_norm(x, 8, w, b), matrix(32, 32, 28, 28), matrix(32), matrix(32)
    ),
    "log-softmax of short rows": lambda: with_gradients(
        lambda x: x.log_softmax(1), matrix(20001, 10)
    ),
    "index": lambda: with_gradients(lambda x: x[tg.arange(3000) % 700], matrix(700, 600)),
    "argmax": lambda: [matrix(1500, 1000).argmax(1).numpy().tobytes()],
    "sort": lambda: with_gradients(lambda x: x.sort()[0], matrix(300_000)),
    "sort of rows": lambda: with_gradients(lambda x: x.sort(1)[0], matrix(300, 1000)),
    "cumsum": lambda: with_gradients(lambda x: x.cumsum(1), matrix(1500, 700)),
    "convolution": lambda: with_gradients(
        lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=2),
        matrix(16, 8, 30, 31),
        matrix(12, 4, 3, 3, seed=1),
        matrix(12, seed=2),
    ),
    "max pooling": lambda: with_gradients(lambda x: F.max_pool2d(x, 3, 2), matrix(32, 16, 45, 47)),
    "average pooling": lambda: with_gradients(
        lambda x: F.avg_pool2d(x, 3, 2), matrix(32, 16, 45, 47)
    ),
    "Adam": adam_step,
    "dropout": drawn(lambda g: tg._core.dropout(matrix(1000, 1000), 0.3, g)),
    "bernoulli": drawn(lambda g: tg.empty(1 << 20).bernoulli_(0.3, generator=g)),
    "integers": drawn(lambda g: tg.randint(0, 1000, (1 << 20,), generator=g)),
    "exponential": drawn(lambda g: tg.empty(1 << 20).exponential_(2.0, generator=g)),
    "uniform": drawn(lambda g: tg.rand(1 << 20, generator=g)),
    "normal": drawn(lambda g: tg.randn((1 << 20) + 3, generator=g)),
    "permutation": drawn(lambda g: tg.randperm(100_000, generator=g)),
}


@pytest.mark.parametrize("name", WORK)
def test_the_same_bits_on_any_number_of_threads(name):
    tg.set_num_threads(1)
    alone = WORK[name]()
    for n in (2, 3, 5):
        tg.set_num_threads(n)
        assert WORK[name]() == alone, f"{n} threads"


def run(program, **environment):
    environment = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="counts threads as Linux lists them"
)
def test_threads_start_with_the_first_work_worth_it():
    program = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy
before = len(os.listdir("/proc/self/task"))
import tinygrad_lessons as tg
tg.set_num_threads(3)
small = tg.ones(64, 64)
(small @ small).exp().sum()
print(len(os.listdir("/proc/self/task")) - before)
large = tg.ones(1024, 1024)
large @ large
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert run(program) == ["0", "2"]


def test_the_environment_says_how_many():
    program = "import tinygrad_lessons as tg; print(tg.get_num_threads())"
    assert run(program, TGL_NUM_THREADS="3", OMP_NUM_THREADS="2") == ["3"]
    assert run(program, TGL_NUM_THREADS="", OMP_NUM_THREADS="2") == ["2"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert run(program, TGL_NUM_THREADS="none", OMP_NUM_THREADS="0") == [str(min(cores, 256))]


@pytest.mark.parametrize("n", [0, -1, 257])
def test_a_number_out_of_range_is_refused(n):
    with pytest.raises(RuntimeError, match=rf"set_num_threads: .* between 1 and 256, but got {n}"):
        tg.set_num_threads(n)


@pytest.mark.parametrize("n", [2.0, "2", True, None])
def test_what_is_no_integer_is_refused(n):
    with pytest.raises(TypeError, match="set_num_threads: expected an integer"):
        tg.set_num_threads(n)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_on_threads_of_its_own():
    program = """
import os
import tinygrad_lessons as tg
tg.set_num_threads(3)
x = tg.ones(600, 600)
expected = (x @ x).sum().item()
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit((x @ x).sum().item() != expected)
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""
    assert run(program) == ["done"]


def test_several_python_threads_share_the_pool():
    tg.set_num_threads(3)
    expected = WORK["matmul"](), WORK["exp"]()
    seen = []

    def compute():
        seen.extend((WORK["matmul"](), WORK["exp"]()) for _ in range(5))

    callers = [threading.Thread(target=compute) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert seen == [expected] * 20
