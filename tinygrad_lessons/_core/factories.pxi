# Functions of the package: factories, grad modes, autograd, and ops on several tensors.

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

# ---- factories ----

cdef Tensor made(val v, object requires_grad):
    cdef Tensor t = wrap(v)
    if requires_grad:
        ask_gradient(t.v, True)
    return t

cdef int nested_shape(object data, int64_t *shape, int depth) except -1:
    """The shape of nested lists, as far as their first elements tell; returns its length."""
    if not isinstance(data, (list, tuple)):
        return depth
    if depth == TG_MAX_DIMS:
        raise RuntimeError(f"tensor: lists nested deeper than the {TG_MAX_DIMS} dimensions a tensor can have")
    shape[depth] = len(data)
    return nested_shape(data[0], shape, depth + 1) if len(data) else depth + 1

cdef int kind_of_numbers(object data, const int64_t *shape, int depth, int ndim) except -1:
    """The type that nested lists of Python's own numbers ask for: TG_BOOL, TG_I64 or TG_F64 (TG_BOOL if there are none);
    TG_DTYPES if they are uneven or hold anything else."""
    cdef int kind = TG_BOOL, k
    if type(data) is not list and type(data) is not tuple or len(data) != shape[depth]:
        return TG_DTYPES
    for x in data:
        if depth + 1 < ndim:
            k = kind_of_numbers(x, shape, depth + 1, ndim)
        elif type(x) is float:
            k = TG_F64
        elif type(x) is int:
            k = TG_I64 if -(1 << 63) <= x < 1 << 63 else TG_DTYPES
        else:
            k = TG_BOOL if type(x) is bool else TG_DTYPES
        kind = max(kind, k)
    return kind

cdef char *write_numbers(object data, char *to, int t) except NULL:
    """Writes nested lists of numbers in order; returns where it ended."""
    for x in data:
        if type(x) is list or type(x) is tuple:
            to = write_numbers(x, to, t)
            continue
        if t == TG_F32:
            (<float *>to)[0] = x
        elif t == TG_F64:
            (<double *>to)[0] = x
        elif t == TG_I64:
            (<int64_t *>to)[0] = x
        else:
            to[0] = x
        to += tg_size[t]
    return to

cdef val from_numbers(object data, object dtype) except? NULL:
    """A value of evenly nested lists of Python's own numbers; NULL if data is anything else."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int ndim = nested_shape(data, shape, 0), kind = kind_of_numbers(data, shape, 0, ndim), t
    cdef val v
    if kind == TG_DTYPES:
        return NULL
    t = dtype_code(dtype, default_float if kind == TG_F64 else kind)
    if t == TG_U8 or t == TG_I32:  # whose range must be checked
        return NULL
    v = make_empty(t if is_float(kind) and is_float(t) else kind, ndim, shape)
    if v.meta.numel == 0:
        return NULL
    write_numbers(data, v.data, v.meta.dtype)
    return op_to(v, t)

def tensor(data, *, dtype=None, device=None, requires_grad=False):
    """A tensor with a copy of data: a number, nested lists, a NumPy array or a tensor.

    Raises ValueError for lists of uneven lengths, TypeError for other things than numbers.

    >>> import tinygrad_lessons as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    cdef val v
    cdef int t
    check_device(device)
    if isinstance(data, (list, tuple)):
        v = from_numbers(data, dtype)
        if v is not NULL:
            return made(v, requires_grad)
    if isinstance(data, Tensor):
        return made(dense_copy((<Tensor>data).v, dtype_code(dtype, (<Tensor>data).v.meta.dtype)), requires_grad)
    if isinstance(data, (list, tuple)):
        data = with_plain_tensors(data)
        try:
            array = np_array(data)
        except ValueError:
            raise ValueError("tensor: the lists have uneven lengths; a tensor needs rows of equal length") from None
        if array.dtype == object:
            raise TypeError("tensor: expected numbers, or nested lists of numbers of equal length")
    elif isinstance(data, (np_ndarray, np_number, np_bool)):
        array = np_asarray(data)
    elif isinstance(data, (bool, int, float)):
        array = np_asarray(data)
    elif hasattr(data, "__array__"):
        array = np_asarray(data)
    else:
        raise TypeError(f"tensor: could not make a tensor of {type(data).__name__}; expected numbers, lists of "
                        "numbers, a NumPy array or a tensor")
    if array.dtype.kind in "USOMmcV":
        raise TypeError(f"tensor: expected numbers, not elements of type {array.dtype}")
    t = code_of(array.dtype)
    if isinstance(data, (np_ndarray, np_number, np_bool)) and t < 0:
        raise TypeError(f"tensor: can't convert an array of type {array.dtype}; supported are float64, float32, int64, "
                        "int32, uint8 and bool: convert it with array.astype")
    if not isinstance(data, (np_ndarray, np_number, np_bool)) and hasattr(data, "__array__") is False:
        if array.dtype.kind == "f":
            t = default_float
        elif array.dtype.kind in "iu":
            if array.dtype.kind == "u":
                raise RuntimeError("tensor: a number is too large for int64")
            t = TG_I64
    if t < 0:
        raise TypeError(f"tensor: can't convert elements of type {array.dtype}")
    t = dtype_code(dtype, t)
    if array.dtype.kind in "iu" and array.size and t in (TG_U8, TG_I32) and not isinstance(data, np_ndarray):
        low, high = (0, 255) if t == TG_U8 else (-2147483648, 2147483647)
        if array.min() < low or array.max() > high:
            raise RuntimeError(f"tensor: a value cannot be converted to type {type_name(t)} without overflow: expected "
                               f"numbers from {low} to {high}")
    if array.size == 0 and isinstance(data, (list, tuple)) and dtype is None:
        t = default_float
    array = np_array(array, order="C")
    return made(dense_copy(from_ndarray(array), t), requires_grad)

