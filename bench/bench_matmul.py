"""Products of matrices: squares, and the shapes that a backward pass brings."""

import pytest


def case(m, k, n, layout=""):
    return pytest.param(m, k, n, layout, id=f"matmul {m}x{k}x{n} {layout}".rstrip())


def square(n, dtype="float32", suffix=""):
    return pytest.param(n, dtype, id=f"matmul {n}{suffix}")


@pytest.mark.parametrize(
    "n, dtype",
    [
        *map(square, (16, 32, 64, 128, 256, 512, 768, 1024, 2048)),
        square(256, "float64", suffix=" float64"),
    ],
)
def bench_square(measure, tensor, n, dtype):
    a, b = tensor(n, n, dtype=dtype), tensor(n, n, dtype=dtype)
    size = 8 if dtype == "float64" else 4
    measure("a @ b", a=a, b=b, operations=2 * n**3, moved=3 * size * n**2)


@pytest.mark.parametrize(
    "m, k, n, layout",
    [case(32, 64, 128), case(64, 32, 128, "tn"), case(32, 128, 64, "nt"), case(1, 512, 512, "nt")],
)
def bench_backward_shape(measure, tensor, m, k, n, layout):
    """Layout: n for an operand as it is, t for the transposed view of one."""
    a = tensor(k, m).T if layout == "tn" else tensor(m, k)
    b = tensor(n, k).T if layout == "nt" else tensor(k, n)
    measure("a @ b", a=a, b=b, operations=2 * m * k * n, moved=4 * (m * k + k * n + m * n))
