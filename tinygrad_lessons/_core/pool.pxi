# Pooling. A maximum's gradient goes to its place and an average's is shared out; both are linear, so the way back from a
# gradient is the way there: taking at places, averaging.

cdef extern from "pool.h" nogil:
    ctypedef struct tg_pool_axis:
        int64_t size, out, kernel, stride, padding, dilation
    ctypedef struct tg_pooling:
        int64_t planes
        tg_pool_axis h, w
        int64_t include_padding, divisor

cdef enum:
    POOL_ARGS = 1 + sizeof(tg_pooling) // sizeof(int64_t)  # and at the end the number of dimensions pooled over
    BYTE_PLACES = 256

cdef inline int pool_dims(const int64_t *args) noexcept:
    return <int>args[POOL_ARGS - 1]

cdef val pooled(tg_kernel *kernels, const int64_t *args, val x, val places, bint unpool) except NULL:
    """The kernel's result; x's last dimensions are replaced by those that the sizes in args give."""
    cdef const tg_pooling *s = <const tg_pooling *>args
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int nd = x.meta.ndim
    cdef val out
    cdef tg_call c
    memcpy(shape, x.meta.shape, nd * sizeof(int64_t))
    shape[nd - 1] = s.w.size if unpool else s.w.out
    if pool_dims(args) == 2:
        shape[nd - 2] = s.h.size if unpool else s.h.out
    out = make_empty(x.meta.dtype, nd, shape)
    if x.meta.numel and out.meta.numel:
        c.fn = kernels[x.meta.dtype == TG_F64]
        c.n[0], c.n[1], c.n[2] = s.planes, s.h.size * s.w.size, 1
        c.p[0] = out.data
        c.p[1] = op_raw_contiguous(x).data
        if places is not NULL:
            c.p[2] = places.data
            c.flags = places.meta.dtype == TG_I64
        c.dims = args
        launch(&c)
    else:
        memset(out.data, 0, out.meta.numel * tg_size[out.meta.dtype])
    return out

cdef val pool_node(const tg_rule *rule, const int64_t *args, val x, val places, val out) except NULL:
    cdef tg_node *n
    if tracks(x):
        n = new_node(rule, 1, 1, &x, places is not NULL, POOL_ARGS)
        memcpy(n.args, args, POOL_ARGS * sizeof(int64_t))
        if places is not NULL:
            save(n, 0, places, TG_FROM_NOWHERE)
        return finish(n, out)
    return out

cdef val op_pool_put(const int64_t *args, val g, val places) except NULL:
    """Zeros, with g added at its places."""
    return pool_node(&POOL_PUT, args, g, places, pooled(tg_k.max_pool_put, args, g, places, True))

cdef val op_pool_take(const int64_t *args, val x, val places) except NULL:
    """x at the places."""
    return pool_node(&MAX_POOL, args, x, places, pooled(tg_k.max_pool_take, args, x, places, False))

cdef int max_pool_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_pool_put(n.args, g[0], saved(n, 0))
    return 0

cdef int pool_put_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_pool_take(n.args, g[0], saved(n, 0))
    return 0

cdef val op_avg_pool(const int64_t *args, val x) except NULL:
    return pool_node(&AVG_POOL, args, x, NULL, pooled(tg_k.avg_pool, args, x, NULL, False))

cdef val op_avg_pool_backward(const int64_t *args, val g) except NULL:
    return pool_node(&AVG_POOL_BACKWARD, args, g, NULL, pooled(tg_k.avg_pool_backward, args, g, NULL, True))

cdef int avg_pool_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_avg_pool_backward(n.args, g[0])
    return 0

cdef int avg_pool_backward_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_avg_pool(n.args, g[0])
    return 0

cdef tg_rule MAX_POOL = tg_rule(b"MaxPool", max_pool_backward)
cdef tg_rule POOL_PUT = tg_rule(b"MaxPoolBackward", pool_put_backward)
cdef tg_rule AVG_POOL = tg_rule(b"AvgPool", avg_pool_backward)
cdef tg_rule AVG_POOL_BACKWARD = tg_rule(b"AvgPoolBackward", avg_pool_backward_backward)

