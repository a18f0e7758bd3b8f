"""save and load: everything survives, damage is noticed, a crash loses nothing."""

import io
import json
import math
import os
import pickle
import random
import subprocess
import sys
import time
from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lessons as tg
from tinygrad_lessons import serialization

DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]


def round_trip(obj):
    file = io.BytesIO()
    serialization.save(obj, file)
    file.seek(0)
    return serialization.load(file)


def assert_same(a, b):
    """Equal in types, order and bits."""
    assert type(a) is type(b)
    if isinstance(a, tg.Tensor):
        assert (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
        assert a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
    elif isinstance(a, dict):
        assert_same(list(a.items()), list(b.items()))
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, float):
        assert a == b or (math.isnan(a) and math.isnan(b))
        assert math.copysign(1, a) == math.copysign(1, b) or math.isnan(a)
    else:
        assert a == b


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (tg.ones(2), tg.zeros(2)),
        (tg.ones(2), -tg.ones(2)),
        (tg.ones(2), tg.ones(2, dtype=tg.float64)),
        (tg.ones(2), tg.ones(1, 2)),
        (tg.ones(2), tg.nn.Parameter(tg.ones(2))),
        ([1], (1,)),
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ({1: 2}, OrderedDict({1: 2})),
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
    ],
)
def test_assert_same_tells_apart(a, b):
    assert_same(a, a)
    with pytest.raises(AssertionError):
        assert_same(a, b)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(st.characters(codec=None), max_size=3),  # with lone surrogates
    st.sampled_from(["__metadata__", "", "tensor", "a.b"]),
)
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2).map(tuple), max_leaves=4)
tensors = st.builds(
    lambda array, grad: tg.tensor(array).requires_grad_(grad and array.dtype.kind == "f"),
    st.sampled_from(DTYPES).flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    ),
    st.booleans(),
)
parameters = st.builds(
    lambda t, grad: tg.nn.Parameter(t.detach(), grad and t.dtype in (tg.float32, tg.float64)),
    tensors,
    st.booleans(),
)
structures = st.recursive(
    st.one_of(scalars, tensors, parameters),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
    ),
    max_leaves=12,
)


@given(structures)
def test_round_trip(obj):
    assert_same(obj, round_trip(obj))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3,), (2, 3, 4)])
def test_dtypes_and_shapes(dtype, shape):
    array = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 200, shape)
    assert_same(tg.tensor(array.astype(dtype)), round_trip(tg.tensor(array.astype(dtype))))


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.t(),
        lambda t: t[:, 1:3],
        lambda t: t[::2, ::3],
        lambda t: t[1].expand(5, 6),
        lambda t: t[3, 4],
        lambda t: t.reshape(2, 2, 6).permute(2, 0, 1),
    ],
)
def test_layouts_that_are_not_contiguous(view):
    t = view(tg.arange(24.0).reshape(4, 6))
    loaded = round_trip({"t": t})["t"]
    assert loaded.tolist() == t.tolist()
    assert loaded.is_contiguous()


def test_loaded_tensors_can_be_written_and_trained():
    t = round_trip({"t": tg.ones(2, requires_grad=True)})["t"]
    assert t.is_leaf
    (t * 3).sum().backward()
    assert t.grad.tolist() == [3.0, 3.0]
    with tg.no_grad():
        t.add_(1)
    assert t.tolist() == [2.0, 2.0]


def test_the_same_tensor_twice():
    t = tg.ones(3)
    loaded = round_trip([t, {"again": t}, t.clone()])
    assert loaded[0] is loaded[1]["again"]
    loaded[0].fill_(7)
    assert loaded[1]["again"].tolist() == [7.0] * 3
    assert loaded[2].tolist() == [1.0] * 3


def test_a_parameter_and_its_data_share_memory():
    p = tg.nn.Parameter(tg.ones(3))
    loaded = round_trip({"p": p, "data": p.detach()})
    assert type(loaded["p"]) is tg.nn.Parameter and type(loaded["data"]) is tg.Tensor
    loaded["data"].fill_(7)
    assert loaded["p"].tolist() == [7.0] * 3


