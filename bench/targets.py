"""What is to be reached: the one place where targets stand."""

from dataclasses import dataclass
from enum import Enum

OURS = "tinygrad_lessons"
PEERS = ("torch", "numpy", "jax", "cv2")


class Threads(Enum):
    """How many threads a row's two sides have; `counts` are what its bench is run with."""

    ONE = (1,)
    TWO = (2,)
    BEST = (1, 2)  # of each framework, the better of the two
    SCALING = (2, 1)  # ours alone: two threads against one

    @property
    def counts(self):
        return self.value


@dataclass(frozen=True)
class Target:
    """A row of the table: a bench, and what the best peer's figure over ours should be.

    Attributes:
        bench: its name; see `bench_name()`.
        ratio: the best peer's figure over ours, at least.
        peers: those who count; the others are shown.
        threads: how many both sides have.
        share: of the machine's own limit, at least; None if the ratio alone counts.
    """

    bench: str
    ratio: float
    peers: tuple[str, ...] = PEERS
    threads: Threads = Threads.ONE
    share: float | None = None

    @property
    def name(self):
        if self.threads is Threads.TWO:
            return f"{self.bench}, two threads"
        if self.threads is Threads.SCALING:
            return f"{self.bench}, 2 threads over 1"
        return self.bench


def each(benches, ratios, **options):
    """A target per bench, of one ratio or one each."""
    benches = benches.split(", ")
    ratios = ratios if isinstance(ratios, list) else [ratios] * len(benches)
    return [Target(bench, ratio, **options) for bench, ratio in zip(benches, ratios, strict=True)]


TORCH = ("torch",)  # whom a training step is to beat without being captured; JAX is shown beside
MATMULS = "matmul 128, matmul 256, matmul 512, matmul 768, matmul 1024"
FUNCTIONS = ("exp", "tanh", "log", "sigmoid", "erf")

GROUPS = {
    "Tiny tensors: all is overhead": [
        Target("add of 4", 6),
        Target("add of 4 on the tape", 30),
        Target("100 multiplications of 4 and backward", 45),
        Target("small expression and backward", 70),
    ],
    "Matrix products": [
        *each("matmul 16, matmul 32, matmul 64", [7, 2.2, 1.15]),
        *each(MATMULS, 1.05, share=0.95),
        Target("matmul 2048", 1.0),
        *each("matmul 256, matmul 512, matmul 1024, matmul 2048", 1.0, threads=Threads.TWO),
        *each("matmul 32x64x128, matmul 64x32x128 tn, matmul 32x128x64 nt", 1.15),
        Target("matmul 1x512x512 nt", 1.2),
    ],
    "Element-wise": [
        *each(", ".join(f"{name} of 2^20" for name in FUNCTIONS), [2.5, 1.6, 1.9, 1.9, 2.5]),
        *each(", ".join(f"{name} of 4096" for name in FUNCTIONS), 1.3),
        *each("gelu of 2^20, softmax of 1024x1024", 1.8),
        Target("add of 1024x1024 and a transposed", 4),
    ],
    "Reductions": [
        *each("sum of 2^20, sum of 1024x1024 along 1, sum of 1024x1024 along 0", 1.0),
    ],
    "Random numbers": [
        Target("dropout of 2^20", 25),
        Target("randn of 2^20", 4),
    ],
    "Layers, forward and backward": [
        *each("batch norm 512x256, batch norm 32x32x28x28, layer norm 512x256", [3, 2, 2]),
        *each("conv2d 1-32 28x28 batch 32, conv2d 32-64 14x14 batch 32", [2, 1.05]),
        Target("max pool2d 32x32x28x28", 5),
    ],
    "Optimizers": [
        *each("adam over 1 of 10000000, adamw over 1 of 10000000", 1.0),
        *each("sgd over 1 of 10000000, adagrad over 1 of 10000000", 1.0),
        Target("rmsprop over 1 of 10000000", 8),
        Target("adam over 10 of 1000", 15),
        *each("adam over 1000 of 100, sgd over 1000 of 100", [40, 30]),
    ],
    "An epoch of the DataLoader, in a new order": [
        *each("batches of 1 images, batches of 32 images, batches of 128 images", [6, 20, 12]),
        *each("batches of 1 table rows, batches of 32 table rows", [8, 60]),
        *each("batches of 128 table rows, batches of 2048 table rows", [90, 150]),
    ],
    "Augmentation, batches of 256": [
        *each(
            "affine nearest 256x28x28, affine nearest 256x32x32, "
            "affine bilinear 256x28x28, affine bilinear 256x32x32",
            3,
            peers=("cv2",),
        ),
    ],
    "Training steps, Adam (1 or 2 threads, the better counts)": [
        *each(
            "step of mlp 4-32-32-2 batch 16, step of mlp 4-120-84-2 batch 32, "
            "step of mlp 64-128-10 batch 32, step of mlp 784-256-256-10 batch 128, "
            "step of mlp with batch norm and dropout, step of lenet, step of cnn",
            [40, 12, 11, 1.2, 1.9, 3, 2.2],
            peers=TORCH,
            threads=Threads.BEST,
        ),
        *each(
            "epoch of 100 steps, epoch of 100 steps by the trainer",
            [40, 35],
            peers=TORCH,
            threads=Threads.BEST,
        ),
    ],
    "Processes": [
        Target("import", 1 / 1.5, peers=("numpy",)),
        Target("peak memory of training lenet", 3, peers=TORCH),
    ],
    "Two threads": [
        *each(
            "matmul 512, gelu of 2^20, conv2d 32-64 14x14 batch 32", 1.85, threads=Threads.SCALING
        ),
    ],
}
TARGETS = [target for group in GROUPS.values() for target in group]

# No width at which training falls off a cliff: from one to the next, the time of a step grows by no
# more than the work, plus a share of it or some seconds, whichever is more.
WIDTHS = range(16, 513, 16)
CLIFF_SHARE, CLIFF_SECONDS = 0.25, 2e-6


def bench_name(function, parameters=""):
    """A bench's name in the table: the id of its parameters, or the words of its function."""
    return parameters or function.removeprefix("bench_").replace("_", " ")


def thread_counts(bench):
    """The numbers of threads that the targets of a bench ask for; one where there is none."""
    asked = {n for target in TARGETS if target.bench == bench for n in target.threads.counts}
    return asked | ({2} if bench.startswith("step at width") else set()) or {1}