cdef int pool_input(val x, int dims, int64_t *args, str op) except -1:
    """Checks the input and notes its sizes."""
    cdef tg_pooling *s = <tg_pooling *>args
    cdef int nd = x.meta.ndim, d
    if nd != dims + 1 and nd != dims + 2:
        raise RuntimeError(f"{op}: expected an input of {dims + 2} dimensions (batch, channels, …), or {dims + 1} without a "
                           f"batch, but got shape {shape_of(x)}")
    need_float(op, x)
    for d in range(nd - dims - 1, nd):
        if x.meta.shape[d] == 0:
            raise RuntimeError(f"{op}: only the batch may be empty, but the input has shape {shape_of(x)}")
        if x.meta.shape[d] > LONGEST:
            raise RuntimeError(f"{op}: the input of shape {shape_of(x)} is too large: a dimension may have {LONGEST} elements")
    s.planes = x.meta.shape[0] * (x.meta.shape[1] if nd > dims + 1 else 1)
    s.h = tg_pool_axis(1, 1, 1, 1, 0, 1)
    if dims == 2:
        s.h.size = x.meta.shape[nd - 2]
    s.w.size = x.meta.shape[nd - 1]
    s.include_padding = s.divisor = 0
    args[POOL_ARGS - 1] = dims
    return 0

cdef int pool_windows(val x, int dims, int64_t *args, object kernel, object stride, object padding, object dilation,
                      bint ceil_mode, str op) except -1:
    """Output sizes as in PyTorch: ceil_mode also counts windows that begin before the end but reach behind it."""
    cdef tg_pooling *s = <tg_pooling *>args
    cdef int64_t kernels[2]
    cdef int64_t strides[2]
    cdef int64_t paddings[2]
    cdef int64_t dilations[2]
    cdef int64_t room
    cdef int d
    cdef tg_pool_axis *a
    read_sizes(kernel, dims, kernels, 1, op, "kernel_size")
    read_sizes(kernel if stride is None or stride == [] else stride, dims, strides, 1, op, "stride")
    read_sizes(padding, dims, paddings, 0, op, "padding")
    read_sizes(dilation, dims, dilations, 1, op, "dilation")
    for d in range(dims):
        a = &s.w if d == dims - 1 else &s.h
        a.kernel, a.stride, a.padding, a.dilation = kernels[d], strides[d], paddings[d], dilations[d]
        if 2 * a.padding > a.kernel:
            raise RuntimeError(f"{op}: padding should be at most half of the kernel size, but padding is {padding} and "
                               f"kernel_size {kernel}")
        room = a.size + 2 * a.padding - (a.kernel - 1) * a.dilation - 1
        if ceil_mode:
            room += a.stride - 1
        a.out = room // a.stride + 1 if room >= 0 else 0
        if ceil_mode and (a.out - 1) * a.stride >= a.size + a.padding:
            a.out -= 1
        if a.out < 1:
            raise RuntimeError(f"{op}: the output would be empty: kernel_size {kernel} (dilation {dilation}) is larger than "
                               f"the input of shape {shape_of(x)} with padding {padding}")
    return 0

cdef int adaptive_windows(int dims, val x, int64_t *args, object output_size, str op) except -1:
    """output_size: one number or one for each dimension; None keeps the input's."""
    cdef tg_pooling *s = <tg_pooling *>args
    cdef tg_pool_axis *a
    cdef int d
    if not isinstance(output_size, (tuple, list)):
        output_size = (output_size,) * dims
    if len(output_size) != dims:
        raise RuntimeError(f"{op}: expected output_size to be a number or {dims} of them, not {output_size}")
    for d in range(dims):
        a = &s.w if d == dims - 1 else &s.h
        a.out = a.size if output_size[d] is None else operator_index(output_size[d])
        a.kernel = a.stride = a.padding = 0
        a.dilation = 1
        if a.out < 0 or a.out > MOST:
            raise RuntimeError(f"{op}: the sizes of the output must not be negative or above {MOST}, but output_size is "
                               f"{output_size}")
        if a.out and a.size % a.out == 0:  # windows that are all alike are faster
            a.kernel = a.stride = a.size // a.out
    return 0

