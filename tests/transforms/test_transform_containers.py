"""Containers, conversions, mixing within a batch, and the contact sheet."""

import numpy as np
import pytest
from images import image
from scipy import stats

import tinygrad_lessons as tg
from tinygrad_lessons import nn
from tinygrad_lessons import transforms as T
from tinygrad_lessons.transforms.mix import beta_draw

# ---- containers ----


def test_compose_goes_in_order():
    add, double = T.Lambda(lambda x: x + 1), T.Lambda(lambda x: 2 * x)
    x = tg.ones(1, 1, 1)
    assert T.Compose([add, double])(x).item() == 4 and T.Compose([double, add])(x).item() == 3
    assert nn.Sequential(add, double)(x).item() == 4
    assert "RandomHorizontalFlip(p=0.5)" in repr(T.Compose([T.RandomHorizontalFlip()]))


def test_random_apply_is_by_image():
    tg.manual_seed(0)
    out = T.RandomApply([T.Lambda(lambda x: x + 1), T.Lambda(lambda x: 2 * x)], 0.3)(
        tg.zeros(3000, 1, 2, 2)
    )
    changed = (out == 2).all((1, 2, 3))
    assert ((out == 0).all((1, 2, 3)) | changed).all()
    assert abs(int(changed.sum()) - 900) < 110
    with pytest.raises(ValueError, match="single images"):
        T.RandomApply([T.Resize(3)])(tg.zeros(20, 1, 2, 2))
    assert T.RandomApply([T.Resize(3)], p=1.0)(tg.zeros(1, 2, 2)).shape == (1, 3, 3)


def test_random_choice_has_its_weights():
    tg.manual_seed(0)
    adds = [T.Lambda(lambda x, k=k: x + k) for k in (1, 2, 3)]
    out = T.RandomChoice(adds, p=[1, 0, 3])(tg.zeros(2000, 1, 1, 1)).numpy().ravel()
    counts = [(out == k).sum() for k in (1, 2, 3)]
    assert counts[1] == 0 and sum(counts) == 2000 and abs(counts[0] - 500) < 90
    assert T.RandomChoice(adds, p=[0, 1, 0])(tg.zeros(1, 1, 1)).item() == 2


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: T.Compose([]), TypeError), (lambda: T.Compose([3]), TypeError), (lambda: T.Lambda(3), TypeError),
        (lambda: T.RandomApply([T.Pad(1)], p=2), ValueError), (lambda: T.RandomChoice([T.Pad(1)], p=[1, 2]), ValueError),
        (lambda: T.MixUp(alpha=0), ValueError), (lambda: T.ToDtype(tg.int64, scale=True), ValueError),
    ],
)  # fmt: skip
def test_errors(make, error):
    with pytest.raises(error):
        make()


# ---- conversions ----


def test_conversions():
    pixels = np.arange(24, dtype="uint8").reshape(2, 4, 3)
    assert np.array_equal(T.ToImage()(pixels).numpy(), pixels.transpose(2, 0, 1))
    x = tg.arange(256, dtype=tg.int64).to(tg.uint8).reshape(1, 16, 16)
    floats = T.ToDtype(tg.float32, scale=True)(x)
    assert np.array_equal(floats.numpy(), x.numpy() / np.float32(255))
    assert tg.equal(T.ToDtype(tg.uint8, scale=True)(floats), x)
    assert T.ToDtype(tg.float64)(x).max() == 255
    assert np.array_equal(T.ToTensor()(pixels).numpy(), pixels.transpose(2, 0, 1) / np.float32(255))


# ---- mixing ----


@pytest.mark.parametrize("alpha", [0.2, 0.4, 1.0, 3.0])
def test_shares_are_beta(alpha):
    tg.manual_seed(0)
    shares = [beta_draw(alpha) for _ in range(3000)]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_mixup_is_its_formula():
    tg.manual_seed(0)
    x, pixels = image(4, 1, 3, 3)
    labels = tg.tensor([2, 0, 1, 1])
    mixed, soft = T.MixUp(alpha=0.7, num_classes=3)(x, labels)
    share = soft[0, 2].item()
    assert 0 < share < 1 and soft.dtype == x.dtype
    hot = np.eye(3)[[2, 0, 1, 1]]
    assert np.allclose(
        soft.numpy(), share * hot + (1 - share) * np.roll(hot, 1, 0), rtol=0, atol=1e-15
    )
    expected = share * pixels + (1 - share) * np.roll(pixels, 1, 0)
    assert np.allclose(mixed.numpy(), expected, rtol=0, atol=1e-14)
    loss = nn.CrossEntropyLoss()(tg.randn(4, 3).double(), soft)
    assert loss.item() > 0


@pytest.mark.parametrize("dtype", [tg.uint8, tg.float32])
def test_cutmix_labels_are_shares_of_the_area(dtype):
    tg.manual_seed(0)
    numbers = tg.arange(5).to(dtype).reshape(5, 1, 1, 1).expand(5, 2, 20, 30)
    seen = set()
    for _ in range(40):
        mixed, soft = T.CutMix(num_classes=5)(numbers, tg.arange(5))
        foreign = mixed[1, 0].numpy() == 0
        share = 1 - foreign.mean()
        assert set(np.unique(mixed[1].numpy())) <= {0, 1}
        assert soft[1].tolist() == pytest.approx([1 - share, share, 0, 0, 0], abs=1e-6)
        rows, columns = foreign.any(1), foreign.any(0)
        assert foreign.sum() == rows.sum() * columns.sum()
        seen.add(foreign.sum())
    assert len(seen) > 20


def test_mixing_says_what_it_needs():
    x = tg.zeros(4, 1, 3, 3)
    with pytest.raises(ValueError, match="num_classes"):
        T.MixUp()(x, tg.zeros(4, dtype=tg.int64))
    with pytest.raises(ValueError, match="label for each"):
        T.MixUp(num_classes=2)(x, tg.zeros(3, dtype=tg.int64))
    with pytest.raises(ValueError, match="batch"):
        T.CutMix(num_classes=2)(x[0], tg.zeros(1, dtype=tg.int64))
    with pytest.raises(TypeError, match="float"):
        T.MixUp(num_classes=2)(x.to(tg.uint8), tg.zeros(4, dtype=tg.int64))
    soft = T.MixUp()(x, tg.full((4, 2), 0.5))[1]
    assert np.allclose(soft.numpy(), 0.5)


# ---- the contact sheet ----


def test_contact_sheet_shows_before_and_after():
    pytest.importorskip("matplotlib")
    x, pixels = image(3, 1, 5, 6)
    figure = T.show(x, T.RandomHorizontalFlip(1.0), versions=2)
    before, after = (axes.get_images()[0].get_array() for axes in figure.axes)
    assert before.shape == (3 * 6 - 1, 6, 3) and after.shape == (17, 2 * 7 - 1, 3)
    assert np.allclose(before[6:11, :, 0], pixels[1, 0]) and np.allclose(
        after[12:17, 7:, 2], pixels[2, 0, :, ::-1]
    )
    assert [axes.get_title() for axes in figure.axes] == ["before", "after"]
    with pytest.raises(ValueError, match="channels"):
        T.show(tg.zeros(2, 2, 5, 5), T.Pad(1))
