"""datasets: tables from CSV files, and synthetic sets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lessons as tg
from tinygrad_lessons.datasets import (
    Blobs,
    CSVDataset,
    DatasetError,
    Moons,
    Sines,
    Spirals,
    make_blobs,
    make_moons,
    make_sines,
    make_spirals,
)
from tinygrad_lessons.utils.data import DataLoader

FRUIT = """weight,colour,"price, €",fruit
100,red,1.5,apple
120,green,2.5,apple
80,"dark
red",0.5,plum
300,green,3.5,melon
"""


@pytest.fixture
def table(tmp_path):
    """Writes a file and reads it; the path stays the same."""
    path = tmp_path / "table.csv"

    def table(text, *args, **options):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return CSVDataset(path, *args, **options)

    table.path = path
    return table


def standardised(values):
    values = np.array(values, float)
    return ((values - values.mean()) / values.std()).astype(np.float32)


def test_columns_by_type(table):
    data = table(FRUIT, "fruit")
    expected = [standardised([100, 120, 80, 300]), standardised([1.5, 2.5, 0.5, 3.5])]
    np.testing.assert_array_equal(data.features.numpy(), np.stack(expected, 1))
    assert [c.name for c in data.columns] == ["weight", "colour", "price, €"]
    assert [c.kind for c in data.columns] == ["number", "category", "number"]
    assert data.columns[1].categories == ("dark\nred", "green", "red")
    assert data.codes.tolist() == [[2], [1], [0], [1]]
    assert data.classes == ("apple", "melon", "plum")
    assert data.labels.tolist() == [0, 0, 2, 1]
    x, codes, y = data[3]
    assert (tuple(x.shape), codes.tolist(), y.item()) == ((2,), [1], 1)
    assert data.columns[0].mean == 150 and data.columns[0].std == np.std([100, 120, 80, 300])


def test_a_target_of_numbers_and_none(table):
    data = table(FRUIT, "weight", types={"colour": "ignore", "fruit": "ignore"})
    assert (data.labels.dtype, data.labels.tolist()) == (tg.float32, [[100], [120], [80], [300]])
    assert data.classes == () and data.codes is None
    assert len(data[0]) == 2
    assert len(table(FRUIT)[0]) == 2  # features and codes
    assert table(FRUIT).labels is None


def test_numbers_as_classes(table):
    data = table("x,y\n1,10\n2,9\n3,10\n", "y", types={"y": "category"})
    assert data.classes == ("9", "10")
    assert data.labels.tolist() == [1, 0, 1]


def test_one_hot(table):
    data = table(FRUIT, "fruit", one_hot=True, standardise=False)
    assert data.features.tolist() == [
        [100, 1.5, 0, 0, 1], [120, 2.5, 0, 1, 0], [80, 0.5, 1, 0, 0], [300, 3.5, 0, 1, 0],
    ]  # fmt: skip
    assert len(data[0]) == 2


def test_a_constant_column_becomes_zeros(table):
    assert table("x\n5\n5\n").features.tolist() == [[0], [0]]
    data = table("x\n" + 60 * "0.1\n")  # its mean is rounded, so that no difference is zero
    assert data.columns[0].std == 1 and abs(data.features).max().item() < 1e-15
    assert table("x\n1e-300\n2e-300\n").columns[0].std == 1  # whose variance is too small


def test_an_underscore_is_no_digit(table):
    assert table("x\n1_2\n34\n").columns[0].categories == ("34", "1_2")


def test_other_delimiters_and_a_byte_order_mark(table):
    data = table("\ufeffa;b\n1;'x;y'\n\n2;z\n", delimiter=";", quotechar="'", standardise=False)
    assert [c.name for c in data.columns] == ["a", "b"]
    assert data.features.tolist() == [[1], [2]]
    assert data.columns[1].categories == ("x;y", "z")


def test_the_training_split_gives_the_statistics(table):
    draw = np.random.default_rng(0)
    values, kinds = draw.normal(5, 3, 200), draw.integers(0, 4, 200)
    text = "x,k\n" + "".join(f"{v!r},k{k}\n" for v, k in zip(values.tolist(), kinds, strict=True))
    parts = {name: table(text, "k", split=name, seed=1) for name in ("train", "val", "test")}
    train = parts["train"]
    assert abs(train.features.mean().item()) < 1e-6
    assert abs(np.std(train.features.numpy()) - 1) < 1e-6
    (column,) = train.columns
    seen = []
    for part in parts.values():
        assert part.columns == train.columns and part.classes == ("k0", "k1", "k2", "k3")
        seen += (part.features.numpy()[:, 0].astype(float) * column.std + column.mean).tolist()
    np.testing.assert_allclose(sorted(seen), sorted(values), atol=1e-5)
    assert abs(parts["test"].features.mean().item()) > 1e-3
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        counts = np.bincount(parts[part].labels.numpy())
        assert (abs(counts - share * np.bincount(kinds)) <= 1).all()


def test_statistics_of_another_file(table, tmp_path):
    train = table("x,c,y\n1,a,p\n3,b,q\n", "y")
    other = tmp_path / "other.csv"
    other.write_text("y,c,x,more\nq,b,5,?\np,unseen,1,?\n")
    test = CSVDataset(other, like=train)
    assert test.features.tolist() == [[3], [-1]]  # (x - 2) / 1
    assert test.codes.tolist() == [[1], [2]]
    assert test.labels.tolist() == [1, 0]
    other.write_text("y,c,x\nr,a,5\n")
    with pytest.raises(
        DatasetError, match=r"line 2, column 'y': the class 'r' is not among .*'p', 'q'"
    ):
        CSVDataset(other, like=train)
    other.write_text("y,x\nr,5\n")
    with pytest.raises(DatasetError, match="there is no column 'c', only 'y', 'x'"):
        CSVDataset(other, like=train)


GAPS = "x,c,y\n1,a,p\n,b,q\n3,NA,p\n5,b,?\n"


def test_missing_values(table):
    with pytest.raises(DatasetError, match=r"table.csv, line 3, column 'x': the value is missing"):
        table(GAPS, "y")
    data = table(GAPS, "y", missing="drop", standardise=False)
    assert (data.features.tolist(), data.codes.tolist(), data.labels.tolist()) == (
        [[1]],
        [[0]],
        [0],
    )
    data = table(GAPS, "y", missing="fill", standardise=False)
    assert data.features.tolist() == [[1], [2], [3]]  # 2: the mean of 1 and 3
    assert data.columns[1].categories == ("", "a", "b")
    assert data.codes.tolist() == [[1], [2], [0]]
    assert data.classes == ("p", "q")
    assert table(GAPS, "y", missing="fill").features[1].item() == 0
    data = table("x\n-1\n7\n", missing="fill", missing_values=["-1"], standardise=False)
    assert data.features.tolist() == [[7], [7]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "no line with the names"),
        ("a,b\n", {}, "no row below"),
        ("a,a\n1,2\n", {}, "line 1: two columns are called 'a'"),
        ("a,b\n1,2\n3\n", {}, "line 3: got 1 fields, expected 2"),
        ('a,b\n"1\n2",2\n3\n', {}, "line 4: got 1 fields"),
        ("a,b\n1,2,3\n", {}, "line 2: got 3 fields, expected 2"),
        ('a,b\n1,"2\n', {}, "line 2: unexpected end of data"),
        ('a,b\n1,"2"x\n', {}, "line 2: ',' expected after '\"'"),
        ("a\n1\ntwo\n", {"types": {"a": "number"}}, "line 3, column 'a': got 'two': expected a finite"),
        ("a\n1\n1_2\n", {"types": {"a": "number"}}, "line 3, column 'a': got '1_2'"),
        ("a\n1\ninf\n", {"types": {"a": "number"}}, "line 3, column 'a': got 'inf'"),
        ("a\n1\n", {"target": "b"}, "there is no column 'b', only 'a'"),
        ("a\n1\n", {"types": {"b": "number"}}, "there is no column 'b'"),
        ("a,b\n1,\n2,\n", {"missing": "fill"}, "column 'b': all values are missing"),
        ("a,b\n1,\n", {"missing": "drop", "types": {"b": "number"}}, "no row is left"),
        ("a,b\n1,\n", {"missing": "fill", "types": {"b": "number"}}, "column 'b': all values are missing"),
        ("a\n1\n2\n", {"split": "test"}, "2 rows are too few for a split 'test'"),
        (b"a\n\xff\n", {}, "not UTF-8 .* byte 0xff"),
        ("a\n1\n\0\n", {"types": {"a": "number"}}, "line 3, column 'a': got '.x00'"),
    ],
)  # fmt: skip
def test_wrong_tables(table, text, options, message):
    with pytest.raises(DatasetError, match=message) as caught:
        table(text, **options)
    assert str(table.path) in str(caught.value)


def test_no_such_table(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read .No such file"):
        CSVDataset(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="cannot be read .Is a directory"):
        CSVDataset(tmp_path)


@pytest.mark.parametrize(
    "options", [{"missing": "mean"}, {"types": {"weight": "int"}}, {"split": "dev"}]
)
def test_wrong_arguments(table, options):
    with pytest.raises(ValueError, match="CSVDataset: got"):
        table(FRUIT, **options)


@given(st.integers(0, len(FRUIT.encode()) - 1), st.binary(max_size=2))
def test_damaged_tables(tmp_path_factory, at, put):
    path = tmp_path_factory.mktemp("fuzz") / "table.csv"
    data = FRUIT.encode()
    path.write_bytes(data[:at] + put + data[at + 1 :])
    try:
        read = CSVDataset(path, missing="fill")
    except DatasetError as error:
        assert str(path) in str(error)
    else:
        assert np.isfinite(read.features.numpy()).all()


# ---- synthetic sets ----


def test_moons_lie_on_their_circles():
    points, labels = make_moons(101)
    x, y = points.double().numpy().T
    upper = labels.numpy() == 0
    assert upper.sum() == 50
    np.testing.assert_allclose(np.hypot(x, y)[upper], 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(x - 1, y - 0.5)[~upper], 1, atol=1e-6)
    assert (y[upper] >= -1e-6).all() and (y[~upper] <= 0.5 + 1e-6).all()


def test_spirals():
    points, labels = make_spirals(90, turns=2, classes=3)
    x, y = points.double().numpy().T
    k = labels.numpy()
    r = np.tile(np.linspace(0, 1, 30), 3)
    np.testing.assert_allclose(np.hypot(x, y), r, atol=1e-6)
    angle = 2 * math.pi * (2 * r + k / 3)
    np.testing.assert_allclose(x * np.sin(angle), y * np.cos(angle), atol=1e-6)
    assert np.bincount(make_spirals(8, classes=3)[1].numpy()).tolist() == [3, 3, 2]


def test_blobs():
    points, labels = make_blobs(
        3000, centers=[[0.0, 5.0], [9.0, -1.0]], std=0.5, generator=tg.Generator()
    )
    for k, center in enumerate([[0, 5], [9, -1]]):
        cloud = points.numpy()[labels.numpy() == k]
        # mean of 1500: standard deviation 0.5 / sqrt(1500) = 0.013
        np.testing.assert_allclose(cloud.mean(0), center, atol=0.065)
        np.testing.assert_allclose(cloud.std(0), 0.5, atol=0.05)
    points, _ = make_blobs(50, centers=5, std=0.0, box=(2, 3), features=4)
    assert tuple(points.shape) == (50, 4)
    assert 2 <= points.min().item() <= points.max().item() <= 3
    assert len({tuple(p) for p in points.tolist()}) == 5


def test_sines():
    x, y = make_sines(500, frequencies=(2.0,))
    np.testing.assert_allclose(y.numpy(), np.sin(4 * math.pi * x.double().numpy()) / 2, atol=2e-6)
    assert -1 <= x.min().item() < -0.9 and 0.9 < x.max().item() < 1
    generator = tg.Generator().manual_seed(1)
    x, y = make_sines(2000, noise=0.3, generator=generator)
    rest = y.numpy() - sum(np.sin(2 * math.pi * f * x.numpy()) / f for f in (1.0, 3.0))
    assert abs(rest.std() - 0.3) < 0.03


@pytest.mark.parametrize(("kind", "classes"), [(Moons, 2), (Spirals, 2), (Blobs, 3), (Sines, 0)])
def test_synthetic_splits(kind, classes):
    def rows(split, seed=0):
        data = kind(split, samples=200, seed=seed)
        return [tuple(x.flatten().tolist()) + (y.item(),) for x, y in data]

    before = tg.get_rng_state()
    parts = [rows(split) for split in ("train", "val", "test")]
    assert tg.equal(tg.get_rng_state(), before)
    assert [len(part) for part in parts] == [140, 30, 30]
    assert sorted(sum(parts, [])) == sorted(rows("all"))
    assert rows("val") == parts[1] != rows("val", seed=1)
    with pytest.raises(ValueError, match=f"{kind.__name__}: got split 'valid'"):
        kind("valid")
    assert len(kind().classes) == classes
    features, labels = next(iter(DataLoader(kind(), batch_size=8)))
    assert len(features) == 8
    assert labels.dtype == (tg.int64 if classes else tg.float32)