cdef int64_t widest(const tg_pool_axis *a) noexcept:
    return a.kernel or (a.size - 1) // a.out + 2

cdef bint reads_padding_only(const tg_pool_axis *a) noexcept:
    """Whether the first window steps over the input; if it does, there is no other."""
    return a.kernel > 0 and -a.padding + (a.padding + a.dilation - 1) // a.dilation * a.dilation >= a.size

cdef object max_pooled(const int64_t *args, Tensor x, bint return_indices):
    cdef const tg_pooling *s = <const tg_pooling *>args
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int nd = x.v.meta.ndim
    cdef bint indices = (return_indices or s.h.out * s.w.out == 0 or widest(&s.h) * widest(&s.w) > BYTE_PLACES
                         or reads_padding_only(&s.h) or reads_padding_only(&s.w))
    memcpy(shape, x.v.meta.shape, nd * sizeof(int64_t))
    shape[nd - 1] = s.w.out
    if pool_dims(args) == 2:
        shape[nd - 2] = s.h.out
    cdef val places = make_empty(TG_I64 if indices else TG_U8, nd, shape)
    cdef val out = pool_node(&MAX_POOL, args, x.v, places, pooled(tg_k.max_pool, args, x.v, places, False))
    if not return_indices:
        return wrap(out)
    # A copy: backward trusts the places that it saved, and a write through NumPy leaves no trace.
    return wrap_pair(out, places if out.node is NULL else dense_copy(places, TG_I64))

def max_pool(input, int dims, kernel_size, stride, padding, dilation, bint ceil_mode, bint return_indices):
    """Maxima of windows over the last 1 or 2 dimensions, if asked with their indices in the plane."""
    cdef str op = f"max_pool{dims}d"
    cdef int64_t args[POOL_ARGS]
    cdef Tensor x = require_tensor(input, op, "the input")
    pool_input(x.v, dims, args, op)
    pool_windows(x.v, dims, args, kernel_size, stride, padding, dilation, ceil_mode, op)
    return max_pooled(args, x, return_indices)

def adaptive_max_pool(input, int dims, output_size, bint return_indices):
    """Maxima of as many windows as are asked for."""
    cdef str op = f"adaptive_max_pool{dims}d"
    cdef int64_t args[POOL_ARGS]
    cdef Tensor x = require_tensor(input, op, "the input")
    pool_input(x.v, dims, args, op)
    adaptive_windows(dims, x.v, args, output_size, op)
    return max_pooled(args, x, return_indices)

def avg_pool(input, int dims, kernel_size, stride, padding, bint ceil_mode, bint count_include_pad, divisor_override):
    """Averages of windows over the last 1 or 2 dimensions."""
    cdef str op = f"avg_pool{dims}d"
    cdef int64_t args[POOL_ARGS]
    cdef Tensor x = require_tensor(input, op, "the input")
    pool_input(x.v, dims, args, op)
    pool_windows(x.v, dims, args, kernel_size, stride, padding, 1, ceil_mode, op)
    (<tg_pooling *>args).include_padding = count_include_pad
    if divisor_override is not None:
        (<tg_pooling *>args).divisor = operator_index(divisor_override)
        if divisor_override == 0:
            raise RuntimeError(f"{op}: divisor_override must not be zero")
    return wrap(op_avg_pool(args, x.v))

def adaptive_avg_pool(input, int dims, output_size):
    """Averages of as many windows as are asked for."""
    cdef str op = f"adaptive_avg_pool{dims}d"
    cdef int64_t args[POOL_ARGS]
    cdef Tensor x = require_tensor(input, op, "the input")
    pool_input(x.v, dims, args, op)
    adaptive_windows(dims, x.v, args, output_size, op)
    if (<tg_pooling *>args).h.out == 1 and (<tg_pooling *>args).w.out == 1:  # a mean sums in a tree
        return wrap(op_mean(x.v, ((1 << dims) - 1) << (x.v.meta.ndim - dims), True))
    return wrap(op_avg_pool(args, x.v))
