"""Run folders as training leaves them, small, with numbers from formulas and hostile names."""

import json

import numpy as np

import tinygrad_lessons as tg

HOSTILE = '<img src=x onerror="alert(1)">'
CLASSES = ("</script><b>cat", HOSTILE, "dög & 'co'")
SECTIONS = [
    "Result",
    "Curves",
    "Predictions",
    "Worst mistakes",
    "Steps",
    "Weights and gradients",
    "Configuration",
]
CONFIG = """\
seed = 3
[data]
name = "pets <b>"
batch_size = 32
[model]
name = "cnn"
channels = [16, 32]
[optimizer]
name = "SGD"
lr = 0.1
nesterov = true
[[augment.transforms]]
name = "RandomRotation"
degrees = 10
"""


def history(epochs=8):
    """Loss 2 / epoch in training, a least validation loss in epoch 5."""
    return [
        {
            "epoch": i,
            "step": 20 * i,
            "train_loss": 2 / i,
            "train_accuracy": 1 - 0.5 / i,
            "val_loss": 0.5 + 0.01 * (i - 5) ** 2,
            "val_accuracy": 0.9 + 0.01 * i,
            "lr": 0.1,
            "seconds": 0.5,
        }
        for i in range(1, epochs + 1)
    ]


def steps(count=160):
    return [
        {
            "step": i,
            "epoch": 1 + (i - 1) // 20,
            "loss": 2 / i,
            "lr": 0.1 * i / count,
            "momentum": 0.95 - 0.1 * i / count,
        }
        for i in range(1, count + 1)
    ]


def logits():
    """Of 12 samples, 9 are right; sample 11 is the worst mistake, then 10, then 9."""
    target = np.arange(12) % 3
    values = np.eye(3, dtype=np.float32)[target] * 4
    for row, height in ((9, 5), (10, 6), (11, 9)):
        values[row] = 0
        values[row, (target[row] + 1) % 3] = height
    return values, target


def gradients(epochs=8, names=("0.weight", f"1.{HOSTILE}")):
    rng = np.random.default_rng(0)

    def histogram(scale):
        counts, edges = np.histogram(rng.normal(size=200) * scale, bins=16)
        return {"edges": edges.tolist(), "counts": counts.tolist()}

    return [
        {
            "epoch": i,
            "parameters": {
                name: {
                    "weight_norm": 1.0 + i,
                    "grad_norm": 1.0 / i,
                    "update_ratio": 1e-3 * i,
                    "dead_units": 0.05 * i if name.endswith("weight") else None,
                    "weight": histogram(1.0),
                    "gradient": histogram(0.1),
                }
                for name in names
            },
        }
        for i in range(1, epochs + 1)
    ]


def images():
    """Twelve images (1, 4, 4): image i is grey of value i / 11, its first pixel white."""
    values = np.tile(np.linspace(0, 1, 12, dtype=np.float32)[:, None, None, None], (1, 1, 4, 4))
    values[:, :, 0, 0] = 1
    return values


RESULT = {
    "test_accuracy": 0.75,
    "test_loss": 0.625,
    "best_epoch": 5,
    "epochs": 8,
    "seconds": 4.5,
    "stopped_by": f"patience {HOSTILE}",
}


def jsonl(lines):
    return "".join(json.dumps(line) + "\n" for line in lines)


def fill(folder, config=CONFIG, result=RESULT):
    """Write all files of a finished run; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config)
    (folder / "metrics.jsonl").write_text(jsonl(history()))
    (folder / "steps.jsonl").write_text(jsonl(steps()))
    (folder / "gradients.jsonl").write_text(jsonl(gradients()))
    (folder / "result.json").write_text(json.dumps(result))
    values, target = logits()
    saved = {
        "split": "test",
        "logits": tg.tensor(values),
        "target": tg.tensor(target),
        "indices": tg.arange(12),
    }
    tg.save(saved, folder / "predictions.safetensors")
    return folder
