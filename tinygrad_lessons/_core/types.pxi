# Size, dtype and device: what describes tensors.

class Size(tuple):
    """A shape."""

    __slots__ = ()

    def numel(self):
        """Product of the sizes."""
        return prod(self)

    def __getitem__(self, key):
        part = tuple.__getitem__(self, key)
        return Size(part) if isinstance(key, slice) else part

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __repr__(self):
        return f"torch.Size({list(self)})"

cdef class dtype:
    """The type of a tensor's elements: float32, float64, int64, int32, uint8 or bool."""
    cdef int code

    def __init__(self, *args):
        raise TypeError("dtype: use float32, float64, int64, int32, uint8 or bool")

    @property
    def itemsize(self):
        """Bytes in an element."""
        return tg_size[self.code]

    @property
    def is_floating_point(self):
        """Whether it is a float type."""
        return is_float(self.code)

    def __repr__(self):
        return "torch." + type_name(self.code)

    def __reduce__(self):
        return "bool_" if self.code == TG_BOOL else type_name(self.code)

_dtype = dtype

cdef dtype make_dtype(int code):
    cdef dtype d = dtype.__new__(dtype)
    d.code = code
    return d

DTYPES = [make_dtype(t) for t in range(TG_DTYPES)]
bool_, uint8, int32, int64, float32, float64 = DTYPES

class device:
    """Where a tensor lies; there is only device('cpu')."""

    __slots__ = ()
    type = "cpu"
    index = None

    def __init__(self, type="cpu", index=None):
        check_device(type)

    def __eq__(self, other):
        return isinstance(other, device)

    def __hash__(self):
        return hash("cpu")

    def __repr__(self):
        return "device(type='cpu')"

    def __str__(self):
        return "cpu"

cdef int check_device(object d) except -1:
    if d is None or d == "cpu" or d == "cpu:0" or isinstance(d, device):
        return 0
    raise RuntimeError(f"device: this library computes on the CPU only, but got {d!r}; use 'cpu'")

CPU = device()

def get_default_dtype():
    """The float type that factories take when none is given."""
    return DTYPES[default_float]

def set_default_dtype(d):
    """Sets the float type that factories take when none is given: float32 or float64."""
    global default_float
    cdef int t = dtype_code(d, TG_F32)
    if not is_float(t):
        raise TypeError(f"set_default_dtype: only float32 and float64 can be the default, not {d}")
    default_float = t
