"""Every random transform: images of a batch have streams of their own; the same bits on any number of threads."""

import numpy as np
import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import transforms as T

pytestmark = pytest.mark.kernel
BILINEAR = T.InterpolationMode.BILINEAR
RANDOM = [
    T.RandomAffine(30, (0.1, 0.1), (0.8, 1.2), 10, BILINEAR),
    T.RandomRotation(30),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(),
    T.RandomCrop(24, padding=3, padding_mode="reflect"),
    T.RandomResizedCrop(20),
    T.RandomErasing(0.7),
    T.RandomErasing(1.0, value="random"),
    T.ColorJitter(0.4, 0.4, 0.4, 0.2),
    T.GaussianNoise(),
    T.GaussianBlur(5),
    T.RandomApply([T.GaussianBlur(3)]),
    T.RandomChoice([T.RandomRotation(40), T.GaussianBlur(3), T.RandomVerticalFlip(1.0)]),
]


def run(transform, images, seed=0, threads=1):
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        tg.manual_seed(seed)
        return transform(images).numpy()
    finally:
        tg.set_num_threads(before)


@pytest.fixture(scope="module")
def images():
    return tg.rand(300, 3, 28, 28)


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_the_seed_decides(transform, images):
    one = run(transform, images)
    assert np.array_equal(one, run(transform, images, threads=3))
    assert not np.array_equal(one, run(transform, images, seed=1))
    tg.manual_seed(0)
    first, second = transform(images).numpy(), transform(images).numpy()
    assert np.array_equal(first, one) and not np.array_equal(first, second)


@pytest.mark.parametrize("transform", RANDOM[:6] + RANDOM[8:9] + RANDOM[10:11], ids=repr)
def test_images_do_not_see_each_other(transform, images):
    whole = run(transform, images)
    assert np.array_equal(run(transform, images[:7]), whole[:7])
    assert np.array_equal(run(transform, images[0]), whole[0])
    turned = images.flip(0)
    turned[3] = images[3]
    assert np.array_equal(run(transform, turned)[3], whole[3])


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_images_differ_within_a_batch(transform):
    same = tg.rand(1, 3, 28, 28).expand(64, 3, 28, 28)
    out = run(transform, same)
    assert len({each.tobytes() for each in out}) >= 2


def test_a_large_image_is_cut_for_threads():
    large = tg.rand(1, 3, 500, 400)
    for transform in (RANDOM[0], RANDOM[4], RANDOM[5], RANDOM[10]):
        assert np.array_equal(run(transform, large), run(transform, large, threads=2))


def test_empty_batches_pass():
    for transform in RANDOM:
        assert transform(tg.zeros(0, 3, 28, 28)).shape[0] == 0


def test_what_else_is_given_is_handed_back(images):
    labels = tg.arange(300)
    for transform in RANDOM:
        _, same = transform(images, labels)
        assert same is labels
    _, same = T.Compose(RANDOM[:3])(images, labels)
    assert same is labels
