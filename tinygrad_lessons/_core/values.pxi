# Values: types, layouts, allocation, and the one place where kernels start.

cdef int default_float = TG_F32

cdef inline bint is_float(int t) noexcept:
    return t >= TG_F32

cdef inline int category(int t) noexcept:
    """Bool 0, integers 1, floats 2: a weaker operand decides the type only by a higher category."""
    return 0 if t == TG_BOOL else 1 if t < TG_F32 else 2

cdef inline int strength(val v) noexcept:
    return 0 if v.flags & TG_WEAK else 1 if v.meta.ndim == 0 else 2

cdef int promote(val a, val b) noexcept:
    """Type of a result, as in PyTorch: tensors before 0-d tensors before Python numbers within a category."""
    cdef int ta = a.meta.dtype, tb = b.meta.dtype
    if ta == tb:
        return ta
    cdef int sa = strength(a), sb = strength(b)
    if sa == sb:
        return max(ta, tb)
    if sa < sb:
        ta, tb = tb, ta
    if category(tb) <= category(ta):
        return ta
    return max(ta, tb)

cdef inline val checked(val v) except NULL:
    if v is NULL:
        raise MemoryError("not enough memory for a tensor")
    return v

cdef inline val alloc(tg_meta *m) except NULL:
    """A value with memory of its own; takes over the reference to m."""
    return checked(tg_value_alloc(m))

cdef int64_t checked_numel(int ndim, const int64_t *shape) except -1:
    """How many elements; an error if a size is negative, or memory could never hold that many."""
    cdef int64_t n = 1
    cdef bint empty = False, too_large = False
    cdef int d
    for d in range(ndim):
        if shape[d] < 0:
            raise RuntimeError(f"a tensor cannot have the negative size {shape[d]} in shape {as_tuple(ndim, shape)}")
        empty |= shape[d] == 0
        too_large |= multiply_overflows(n, shape[d], &n)
    if empty:
        return 0
    if too_large or n > <int64_t>1 << 47:
        raise RuntimeError(f"shape {as_tuple(ndim, shape)} is too large to be held in memory")
    return n

cdef val make_empty(int t, int ndim, const int64_t *shape) except NULL:
    checked_numel(ndim, shape)
    return alloc(tg_meta_contiguous(<tg_dtype>t, ndim, shape))

cdef val empty_like(val x, int t) except NULL:
    """Contents undefined; laid out as x if that fills its memory, else contiguous, as in PyTorch."""
    if x.meta.flags & TG_DENSE:
        if x.meta.dtype == t:
            return alloc(tg_meta_retain(x.meta))
        return alloc(tg_meta_get(<tg_dtype>t, x.meta.ndim, x.meta.shape, x.meta.stride))
    return alloc(tg_meta_contiguous(<tg_dtype>t, x.meta.ndim, x.meta.shape))

cdef val scalar(int t, double f, int64_t i) except NULL:
    """A 0-d value: f for float types, i for the others."""
    cdef val v = alloc(tg_meta_contiguous(<tg_dtype>t, 0, NULL))
    if t == TG_F32:
        (<float *>v.data)[0] = <float>f
    elif t == TG_F64:
        (<double *>v.data)[0] = f
    elif t == TG_I64:
        (<int64_t *>v.data)[0] = i
    elif t == TG_I32:
        (<int32_t *>v.data)[0] = <int32_t>i
    elif t == TG_U8:
        (<uint8_t *>v.data)[0] = <uint8_t>i
    else:
        (<uint8_t *>v.data)[0] = i != 0
    return v

cdef inline val constant(double c, val like) except NULL:
    """The number c as a weak 0-d value of like's type."""
    cdef val v = scalar(like.meta.dtype, c, <int64_t>c)
    v.flags |= TG_WEAK
    return v

cdef tuple as_tuple(int ndim, const int64_t *shape):
    return tuple([shape[d] for d in range(ndim)])

cdef tuple shape_of(val v):
    """The shape as Python shows it, made once per layout."""
    if v.meta.py_shape is NULL:
        shape = Size(as_tuple(v.meta.ndim, v.meta.shape))
        Py_INCREF(shape)
        v.meta.py_shape = <void *>shape
    return <tuple>v.meta.py_shape

cdef str type_name(int t):
    return tg_dtype_name[t].decode()

cdef inline bint same_shape(tg_meta *a, tg_meta *b) noexcept:
    return a is b or (a.ndim == b.ndim and memcmp(a.shape, b.shape, a.ndim * sizeof(int64_t)) == 0)

cdef inline int bump(val v) noexcept:
    """Notes a write in place."""
    if not v.flags & TG_UNVERSIONED:
        v.storage.version += 1
    return 0

# ---- launch: the one place where kernels start ----

cdef enum:
    GIL_WORK = 16384  # giving up the GIL costs as much as a few thousand elements

cdef set started = None  # the kernels that start, while launched() watches

cdef void note_start(tg_call *c) noexcept:
    started.add(<size_t>c.fn)

cdef inline void launch(tg_call *c) noexcept:
    cdef int64_t work = c.n[0]
    if c.n[1] > 1:
        work *= c.n[1]
    if c.n[2] > 1:
        work *= c.n[2]
    launch_worth(c, work)

