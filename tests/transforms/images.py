"""Images, and the geometry that transforms are compared with, in float64."""

import math

import numpy as np

import tinygrad_lessons as tg

DTYPES = ("uint8", "float32", "float64")


def image(*shape, dtype="float64", seed=0):
    """Random pixels: a tensor, and the array."""
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 256, shape) if dtype == "uint8" else draw.uniform(0, 1, shape)
    return tg.tensor(values.astype(dtype)), values.astype(dtype)


def forward_matrix(angle, translate, scale, shear, center):
    """T(translate) C RotateScaleShear C⁻¹ as a 3 x 3 matrix on (x, y, 1); angles in degrees."""
    angle, sx, sy = map(math.radians, (angle, *shear))

    def moved(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    shear_y = np.array([[1, 0, 0], [-math.tan(sy), 1, 0], [0, 0, 1]])
    shear_x = np.array([[1, -math.tan(sx), 0], [0, 1, 0], [0, 0, 1]])
    size = np.diag([scale, scale, 1])
    return (
        moved(*translate)
        @ moved(*center)
        @ turn
        @ shear_y
        @ shear_x
        @ size
        @ moved(-center[0], -center[1])
    )