cdef object with_plain_tensors(object data):
    """Nested lists with 0-d tensors made numbers, and other tensors made lists."""
    if isinstance(data, (list, tuple)):
        return [with_plain_tensors(x) for x in data] if has_tensor(data) else data
    if isinstance(data, Tensor):
        return data.tolist()
    return data

cdef bint has_tensor(object data) except -1:
    for x in data:
        if isinstance(x, Tensor) or isinstance(x, (list, tuple)) and has_tensor(x):
            return True
    return False

def from_numpy(array):
    """A tensor on the array's memory: writes to one are seen in the other."""
    if not isinstance(array, np_ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, not {type(array).__name__}")
    return wrap(from_ndarray(array))

def as_tensor(data, dtype=None, device=None):
    """A tensor of data, sharing memory with arrays and tensors where the type allows."""
    check_device(device)
    if isinstance(data, Tensor):
        return data.to(dtype=dtype)
    if isinstance(data, np_ndarray):
        return wrap(from_ndarray(data)).to(dtype=dtype)
    return tensor(data, dtype=dtype)

asarray = as_tensor

cdef Tensor filled(object size, str op, object dtype, object device, object requires_grad, double f, int64_t i,
                   bint write):
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int nd = parse_shape(size, op, shape)
    check_device(device)
    cdef val v = make_empty(dtype_code(dtype, default_float), nd, shape)
    if write:
        fill(v, f, i)
    return made(v, requires_grad)

def zeros(*size, dtype=None, device=None, requires_grad=False):
    """A tensor of zeros; size as numbers or one tuple."""
    return filled(size, "zeros", dtype, device, requires_grad, 0, 0, True)

def ones(*size, dtype=None, device=None, requires_grad=False):
    """A tensor of ones; size as numbers or one tuple."""
    return filled(size, "ones", dtype, device, requires_grad, 1, 1, True)

def empty(*size, dtype=None, device=None, requires_grad=False):
    """A tensor with undefined contents; size as numbers or one tuple."""
    return filled(size, "empty", dtype, device, requires_grad, 0, 0, False)

def full(size, fill_value, *, dtype=None, device=None, requires_grad=False):
    """A tensor of one value; its type follows the value unless dtype is given."""
    cdef int t = (TG_BOOL if isinstance(fill_value, bool) else TG_I64 if isinstance(fill_value, int) else default_float)
    cdef Tensor out = filled((size,) if isinstance(size, (tuple, list)) else ((size,),), "full",
                             DTYPES[dtype_code(dtype, t)], device, False, 0, 0, False)
    op_copy_(out.v, operand(fill_value, out.v, "full"), "full")
    return made(out.v, requires_grad)

def zeros_like(input, *, dtype=None, device=None, requires_grad=False):
    """zeros in the shape and type of input."""
    return filled((require_tensor(input, "zeros_like", "the input").shape,), "zeros_like", dtype or input.dtype, device,
                  requires_grad, 0, 0, True)

def ones_like(input, *, dtype=None, device=None, requires_grad=False):
    """ones in the shape and type of input."""
    return filled((require_tensor(input, "ones_like", "the input").shape,), "ones_like", dtype or input.dtype, device,
                  requires_grad, 1, 1, True)

def empty_like_(input, *, dtype=None, device=None, requires_grad=False):
    """empty in the shape and type of input."""
    return filled((require_tensor(input, "empty_like", "the input").shape,), "empty_like", dtype or input.dtype, device,
                  requires_grad, 0, 0, False)

def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False):
    """full in the shape and type of input."""
    return full(require_tensor(input, "full_like", "the input").shape, fill_value, dtype=dtype or input.dtype,
                device=device, requires_grad=requires_grad)

cdef Tensor from_array(object array, object dtype, int otherwise, object requires_grad):
    return made(dense_copy(from_ndarray(np_ascontiguous(array)), dtype_code(dtype, otherwise)), requires_grad)

def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False):
    """start, start + step, … below end; arange(end) starts at 0."""
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = [x.item() if isinstance(x, Tensor) else x for x in (start, end, step)]
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: upper bound {end} and lower bound {start} are inconsistent with step {step}")
    whole = all([isinstance(x, int) for x in (start, end, step)])
    count = ceil((end - start) / step)
    array = start + step * np_arange(count) if whole else start + np_arange(count) * float(step)
    return from_array(array, dtype, TG_I64 if whole else default_float, requires_grad)

