"""The parts that a configuration is made into: models, schedules, augmentation, data."""

import numpy as np
import pytest
from test_schema import NEEDS, WRAPPERS

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons.optim import lr_scheduler
from tinygrad_lessons.train import cnn, mlp
from tinygrad_lessons.train.config import Config, ConfigError, build
from tinygrad_lessons.train.config.augment import BatchTransform, strengthen
from tinygrad_lessons.train.config.components import OPTIMIZER, SCHEDULE

TOTAL = 40 * 3  # steps: 1258 digits in batches of 32, 3 epochs


def built(**tables):
    config = Config.from_dict(tables)
    config.override("train.epochs", 3)
    return build(config.complete())


# ---- models ----


def kinds(model):
    return [type(layer).__name__ for layer in model]


def test_mlp_is_what_its_options_say():
    assert kinds(mlp(64, 10, hidden=[8], dropout=0.5)) == (
        ["Flatten", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]
    )
    bare = mlp((1, 8, 8), 3, hidden=[8, 4], dropout=0, batch_norm=False, activation="GELU")
    assert kinds(bare) == ["Flatten", "Linear", "GELU", "Linear", "GELU", "Linear"]
    assert [layer.weight.shape for layer in bare if isinstance(layer, nn.Linear)] == (
        [(8, 64), (4, 8), (3, 4)]
    )
    assert kinds(mlp(4, 2, hidden=[])) == ["Flatten", "Linear"]


def test_cnn_is_what_its_options_say():
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    model = cnn((3, 12, 8), 5, channels=[4, 6], hidden=[7])
    assert kinds(model) == (
        [*block, *block, "MaxPool2d"] * 2
        + ["Flatten", "Dropout", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]
    )
    widths = [m.weight.shape[:2] for m in model if isinstance(m, nn.Conv2d)]
    assert widths == [(4, 3), (4, 4), (6, 4), (6, 6)]
    assert model[-5].weight.shape == (7, 6 * 3 * 2)
    assert model(tg.zeros(2, 3, 12, 8)).shape == (2, 5)
    bare = cnn((1, 9, 9), 2, channels=[4], convolutions=1, hidden=[], dropout=0, batch_norm=False)
    assert kinds(bare) == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear"]
    assert bare[0].bias is not None and model[0].bias is None
    assert bare(tg.zeros(1, 1, 9, 9)).shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cnn(64, 10), r"samples of shape 64: expected \(channels, height, width\)"),
        (lambda: cnn((1, 8, 8), 10, channels=[2] * 4), "4 blocks, .* leave nothing of 8x8"),
        (lambda: cnn((1, 8, 8), 10, channels=[0]), "channels of 0: expected 1 to 65536"),
        (lambda: cnn((1, 8, 8), 10, convolutions=0), "convolutions of 0"),
        (lambda: mlp(64, 10, hidden=[70000]), "hidden of 70000"),
        (lambda: mlp(64, 10, dropout=1), "dropout 1: expected a number from 0 to below 1"),
        (lambda: mlp(64, 10, activation="Relu"), "activation 'Relu': expected a class of nn"),
        (lambda: mlp(64, 10, activation="init"), "activation 'init'"),
    ],
)
def test_models_refuse_what_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- optimizers and schedules ----


@pytest.mark.parametrize("name", OPTIMIZER.names)
def test_every_optimizer_is_made(name):
    if name == "Muon":  # takes matrices only
        with pytest.raises(ConfigError, match="optimizer: Muon"):
            built(optimizer={"name": name})
        return
    table = {"name": name} | ({"optimizer": {"name": "SGD"}} if name in WRAPPERS else {})
    assert type(built(optimizer=table).optimizer).__name__ == name


def test_group_options_reach_the_groups():
    parts = built(optimizer={"name": "sgd", "lr": 0.5, "l1": 0.1, "max_grad_norm": 2.0})
    (group,) = parts.optimizer.param_groups
    assert (group["lr"], group["l1"], group["max_grad_norm"]) == (0.5, 0.1, 2.0)


