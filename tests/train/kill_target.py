"""A run to be killed: `python kill_target.py FOLDER` begins or goes on, and tells its outcome when done.

Twice as many things as a usual run depends on: shuffled data with noise per sample, dropout, batch
norm, noise per batch, a schedule of steps, averages, accumulation, early stopping, logs, checkpoints
in mid-epoch.
"""

import hashlib
import os
import random
import sys
from pathlib import Path

import numpy as np
from runs import blobs, outcome

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import (
    EMA,
    Checkpoints,
    CSVLogger,
    EarlyStopping,
    GradientAccumulation,
    GradientStats,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Trainer,
    mlp,
)
from tinygrad_lessons.utils.data import DataLoader, Dataset

EPOCHS = 12


class Noisy(Dataset):
    """Samples with noise drawn when they are loaded."""

    def __init__(self, data):
        self.data = data

    def __getitem__(self, index):
        x, y = self.data[index]
        return x + 0.1 * tg.randn(2), y

    def __len__(self):
        return len(self.data)


def noise_of_all_streams(x, y):
    return x + random.random() * 0.01 + float(np.random.rand()) * 0.01 + 0.1 * tg.randn(2), y


def main(folder):
    resume = folder if Checkpoints(folder / "checkpoints").steps() else None
    seed = 0 if resume is None else int.from_bytes(os.urandom(4), "little")
    tg.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    model = mlp(2, 3, hidden=(16, 8), dropout=0.2)
    adam = optim.AdamW(model.parameters(), lr=0.01)
    schedule = optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=EPOCHS * 10)
    trainer = Trainer(
        model,
        nn.CrossEntropyLoss(),
        adam,
        scheduler=schedule,
        scheduler_interval="step",
        callbacks=[
            GradientAccumulation(2),
            GradientStats(folder / "gradients.jsonl", every=7),
            JSONLLogger(folder / "metrics.jsonl"),
            CSVLogger(folder / "metrics.csv"),
            LRMonitor(folder / "steps.jsonl"),
            EarlyStopping("val_loss", patience=EPOCHS),
            EMA(0.9),
            ModelCheckpoint(folder / "checkpoints", every_steps=3),
        ],
        metrics=["accuracy", "f1", "auc"],
        batch_transform=noise_of_all_streams,
    )
    generator = tg.Generator().manual_seed(seed)
    train = DataLoader(Noisy(blobs(160)), batch_size=8, shuffle=True, generator=generator)
    trainer.fit(train, DataLoader(blobs(60, seed=1), batch_size=32), EPOCHS, resume=resume)
    logs = [(folder / name).read_text() for name in ("gradients.jsonl", "steps.jsonl")]
    state = outcome(trainer)
    for _, callback in state["callbacks"]:
        callback.pop("size", None)
    digest = hashlib.sha256(repr((state, logs)).encode()).hexdigest()
    (folder / "outcome").write_text(digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