def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False):
    """steps equally spaced numbers from start to end, both included."""
    check_device(device)
    if steps < 0:
        raise RuntimeError(f"linspace: steps must not be negative, but is {steps}")
    return from_array(np_linspace(start, end, steps), dtype, default_float, requires_grad)

def eye(n, m=None, *, dtype=None, device=None, requires_grad=False):
    """The unit matrix, n × m."""
    check_device(device)
    return from_array(np_eye(n, n if m is None else m), dtype, default_float, requires_grad)

def rand(*size, generator=None, dtype=None, device=None, requires_grad=False):
    """Uniform draws from [0, 1)."""
    cdef Tensor t = filled(size, "rand", dtype, device, False, 0, 0, False)
    op_uniform_(t.v, 0, 1, generator)
    return made(t.v, requires_grad)

def randn(*size, generator=None, dtype=None, device=None, requires_grad=False):
    """Draws from the standard normal distribution."""
    cdef Tensor t = filled(size, "randn", dtype, device, False, 0, 0, False)
    op_normal_(t.v, 0, 1, generator)
    return made(t.v, requires_grad)

def rand_like(input, *, generator=None, dtype=None, device=None, requires_grad=False):
    """rand in the shape and type of input."""
    return rand(input.shape, generator=generator, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)

def randn_like(input, *, generator=None, dtype=None, device=None, requires_grad=False):
    """randn in the shape and type of input."""
    return randn(input.shape, generator=generator, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)

def randint_like(input, low, high=None, *, generator=None, dtype=None, device=None, requires_grad=False):
    """randint in the shape and type of input; randint_like(input, high) starts at 0."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input.shape, generator=generator, dtype=dtype or input.dtype, device=device,
                   requires_grad=requires_grad)

def randint(low, high=None, size=None, *, generator=None, dtype=None, device=None, requires_grad=False):
    """Integers from [low, high); randint(high, size) starts at 0.

    Raises RuntimeError if the range is empty, or holds numbers that the dtype (int64 if none is given) does not.
    """
    cdef int64_t shape[TG_MAX_DIMS]
    if size is None:
        low, high, size = 0, low, high
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: size must be a tuple, not {type(size).__name__}")
    check_device(device)
    cdef int nd = parse_shape((size,), "randint", shape), t = dtype_code(dtype, TG_I64)
    return made(op_randint("randint", nd, shape, t, low, high, generator), requires_grad)

def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False):
    """The numbers 0 … n - 1 in random order. Raises RuntimeError if the dtype does not hold them all."""
    cdef int t = dtype_code(dtype, TG_I64)
    check_device(device)
    if n - 1 > LARGEST_INTEGER[t]:
        raise RuntimeError(f"randperm: {type_name(t)} does not hold the numbers up to {n - 1}; choose another dtype")
    return made(op_to(op_randperm(n, generator), t), requires_grad)

def bernoulli(input, p=None, *, generator=None):
    """Ones with the probabilities in input, else zeros, in input's type; with p, that is the probability of all.

    Raises RuntimeError for what is no probability.
    """
    cdef Tensor x = require_tensor(input, "bernoulli", "the input"), u
    if p is not None:
        return empty_like_(x).bernoulli_(p, generator=generator)
    need_float("bernoulli", x.v)
    if not bool(((x >= 0) & (x <= 1)).all()):
        raise RuntimeError("bernoulli: probabilities must lie between 0 and 1")
    u = rand(x.shape, generator=generator, dtype=x.dtype)
    return wrap(op_to(op_lt(u.v, x.v), x.v.meta.dtype))

def normal(mean, std=1.0, size=None, *, generator=None, dtype=None, device=None, requires_grad=False):
    """Draws from normal distributions: of tensors of means and deviations, or of one distribution in the given size.

    Raises RuntimeError if a standard deviation is negative.

    >>> import tinygrad_lessons as tg
    >>> tg.normal(tg.zeros(3, 1), tg.ones(2)).shape
    torch.Size([3, 2])
    >>> tg.normal(5.0, 0.0, (2,))
    tensor([5., 5.])
    """
    if size is not None:
        if isinstance(mean, Tensor) or isinstance(std, Tensor):
            raise TypeError("normal: size goes with numbers for mean and std; tensors of them have a shape of their own")
        t = empty(size, dtype=dtype, device=device).normal_(mean, std, generator=generator)
        return made((<Tensor>t).v, requires_grad)
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        raise TypeError("normal: mean and std are numbers, so a size is needed")
    mean, std = broadcast_tensors(as_tensor(mean), as_tensor(std))
    if not bool((std >= 0).all()):
        raise RuntimeError("normal: expected all elements of std >= 0")
    like = mean if mean.is_floating_point() else std
    return randn_like(like, generator=generator, dtype=None if like.is_floating_point() else get_default_dtype()) * std + mean

def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Draws num_samples indices, with the probabilities in input (…, n), which need not sum to 1.

    Args:
        input: weights of n categories, or a row of them for each of m distributions; float.
        replacement: whether an index may be drawn more than once. If not, the draws are in the order in which they come
            when each next one is drawn from what is left: p / e by size, e exponential (Efraimidis and Spirakis 2006).

    Returns:
        int64, (num_samples) or (m, num_samples).

    Raises:
        RuntimeError: another number of dimensions; weights that are no floats, negative, infinite or NaN, or all zero; fewer
            positive weights than draws without replacement.

    >>> import tinygrad_lessons as tg
    >>> tg.multinomial(tg.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    cdef Tensor weights = require_tensor(input, "multinomial", "the input")
    need_float("multinomial", weights.v)
    if weights.dim() not in (1, 2) or weights.size(-1) == 0:
        raise RuntimeError(f"multinomial: expected weights of shape (n,) or (m, n), n > 0, not {weights.shape}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, but num_samples is {num_samples}")
    p = weights.detach().double()
    if not bool(((p >= 0) & (p < inf)).all()):
        raise RuntimeError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
    needed = 1 if replacement else num_samples
    if bool(((p > 0).sum(-1) < needed).any()):
        raise RuntimeError(f"multinomial: expected at least {needed} positive weights to draw {num_samples} samples "
                           f"with{'' if replacement else 'out'} replacement from each distribution")
    if not replacement:
        e = empty_like_(p).exponential_(generator=generator)
        return (p / e).topk(num_samples)[1]
    rows = (p / p.amax(-1, True)).reshape(-1, p.size(-1))  # so that no sum overflows, and none is a denormal
    sums = rows.cumsum(-1)
    u = rand((rows.size(0), num_samples), generator=generator, dtype=float64) * sums[:, -1:]
    drawn = [np_searchsorted(row.numpy(), x.numpy(), side="right") for row, x in zip(sums, u)]
    # A product may round up to the whole sum, behind the last category that can be drawn.
    last = [[row.nonzero()[-1].item()] for row in rows]
    return tensor(np_asarray(drawn).clip(max=np_asarray(last)), dtype=int64).reshape(*p.shape[:-1], num_samples)

def manual_seed(seed):
    """Starts the default generator's stream of this seed; returns the generator."""
    return default_generator.manual_seed(seed)

