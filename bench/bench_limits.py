"""What this machine can do at most: arithmetic in registers, streams from each level of memory."""

from pathlib import Path

import pytest

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}  # where the system does not say
MOST = 512 << 20  # so large a part of memory is no cache, or as good as memory
STREAMED = 1 << 21  # bytes between two looks at the clock


def cache_sizes():
    """Bytes of the first core's data caches, by level."""
    sizes = dict(USUAL)
    for index in CACHES.glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            sizes[f"L{(index / 'level').read_text().strip()}"] = int(size.rstrip("K")) << 10
    return sizes


def buffer_sizes():
    """Bytes that fill a level well without touching the next, in whole KiB."""
    caches = cache_sizes()
    third = min(caches["L3"] // 2, 8 * caches["L2"])  # a virtual machine has but a share of it
    memory = min(4 * caches["L3"], MOST)
    return {"L1": caches["L1"] // 2, "L2": caches["L2"] // 2, "L3": third, "memory": memory}


def bench_fused_multiply_adds(measure, ours):
    run = ours._core.core.limit_fma
    measure("run(1000)", run=run, operations=run(1000))


@pytest.mark.parametrize(
    "level, update",
    [
        pytest.param(level, update, id=f"{'update' if update else 'read'} {level}")
        for level in ("L1", "L2", "L3", "memory")
        for update in (False, True)
    ],
)
def bench_stream(measure, ours, level, update):
    size = buffer_sizes()[level]
    rounds = -(-STREAMED // size)
    measure(
        "run(x, rounds, update)",
        run=ours._core.core.limit_stream, x=ours.ones(size // 4), rounds=rounds, update=update,
        moved=size * rounds * (1 + update),
    )  # fmt: skip