def test_same_memory_in_another_shape_is_not_the_same_tensor():
    t = tg.arange(6)
    assert_same([t, t.view(2, 3), t[:1], t[:0]], round_trip([t, t.view(2, 3), t[:1], t[:0]]))


def test_tensors_are_named_by_their_path(tmp_path):
    path = tmp_path / "x.safetensors"
    serialization.save({"model": {"0.weight": tg.ones(2)}, 5: [tg.zeros(1)]}, path)
    assert set(safetensors.numpy.load_file(path)) == {"model.0.weight", "5.0"}


def test_names_that_collide():
    obj = {"a.b": tg.ones(1), "a": {"b": tg.zeros(1)}, "__metadata__": tg.ones(2), "": tg.ones(3)}
    assert_same(obj, round_trip(obj))


def test_plain_safetensors_load_as_a_flat_dict(tmp_path):
    path = tmp_path / "x.safetensors"
    arrays = {"w.0": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(True)}
    safetensors.numpy.save_file(arrays, path, {"format": "np"})
    loaded = serialization.load(path)
    assert type(loaded) is dict and loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_same(loaded[name], tg.tensor(array))


@pytest.mark.parametrize("make", [str, Path, os.fsencode])
def test_kinds_of_paths(tmp_path, make):
    path = make(tmp_path / "x.safetensors")
    serialization.save([1], path)
    assert serialization.load(path) == [1]
    assert serialization.load(path, map_location="cpu", weights_only=True) == [1]