def seed():
    """Seeds the default generator from the operating system; returns the seed."""
    return default_generator.seed()

def initial_seed():
    """The default generator's seed."""
    return default_generator.initial_seed()

def get_rng_state():
    """The default generator's state."""
    return default_generator.get_state()

def set_rng_state(state):
    """Puts the default generator where get_rng_state() was taken."""
    default_generator.set_state(state)

# ---- several tensors ----

cdef object joined(object tensors, int64_t dim, str op, bint new_dim):
    cdef int k, d, count = len(tensors), nd, t = 0
    cdef val *parts
    cdef val out
    if count == 0:
        raise RuntimeError(f"{op}: expected a non-empty list of tensors")
    for k, x in enumerate(tensors):
        t = max(t, require_tensor(x, op, f"element {k}").v.meta.dtype)
    if not new_dim:  # PyTorch lets empty vectors be joined with anything
        solid = [x for x in tensors if not ((<Tensor>x).v.meta.ndim == 1 and (<Tensor>x).v.meta.numel == 0)]
        tensors = solid or tensors[:1]
        count = len(tensors)
    first = (<Tensor>tensors[0]).v
    nd = first.meta.ndim + new_dim
    if nd == 0:
        raise RuntimeError(f"{op}: 0-d tensors cannot be joined; use stack()")
    d = wrap_dim(dim, nd, op)
    parts = <val *>malloc(count * sizeof(val))
    if parts is NULL:
        raise MemoryError()
    try:
        for k in range(count):
            parts[k] = op_to((<Tensor>tensors[k]).v, t)
            if new_dim:
                parts[k] = op_unsqueeze(parts[k], d)
            if not joins(parts[0].meta, parts[k].meta, -1 if new_dim else d):
                raise RuntimeError(f"{op}: sizes must match but for dimension {d}, but tensor 0 has shape "
                                   f"{(<Tensor>tensors[0]).shape} and tensor {k} {(<Tensor>tensors[k]).shape}")
        out = op_cat(count, parts, d)
    finally:
        free(parts)
    return wrap(out)

cdef bint joins(tg_meta *a, tg_meta *b, int but) noexcept:
    cdef int d
    if a.ndim != b.ndim:
        return False
    for d in range(a.ndim):
        if d != but and a.shape[d] != b.shape[d]:
            return False
    return True

def cat(tensors, dim=0):
    """The tensors behind each other along dim; their other sizes must be equal."""
    return joined(list(tensors), dim, "cat", False)

concat = cat
concatenate = cat

def stack(tensors, dim=0):
    """The tensors side by side along a new dimension; their shapes must be equal."""
    return joined(list(tensors), dim, "stack", True)

