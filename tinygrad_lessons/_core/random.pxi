# Random numbers: a generator is a seed and an offset into its Philox stream. A draw reserves the blocks it reads.

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
        number = int.from_bytes(bytes(state.tolist()), "little")
        self.key = number & ((1 << 64) - 1)
        self.offset = number >> 64
        return self

    @property
    def device(self):
        """Where the numbers are drawn: the CPU."""
        return CPU

default_generator = Generator()

cdef int draw(tg_call *c, tg_kernel fn, val out, int64_t words, const void *hyper, object generator) except -1:
    """Fills contiguous out from the stream, `words` 32-bit words an element; c holds the kernel's further operands."""
    cdef Generator g
    if generator is None:
        g = default_generator
    elif isinstance(generator, Generator):
        g = generator
    else:
        raise TypeError(f"generator: expected a Generator, not {type(generator).__name__}")
    c.fn = fn
    c.n[0] = out.meta.numel
    c.n[1] = c.n[2] = 0
    c.p[0] = out.data
    c.u[0] = g.key
    c.u[1] = g.offset
    c.hyper = hyper
    g.offset += (c.n[0] * words + 3) // 4
    if c.n[0]:
        launch(c)
    return 0

cdef inline int words_of(int t) noexcept:
    return 2 if t == TG_F64 else 1

cdef val drawn_in_place(val x, tg_kernel *fn, double a, double b, object generator, str name) except NULL:
    """x overwritten with draws of a float distribution with the parameters a, b."""
    cdef double hyper[2]
    cdef tg_call c
    cdef val fresh
    need_float(name, x)
    hyper[0], hyper[1] = a, b
    check_writable(x, name)
    fresh = x if x.meta.flags & TG_CONTIGUOUS and not tracks(x) else make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape)
    draw(&c, fn[x.meta.dtype == TG_F64], fresh, words_of(x.meta.dtype), hyper, generator)
    if fresh is x:
        bump(x)
        return x
    return op_copy_(x, fresh, name)

cdef val op_uniform_(val x, double lo, double hi, object generator) except NULL:
    if not lo <= hi:
        raise RuntimeError(f"uniform_: expected from <= to, but got from={lo} and to={hi}")
    return drawn_in_place(x, tg_k.uniform, lo, hi, generator, "uniform_")

cdef val op_normal_(val x, double mean, double std, object generator) except NULL:
    if not std >= 0:
        raise RuntimeError(f"normal_: expected std >= 0, but got std={std}")
    return drawn_in_place(x, tg_k.normal, mean, std, generator, "normal_")

cdef val op_exponential_(val x, double rate, object generator) except NULL:
    if not rate > 0:
        raise RuntimeError(f"exponential_: expected lambd > 0, but got {rate}")
    return drawn_in_place(x, tg_k.exponential, rate, 0, generator, "exponential_")

cdef val bernoulli_mask(int ndim, const int64_t *shape, double p, object generator) except NULL:
    cdef tg_call c
    cdef val out = make_empty(TG_BOOL, ndim, shape)
    draw(&c, tg_k.bernoulli, out, 1, &p, generator)
    return out

cdef val op_randint(int ndim, const int64_t *shape, int64_t lo, int64_t hi, object generator) except NULL:
    cdef tg_call c
    cdef int64_t hyper[2]
    hyper[0], hyper[1] = lo, hi
    if lo >= hi:
        raise RuntimeError(f"randint: expected low < high, but got low={lo} and high={hi}")
    cdef val out = make_empty(TG_I64, ndim, shape)
    draw(&c, tg_k.randint, out, 2, hyper, generator)
    return out

cdef val op_randperm(int64_t n, object generator) except NULL:
    """The order of n random words of 64 bits; equal ones keep their order."""
    cdef tg_call c
    cdef int64_t entries = 2 * n
    if n < 0:
        raise RuntimeError(f"randperm: n must not be negative, but is {n}")
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