def test_relative_paths_and_links(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("real")
    os.symlink("real/x.safetensors", "link.safetensors")
    serialization.save([1], "link.safetensors")
    assert os.path.islink("link.safetensors") and serialization.load("real/x.safetensors") == [1]


def test_other_devices_are_refused(tmp_path):
    with pytest.raises(ValueError, match="map_location is 'cuda'"):
        serialization.load(tmp_path / "x.safetensors", map_location="cuda")


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (object(), "the object is a object"),
        ({"a": [1, {2: {1, 2}}]}, r"the object at \['a'\]\[1\]\[2\] is a set"),
        ({"w": np.ones(3)}, r"at \['w'\] is a ndarray: save tensor\(array\)"),
        ([np.float32(1)], r"at \[0\] is a float32: save its .item\(\)"),
        ([tg.nn.Linear(1, 1)], r"at \[0\] is a Linear: save its .state_dict\(\)"),
        ({"raw": b"bytes"}, r"at \['raw'\] is a bytes, expected"),
        ({"p": Point(1, 2)}, r"at \['p'\] is a Point, expected"),
        ({"d": defaultdict(int)}, r"at \['d'\] is a defaultdict, expected"),
        ({"d": {frozenset(): 1}}, r"at \['d'\] has the key frozenset\(\) of type frozenset"),
    ],
)
def test_unsupported_objects(tmp_path, obj, words):
    with pytest.raises(TypeError, match=words):
        serialization.save(obj, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


def test_cycles_and_depth():
    cycle = {"a": []}
    cycle["a"].append(cycle)
    with pytest.raises(ValueError, match=r"the object at \['a'\]\[0\] contains itself"):
        round_trip(cycle)
    shared = [1]
    assert round_trip([shared, shared]) == [[1], [1]]
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        round_trip(deep)


def some_file():
    file = io.BytesIO()
    serialization.save({"a": tg.arange(10), "b": (1, math.nan, tg.ones(2))}, file)
    return file.getvalue()


def assert_refused(data, words="load: .* cannot be read"):
    with pytest.raises(RuntimeError, match=words) as error:
        serialization.load(io.BytesIO(data))
    assert "\n" not in str(error.value)


def test_every_truncation_is_refused():
    data = some_file()
    for length in range(len(data)):
        assert_refused(data[:length])
    assert_refused(data + b"\0")


@given(st.data())
def test_damaged_headers_are_refused(data):
    raw = bytearray(some_file())
    end = 8 + int.from_bytes(raw[:8], "little")
    place, byte = data.draw(st.integers(0, end - 1)), data.draw(st.integers(0, 255))
    assume(raw[place] != byte)
    raw[place] = byte
    assert_refused(bytes(raw))


@pytest.mark.parametrize(
    "structure",
    [
        "not json",
        '{"tensor": ["missing", false]}',
        '{"tensor": ["ints", true]}',
        '{"unknown": 1}',
        '{"tuple": [], "dict": []}',
        "{}",
        '{"dict": [[[1], 2]]}',
        '{"dict": 3}',
        '{"float": "x"}',
        "[" * 100_000 + "]" * 100_000,
        "1",
    ],
)
def test_damaged_structures_are_refused(structure):
    arrays = {"ints": np.arange(3)}
    metadata = {"tinygrad_lessons": structure, "tinygrad_lessons.checksum": "0" * 64}
    assert_refused(serialization._sealed(safetensors.numpy.save(arrays, metadata)), "its structure")


def test_every_changed_byte_is_noticed():
    raw = some_file()
    header = 8 + int.from_bytes(raw[:8], "little")
    for i in range(header, len(raw)):
        changed = bytearray(raw)
        changed[i] ^= 1
        assert_refused(bytes(changed), "its checksum is wrong")


def test_a_file_without_checksum_is_refused():
    data = safetensors.numpy.save({"ints": np.arange(3)}, {"tinygrad_lessons": "1"})
    assert_refused(data, "its checksum")


def test_foreign_files_are_refused():
    assert_refused(b"", "no safetensors file")
    assert_refused(b"hello world, this is text")
    assert_refused(pickle.dumps({"a": 1}, protocol=2), "it is a pickle")
    assert_refused(b"PK\x03\x04 and so on", "it is a pickle")
    half = safetensors.numpy.save({"h": np.ones(2, np.float16)})
    assert_refused(half, "tensor 'h' is F16, expected")


def test_nothing_is_unpickled(monkeypatch):
    def fail(*args):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "loads", fail)
    monkeypatch.setattr(pickle, "load", fail)
    monkeypatch.setattr(pickle, "Unpickler", fail)
    with pytest.raises(RuntimeError):
        serialization.load(io.BytesIO(pickle.dumps(print)))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        serialization.load(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        serialization.save([1], tmp_path / "missing" / "x")
    with pytest.raises(OSError):
        serialization.save([1], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    serialization.save("old", path)

    def full(fd):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        serialization.save("new", path)
    assert serialization.load(path) == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_file_and_folder_are_synced_in_order(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (calls.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    serialization.save([1], tmp_path / "x")
    assert Path(calls[0]).parent == tmp_path and calls[1:] == ["rename", str(tmp_path)]


WRITER = """
import sys, itertools
import tinygrad_lessons as tg
from tinygrad_lessons import serialization
for i in itertools.count():
    serialization.save({"i": i, "t": tg.full((100_000,), float(i % 1000))}, sys.argv[1])
    print(i, flush=True)
"""


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "x.safetensors"
    rng = random.Random(0)
    for _ in range(5):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            written = [0, *map(int, process.stdout.read().split("\n")[:-1])]
        obj = serialization.load(path)
        assert obj["i"] in (written[-1], written[-1] + 1)
        assert (obj["t"] == obj["i"] % 1000).all()


def test_the_format_is_readable_by_eye(tmp_path):
    path = tmp_path / "x.safetensors"
    serialization.save({"a": (1, math.inf), 2: tg.ones(1)}, path)
    with safetensors.safe_open(path, "np") as file:
        structure = json.loads(file.metadata()["tinygrad_lessons"])
    assert structure == {
        "dict": [["a", {"tuple": [1, {"float": "inf"}]}], [2, {"tensor": ["2", False]}]]
    }


def test_headers_of_every_length():
    """The file begins with that length, whose bytes may be those that a pickle begins with."""
    lengths = set()
    for n in range(300, 600):
        file = io.BytesIO()
        tg.save("x" * n, file)
        file.seek(0)
        lengths.add(int.from_bytes(file.getvalue()[:8], "little"))
        assert tg.load(file) == "x" * n
    assert 0x280 in lengths