def where(condition, input=None, other=None):
    """input where the condition (bool) holds, else other; where(condition) gives the indices instead."""
    cdef Tensor c = require_tensor(condition, "where", "the condition")
    cdef val a, b
    if input is None and other is None:
        return tuple(c.nonzero().unbind(1))
    if isinstance(input, Tensor):
        a, b = (<Tensor>input).v, operand(other, (<Tensor>input).v, "where")
    elif isinstance(other, Tensor):
        a, b = operand(input, (<Tensor>other).v, "where"), (<Tensor>other).v
    else:
        a = number(input, default_float if isinstance(input, float) or isinstance(other, float) else TG_I64, "where")
        b = operand(other, a, "where")
        a.flags &= ~TG_WEAK
        b.flags &= ~TG_WEAK
    return wrap(op_where(c.v, a, b))

def broadcast_tensors(*tensors):
    """The tensors expanded to their common shape."""
    shape = broadcast_shapes(*[t.shape for t in tensors])
    return tuple([t.expand(shape) for t in tensors])

def broadcast_shapes(*shapes):
    """The shape that shapes broadcast to."""
    try:
        return Size(np_broadcast_shapes(*shapes))
    except ValueError:
        raise RuntimeError(f"broadcast_shapes: the shapes {', '.join([str(tuple(s)) for s in shapes])} do not "
                           "broadcast: sizes must be equal or 1") from None

def one_hot(input, num_classes=-1):
    """Rows of zeros with a one at each class index: (*) int64 -> (*, num_classes) int64."""
    cdef Tensor x = require_tensor(input, "one_hot", "the input")
    if x.v.meta.dtype != TG_I64:
        raise RuntimeError(f"one_hot: expected class indices of type int64, not {type_name(x.v.meta.dtype)}")
    if x.v.meta.numel == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: cannot infer the number of classes from an empty tensor; pass num_classes")
    if x.v.meta.numel and int(x.amin()) < 0:
        raise RuntimeError("one_hot: class values must be non-negative")
    classes = int(x.amax()) + 1 if num_classes == -1 else num_classes
    if x.v.meta.numel and int(x.amax()) >= classes:
        raise RuntimeError(f"one_hot: class values must be smaller than num_classes ({num_classes})")
    return (x.unsqueeze(-1) == arange(classes)).to(int64)

def result_type(a, b):
    """The type that an op on a and b (tensors or numbers) gives."""
    like = a if isinstance(a, Tensor) else b
    return DTYPES[promote(operand(a, (<Tensor>like).v, "result_type"), operand(b, (<Tensor>like).v, "result_type"))]

def is_tensor(x):
    """Whether x is a Tensor."""
    return isinstance(x, Tensor)

def meshgrid(*tensors, indexing="ij"):
    """Grids of coordinates from vectors."""
    vectors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', not {indexing!r}")
    if indexing == "xy" and len(vectors) > 1:
        a, b, *rest = meshgrid(vectors[1], vectors[0], *vectors[2:])
        return (b, a, *rest)
    n = len(vectors)
    shape = [v.numel() for v in vectors]
    return tuple([v.reshape([-1 if d == k else 1 for d in range(n)]).expand(shape) for k, v in enumerate(vectors)])

def equal(a, b):
    """Whether two tensors have the same shape and elements."""
    return a.shape == b.shape and bool((a == b).all())

def isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Element-wise |input - other| ≤ atol + rtol · |other|; infinities are close to themselves."""
    close = (input == other) | ((input - other).abs() <= other.abs() * rtol + atol) & other.isfinite()
    return close | input.isnan() & other.isnan() if equal_nan else close

def allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether isclose() holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())

# ---- what nn.functional is made of ----

cdef inline val maybe(object t, str op, str what) except? NULL:
    """The value of a tensor that may be left out."""
    if t is None:
        return NULL
    require_tensor(t, op, what)
    return (<Tensor>t).v

def linear(input, weight, bias=None, activation=None):
    """x Wᵀ + b: input (*, in), weight (out, in), bias (out) -> (*, out); with "relu", "gelu" or "gelu_tanh" of it."""
    cdef Tensor x = require_tensor(input, "linear", "the input"), w = require_tensor(weight, "linear", "the weight")
    cdef const Activation *f
    find_activation("linear", activation, &f)
    return wrap(op_linear(x.v, w.v, maybe(bias, "linear", "the bias"), f))

def dropout(input, double p=0.5, generator=None):
    """Zeroes elements with probability p and scales the others by 1 / (1 - p)."""
    return wrap(op_dropout(require_tensor(input, "dropout", "the input").v, p, generator))

def batch_norm(input, weight, bias, running_mean, running_var, training, double momentum, double eps):
    """(x - mean) / sqrt(var + eps) · weight + bias per channel of (N, C, …)."""
    return wrap(op_batch_norm(require_tensor(input, "batch_norm", "the input").v, maybe(weight, "batch_norm", "the weight"),
                              maybe(bias, "batch_norm", "the bias"),
                              maybe(running_mean, "batch_norm", "running_mean"),
                              maybe(running_var, "batch_norm", "running_var"), training, momentum, eps))

cdef val normalized_over(str op, object input, object shape, object weight, object bias, double eps, bint rms) except NULL:
    cdef int64_t sizes[TG_MAX_DIMS]
    cdef int k
    cdef val x = require_tensor(input, op, "the input").v
    shape = tuple([operator_index(size) for size in shape])
    if len(shape) > TG_MAX_DIMS:
        raise RuntimeError(f"{op}: normalized_shape {shape} has more than {TG_MAX_DIMS} dimensions")
    for k in range(len(shape)):
        sizes[k] = shape[k]
    return op_layer_norm(op, x, len(shape), sizes, maybe(weight, op, "the weight"), maybe(bias, op, "the bias"), eps, rms)

def layer_norm(input, normalized_shape, weight=None, bias=None, double eps=1e-5):
    """(x - mean) / sqrt(var + eps) · weight + bias over the last dimensions."""
    return wrap(normalized_over("layer_norm", input, normalized_shape, weight, bias, eps, False))

def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean(x²) + eps) · weight over the last dimensions; eps is by default that of the type."""
    if eps is None:
        eps = 2.0 ** -52 if require_tensor(input, "rms_norm", "the input").v.meta.dtype == TG_F64 else 2.0 ** -23
    return wrap(normalized_over("rms_norm", input, normalized_shape, weight, None, eps, True))

