# What utils.data needs of the engine: a stream of random numbers for each sample, batches of tensors in memory.

cdef class Stream:
    """Within `with stream:`, what this thread draws without naming a generator comes from the stream of a seed, at one of
    its 2³² places, 2³² blocks long each; the default generator stays as it is."""
    cdef Generator generator
    cdef uint64_t seed
    cdef list before

    def __cinit__(self, seed, place=0):
        self.generator = Generator()
        self.seed = operator_index(seed) % (1 << 64)
        self.before = []
        self.seek(place)

    def seek(self, place):
        """To the beginning of a place."""
        self.generator.key = self.seed
        self.generator.offset = <uint64_t><int64_t>place << 32

    def __enter__(self):
        global tg_stream
        self.before.append(None if tg_stream is NULL else <object>tg_stream)
        tg_stream = <PyObject *>self.generator

    def __exit__(self, *exc):
        global tg_stream
        before = self.before.pop()  # whoever entered it holds it
        tg_stream = NULL if before is None else <PyObject *>before

cdef enum:
    BATCH_SOURCES = 16  # that one launch serves

def take_batch(tensors, index):
    """[x[index] for x in tensors], in one launch as far as they are contiguous and not on the tape; index is int64, 1-d."""
    cdef val order = require_tensor(index, "batch", "the index").v, x
    cdef void *out[BATCH_SOURCES]
    cdef void *source[BATCH_SOURCES]
    cdef int64_t bytes[BATCH_SOURCES]
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t bad = 0, rows = -1, total = 0
    cdef int first = 0, n = 0
    cdef tg_call c
    cdef list taken = []
    cdef Tensor part
    if order.meta.dtype != TG_I64 or order.meta.ndim != 1 or not order.meta.flags & TG_CONTIGUOUS:
        raise RuntimeError(f"batch: expected a contiguous int64 index of one dimension, not {type_name(order.meta.dtype)} "
                           f"of shape {shape_of(order)}")
    tensors = tuple(tensors)  # holds them while the kernel runs
    for tensor in tensors:
        x = require_tensor(tensor, "batch", "what is taken from").v
        if (x.meta.ndim == 0 or not x.meta.flags & TG_CONTIGUOUS or tracks(x) or n == BATCH_SOURCES
                or rows not in (-1, x.meta.shape[0])):
            taken.append(wrap(op_index(x, 1, &first, &order, False, "batch")))
            continue
        rows = x.meta.shape[0]
        shape[0] = order.meta.shape[0]
        memcpy(shape + 1, x.meta.shape + 1, (x.meta.ndim - 1) * sizeof(int64_t))
        part = wrap(make_empty(x.meta.dtype, x.meta.ndim, shape))
        taken.append(part)
        out[n] = part.v.data
        source[n] = x.data
        bytes[n] = x.meta.numel // max(rows, 1) * tg_size[x.meta.dtype]
        total += bytes[n]
        n += 1
    if n and order.meta.numel:
        c.fn = tg_k.batch
        c.n = [order.meta.numel, n, 1]
        c.p[0] = out
        c.p[1] = source
        c.p[2] = bytes
        c.p[3] = order.data
        c.p[4] = &bad
        c.i = [rows, total]
        launch_worth(&c, order.meta.numel * (total // 4 + n))
        if bad:
            raise IndexError(f"batch: index {(<int64_t *>order.data)[bad - 1]} is out of range for a dataset of {rows} samples")
    return taken
