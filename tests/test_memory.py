"""What is freed: deep graphs, cycles through Python, and every step of a training loop."""

import gc
import os
import subprocess
import sys
import time
import weakref

import pytest

import tinygrad_lessons as tg

DEEP = 200_000


def chain(length, step=lambda y: y * 1.0):
    x = tg.ones(1, requires_grad=True)
    y = x
    for _ in range(length):
        y = step(y)
    return x, y


STEPS = {
    "mul": lambda y: y * 1.0,
    "add to itself": lambda y: (y + y) * 0.5,
    "view": lambda y: y[:],
    "in place": lambda y: y.clone().mul_(1.0),
    "tanh and shift": lambda y: y.tanh() - y + y,
}


@pytest.mark.parametrize("step", STEPS)
def test_deep_chains_go_backward_and_are_freed(step):
    x, y = chain(DEEP, STEPS[step])
    y.sum().backward()
    assert x.grad.isfinite().all()
    _, unused = chain(DEEP, STEPS[step])
    del unused
    _, retained = chain(DEEP, STEPS[step])
    retained.sum().backward(retain_graph=True)
    del retained


def test_deep_chains_of_custom_functions():
    class Twice(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 1.0

        @staticmethod
        def backward(ctx, g):
            return g

    x, y = chain(20_000, Twice.apply)
    y.sum().backward()
    assert x.grad.tolist() == [1.0]
    _, unused = chain(20_000, Twice.apply)
    del unused


def test_deep_chains_that_are_differentiated_twice():
    x, y = chain(20_000, lambda y: y * y)
    with tg.no_grad():
        x.fill_(1.0)
    x, y = chain(2_000, lambda y: (y * y).sqrt())
    (g,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()
    assert g.tolist() == pytest.approx([1.0])


def test_time_is_linear():
    def seconds(length):
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            x, y = chain(length)
            y.sum().backward()
            del x, y
            best = min(best, time.perf_counter() - start)
        return best

    # Four times the length: quadratic would be sixteen times the time.
    assert seconds(DEEP) < 8 * seconds(DEEP // 4)


class Marker:
    """Something whose end can be seen."""


def collected(make):
    marker = Marker()
    ref = weakref.ref(marker)
    make(marker)
    del marker
    gc.collect()
    return ref() is None


def hook_on_a_leaf(marker):
    x = tg.ones(2, requires_grad=True)
    x.register_hook(lambda g: (marker, x)[1])


def hook_on_a_result(marker):
    x = tg.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: (marker, x, y)[1])


def hook_after_backward(marker):
    x = tg.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: (marker, y)[0] and None)
    y.sum().backward()


def attribute(marker):
    x = tg.ones(2)
    x.me, x.marker = x, marker


def function_context(marker):
    class Keep(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.marker = marker
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g

    x = tg.ones(2, requires_grad=True)
    y = Keep.apply(x)
    y.me = y


def context_that_knows_its_output(marker):
    class Keep(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 1
            ctx.save_for_backward(x, y)
            ctx.marker = marker
            return y

        @staticmethod
        def backward(ctx, g):
            return g

    Keep.apply(tg.ones(2, requires_grad=True) * 1)


def module_hook(marker):
    m = tg.nn.Linear(2, 2)
    m.marker = marker
    m.register_forward_hook(lambda *args: (m, None)[1])
    m(tg.ones(1, 2)).sum().backward()


@pytest.mark.parametrize(
    "make",
    [
        hook_on_a_leaf,
        hook_on_a_result,
        hook_after_backward,
        attribute,
        function_context,
        context_that_knows_its_output,
        module_hook,
    ],
)
def test_cycles_are_collected(make):
    assert collected(make)


def test_marker_sees_what_is_kept():
    kept = []
    assert not collected(kept.append)


def test_weak_references_to_tensors():
    t = tg.ones(1)
    ref = weakref.ref(t)
    assert ref() is t
    del t
    assert ref() is None


CURRENT = "allocated_bytes.all.current"
PEAK = "allocated_bytes.all.peak"
RESERVED = "reserved_bytes.all.current"


def test_statistics_count_a_tensor():
    tg.reset_peak_memory_stats()
    before = tg.memory_stats()
    assert before[PEAK] == before[CURRENT]
    x = tg.empty(1_000_000)
    held = tg.memory_stats()
    grown = held[CURRENT] - before[CURRENT]
    assert 4_000_000 <= grown <= 1.25 * 4_000_000 + 1024  # sizes are at most a quarter apart
    assert held["allocation.all.current"] - before["allocation.all.current"] in (1, 2)
    del x
    after = tg.memory_stats()
    assert after[CURRENT] - before[CURRENT] < 1024
    assert after[PEAK] == held[CURRENT]
    assert after[RESERVED] == held[RESERVED]  # it waits for reuse
    assert after["reserved_bytes.all.peak"] >= after[RESERVED]
    for stats in (before, held, after):
        made, gone = stats["allocation.all.allocated"], stats["allocation.all.freed"]
        assert made - gone == stats["allocation.all.current"]
    assert after["allocation.all.freed"] > held["allocation.all.freed"]
    y = tg.empty(999_000)
    assert tg.memory_stats()[RESERVED] == held[RESERVED]
    del y


def test_empty_cache_gives_memory_back():
    x = tg.ones(5_000_000)
    del x
    before = tg.memory_stats()
    assert before[RESERVED] >= before[CURRENT] + 20_000_000
    tg.empty_cache()
    after = tg.memory_stats()
    assert after[RESERVED] == after[CURRENT] == before[CURRENT]
    tg.reset_peak_memory_stats()
    assert tg.memory_stats()["reserved_bytes.all.peak"] == after[RESERVED]


def test_too_large_is_refused_and_counted():
    before = tg.memory_stats()
    with pytest.raises(RuntimeError, match="too large"):
        tg.empty(2**62)
    with pytest.raises(MemoryError, match="not enough memory"):
        tg.empty(2**45, dtype=tg.uint8)  # more than a process can address on any machine of today
    after = tg.memory_stats()
    assert after["num_ooms"] == before["num_ooms"] + 1
    assert after["num_alloc_retries"] == before["num_alloc_retries"] + 1
    assert after[CURRENT] == before[CURRENT]
    assert tg.ones(3).sum() == 3


def test_blocks_are_aligned():
    for n in (1, 15, 17, 100, 1000, 5000, 300_001):
        assert tg.empty(n).data_ptr() % 64 == 0


TRAIN = """
import os, sys
import numpy as np
import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

steps = int(sys.argv[1])
tg.manual_seed(0)
hidden = [nn.Linear(20, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Dropout(0.1)]
model = nn.Sequential(*hidden, nn.Linear(64, 5))
optimizer = optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
x, y = tg.randn(32, 20), tg.randint(0, 5, (32,))

def step(i):
    optimizer.zero_grad()
    out = model(x[: 32 - i % 3])
    loss = loss_fn(out, y[: 32 - i % 3]) + 1e-3 * (out[:, ::2] ** 2).mean()
    loss.backward()
    optimizer.step()
    out.detach().argmax(1).tolist()
    buffer = tg.zeros(8, 8)
    buffer[i % 8] = out.sum()
    y_again = out.clone()
    y_again.register_hook(lambda g: y_again)

for i in range(300):
    step(i)
before = resident()
for i in range(steps):
    step(i)
print(resident() - before)
"""


def growth(steps):
    command = [sys.executable, "-c", TRAIN, str(steps)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")


@needs_proc
def test_memory_is_flat_over_training():
    # A leak of one small tensor a step would be 64 bytes times 1000 at the least, and a page
    # comes and goes; a leak of the step's tensors would be tens of megabytes.
    assert growth(1000) < 512 * 1024


@needs_proc
@pytest.mark.soak
def test_memory_is_flat_over_long_training():
    assert growth(5000) < 512 * 1024


def test_a_dying_tensor_is_not_found_again():
    """Its value may live on: who asks for that from a weakref's callback gets another Tensor."""
    p = tg.ones(2, requires_grad=True)
    (p * p).sum().backward()
    found = []
    gradient = p.grad
    watch = weakref.ref(gradient, lambda _: found.append(p.grad))
    del gradient
    others = [tg.zeros(2) for _ in range(3)]
    assert watch() is None
    assert found[0].tolist() == [2.0, 2.0]
    assert all(found[0] is not other for other in others)