def group_norm(input, num_groups, weight=None, bias=None, double eps=1e-5):
    """(x - mean) / sqrt(var + eps) · weight + bias per group of channels of (N, C, …)."""
    return wrap(op_group_norm(require_tensor(input, "group_norm", "the input").v, operator_index(num_groups),
                              maybe(weight, "group_norm", "the weight"), maybe(bias, "group_norm", "the bias"), eps))

cdef tuple picked(Tensor x, Tensor target, object weight, int64_t ignore):
    """(-x at the target classes · their weights, the weights), both zero where the target is ignored."""
    cdef int dim = 1 if x.v.meta.ndim > 1 else 0
    check_targets("nll_loss", x.v, op_raw_contiguous(target.v), ignore)
    classes = x.v.meta.shape[dim]
    if weight is not None and (weight.ndim != 1 or weight.shape[0] != classes or weight.dtype != x.dtype):
        raise RuntimeError(f"nll_loss: the weight should be defined for all {classes} classes, as a {x.dtype} tensor of "
                           f"shape ({classes},), but has shape {tuple(weight.shape)} and type {weight.dtype}")
    keep = target != ignore
    index = where(keep, target, 0)
    share = (keep.to(x.dtype) if weight is None else where(keep, weight[index], 0.0)) if x.v.meta.ndim else None
    return where(keep, -x.gather(dim, index.unsqueeze(dim)).squeeze(dim), 0.0) * share, share

cdef object averaged(object loss, object share, str reduction, str op):
    cdef int how = reduction_code(reduction, op)
    if how == REDUCE_NONE:
        return loss
    return loss.sum() / share.sum() if how == REDUCE_MEAN else loss.sum()

