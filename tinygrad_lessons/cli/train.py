"""`tgl train`: train a model on a data set, and leave a run folder."""

import argparse
import math
import platform
import sys

import numpy as np

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons._figure import REMEDY, available
from tinygrad_lessons.datasets import Digits
from tinygrad_lessons.train import (
    EarlyStopping,
    JSONLLogger,
    Progress,
    RunFolder,
    Trainer,
    accuracy,
    confusion_matrix,
)
from tinygrad_lessons.train.models import MODELS
from tinygrad_lessons.utils.data import DataLoader

DATASETS = {"digits": Digits}
OPTIMIZERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
EVAL_BATCH_SIZE = 256


def add_parser(commands):
    """Add `train` to the commands."""
    count = number(int, "a whole number of at least 1", lambda n: n >= 1)
    seed = number(int, "a whole number from 0 to 2**63 - 1", lambda n: 0 <= n < 2**63)
    two_or_more = number(int, "a whole number of at least 2", lambda n: n >= 2)
    share = number(float, "a number from 0 to below 1", lambda x: 0 <= x < 1)
    amount = number(float, "a number of at least 0", lambda x: 0 <= x < math.inf)
    above_zero = number(float, "a number above 0", lambda x: 0 < x < math.inf)
    parser = commands.add_parser(
        "train",
        help="train a model on a data set",
        description="Train a classifier on a data set until the validation loss stops improving, "
        "test its best weights on held-out data, and leave a run folder: config.toml, "
        "metrics.jsonl (one line per epoch), curves.png, confusion.png, model.safetensors. "
        "The same arguments give the same run. Ctrl-C ends it and keeps the best weights so far.",
        epilog="Example: tgl train digits --model mlp --epochs 20 --lr 1e-3 --optimizer adam",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("dataset", choices=DATASETS, help="the data set")

    def add(name, default, help, **options):
        help += f" (default: {default})"
        parser.add_argument(name, default=default, help=help, **options)

    add("--model", "mlp", "kind of network", choices=MODELS)
    add("--hidden", "256,128", "widths of the hidden layers", type=widths, metavar="N,N")
    add("--dropout", 0.3, "share of hidden values to drop", type=share, metavar="P")
    add("--optimizer", "adam", "update rule", choices=OPTIMIZERS)
    add("--lr", 1e-3, "learning rate", type=above_zero, metavar="X")
    add("--momentum", 0.9, "for sgd, which alone has it", type=share, metavar="X")
    add("--weight-decay", 0.0, "as the optimizer defines it", type=amount, metavar="X")
    add("--batch-size", 32, "samples per step", type=two_or_more, metavar="N")
    add("--epochs", 100, "passes over the data, at most", type=count, metavar="N")
    add("--patience", 15, "epochs without a lower validation loss", type=count, metavar="N")
    add("--seed", 0, "for weights, order and dropout", type=seed, metavar="N")
    add("--split-seed", 0, "for the split of the data", type=seed, metavar="N")
    parser.add_argument(
        "--out", metavar="DIR", help="run folder (default: runs/DATASET-MODEL-TIME)"
    )


def number(kind, expected, accepts):
    """An argparse type: a number of this kind that `accepts` holds for."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):
            raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")
        return value

    return parse


def widths(text):
    """An argparse type: layer widths separated by commas."""
    width = number(int, "whole numbers from 1 to 65536, as in 256,128", lambda n: 1 <= n <= 65536)
    return [width(part) for part in text.split(",")]


def run(args):
    """Train, test, and fill the run folder; returns the exit code."""
    dataset = DATASETS[args.dataset]
    train, val, test = (dataset(split, args.split_seed) for split in ("train", "val", "test"))
    val_loader, test_loader = (DataLoader(part, EVAL_BATCH_SIZE) for part in (val, test))
    model, optimizer, train_loader = build(args, train)
    stopper = EarlyStopping("val_loss", patience=args.patience)

    name = f"{args.dataset} {args.model}"
    folder = RunFolder(args.out) if args.out else RunFolder.new("runs", name.replace(" ", "-"))
    folder.save_config(config(args))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(f"{args.dataset}: {len(train)} training, {len(val)} validation, {len(test)} test samples")
    say(f"{args.model}: {parameters:,} parameters, trained by {args.optimizer} at {args.lr:g}")
    drawing = available()
    if not drawing:
        print(REMEDY, file=sys.stderr)
    trainer = Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        callbacks=[stopper, JSONLLogger(folder.metrics), Progress()],
        metrics=["accuracy"],
    )
    try:
        trainer.fit(train_loader, val_loader, args.epochs)
    finally:  # however it ended, what there is stays
        if stopper.best_epoch:
            folder.save_model(model)
            if drawing:
                folder.plot_curves(stopper.best_epoch, f"{name}: training")
            say(f"best epoch: {stopper.best_epoch} of {len(trainer.history)}")
        say(f"run folder: {folder.path}")
    if trainer.stopped_by in ("SIGINT", "SIGTERM"):
        raise KeyboardInterrupt

    logits, target = trainer.predict(test_loader)
    result = f"test accuracy: {100 * accuracy(logits, target):.1f} %"
    if drawing:
        counts = confusion_matrix(logits, target)
        folder.plot_confusion(counts, dataset.classes, f"{name}, {result}")
    for path in sorted(folder.path.iterdir()):
        say(f"  {path}")
    say(result)
    return 0


def build(args, train):
    """The model, its optimizer and the training batches, all from the seed."""
    tg.manual_seed(args.seed)
    model = MODELS[args.model](
        train.images[0].numel(), len(train.classes), hidden=args.hidden, dropout=args.dropout
    )
    options = {"lr": args.lr, "weight_decay": args.weight_decay}
    if args.optimizer == "sgd":
        options["momentum"] = args.momentum
    loader = DataLoader(
        train,
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=len(train) % args.batch_size == 1,  # batch norm needs more than one sample
        generator=tg.Generator().manual_seed(args.seed),
    )
    return model, OPTIMIZERS[args.optimizer](model.parameters(), **options), loader


def config(args):
    """What the run was asked for, and what it ran on, as TOML values."""
    left_out = ("command", "run")
    asked = {k: v for k, v in vars(args).items() if k not in left_out and v is not None}
    versions = {
        "tinygrad_lessons": tg.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    return {"arguments": asked, "versions": versions, "engine": tg.show_config()}


def say(line):
    """Print a line at once, so that it keeps its place among the lines of the progress log."""
    print(line, flush=True)