def test_a_wrapped_optimizer_is_made_of_its_table():
    parts = built(optimizer={"name": "Lookahead", "k": 3, "optimizer": {"name": "SGD", "lr": 0.25}})
    assert parts.optimizer.k == 3
    assert parts.optimizer.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("name", SCHEDULE.names)
def test_every_schedule_is_made(name):
    parts = built(schedule={"name": name, **NEEDS.get(name, {})})
    if name == "none":
        assert parts.schedule is None
    else:
        assert type(parts.schedule).__name__ == name


def rates(parts, count):
    return lr_scheduler.values(parts.schedule, count)[0]


def test_one_cycle_takes_peak_and_length_from_the_run():
    parts = built(schedule={"name": "one-cycle"}, optimizer={"name": "adam", "lr": 0.25})
    found = rates(parts, TOTAL)
    assert parts.interval == "step"
    assert found.max() == 0.25
    assert found[0] == pytest.approx(0.25 / 25)
    assert found[-1] == pytest.approx(0.25 / 25 / 1e4)
    momentum = parts.optimizer.param_groups[0]["betas"][0]
    assert momentum == 0.95


def test_one_cycle_cycles_no_momentum_where_there_is_none():
    parts = built(schedule={"name": "one-cycle"}, optimizer={"name": "adagrad", "lr": 0.25})
    assert rates(parts, TOTAL).max() == 0.25


def test_cosine_ends_with_the_run():
    parts = built(schedule={"name": "cosine-annealing"}, optimizer={"name": "sgd", "lr": 1.0})
    assert parts.interval == "epoch"
    np.testing.assert_allclose(rates(parts, 4), [1, 0.75, 0.25, 0], atol=1e-12)
    by_step = built(schedule={"name": "cosine-annealing", "interval": "step"})
    assert rates(by_step, TOTAL + 1)[-1] == pytest.approx(0, abs=1e-12)


def test_a_warm_up_goes_before_any_schedule():
    parts = built(
        schedule={"name": "exponential", "gamma": 0.5, "warmup": 2},
        optimizer={"name": "sgd", "lr": 1.0},
    )
    schedule = lr_scheduler.ExponentialLR(
        tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0), gamma=0.5
    )
    expected = lr_scheduler.values(lr_scheduler.WarmupLR(schedule, warmup_steps=2), 5)
    np.testing.assert_array_equal(rates(parts, 5), expected[0])


def test_refusals_of_the_parts_say_where():
    for tables, message in [
        ({"optimizer": {"name": "sgd", "lr": -1.0}}, "optimizer: Invalid learning rate: -1.0"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "optimizer: Nesterov"),
        ({"schedule": {"name": "linear", "interval": "batch"}}, "interval: got 'batch'"),
        ({"model": {"name": "cnn", "channels": [2] * 5}}, "model: cnn: 5 blocks"),
        ({"augment": [{"name": "RandomAffine", "degrees": -3}]}, "augment: RandomAffine"),
        ({"data": {"name": "sines"}, "train": {"mixup": 0.5}}, "this is a regression"),
        ({"data": {"name": "sines"}, "train": {"monitor": "val_accuracy"}}, "no val_accuracy"),
    ]:
        with pytest.raises(ConfigError, match=message):
            built(**tables)


# ---- augmentation ----


def test_smoothing_spreads_a_share_of_the_target_evenly():
    transform = BatchTransform([], 4, label_smoothing=0.2)
    x, y = transform(tg.ones(2, 1, 2, 2), tg.tensor([1, 3]))
    assert x.tolist() == tg.ones(2, 1, 2, 2).tolist()
    np.testing.assert_allclose(y.numpy(), [[0.05, 0.85, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]])


def test_smoothed_targets_have_the_loss_of_a_smoothed_cross_entropy():
    tg.manual_seed(0)
    logits, y = tg.randn(5, 4), tg.tensor([1, 3, 0, 2, 2])
    _, soft = BatchTransform([], 4, label_smoothing=0.2)(logits, y)
    expected = nn.CrossEntropyLoss(label_smoothing=0.2)(logits, y)
    assert nn.CrossEntropyLoss()(logits, soft).item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_mixing_and_smoothing_targets_stay_classes():
    y = tg.tensor([1, 3])
    assert BatchTransform([lambda x: x * 2], 4)(tg.ones(2, 1), y)[1] is y


