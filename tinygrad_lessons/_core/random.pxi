# Random numbers: a generator is a seed and an offset into its Philox stream. A draw reserves the blocks it reads.

cdef extern from *:
    """
    static TG_TLS PyObject *tg_stream; /* the generator that this thread draws from instead of the default one */
    """
    PyObject *tg_stream

cdef class Generator:
    """A stream of random numbers: Philox 4×32-10 (Salmon et al. 2011), keyed by a seed and counted by an offset.

    >>> import tinygrad_lessons as tg
    >>> g = tg.Generator().manual_seed(1)
    >>> bool((tg.rand(3, generator=g) == tg.rand(3, generator=g.manual_seed(1))).all())
    True
    """
    cdef uint64_t key, offset

    def __init__(self, device="cpu"):
        check_device(device)
        self.key = 67280421310721
        self.offset = 0

    def manual_seed(self, seed):
        """Starts the stream of `seed` (an integer, taken modulo 2⁶⁴) from its beginning; returns the generator."""
        self.key = <uint64_t>(operator_index(seed) % (1 << 64))
        self.offset = 0
        return self

    def seed(self):
        """Starts the stream of a seed drawn from the operating system; returns the seed."""
        self.manual_seed(int.from_bytes(urandom(8), "little"))
        return self.key

    def initial_seed(self):
        """The seed of the stream."""
        return self.key

    def get_state(self):
        """The stream's seed and position, as a uint8 tensor of 16 bytes."""
        state = (int(self.key) | int(self.offset) << 64).to_bytes(16, "little")
        return tensor(list(state), dtype=uint8)

    def set_state(self, state):
        """Goes to where get_state() was taken; returns the generator."""
        if not isinstance(state, Tensor) or state.dtype is not DTYPES[TG_U8] or state.shape != (16,):
            what = f"{state.dtype} of shape {tuple(state.shape)}" if isinstance(state, Tensor) else type(state).__name__
            raise RuntimeError(f"set_state: expected what get_state() gave, 16 elements of uint8, but got {what}")
        number = int.from_bytes(bytes(state.tolist()), "little")
        self.key = number & ((1 << 64) - 1)
        self.offset = number >> 64
        return self

    @property
    def device(self):
        """Where the numbers are drawn: the CPU."""
        return CPU

default_generator = Generator()

cdef inline Generator current_generator():
    """Where draws come from that name no generator."""
    return default_generator if tg_stream is NULL else <Generator>tg_stream

cdef int reserve(tg_call *c, int64_t blocks, object generator) except -1:
    """Notes where in the stream the next blocks are, and goes past them."""
    cdef Generator g
    if generator is None:
        g = current_generator()
    elif isinstance(generator, Generator):
        g = generator
    else:
        raise TypeError(f"generator: expected a Generator, not {type(generator).__name__}")
    c.u[0] = g.key
    c.u[1] = g.offset
    g.offset += blocks
    return 0

