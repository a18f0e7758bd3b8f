"""Saving and loading as safetensors: tensors by their path, the structure as JSON beside them.

The file is a plain safetensors file, so any tool that reads those finds the tensors. The metadata
entry `tinygrad_lessons` holds the saved object as JSON, where None, bool, int, str, finite float
and list stand for themselves and all else is a one-key object that names its kind:

    {"float": "nan"}                                   also "inf", "-inf"
    {"tuple": [...]}
    {"dict": [[key, value], ...]}, {"OrderedDict": ...}, {"Counter": ...}
    {"tensor": [name, requires_grad]}, {"parameter": [name, requires_grad]}

Beside it, `tinygrad_lessons.checksum` is the SHA-256 sum of the whole file, taken with zeros in its own place.
Loading runs no code from the file: nothing is ever unpickled.
"""

import json
import math
import os
from collections import Counter, OrderedDict

import numpy as np

from ._core import Parameter, Tensor, tensor

_KEY = "tinygrad_lessons"
_CHECKSUM = "tinygrad_lessons.checksum"
_DIGITS = 64  # hexadecimal, of a checksum
_DICTS = {
    "dict": dict,
    "OrderedDict": OrderedDict,
    "Counter": lambda pairs: Counter(dict(pairs)),  # a schedule's milestones
}
_WRAP = {"tensor": lambda t, grad: t.detach().requires_grad_(grad), "parameter": Parameter}
_DTYPES = {
    "F32": np.float32,
    "F64": np.float64,
    "I64": np.int64,
    "I32": np.int32,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def save(obj, f):
    """Save nested dicts, lists, tuples, numbers, strings, bools, None and tensors as safetensors.

    A tensor is named by its path, such as `model.0.weight`. A tensor that occurs more than once,
    or tensors over the same elements, are stored once and share memory when loaded. Tensors that
    overlap in part are stored apart.

    Args:
        obj: what to save; dict keys are str, int, float, bool, None or tuples of these.
        f: a path (str or PathLike) or a binary file open for writing. A path is replaced in one
            step once all is on disk: a killed process leaves the old file or the new one.

    Raises:
        TypeError: `obj` holds something else; the message gives its path inside `obj`.
        ValueError: `obj` contains itself or is nested too deeply.
        OSError: the file cannot be written; what was at the path before is still there.

    Example:
        >>> import tempfile, os
        >>> import tinygrad_lessons as tg
        >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
        >>> tg.save({"epoch": 3, "weights": [tg.ones(2), tg.zeros(1)]}, path)
        >>> tg.load(path)
        {'epoch': 3, 'weights': [tensor([1., 1.]), tensor([0.])]}
    """
    from safetensors.numpy import save as to_bytes

    encoder = _Encoder()
    try:
        structure = json.dumps(encoder.encode(obj, ()))
    except RecursionError:
        raise ValueError("save: the object is nested too deeply") from None
    data = _sealed(to_bytes(encoder.arrays, {_KEY: structure, _CHECKSUM: "0" * _DIGITS}))
    if hasattr(f, "write"):
        f.write(data)
        return
    path = os.path.realpath(os.fsdecode(f))
    try:
        replace_file(path, data)
    except OSError as error:
        raise OSError(error.errno, f"save: {error.strerror or error}", path) from error


def load(f, map_location=None, weights_only=True):
    """Load what `save` wrote; any other safetensors file loads as a flat dict of its tensors.

    Args:
        f: a path (str or PathLike) or a binary file open for reading.
        map_location: None or the CPU, the only device there is.
        weights_only: taken for PyTorch's sake; nothing is unpickled either way.

    Raises:
        RuntimeError: the file is damaged or of another kind.
        ValueError: `map_location` is another device.
        OSError: the file cannot be read.

    Example:
        >>> import io
        >>> import tinygrad_lessons as tg
        >>> file = io.BytesIO()
        >>> tg.save(("step", 7), file)
        >>> _ = file.seek(0)
        >>> tg.load(file)
        ('step', 7)
    """
    if map_location is not None and str(map_location) != "cpu":
        raise ValueError(f"load: map_location is {map_location!r}, expected None or 'cpu'")
    if hasattr(f, "read"):
        name, data = repr(getattr(f, "name", f)), f.read()
    else:
        name = repr(os.fsdecode(f))
        with open(f, "rb") as file:
            data = file.read()
    try:
        return _decode_file(data)
    except _Damaged as reason:
        raise RuntimeError(f"load: {name} cannot be read: {reason}") from None


class _Damaged(Exception):
    pass


class _Encoder:
    """Turns an object into JSON values, putting its tensors aside as named arrays."""

    def __init__(self):
        self.arrays = {}
        self._names = {}  # what the elements of a tensor are in memory -> its name
        self._open = set()  # ids of the containers being encoded

    def encode(self, obj, path):
        kind = type(obj)
        if obj is None or kind in (bool, int, str):
            return obj
        if kind is float:
            return obj if math.isfinite(obj) else {"float": str(obj)}
        if kind in (Tensor, Parameter):
            return {kind.__name__.lower(): [self._name(obj, path), obj.requires_grad]}
        if kind not in (list, tuple, dict, OrderedDict, Counter):
            raise TypeError(f"save: {_where(path)} is a {kind.__name__}{_hint(obj)}")
        if id(obj) in self._open:
            raise ValueError(f"save: {_where(path)} contains itself; only trees can be saved")
        self._open.add(id(obj))
        if kind in (list, tuple):
            value = [self.encode(item, (*path, i)) for i, item in enumerate(obj)]
        else:
            value = [[self._key(k, path), self.encode(v, (*path, k))] for k, v in obj.items()]
        self._open.remove(id(obj))
        return value if kind is list else {kind.__name__: value}

    def _key(self, key, path):
        if not _is_key(key):
            raise TypeError(
                f"save: {_where(path)} has the key {key!r} of type {type(key).__name__}, "
                "expected str, int, float, bool, None or a tuple of these"
            )
        return self.encode(key, path)

    def _name(self, obj, path):
        array = obj.detach().numpy()
        where = array.ctypes.data if array.size else id(obj)
        identity = (where, array.shape, array.strides, array.dtype.name)
        if identity not in self._names:
            # Surrogates have no place in UTF-8, and "__metadata__" is the format's own.
            text = ".".join(map(str, path)) or "tensor"
            name = stem = text.encode("utf-8", "backslashreplace").decode()
            count = 1
            while name in self.arrays or name == "__metadata__":
                count += 1
                name = f"{stem}#{count}"
            self._names[identity] = name
            # safetensors writes the bytes in memory order, whatever the strides.
            self.arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
        return self._names[identity]


def _is_key(key):
    if type(key) is tuple:
        return all(map(_is_key, key))
    return key is None or type(key) in (str, int, float, bool)


def _where(path):
    return "the object" if not path else "the object at " + "".join(f"[{k!r}]" for k in path)


def _hint(obj):
    if isinstance(obj, np.ndarray):
        return ": save tensor(array)"
    if isinstance(obj, np.generic):
        return ": save its .item()"
    if hasattr(obj, "state_dict"):
        return ": save its .state_dict()"
    return (
        ", expected dicts, lists, tuples, numbers, strings, bools, None and tensors "
        "(nothing is pickled)"
    )


def replace_file(path, data):
    """Put `data` at `path` in one step that survives a crash."""
    folder, name = os.path.split(os.path.realpath(path))
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    # The new name is on disk only once the folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place_of_checksum(data):
    """Where the digits of the checksum begin; None if the header has none."""
    header = bytes(data[: 8 + int.from_bytes(data[:8], "little")])
    key = f'"{_CHECKSUM}":"'.encode()
    # The structure is a string within the header, where quotes stand behind a backslash.
    at = header.find(key)
    return None if at < 0 else at + len(key)


def _checksum(data, at):
    from hashlib import sha256

    view = memoryview(data)
    digest = sha256(view[:at])
    digest.update(b"0" * _DIGITS)
    digest.update(view[at + _DIGITS :])
    return digest.hexdigest().encode()


def _sealed(data):
    """The file with its checksum in place, and its metadata in order: safetensors writes them in any."""
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    data = bytearray(b"".join((len(text).to_bytes(8, "little"), text, memoryview(data)[begin:])))
    at = _place_of_checksum(data)
    data[at : at + _DIGITS] = _checksum(data, at)
    return data


def _decode_file(data):
    from safetensors import SafetensorError, deserialize

    try:
        views = dict(deserialize(data))
    except SafetensorError as error:
        # asked only now: a header of 0x280 bytes begins like a pickle
        if data[:4] == b"PK\x03\x04" or data[:2] == b"\x80\x02":
            reason = "it is a pickle, which is never loaded; save it as safetensors first"
            raise _Damaged(reason) from None
        raise _Damaged(f"no safetensors file, or damaged ({error})") from None
    tensors = {name: _to_tensor(name, view) for name, view in views.items()}
    # The format opens with the length of its JSON header; deserialize has checked both.
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    if not metadata.keys() & {_KEY, _CHECKSUM}:
        return tensors
    at = _place_of_checksum(data)
    if at is None or _checksum(data, at) != data[at : at + _DIGITS]:
        raise _Damaged("its checksum is wrong: bytes have changed since it was written")
    decoder = _Decoder(tensors)
    try:
        obj = decoder.decode(json.loads(metadata[_KEY]))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise _Damaged(f"its structure is damaged ({type(error).__name__}: {error})") from None
    unused = tensors.keys() - decoder.used
    if unused:
        raise _Damaged(f"its structure does not mention the tensors {sorted(unused)}")
    return obj


def _to_tensor(name, view):
    if view["dtype"] not in _DTYPES:
        raise _Damaged(f"tensor {name!r} is {view['dtype']}, expected {', '.join(_DTYPES)}")
    return tensor(np.frombuffer(view["data"], _DTYPES[view["dtype"]]).reshape(view["shape"]))


class _Decoder:
    """Turns JSON values back into the object; the same tensor is made once."""

    def __init__(self, tensors):
        self._tensors = tensors
        self._made = {}
        self.used = set()

    def decode(self, value):
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "float":
            return float(content)
        if kind == "tuple":
            return tuple(self.decode(content))
        if kind in _DICTS:
            return _DICTS[kind]((self.decode(k), self.decode(v)) for k, v in content)
        name, requires_grad = content
        return self._tensor(kind, name, requires_grad)

    def _tensor(self, kind, name, requires_grad):
        self.used.add(name)
        key = (kind, name, requires_grad)
        if key not in self._made:
            self._made[key] = _WRAP[kind](self._tensors[name], requires_grad)
        return self._made[key]
