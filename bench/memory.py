"""Peak memory of a training process, in each framework: `python -m bench.memory`."""

import os
import subprocess
import sys

from bench.frameworks import Variant, installed, load

STEPS = 50


def nets(nn):
    """The nets that the framework has the layers for, by name, with the shape of a batch of inputs."""
    act = nn.ReLU
    mlp = nn.Sequential(nn.Linear(784, 256), act(), nn.Linear(256, 256), act(), nn.Linear(256, 10))
    found = {"MLP 784-256-256-10, batch 128": (mlp, (128, 784))}
    if hasattr(nn, "Conv2d"):
        lenet = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), act(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), act(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), act(), nn.Linear(120, 84), act(), nn.Linear(84, 10),
        )  # fmt: skip
        found["LeNet-5, batch 64"] = (lenet, (64, 1, 28, 28))
    return found


def train(framework, name):
    """Trains one net for a while; prints the most memory that this process ever held, in bytes."""
    module = load(Variant(framework))
    net, shape = nets(module.nn)[name]
    optimizer, loss_fn = module.optim.Adam(net.parameters()), module.nn.CrossEntropyLoss()
    x, y = module.randn(*shape), module.randint(0, 10, shape[:1])
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_fn(net(x), y).backward()
        optimizer.step()
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024)


def peak(framework, name):
    command = [sys.executable, "-m", "bench.memory", framework, name]
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "TGL")}
    done = subprocess.run(
        command, env=os.environ | one_thread, check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout)


def main():
    ours, *peers = [name for name in installed() if hasattr(load(Variant(name)), "nn")]
    for name in nets(load(Variant(ours)).nn):
        bytes_of = {framework: peak(framework, name) for framework in (ours, *peers)}
        row = ", ".join(f"{framework} {n / 2**20:.0f} MiB" for framework, n in bytes_of.items())
        best = min((bytes_of[peer] for peer in peers), default=None)
        print(f"{name}: {row}" + (f", ratio {best / bytes_of[ours]:.1f}" if best else ""))


if __name__ == "__main__":
    train(*sys.argv[1:]) if len(sys.argv) == 3 else main()