def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-input[target], weighted by class: input (N, C, …), target (N, …) of class indices."""
    loss, share = picked(require_tensor(input, "nll_loss", "the input"), require_tensor(target, "nll_loss", "the target"), weight, ignore_index)
    return averaged(loss, share, reduction, "nll_loss")

def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", double label_smoothing=0.0):
    """-log softmax(input)[target] for scores (N, C, …) and class indices (N, …), or (C,) and ()."""
    cdef Tensor x = require_tensor(input, "cross_entropy", "the input")
    cdef Tensor t = require_tensor(target, "cross_entropy", "the target")
    cdef int dim = 1 if x.v.meta.ndim > 1 else 0
    if weight is None and label_smoothing == 0:
        return wrap(op_cross_entropy(x.v, t.v, ignore_index, reduction))
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0 and 1, but is {label_smoothing}")
    log_p = x.log_softmax(dim)
    loss, share = picked(log_p, t, weight, ignore_index)
    if label_smoothing:
        classes = x.shape[dim]
        if weight is not None:
            log_p = log_p * weight.reshape([-1 if d == dim else 1 for d in range(x.v.meta.ndim)])
        smooth = where(t != ignore_index, -log_p.sum(dim), 0.0)
        loss = (1 - label_smoothing) * loss + label_smoothing / classes * smooth
    return averaged(loss, share, reduction, "cross_entropy")

# ---- autograd ----

cdef class grad_mode:
    """A grad mode, as context manager and as decorator."""
    cdef int mode
    cdef list before
    cdef object function  # of the decorator without parentheses

    def __enter__(self):
        if self.before is None:
            self.before = []
        self.before.append(set_grad_disabled(self.mode))

    def __exit__(self, *exc):
        set_grad_disabled(self.before.pop())

    def __call__(self, *args, **kwargs):
        if self.function is None:
            return self.decorated(*args, **kwargs)
        cdef int before = set_grad_disabled(self.mode)
        try:
            return self.function(*args, **kwargs)
        finally:
            set_grad_disabled(before)

    def __get__(self, instance, owner):
        return self if instance is None else partial(self, instance)

    def decorated(self, function):
        """The function, run in this mode."""
        if isgeneratorfunction(function):
            raise TypeError(f"grad mode: {function.__name__} is a generator; use the mode inside it instead")
        cdef int mode = self.mode

        @wraps(function)
        @cython.binding(True)
        def in_mode(*args, **kwargs):
            before = set_grad_disabled(mode)
            try:
                return function(*args, **kwargs)
            finally:
                set_grad_disabled(before)

        return in_mode

cdef class no_grad(grad_mode):
    """Nothing goes on the tape: `with no_grad():`, or as the decorator `@no_grad()`."""

    def __cinit__(self, function=None):
        self.mode = 1
        self.function = function

cdef class enable_grad(grad_mode):
    """Ops go on the tape again, inside no_grad: `with enable_grad():`, or as a decorator."""

    def __cinit__(self, function=None):
        self.mode = 0
        self.function = function

cdef class set_grad_enabled(grad_mode):
    """Switches the tape on or off, at once or for a with block."""
    cdef int entered

    def __cinit__(self, mode):
        self.mode = 0 if mode else 1
        self.before = [set_grad_disabled(self.mode)]
        self.entered = 0

    def __enter__(self):
        if self.entered:
            self.before.append(set_grad_disabled(self.mode))
        self.entered = 1

    def decorated(self, function):
        """The function, run in this mode; the mode itself is as before."""
        set_grad_disabled(self.before.pop())
        return grad_mode.decorated(self, function)

def is_grad_enabled():
    """Whether ops go on the tape."""
    return tg_grad_disabled == 0

cdef int backward_from(list tensors, object gradients, object retain_graph, object create_graph, object inputs) except -1:
    grad_of(tensors, gradients, retain_graph, create_graph, inputs, True, True)
    return 0

cdef list as_list(object x):
    return list(x) if isinstance(x, (tuple, list)) else [x]

cdef object grad_of(list tensors, object gradients, object retain_graph, object create_graph, object inputs,
                    bint accumulates, bint allow_unused):
    """Runs backward from tensors. With inputs, their gradients are returned, or added to their .grad."""
    cdef int k, n_roots = len(tensors), n_targets = 0
    cdef val *roots
    cdef tg_edge *targets
    cdef Tensor t
    cdef Pass p
    cdef bint create = bool(create_graph)
    cdef bint retain = create if retain_graph is None else bool(retain_graph)
    op = "backward" if accumulates else "grad"
    targets_list = None if inputs is None else as_list(inputs)
    if targets_list is not None:
        n_targets = len(targets_list)
        if n_targets == 0:
            raise RuntimeError(f"{op}: inputs must not be empty")
        for x in targets_list:
            if not require_tensor(x, op, "an input").requires_grad:
                raise RuntimeError(f"{op}: one of the inputs does not require grad")
    if gradients is not None and len(gradients) != n_roots:
        raise RuntimeError(f"{op}: got {n_roots} tensors and {len(gradients)} gradients")
    kept = []
    results = []
    roots = <val *>calloc(2 * n_roots + n_targets + 1, sizeof(val))
    targets = <tg_edge *>calloc(n_targets + 1, sizeof(tg_edge))
    try:
        if roots is NULL or targets is NULL:
            raise MemoryError()
        for k in range(n_roots):
            t = require_tensor(tensors[k], op, "an output")
            if not t.requires_grad:
                raise RuntimeError(f"{op}: element {k} of tensors does not require grad and does not have a grad_fn")
            roots[k] = t.v
            g = None if gradients is None else gradients[k]
            if g is None:
                if t.v.meta.numel != 1:
                    raise RuntimeError(f"{op}: grad can be implicitly created only for scalar outputs, but this one has "
                                       f"shape {t.shape}; pass a gradient")
                g = wrap(make_ones(t.v.meta.dtype, t.v.meta.ndim, t.v.meta.shape))
            elif not same_shape(require_tensor(g, op, "a gradient").v.meta, t.v.meta):
                raise RuntimeError(f"{op}: mismatch in shape: a gradient has shape {g.shape}, its output {t.shape}")
            kept.append(g)
            roots[n_roots + k] = (<Tensor>g).v
        for k in range(n_targets):
            t = targets_list[k]
            targets[k].node = t.v.node
            targets[k].out = t.v.out
        run_backward(n_roots, roots, roots + n_roots, retain, create, targets, n_targets, roots + 2 * n_roots)
        memset(&p, 0, sizeof(p))
        p.create_graph = create
        for k in range(n_targets):
            t = targets_list[k]
            if roots[2 * n_roots + k] is NULL:
                if not allow_unused:
                    raise RuntimeError(f"grad: input {k} of shape {t.shape} appears to not have been used in the graph; "
                                       "pass allow_unused=True if this is intended")
                results.append(None)
            elif accumulates:
                accumulate(&p, t.v, roots[2 * n_roots + k])
            else:
                results.append(wrap_shared(roots[2 * n_roots + k]))
    finally:
        if roots is not NULL:
            for k in range(n_targets):
                tg_release(roots[2 * n_roots + k])
        free(roots)
        free(targets)
        tg_pool_drain(tg_pool_base)
    return tuple(results)

def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradients of tensors to the .grad of the leaves; see Tensor.backward."""
    backward_from(as_list(tensors), None if grad_tensors is None else as_list(grad_tensors), retain_graph, create_graph,
                  inputs)

