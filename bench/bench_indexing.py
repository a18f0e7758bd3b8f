"""Rows and elements by their indices."""

ROWS, COLUMNS, PICKED = 4096, 64, 2048
INDEX = {"low": 0, "high": ROWS, "dtype": "int64"}
ELEMENTS, MOVED = PICKED * COLUMNS, 8 * PICKED * COLUMNS


def bench_rows_by_index(measure, tensor):
    measure(
        "x[i]", x=tensor(ROWS, COLUMNS), i=tensor(PICKED, **INDEX), operations=ELEMENTS, moved=MOVED
    )


def bench_rows_written_by_index(measure, tensor):
    measure(
        "x[i] = y", x=tensor(ROWS, COLUMNS), i=tensor(PICKED, **INDEX), y=tensor(PICKED, COLUMNS),
        operations=ELEMENTS, moved=MOVED,
    )  # fmt: skip


def bench_rows_added_by_index(measure, taped, tensor):
    measure(
        "x.index_add_(0, i, y)",
        x=tensor(ROWS, COLUMNS), i=tensor(PICKED, **INDEX), y=tensor(PICKED, COLUMNS),
        operations=ELEMENTS, moved=MOVED + MOVED // 2,
    )  # fmt: skip


def bench_elements_by_two_indices(measure, tensor):
    i, j = tensor(PICKED, **INDEX), tensor(PICKED, **(INDEX | {"high": COLUMNS}))
    measure("x[i, j]", x=tensor(ROWS, COLUMNS), i=i, j=j, operations=PICKED, moved=24 * PICKED)


def bench_nonzero(measure, framework, tensor):
    x = tensor(ROWS) < 0.5
    measure("nonzero(x)", nonzero=framework.nonzero, x=x, operations=ROWS, moved=5 * ROWS)
