# Functions that make tensors: of data, of a value, of random numbers.

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

cdef inline int kind_of_number(object x):
    """The type that one of Python's own numbers asks for: TG_BOOL, TG_I64 or TG_F64; TG_DTYPES for anything else."""
    if type(x) is float:
        return TG_F64
    if type(x) is int:
        return TG_I64 if -(1 << 63) <= x < 1 << 63 else TG_DTYPES
    return TG_BOOL if type(x) is bool else TG_DTYPES

cdef int kind_of_numbers(object data, const int64_t *shape, int depth, int ndim) except -1:
    """The same for a number or nested lists of them: the widest of all; TG_DTYPES if they are uneven."""
    cdef int kind = TG_BOOL
    if depth == ndim:
        return kind_of_number(data)
    if type(data) is not list and type(data) is not tuple or len(data) != shape[depth]:
        return TG_DTYPES
    for x in data:
        kind = max(kind, kind_of_number(x) if depth + 1 == ndim else kind_of_numbers(x, shape, depth + 1, ndim))
    return kind

cdef char *write_numbers(object data, char *to, int t) except NULL:
    """Writes a number, or nested lists of them in order; returns where it ended."""
    if type(data) is list or type(data) is tuple:
        for x in data:
            to = write_numbers(x, to, t)
        return to
    if t == TG_F32:
        (<float *>to)[0] = data
    elif t == TG_F64:
        (<double *>to)[0] = data
    elif t == TG_I64:
        (<int64_t *>to)[0] = data
    else:
        to[0] = data
    return to + tg_size[t]

cdef inline int check_range(double x, int t) except -1:
    """Raises if a number does not fit the integer type t."""
    cdef double low = 0 if t == TG_U8 else INT32_MIN if t == TG_I32 else -9223372036854775808.0
    cdef double high = 255 if t == TG_U8 else INT32_MAX if t == TG_I32 else 9223372036854774784.0
    if not low <= x <= high:
        raise RuntimeError(f"tensor: a value cannot be converted to type {type_name(t)} without overflow: expected "
                           f"numbers from {low:.0f} to {high:.0f}, got {x:.17g}")
    return 0

cdef val from_numbers(object data, object dtype) except? NULL:
    """A value of one of Python's own numbers, or of evenly nested lists of them; NULL if data is anything else."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int ndim = nested_shape(data, shape, 0), kind = kind_of_numbers(data, shape, 0, ndim), t
    cdef int64_t k
    cdef val v
    if kind == TG_DTYPES:
        return NULL
    t = dtype_code(dtype, default_float if kind == TG_F64 else kind)
    v = make_empty(t if is_float(kind) and is_float(t) else kind, ndim, shape)
    if v.meta.numel == 0:
        return make_empty(dtype_code(dtype, default_float), ndim, shape)
    write_numbers(data, v.data, v.meta.dtype)
    if not is_float(t) and t != TG_BOOL and kind != TG_BOOL and kind != t:
        for k in range(v.meta.numel):
            check_range((<double *>v.data)[k] if kind == TG_F64 else (<int64_t *>v.data)[k], t)
    return op_to(v, t)

cdef val from_array_like(object data, object dtype) except NULL:
    """A copy of what NumPy reads as an array of numbers: its own arrays and scalars, others' by `__array__`, and lists
    with tensors or NumPy's scalars among their numbers."""
    cdef bint typed = hasattr(data, "__array__")
    cdef int t
    if typed:
        array = np_asarray(data)
    elif isinstance(data, (list, tuple)):
        try:
            array = np_array(with_plain_tensors(data))
        except ValueError:
            raise ValueError("tensor: the lists have uneven lengths; a tensor needs rows of equal length") from None
    elif isinstance(data, (bool, int, float)):
        array = np_asarray(data)
    else:
        raise TypeError(f"tensor: could not make a tensor of {type(data).__name__}; expected numbers, lists of "
                        "numbers, a NumPy array or a tensor")
    if not typed and array.dtype.kind in "uO" and all([isinstance(x, int) for x in array.reshape(-1).tolist()]):
        raise ValueError("tensor: a number is too large for int64")
    if array.dtype.kind in "USOMmcV":
        raise TypeError(f"tensor: expected numbers, or nested lists of numbers of equal length, not elements of type "
                        f"{array.dtype}")
    t = code_of(array.dtype)
    if t < 0:
        raise TypeError(f"tensor: can't convert an array of type {array.dtype}; supported are float64, float32, int64, "
                        "int32, uint8 and bool: convert it with array.astype")
    if not typed and t != TG_BOOL:
        t = default_float if is_float(t) else TG_I64
    t = dtype_code(dtype, t)
    if not (is_float(t) or t == TG_BOOL or isinstance(data, np_ndarray)) and array.size:
        check_range(array.min(), t)
        check_range(array.max(), t)
    return dense_copy(from_ndarray(np_array(array, order="C")), t)

def tensor(data, *, dtype=None, device=None, requires_grad=False):
    """A tensor with a copy of data: a number, nested lists, a NumPy array or a tensor.

    Raises ValueError for lists of uneven lengths, TypeError for other things than numbers.

    >>> import tinygrad_lessons as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    cdef val v
    check_device(device)
    if isinstance(data, Tensor):
        v = dense_copy((<Tensor>data).v, dtype_code(dtype, (<Tensor>data).v.meta.dtype))
    else:
        v = from_numbers(data, dtype)
        if v is NULL:
            v = from_array_like(data, dtype)
    return made(v, requires_grad)

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
    return current_generator().manual_seed(seed)

def seed():
    """Seeds the default generator from the operating system; returns the seed."""
    return current_generator().seed()

def initial_seed():
    """The default generator's seed."""
    return current_generator().initial_seed()

def get_rng_state():
    """The default generator's state."""
    return current_generator().get_state()

def set_rng_state(state):
    """Puts the default generator where get_rng_state() was taken."""
    current_generator().set_state(state)
