"""Products of matrices: squares, and the shapes a backward pass brings."""

import pytest

SQUARES = {16: 7, 32: 2.2, 64: 1.15, 128: 1.05, 256: 1.05, 512: 1.05}


@pytest.mark.parametrize(
    "n", [pytest.param(n, marks=pytest.mark.target(ratio)) for n, ratio in SQUARES.items()]
)
def bench_matmul(measure, tensor, n):
    measure("a @ b", a=tensor(n, n), b=tensor(n, n))


@pytest.mark.target(1.15)
def bench_matmul_32x64x128(measure, tensor):
    measure("a @ b", a=tensor(32, 64), b=tensor(64, 128))


@pytest.mark.target(1.15)
def bench_matmul_64x32x128_first_transposed(measure, tensor):
    measure("a @ b", a=tensor(32, 64).T, b=tensor(32, 128))


@pytest.mark.target(1.15)
def bench_matmul_32x128x64_second_transposed(measure, tensor):
    measure("a @ b", a=tensor(32, 128), b=tensor(64, 128).T)


@pytest.mark.target(1.2)
def bench_matmul_1x512x512_second_transposed(measure, tensor):
    measure("a @ b", a=tensor(1, 512), b=tensor(512, 512).T)