@pytest.mark.parametrize(
    "options", [{"mixup": 0.5}, {"cutmix": 0.5}, {"mixup": 1.0, "cutmix": 1.0}]
)
def test_mixed_targets_are_shares_of_classes(options):
    tg.manual_seed(0)
    transform = BatchTransform([], 3, label_smoothing=0.1, **options)
    _, y = transform(tg.rand(6, 1, 8, 8), tg.tensor([0, 1, 2, 0, 1, 2]))
    np.testing.assert_allclose(y.numpy().sum(1), np.ones(6), rtol=1e-5)
    assert (y.numpy() >= 0.1 / 3 - 1e-6).all()


def test_strength_scales_what_is_a_strength():
    options = {"degrees": [-10, 20], "translate": [0.1, 0.2], "scale": [0.5, 1.5], "fill": 3}
    found = strengthen(options | {"p": 0.75, "interpolation": "bilinear"}, 0.5)
    assert found == {
        "degrees": [-5.0, 10.0],
        "translate": [0.05, 0.1],
        "scale": [0.75, 1.25],
        "fill": 3,
        "p": 0.375,
        "interpolation": "bilinear",
    }
    assert strengthen({"p": 0.75, "scale": [0.5, 2]}, 2) == {"p": 1.0, "scale": [0.01, 3]}


def test_augmentation_is_in_training_only_and_ends_at_strength_0():
    table = {"name": "RandomAffine", "degrees": 45}
    parts = built(augment=[table])
    x = parts.splits.train.tensors[0][:4]
    moved, _ = parts.batch_transform(x, tg.zeros(4, dtype=tg.int64))
    assert (moved != x).any().item()
    still = built(augment=[table], train={"augment_strength": 0})
    assert still.batch_transform(x, tg.zeros(4, dtype=tg.int64))[0] is x


# ---- data ----


@pytest.mark.parametrize("name", ["digits", "moons", "spirals", "blobs", "sines"])
def test_splits_do_not_overlap_and_follow_the_seed(name):
    first, again, other = (built(data={"name": name, "seed": seed}).splits for seed in (1, 1, 2))
    parts = [part.tensors[0].numpy() for part in (first.train, first.val, first.test)]
    flat = [row.tobytes() for part in parts for row in part]
    assert len(set(flat)) >= len(flat) - 1  # two digits may look the same
    assert (first.test.tensors[0] == again.test.tensors[0]).all().item()
    assert first.test.tensors[0].tolist() != other.test.tensors[0].tolist()


def test_a_part_of_the_training_images_validates():
    """Of sets that come with training and test images."""
    from tinygrad_lessons.train.config.data import _downloaded

    class Tiny:
        """Ten images of each of two classes."""

        classes = ("a", "b")

        def __init__(self, root, train, download):
            count = 20 if train else 6
            self.images = tg.arange(count).float().view(count, 1, 1, 1)
            self.labels = tg.arange(count) % 2

    splits = _downloaded("tiny", Tiny)(val=0.2, seed=3)
    train, val = (set(part.tensors[0].flatten().tolist()) for part in (splits.train, splits.val))
    assert train | val == set(range(20)) and not train & val
    assert splits.val.tensors[1].tolist().count(0) == splits.val.tensors[1].tolist().count(1) == 2
    assert len(splits.test) == 6


def test_a_table_is_classified_or_regressed(tmp_path):
    path = tmp_path / "fruit.csv"
    rows = [f"{i % 7},{'red' if i % 3 else 'green'},{'ab'[i % 2]}" for i in range(60)]
    path.write_text("\n".join(["weight,colour,kind", *rows]) + "\n")
    parts = built(data={"name": "csv", "path": str(path), "target": "kind"})
    assert parts.splits.shape == (3,)  # a number and two colours
    assert parts.splits.classes == ("a", "b")
    parts = built(data={"name": "csv", "path": str(path), "target": "weight"})
    assert (parts.splits.classes, parts.splits.outputs) == ((), 1)
    assert isinstance(parts.loss, nn.MSELoss)
