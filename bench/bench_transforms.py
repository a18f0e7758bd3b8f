"""Augmenting batches of small images: one call of ours, a call for each image of OpenCV's."""

import numpy as np
import pytest

COUNT = 256
SIDES = (28, 32)


def of_batches(mode):
    return [pytest.param(side, mode, id=f"affine {mode} {COUNT}x{side}x{side}") for side in SIDES]


def transforms_of(framework):
    return pytest.importorskip(f"{framework.__name__}.transforms", reason="no transforms here")


@pytest.mark.parametrize("side, mode", of_batches("nearest") + of_batches("bilinear"))
def bench_affine(measure, framework, opencv, numbers, side, mode):
    """Ours draws the amounts, too; OpenCV gets its matrices made before, and memory to write to."""
    images = numbers(COUNT, 1, side, side)
    if opencv:
        flags = opencv.INTER_LINEAR if mode == "bilinear" else opencv.INTER_NEAREST
        middle = ((side - 1) / 2, (side - 1) / 2)
        angles = np.random.default_rng(0).uniform(-15, 15, COUNT)
        matrices = [opencv.getRotationMatrix2D(middle, angle, 1.0) for angle in angles]
        work = list(zip(images[:, 0], matrices, np.empty_like(images[:, 0]), strict=True))
        measure(
            "for image, matrix, out in work: warp(image, matrix, size, out, flags)",
            warp=opencv.warpAffine, work=work, size=(side, side), flags=flags, moved=8 * images.size,
        )  # fmt: skip
        return
    transforms = transforms_of(framework)
    augment = transforms.RandomAffine(
        15, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=10,
        interpolation=transforms.InterpolationMode(mode),
    )  # fmt: skip
    measure("augment(x)", augment=augment, x=framework.tensor(images), moved=8 * images.size)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(
    "name", ["RandomAffine", "RandomCrop", "RandomResizedCrop", "GaussianBlur", "ColorJitter"]
)
def bench_transform(measure, ours, numbers, name, dtype):
    transforms = transforms_of(ours)
    arguments = {"RandomAffine": (15,), "ColorJitter": (0.2, 0.2, 0.2, 0.1), "GaussianBlur": (5,)}
    augment = getattr(transforms, name)(*arguments.get(name, (28,)))
    x = numbers(64, 3, 32, 32, high=200 if dtype == "uint8" else 0.9)
    measure("augment(x)", augment=augment, x=ours.tensor(x.astype(dtype)), moved=2 * x.size)