def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False,
         materialize_grads=False):
    """The gradients of outputs by inputs, as a tuple; no .grad is touched.

    Raises RuntimeError for an input that the outputs do not depend on, unless allow_unused (then its gradient is
    None) or materialize_grads (then zeros).

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    results = grad_of(as_list(outputs), None if grad_outputs is None else as_list(grad_outputs), retain_graph,
                      create_graph, inputs, False, allow_unused or materialize_grads)
    if materialize_grads:
        results = tuple([zeros_like(x) if r is None else r for r, x in zip(results, as_list(inputs))])
    return results

# ---- the engine itself ----

def show_config():
    """Which kernels run, and which this machine could run."""
    names = [n for n in ("baseline", "avx2", "avx512") if tg_isa_available(n.encode())]
    return f"instruction set: {tg_k.isa.decode()} (available: {', '.join(names)}; TGL_ISA chooses one)"

def isa():
    """Name of the instruction set whose kernels run."""
    return tg_k.isa.decode()

def get_num_threads():
    """How many threads a kernel may use: what set_num_threads() said, else TGL_NUM_THREADS or OMP_NUM_THREADS in the
    environment, else one per core that this process may run on."""
    return tg_num_threads()

def set_num_threads(n):
    """Lets each kernel use up to n threads, this one included. Results have the same bits whatever n is.

    Threads are started by the first kernel with enough work for two. Raises RuntimeError unless n is between 1 and 256,
    TypeError unless it is an integer.

    >>> import tinygrad_lessons as tg
    >>> before = tg.get_num_threads()
    >>> tg.set_num_threads(1)
    >>> tg.get_num_threads()
    1
    >>> tg.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads: expected an integer, but got {type(n).__name__}")
    if not 1 <= n <= TG_MAX_THREADS:
        raise RuntimeError(f"set_num_threads: expected a number between 1 and {TG_MAX_THREADS}, but got {n}")
    tg_set_num_threads(n)

def memory_stats():
    """What tensors and the tape occupy, as a dict by the names of torch.cuda.memory_stats.

    - `allocated_bytes.all.current`, `.peak`: bytes in use now, and the most there were at once.
    - `reserved_bytes.all.current`, `.peak`: the same with the freed blocks that wait for reuse.
    - `allocation.all.current`, `.allocated`, `.freed`: blocks in use now, handed out ever, and given back.
    - `num_alloc_retries`: how often blocks went back to the system because it ran short; `num_ooms`: how often that did
      not help, and MemoryError was raised.

    Blocks are counted as handed out: rounded up to the next of the allocator's sizes, with 64 bytes of header for a
    tensor's memory. Memory that NumPy owns (from_numpy) is not counted.

    >>> import tinygrad_lessons as tg
    >>> before = tg.memory_stats()["allocated_bytes.all.current"]
    >>> x = tg.zeros(1000, 1000)
    >>> tg.memory_stats()["allocated_bytes.all.current"] - before >= 4_000_000
    True
    """
    return {
        "allocated_bytes.all.current": tg_memory.in_use,
        "allocated_bytes.all.peak": tg_memory.peak,
        "reserved_bytes.all.current": tg_memory.reserved,
        "reserved_bytes.all.peak": tg_memory.reserved_peak,
        "allocation.all.current": tg_memory.served - tg_memory.freed,
        "allocation.all.allocated": tg_memory.served,
        "allocation.all.freed": tg_memory.freed,
        "num_alloc_retries": tg_memory.retries,
        "num_ooms": tg_memory.failures,
    }

def reset_peak_memory_stats():
    """Starts the peaks of memory_stats() anew, from what is in use now.

    >>> import tinygrad_lessons as tg
    >>> tg.reset_peak_memory_stats()
    >>> stats = tg.memory_stats()
    >>> stats["allocated_bytes.all.peak"] == stats["allocated_bytes.all.current"]
    True
    """
    tg_memory.peak = tg_memory.in_use
    tg_memory.reserved_peak = tg_memory.reserved

def empty_cache():
    """Gives the freed blocks that wait for reuse back to the system.

    The allocator does so itself when the system runs short; calling it helps others on the machine, not this program.

    >>> import tinygrad_lessons as tg
    >>> tg.empty_cache()
    >>> stats = tg.memory_stats()
    >>> stats["reserved_bytes.all.current"] == stats["allocated_bytes.all.current"]
    True
    """
    tg_trim()