cdef int draw(tg_call *c, tg_kernel fn, val out, int64_t words, const void *hyper, object generator) except -1:
    """Fills contiguous out from the stream, `words` 32-bit words an element; c holds the kernel's further operands."""
    reserve(c, (out.meta.numel * words + 3) // 4, generator)
    c.fn = fn
    c.n[0] = out.meta.numel
    c.n[1] = c.n[2] = 0
    c.p[0] = out.data
    c.hyper = hyper
    if c.n[0]:
        launch(c)
    return 0

cdef inline int words_of(int t) noexcept:
    return 2 if t == TG_F64 else 1

cdef val drawn(tg_meta *m, int t, tg_kernel *fn, double a, double b, object generator) except NULL:
    """Draws of a float distribution with the parameters a, b, in m's shape, of type t."""
    cdef double hyper[2]
    cdef tg_call c
    cdef val out = make_empty(t, m.ndim, m.shape)
    hyper[0], hyper[1] = a, b
    draw(&c, fn[t == TG_F64], out, words_of(t), hyper, generator)
    return out

cdef val drawn_in_place(val x, tg_kernel *fn, double a, double b, object generator, str name) except NULL:
    """x overwritten with such draws."""
    cdef double hyper[2]
    cdef tg_call c
    need_float(name, x)
    if tracks(x) or not x.meta.flags & TG_CONTIGUOUS:
        return op_copy_(x, drawn(x.meta, x.meta.dtype, fn, a, b, generator), name)
    check_writable(x, name)
    hyper[0], hyper[1] = a, b
    draw(&c, fn[x.meta.dtype == TG_F64], x, words_of(x.meta.dtype), hyper, generator)
    bump(x)
    return x

cdef val op_uniform_(val x, double lo, double hi, object generator) except NULL:
    if not lo <= hi:
        raise RuntimeError(f"uniform_: expected from <= to, but got from={lo} and to={hi}")
    cdef double most = FLT_MAX if x.meta.dtype == TG_F32 else DBL_MAX
    if not (-most <= lo and hi <= most and hi - lo <= most):
        raise RuntimeError(f"uniform_: expected bounds, and a distance between them, that {type_name(x.meta.dtype)} can hold, "
                           f"but got from={lo} and to={hi}")
    return drawn_in_place(x, tg_k.uniform, lo, hi, generator, "uniform_")

cdef val op_normal_(val x, double mean, double std, object generator) except NULL:
    if not std >= 0:
        raise RuntimeError(f"normal_: expected std >= 0, but got std={std}")
    return drawn_in_place(x, tg_k.normal, mean, std, generator, "normal_")

cdef val op_exponential_(val x, double rate, object generator) except NULL:
    if not rate > 0:
        raise RuntimeError(f"exponential_: expected lambd > 0, but got {rate}")
    return drawn_in_place(x, tg_k.exponential, rate, 0, generator, "exponential_")

cdef val op_log_normal_(val x, double mean, double std, object generator) except NULL:
    need_float("log_normal_", x)
    if not std > 0:
        raise RuntimeError(f"log_normal_: expected std > 0, but got std={std}")
    return op_copy_(x, op_exp(drawn(x.meta, x.meta.dtype, tg_k.normal, mean, std, generator)), "log_normal_")

cdef val op_cauchy_(val x, double median, double sigma, object generator) except NULL:
    """median + sigma tan(φ), φ uniform over half a turn"""
    cdef val t
    need_float("cauchy_", x)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_: expected sigma > 0, but got sigma={sigma}")
    t = op_tan(drawn(x.meta, x.meta.dtype, tg_k.uniform, -M_PI / 2, M_PI / 2, generator))
    return op_copy_(x, op_add(op_mul(t, constant(sigma, t)), constant(median, t)), "cauchy_")

cdef val op_geometric_(val x, double p, object generator) except NULL:
    """The next integer above an exponential draw of rate -log(1 - p): P(k) = (1 - p)^(k - 1) p, k = 1, 2, …"""
    cdef int t = x.meta.dtype if is_float(x.meta.dtype) else TG_F64
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: expected a probability strictly between 0 and 1, but got {p}")
    return op_copy_(x, op_ceil(drawn(x.meta, t, tg_k.exponential, -log1p(-p), 0, generator)), "geometric_")

cdef val bernoulli_mask(int ndim, const int64_t *shape, double p, object generator) except NULL:
    cdef tg_call c
    cdef val out = make_empty(TG_BOOL, ndim, shape)
    draw(&c, tg_k.bernoulli, out, 1, &p, generator)
    return out

# Up to where each type holds every integer from 0.
cdef list LARGEST_INTEGER = [1, 2**8 - 1, 2**31 - 1, 2**63 - 1, 2**24, 2**53]

cdef val op_randint(str op, int ndim, const int64_t *shape, int t, object low, object high,
                    object generator) except NULL:
    """Integers from [low, high), as type t."""
    cdef tg_call c
    cdef int64_t hyper[2]
    low, high = operator_index(low), operator_index(high)
    if low >= high:
        raise RuntimeError(f"{op}: expected low < high, but got low={low} and high={high}")
    most = LARGEST_INTEGER[t]
    least = 0 if t == TG_BOOL or t == TG_U8 else -most if is_float(t) else -most - 1
    if low < least or high - 1 > most:
        raise RuntimeError(f"{op}: {type_name(t)} holds the integers from {least} to {most} exactly, but the draws would "
                           f"lie between {low} and {high - 1}; choose another range or dtype")
    hyper[0], hyper[1] = low, <int64_t><uint64_t>(high & ((1 << 64) - 1))  # 2⁶³ wraps, and their difference with it
    cdef val out = make_empty(TG_I64, ndim, shape)
    draw(&c, tg_k.randint, out, 2, hyper, generator)
    return op_to(out, t)

cdef val op_randperm(int64_t n, object generator) except NULL:
    """The order of n random words of 64 bits; equal ones keep their order."""
    cdef tg_call c
    cdef int64_t entries = 2 * n  # a key and an index each
    if n < 0 or n > <int64_t>1 << 43:
        raise RuntimeError(f"randperm: n must be between 0 and what fits into memory, but is {n}")
    cdef val order = make_empty(TG_I64, 1, &n), scratch = make_empty(TG_I64, 1, &entries)
    c.p[1] = scratch.data
    draw(&c, tg_k.randperm, order, 2, NULL, generator)
    return order

# ---- dropout ----

cdef int dropped_backward(tg_node *n, val *g, val *out) except -1:
    """The same of g: the map is linear."""
    out[0] = op_dropped(g[0], saved(n, 0), n.s[0])
    return 0

cdef tg_rule DROPOUT = tg_rule(b"Dropout", dropped_backward)

cdef val finish_dropped(val x, val mask, double p, val out) except NULL:
    cdef tg_node *n
    if not tracks(x):
        return out
    n = new_node(&DROPOUT, 1, 1, &x, 1, 0)
    n.s[0] = p
    save(n, 0, mask, TG_FROM_NOWHERE)
    return finish(n, out)

cdef val op_dropped(val x, val mask, double p) except NULL:
    """x · mask / (1 - p); the mask is one that op_dropout drew."""
    cdef tg_call c
    cdef val out = make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape)
    c.fn = tg_k.dropped[x.meta.dtype == TG_F64]
    c.n[0] = x.meta.numel
    c.n[1] = c.n[2] = 0
    c.p[0] = out.data
    c.p[1] = op_raw_contiguous(x).data
    c.p[2] = mask.data
    c.hyper = &p
    if c.n[0]:
        launch(&c)
    return finish_dropped(x, mask, p, out)

cdef val op_dropout(val x, double p, object generator) except NULL:
    """Zeroes elements with probability p and scales the others by 1 / (1 - p)."""
    cdef tg_call c
    need_float("dropout", x)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability must be between 0 and 1, but is {p}")
    cdef val out = make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape), mask = make_empty(TG_BOOL, x.meta.ndim, x.meta.shape)
    c.p[1] = op_raw_contiguous(x).data
    c.p[2] = mask.data
    draw(&c, tg_k.dropout[x.meta.dtype == TG_F64], out, 1, &p, generator)
    return finish_dropped(x, mask, p, out)