cdef inline void launch_worth(tg_call *c, int64_t work) noexcept:
    """launch() for kernels whose work is not the product of their sizes; in elements."""
    if work < GIL_WORK:
        launch_small(c)
        return
    if started is not None:
        note_start(c)
    with nogil:
        c.fn(c)

cdef inline void launch_small(tg_call *c) noexcept:
    """launch() for kernels that are not worth giving up the GIL."""
    if started is not None:
        note_start(c)
    c.fn(c)

cdef inline bint flat(tg_meta *a, tg_meta *b) noexcept:
    """Element i of one lies where element i of the other lies."""
    if a is b:
        return a.flags & TG_DENSE
    return a.flags & b.flags & TG_CONTIGUOUS and same_shape(a, b)

cdef inline bint one_element(tg_meta *m) noexcept:
    """One number, or one number expanded."""
    cdef int d
    if m.numel == 1:
        return True
    if m.flags & TG_OVERLAPS:
        for d in range(m.ndim):
            if m.stride[d] != 0 and m.shape[d] != 1:
                return False
        return True
    return False

cdef inline void elementwise(tg_call *c, val out, int n, val *operand) noexcept:
    """Launches c.fn on out and n operands that broadcast to out's shape."""
    cdef bint blocks = tg_fills_blocks(out)  # the usual case, and what a small op costs: all lie alike in memory of their own
    cdef int k
    c.n[0] = out.meta.numel
    c.n[1] = c.n[2] = 0
    c.p[0] = out.data
    for k in range(n):
        c.p[k + 1] = operand[k].data
        blocks &= operand[k].meta is out.meta and tg_leads(operand[k])
    if blocks:
        c.ndim = 0
        c.flags = 1
        launch_small(c)
    else:
        elementwise_in_general(c, out, n, operand)

cdef void elementwise_in_general(tg_call *c, val out, int n, val *operand) noexcept:
    cdef int64_t line[TG_MAX_OPERANDS + 1]
    cdef bint flats = out.meta.flags & TG_DENSE, ones = flats
    cdef int k
    if c.n[0] == 0:
        return
    c.flags = 0
    line[0] = c.n[0]
    line[1] = 1
    for k in range(n):
        line[k + 2] = 1
        if not flat(out.meta, operand[k].meta):
            flats = False
            line[k + 2] = 0
            ones = ones and one_element(operand[k].meta)
    if flats or ones:
        c.ndim = 0 if flats else 1
        c.dims = line
        launch(c)
    else:
        strided(c, out, n, operand)

cdef void strided(tg_call *c, val out, int n, val *operand) noexcept:
    """The general case of elementwise(): any strides, merged into as few dimensions as they allow."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[6][TG_MAX_DIMS]
    cdef int64_t dims[7 * TG_MAX_DIMS]
    cdef int nd = 0, d, e, k, lead
    cdef tg_meta *m
    for d in range(out.meta.ndim):
        if out.meta.shape[d] == 1:
            continue
        e = nd  # kept in order of out's strides, largest first
        while e > 0 and stride[0][e - 1] < out.meta.stride[d]:
            shape[e] = shape[e - 1]
            for k in range(n + 1):
                stride[k][e] = stride[k][e - 1]
            e -= 1
        shape[e] = out.meta.shape[d]
        stride[0][e] = out.meta.stride[d]
        for k in range(n):
            m = operand[k].meta
            lead = out.meta.ndim - m.ndim
            stride[k + 1][e] = 0 if d < lead or m.shape[d - lead] == 1 else m.stride[d - lead]
        nd += 1
    c.ndim = coalesce(nd, n + 1, shape, stride)
    if c.ndim:
        for d in range(c.ndim):
            dims[d] = shape[d]
            for k in range(n + 1):
                dims[(k + 1) * c.ndim + d] = stride[k][d]
        c.dims = dims
    launch(c)

cdef int coalesce(int nd, int n, int64_t *shape, int64_t (*stride)[TG_MAX_DIMS]) noexcept:
    """Merges neighbours that all operands cross in one stride; returns how many dimensions are left."""
    cdef int d, k, last = 0
    cdef bint joined
    for d in range(1, nd):
        joined = True
        for k in range(n):
            joined = joined and stride[k][last] == shape[d] * stride[k][d]
        if joined:
            shape[last] *= shape[d]
        else:
            last += 1
            shape[last] = shape[d]
        for k in range(n):
            stride[k][last] = stride[k][d]
    return last + 1 if nd else 0

cdef void copy_into(val dst, val src) noexcept:
    """dst = src, of any types and layouts; src broadcasts."""
    cdef tg_call c
    c.fn = tg_k.copy[dst.meta.dtype][src.meta.dtype]
    elementwise(&c, dst, 1, &src)

cdef val dense_copy(val x, int t) except NULL:
    """A contiguous copy in type t."""
    cdef val out = alloc(tg_meta_contiguous(<tg_dtype>t, x.meta.ndim, x.meta.shape))
    copy_into(out, x)
    return out

cdef void fill(val v, double f, int64_t i) except *:
    copy_into(v, scalar(v.meta.dtype, f, i))

cdef val make_zeros(int t, int ndim, const int64_t *shape) except NULL:
    cdef val v = make_empty(t, ndim, shape)
    memset(v.data, 0, v.meta.numel * tg_size[t])
    return v

cdef inline val make_zeros_like(val x) except NULL:
    return make_zeros(x.meta.dtype, x.meta.ndim, x.meta.shape)
