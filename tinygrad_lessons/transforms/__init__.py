"""Augmentation: torchvision's transforms (v2), on single images and on whole batches.

A transform takes an image (C, H, W), or a batch (N, C, H, W) of which each image draws parameters of its own, in one compiled
call. uint8, float32 and float64; float images have values between 0 and 1 where that matters, as in torchvision.

>>> import tinygrad_lessons as tg
>>> from tinygrad_lessons import transforms as T
>>> augment = T.Compose([T.RandomAffine(10, translate=(0.1, 0.1)), T.RandomHorizontalFlip()])
>>> augment(tg.rand(32, 1, 28, 28)).shape
torch.Size([32, 1, 28, 28])
"""

from tinygrad_lessons.transforms import functional
from tinygrad_lessons.transforms._transform import Transform
from tinygrad_lessons.transforms.contact_sheet import show
from tinygrad_lessons.transforms.containers import Compose, Lambda, RandomApply, RandomChoice
from tinygrad_lessons.transforms.conversion import ToDtype, ToImage, ToTensor
from tinygrad_lessons.transforms.functional import InterpolationMode
from tinygrad_lessons.transforms.geometry import (
    CenterCrop,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)
from tinygrad_lessons.transforms.mix import CutMix, MixUp
from tinygrad_lessons.transforms.values import (
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    Normalize,
    RandomErasing,
)

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "CutMix", "GaussianBlur", "GaussianNoise", "InterpolationMode", "Lambda", "MixUp",
    "Normalize", "Pad", "RandomAffine", "RandomApply", "RandomChoice", "RandomCrop", "RandomErasing", "RandomHorizontalFlip",
    "RandomResizedCrop", "RandomRotation", "RandomVerticalFlip", "Resize", "ToDtype", "ToImage", "ToTensor", "Transform",
    "functional", "show",
]  # fmt: skip
