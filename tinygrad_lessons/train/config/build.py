"""The parts of a run, made from its configuration."""

from dataclasses import dataclass

import tinygrad_lessons as tg
from tinygrad_lessons.nn import CrossEntropyLoss, Module, MSELoss
from tinygrad_lessons.train.config.augment import BatchTransform
from tinygrad_lessons.train.config.components import (
    DATASET,
    call,
    make_model,
    make_optimizer,
    make_schedule,
    make_transform,
)
from tinygrad_lessons.train.config.data import Splits
from tinygrad_lessons.train.config.signature import ConfigError
from tinygrad_lessons.utils.data import DataLoader

EVAL_BATCH_SIZE = 256


@dataclass
class Parts:
    """What a `Trainer` is made of."""

    splits: Splits
    model: Module
    loss: Module
    metrics: list[str]
    optimizer: object
    schedule: object
    interval: str
    batch_transform: object
    train: DataLoader
    val: DataLoader
    test: DataLoader


def load_data(config):
    """The splits of a configuration's data set."""
    function, options, _ = DATASET.split(config.data)
    return call(function, "data", **options)


def judges(splits):
    """(loss, names of metrics) for what the data are: classes or numbers."""
    if splits.classes:
        return CrossEntropyLoss(), ["accuracy"]
    return MSELoss(), ["mae", "r2"]


def build(config, splits=None):
    """All parts of a run, the weights drawn from its seed.

    Args:
        config: a complete `Config`.
        splits: its data, if that is loaded already.

    Raises:
        ConfigError: options that do not go together; the message says which.
        DatasetError, OSError: the data cannot be had.
    """
    options = config.train
    if options.threads:
        tg.set_num_threads(options.threads)
    splits = load_data(config) if splits is None else splits
    _, metrics = judges(splits)
    if options.monitor.partition("_")[2] not in ("loss", *metrics):
        raise ConfigError(f"train.monitor: there is no {options.monitor} of these data")
    tg.manual_seed(options.seed)
    model = make_model(config.model, splits.shape, splits.outputs)
    optimizer = make_optimizer(config.optimizer, model.parameters())
    train = _training_loader(splits.train, options)
    steps = -(-len(train) // options.accumulate)
    total = {"step": steps * options.epochs, "epoch": options.epochs}
    schedule, interval = make_schedule(config.schedule, optimizer, total)
    transforms = [make_transform(table, options.augment_strength) for table in config.augment]
    mixing = {name: getattr(options, name) for name in ("mixup", "cutmix", "label_smoothing")}
    if any(mixing.values()) and not splits.classes:
        raise ConfigError(f"train: {', '.join(mixing)}: need classes, but this is a regression")
    augment = transforms if options.augment_strength else []
    batch_transform = BatchTransform(augment, len(splits.classes), **mixing)
    return Parts(
        splits,
        model,
        *judges(splits),
        optimizer,
        schedule,
        interval,
        batch_transform,
        train,
        *(DataLoader(part, EVAL_BATCH_SIZE) for part in (splits.val, splits.test)),
    )


def _training_loader(data, options):
    """Shuffled batches; a last one of a single sample is left out, for batch norm's sake."""
    size = options.batch_size
    return DataLoader(
        data,
        batch_size=size,
        shuffle=True,
        drop_last=size > 1 and len(data) % size == 1 and len(data) > size,
        num_workers=options.workers,
        generator=tg.Generator().manual_seed(options.seed),
    )
