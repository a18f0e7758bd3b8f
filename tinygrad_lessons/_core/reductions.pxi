# Ops along dimensions: reductions, cumulative ops, softmax, sorting.
#
# Their kernels see contiguous memory as [outer][len][inner] and work along len; along() brings any tensor there.

cdef inline uint32_t all_dims(val x) noexcept:
    return (<uint32_t>1 << x.meta.ndim) - 1

cdef val reordered(val x, uint32_t dims, bint last) except NULL:
    """x with the marked dimensions moved behind (or in front of) the others; not on the tape."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int d, k = 0, turn
    for turn in range(2):
        for d in range(x.meta.ndim):
            if (dims >> d & 1) == (turn if last else 1 - turn):
                shape[k] = x.meta.shape[d]
                stride[k] = x.meta.stride[d]
                k += 1
    return checked(tg_value_new(tg_storage_retain(x.storage), x.data,
                                tg_meta_get(<tg_dtype>x.meta.dtype, k, shape, stride)))

cdef val along(val x, uint32_t dims, int64_t *n) except NULL:
    """x's elements in contiguous memory [n[0]][n[1]][n[2]], where n[1] runs over the marked dimensions."""
    cdef int d, state = 0
    cdef val v
    n[0] = n[1] = n[2] = 1
    for d in range(x.meta.ndim):  # marked dimensions side by side need no reordering
        if dims >> d & 1:
            n[1] *= x.meta.shape[d]
            if x.meta.shape[d] != 1:
                state = 1 if state < 2 else 3
        else:
            n[2 if state else 0] *= x.meta.shape[d]
            if state and x.meta.shape[d] != 1:
                state = max(state, 2)
    if state < 3 and x.meta.flags & TG_CONTIGUOUS:
        return x
    n[0] *= n[2]
    n[2] = 1
    v = reordered(x, dims, False)
    if v.meta.flags & TG_CONTIGUOUS:
        n[2] = n[0]
        n[0] = 1
        return v
    v = reordered(x, dims, True)
    return v if v.meta.flags & TG_CONTIGUOUS else dense_copy(v, v.meta.dtype)

cdef val reduced(val x, uint32_t dims, bint keep, int t) except NULL:
    """Memory for a result in which the marked dimensions have size 1 (keep) or are gone."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int d, nd = 0
    for d in range(x.meta.ndim):
        if not dims >> d & 1:
            shape[nd] = x.meta.shape[d]
            nd += 1
        elif keep:
            shape[nd] = 1
            nd += 1
    return make_empty(t, nd, shape)

cdef val reduce_by(tg_kernel fn, val x, uint32_t dims, bint keep, int t, double parameter) except NULL:
    cdef tg_call c
    cdef val source = along(x, dims, c.n)
    cdef val out = reduced(x, dims, keep, t)
    c.fn = fn
    c.p[0] = out.data
    c.p[1] = source.data
    c.p[2] = NULL
    c.s[0] = parameter
    if out.meta.numel:
        launch(&c)
    return out

cdef val reduction(const tg_rule *rule, val x, uint32_t dims, bint keep, val out, bint saves) except NULL:
    """Puts a reduction on the tape: args are the dimensions and whether they were kept; saved are x and out."""
    cdef tg_node *n
    if tracks(x):
        n = new_node(rule, 1, 1, &x, 2 if saves else 0, 2)
        n.args[0] = dims
        n.args[1] = keep
        if saves:
            save(n, 0, x, 0)
            save(n, 1, out, TG_FROM_OUTPUT)
        return finish(n, out)
    return out

cdef val restored(tg_node *n, val g) except NULL:
    """g with the dimensions that the reduction took away, at size 1."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef tg_meta *m = input_meta(n, 0)
    cdef int d
    if n.args[1]:
        return g
    for d in range(m.ndim):
        shape[d] = 1 if n.args[0] >> d & 1 else m.shape[d]
    return op_reshape(g, m.ndim, shape)

cdef inline val spread(tg_node *n, val g) except NULL:
    """g repeated over all that the reduction ran over."""
    cdef tg_meta *m = input_meta(n, 0)
    return op_expand(restored(n, g), m.ndim, m.shape)

cdef inline int64_t count_reduced(tg_meta *m, uint32_t dims) noexcept:
    cdef int64_t count = 1
    cdef int d
    for d in range(m.ndim):
        if dims >> d & 1:
            count *= m.shape[d]
    return count

# ---- sum, mean, prod ----

cdef int sum_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = spread(n, g[0])
    return 0

cdef int mean_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = spread(n, op_mul(g[0], constant(1.0 / count_reduced(input_meta(n, 0), <uint32_t>n.args[0]), g[0])))
    return 0

cdef tg_rule SUM = tg_rule(b"Sum", sum_backward)
cdef tg_rule MEAN = tg_rule(b"Mean", mean_backward)

cdef val op_sum(val x, uint32_t dims, bint keep) except NULL:
    if not is_float(x.meta.dtype):
        x = op_to(x, TG_I64)
    return reduction(&SUM, x, dims, keep, reduce_by(tg_k.sum[x.meta.dtype], x, dims, keep, x.meta.dtype, 0), False)

cdef val op_mean(val x, uint32_t dims, bint keep) except NULL:
    if not is_float(x.meta.dtype):
        raise RuntimeError(f"mean: the input is {type_name(x.meta.dtype)}, but a mean needs a float type; "
                           "pass dtype=float32 or convert the tensor first")
    cdef val out = reduce_by(tg_k.sum[x.meta.dtype], x, dims, keep, x.meta.dtype, 0)
    cdef val pair[2]
    cdef tg_call c
    pair[0] = out
    pair[1] = constant(<double>count_reduced(x.meta, dims), out)
    c.fn = tg_k.binary[TG_BINARY_div][out.meta.dtype]
    elementwise(&c, out, 2, pair)
    return reduction(&MEAN, x, dims, keep, out, False)

cdef int cumprod_gradient(val x, val y, val g, int dim, val *out) except -1:
    """Gradient of y = cumprod(x) along dim, right where x holds zeros too.

    With r_k = g_k + x_{k+1} r_{k+1}, the gradient is (x_0 … x_{k-1}) r_k; without zeros that is a sum over a quotient.
    """
    cdef int64_t length = x.meta.shape[dim], k
    cdef val r, before
    cdef val *parts
    if length == 0 or not op_any(op_eq(x, constant(0, x))).data[0]:
        r = op_flip(op_cumsum(op_flip(op_mul(g, y), 1 << dim), dim), 1 << dim)
        out[0] = op_div(r, x)
        return 0
    parts = <val *>malloc(length * sizeof(val))
    if parts is NULL:
        raise MemoryError()
    try:
        r = NULL
        for k in range(length - 1, -1, -1):
            if r is not NULL:
                r = op_mul(r, op_narrow(x, dim, k + 1, 1))
            r = op_narrow(g, dim, k, 1) if r is NULL else op_add(r, op_narrow(g, dim, k, 1))
            before = r if k == 0 else op_mul(r, op_narrow(y, dim, k - 1, 1))
            parts[k] = before
        out[0] = op_cat(<int>length, parts, dim)
    finally:
        free(parts)
    return 0

cdef int cumprod_backward(tg_node *n, val *g, val *out) except -1:
    return cumprod_gradient(saved(n, 0), saved(n, 1), g[0], <int>n.args[0], out)

cdef int prod_backward(tg_node *n, val *g, val *out) except -1:
    """As the last element of a cumulative product."""
    cdef val x = saved(n, 0), steps, last
    cdef int dim = 0
    cdef tg_meta *m = x.meta
    if m.ndim == 0:
        out[0] = g[0]
        return 0
    cdef int64_t whole = m.numel, one = 1
    if <uint32_t>n.args[0] == all_dims(x) and m.ndim > 1:
        x = op_reshape(x, 1, &whole)
        last = op_reshape(g[0], 1, &one)
    else:
        while not n.args[0] >> dim & 1:
            dim += 1
        last = restored(n, g[0])
    if x.meta.shape[dim] == 0:
        out[0] = make_zeros_like(saved(n, 0))
        return 0
    steps = op_cumprod(x, dim)
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    whole_slice(x, args)
    args[4 * dim + 1] = x.meta.shape[dim] - 1
    args[4 * dim + 3] = 1
    cumprod_gradient(x, steps, op_unslice(last, args, 1 + 4 * x.meta.ndim), dim, out)
    if x.meta is not m:
        out[0] = op_reshape(out[0], m.ndim, m.shape)
    return 0

cdef tg_rule PROD = tg_rule(b"Prod", prod_backward)
cdef tg_rule CUMPROD = tg_rule(b"Cumprod", cumprod_backward)

cdef val op_prod(val x, uint32_t dims, bint keep) except NULL:
    if not is_float(x.meta.dtype):
        x = op_to(x, TG_I64)
    return reduction(&PROD, x, dims, keep, reduce_by(tg_k.prod[x.meta.dtype], x, dims, keep, x.meta.dtype, 0), True)

# ---- largest and smallest ----

cdef int refuse_empty(str op, val x, uint32_t dims) except -1:
    if count_reduced(x.meta, dims) == 0:
        raise IndexError(f"{op}: the input of shape {shape_of(x)} has no elements along the dimensions to reduce, "
                         "and an empty set has no such element")
    return 0

cdef int extremum_backward(tg_node *n, val *g, val *out) except -1:
    """Elements that are equal share the gradient."""
    cdef val x = saved(n, 0), mask = op_to(op_eq(x, restored(n, saved(n, 1))), x.meta.dtype)
    out[0] = op_mul(mask, op_div(restored(n, g[0]), op_sum(mask, <uint32_t>n.args[0], True)))
    return 0

cdef tg_rule AMAX = tg_rule(b"Amax", extremum_backward)
cdef tg_rule AMIN = tg_rule(b"Amin", extremum_backward)

cdef val op_amax(val x, uint32_t dims, bint keep) except NULL:
    refuse_empty("amax", x, dims)
    return reduction(&AMAX, x, dims, keep, reduce_by(tg_k.amax[x.meta.dtype], x, dims, keep, x.meta.dtype, 0), True)

cdef val op_amin(val x, uint32_t dims, bint keep) except NULL:
    refuse_empty("amin", x, dims)
    return reduction(&AMIN, x, dims, keep, reduce_by(tg_k.amin[x.meta.dtype], x, dims, keep, x.meta.dtype, 0), True)

cdef val op_arg(bint largest, val x, uint32_t dims, bint keep) except NULL:
    refuse_empty("argmax" if largest else "argmin", x, dims)
    cdef tg_kernel fn = tg_k.argmax[x.meta.dtype] if largest else tg_k.argmin[x.meta.dtype]
    return reduce_by(fn, x, dims, keep, TG_I64, 0)

cdef val op_any(val x) except NULL:
    return op_any_along(x, all_dims(x), False)

cdef val op_any_along(val x, uint32_t dims, bint keep) except NULL:
    return as_truth(reduce_by(tg_k.any, op_to(x, TG_BOOL), dims, keep, TG_BOOL, 0), x)

cdef val op_all_along(val x, uint32_t dims, bint keep) except NULL:
    return as_truth(reduce_by(tg_k.all, op_to(x, TG_BOOL), dims, keep, TG_BOOL, 0), x)

cdef inline val as_truth(val out, val x) except NULL:
    """PyTorch gives any and all of uint8 in uint8."""
    return op_to(out, TG_U8) if x.meta.dtype == TG_U8 else out

# ---- spread ----

cdef val var_gradient(tg_node *n, val g) except NULL:
    """g · 2 (x - mean) / (count - correction)"""
    cdef val x = saved(n, 0)
    cdef uint32_t dims = <uint32_t>n.args[0]
    cdef double rest = count_reduced(x.meta, dims) - n.s[0]
    cdef val centred = op_sub(x, op_mean(x, dims, True))
    return op_mul(op_mul(restored(n, g), constant(2.0 / rest if rest > 0 else float("nan"), g)), centred)

cdef int var_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = var_gradient(n, g[0])
    return 0

cdef int std_backward(tg_node *n, val *g, val *out) except -1:
    cdef val y = saved(n, 1), zero = constant(0, y)
    cdef val slope = op_div(g[0], op_mul(y, constant(2, y)))
    out[0] = var_gradient(n, op_where(op_eq(y, zero), zero, slope))
    return 0

cdef tg_rule VAR = tg_rule(b"Var", var_backward)
cdef tg_rule STD = tg_rule(b"Std", std_backward)

cdef val op_var(val x, uint32_t dims, bint keep, double correction, bint root) except NULL:
    """The variance, or its root."""
    cdef int t = x.meta.dtype
    if not is_float(t):
        raise RuntimeError(f"{'std' if root else 'var'}: needs a float type, not {type_name(t)}; convert the tensor")
    cdef val out = reduce_by(tg_k.var[t == TG_F64], x, dims, keep, t, correction)
    cdef tg_call c
    if root:
        c.fn = tg_k.unary[TG_UNARY_sqrt][t]
        elementwise(&c, out, 1, &out)
    reduction(&STD if root else &VAR, x, dims, keep, out, True)
    if out.node is not NULL:
        out.node.s[0] = correction
    return out

cdef int norm_backward(tg_node *n, val *g, val *out) except -1:
    """g · x / norm, and 0 where the norm is 0."""
    cdef val x = saved(n, 0), y = restored(n, saved(n, 1)), zero = constant(0, y)
    cdef val ratio = op_where(op_eq(y, zero), zero, op_div(restored(n, g[0]), y))
    out[0] = op_mul(x, ratio)
    return 0

cdef tg_rule NORM = tg_rule(b"Norm", norm_backward)

cdef val op_norm(val x, uint32_t dims, bint keep) except NULL:
    """The Euclidean norm."""
    cdef val squares = alloc(tg_meta_contiguous(<tg_dtype>x.meta.dtype, x.meta.ndim, x.meta.shape))
    cdef tg_call c
    c.fn = tg_k.unary[TG_UNARY_square][x.meta.dtype]
    elementwise(&c, squares, 1, &x)
    cdef val out = reduce_by(tg_k.sum[x.meta.dtype], squares, dims, keep, x.meta.dtype, 0)
    c.fn = tg_k.unary[TG_UNARY_sqrt][x.meta.dtype]
    elementwise(&c, out, 1, &out)
    return reduction(&NORM, x, dims, keep, out, True)

# ---- softmax and its kin, along one dimension ----

cdef val axis_op(tg_kernel fn, int dim, val x, val second, val third) except NULL:
    """A result shaped as x, from up to three operands of that shape, worked along dim."""
    cdef tg_call c
    cdef val out = alloc(tg_meta_contiguous(<tg_dtype>x.meta.dtype, x.meta.ndim, x.meta.shape))
    cdef uint32_t mark = <uint32_t>1 << dim if x.meta.ndim else 0
    x = along(op_raw_contiguous(x), mark, c.n)
    c.fn = fn
    c.p[0] = out.data
    c.p[1] = x.data
    c.p[2] = op_raw_contiguous(second).data if second is not NULL else NULL
    c.p[3] = op_raw_contiguous(third).data if third is not NULL else NULL
    if out.meta.numel:
        launch(&c)
    return out

cdef inline val op_raw_contiguous(val x) except NULL:
    return x if x.meta.flags & TG_CONTIGUOUS else dense_copy(x, x.meta.dtype)

cdef int need_float(str op, val x) except -1:
    if not is_float(x.meta.dtype):
        raise RuntimeError(f"{op}: not implemented for {type_name(x.meta.dtype)}; it needs a float type")
    return 0

cdef val along_dim(const tg_rule *rule, val x, int dim, val out, bint saves_out) except NULL:
    cdef tg_node *n
    if tracks(x):
        n = new_node(rule, 1, 1, &x, 1 if saves_out else 0, 1)
        n.args[0] = dim
        if saves_out:
            save(n, 0, out, TG_FROM_OUTPUT)
        return finish(n, out)
    return out

cdef int softmax_backward(tg_node *n, val *g, val *out) except -1:
    """y (g - Σ g y)"""
    cdef val y = saved(n, 0), gy
    cdef int dim = <int>n.args[0]
    if tg_grad_disabled:
        out[0] = axis_op(tg_k.softmax_backward[y.meta.dtype == TG_F64], dim, g[0], y, NULL)
    else:
        gy = op_mul(g[0], y)
        out[0] = op_sub(gy, op_mul(y, op_sum(gy, 1 << dim, True)))
    return 0

cdef int log_softmax_backward(tg_node *n, val *g, val *out) except -1:
    """g - e^y Σ g"""
    cdef val y = saved(n, 0)
    cdef int dim = <int>n.args[0]
    if tg_grad_disabled:
        out[0] = axis_op(tg_k.log_softmax_backward[y.meta.dtype == TG_F64], dim, g[0], y, NULL)
    else:
        out[0] = op_sub(g[0], op_mul(op_exp(y), op_sum(g[0], 1 << dim, True)))
    return 0

cdef int logsumexp_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_mul(restored(n, g[0]), op_exp(op_sub(saved(n, 0), restored(n, saved(n, 1)))))
    return 0

cdef tg_rule SOFTMAX = tg_rule(b"Softmax", softmax_backward)
cdef tg_rule LOG_SOFTMAX = tg_rule(b"LogSoftmax", log_softmax_backward)
cdef tg_rule LOGSUMEXP = tg_rule(b"Logsumexp", logsumexp_backward)

cdef val op_softmax(val x, int dim) except NULL:
    need_float("softmax", x)
    return along_dim(&SOFTMAX, x, dim, axis_op(tg_k.softmax[x.meta.dtype == TG_F64], dim, x, NULL, NULL), True)

cdef val op_log_softmax(val x, int dim) except NULL:
    need_float("log_softmax", x)
    return along_dim(&LOG_SOFTMAX, x, dim, axis_op(tg_k.log_softmax[x.meta.dtype == TG_F64], dim, x, NULL, NULL), True)

cdef val op_logsumexp(val x, uint32_t dims, bint keep) except NULL:
    if not is_float(x.meta.dtype):
        x = op_to(x, default_float)
    cdef val out = reduce_by(tg_k.logsumexp[x.meta.dtype == TG_F64], x, dims, keep, x.meta.dtype, 0)
    return reduction(&LOGSUMEXP, x, dims, keep, out, True)

# ---- cumulative ----

cdef int cumsum_backward(tg_node *n, val *g, val *out) except -1:
    cdef int dim = <int>n.args[0]
    cdef uint32_t mark = <uint32_t>1 << dim if g[0].meta.ndim else 0
    out[0] = op_flip(op_cumsum(op_flip(g[0], mark), dim), mark)
    return 0

cdef tg_rule CUMSUM = tg_rule(b"Cumsum", cumsum_backward)

cdef val op_cumsum(val x, int dim) except NULL:
    if not is_float(x.meta.dtype):
        x = op_to(x, TG_I64)
    return along_dim(&CUMSUM, x, dim, axis_op(tg_k.cumsum[x.meta.dtype], dim, x, NULL, NULL), False)

cdef val op_cumprod(val x, int dim) except NULL:
    cdef tg_node *n
    if not is_float(x.meta.dtype):
        x = op_to(x, TG_I64)
    cdef val out = axis_op(tg_k.cumprod[x.meta.dtype], dim, x, NULL, NULL)
    if tracks(x):
        n = new_node(&CUMPROD, 1, 1, &x, 2, 1)
        n.args[0] = dim
        save(n, 0, x, 0)
        save(n, 1, out, TG_FROM_OUTPUT)
        return finish(n, out)
    return out

# ---- sorting: values and the indices they had ----

cdef int sort_backward(tg_node *n, val *g, val *out) except -1:
    """The gradient goes back to where each value came from; the indices have none."""
    cdef tg_meta *m = input_meta(n, 0)
    out[0] = op_scatter_add(make_zeros(m.dtype, m.ndim, m.shape), <int>n.args[0], saved(n, 0), g[0])
    return 0

cdef tg_rule SORT = tg_rule(b"Sort", sort_backward)
cdef tg_rule MAX = tg_rule(b"Max", sort_backward)
cdef tg_rule MIN = tg_rule(b"Min", sort_backward)

cdef val op_sort(val x, int dim, bint descending, val *indices) except NULL:
    cdef tg_call c
    cdef tg_node *n
    cdef int64_t length, lines, room
    cdef bint wide
    cdef uint32_t mark = <uint32_t>1 << dim if x.meta.ndim else 0
    cdef val out = alloc(tg_meta_contiguous(<tg_dtype>x.meta.dtype, x.meta.ndim, x.meta.shape))
    indices[0] = make_empty(TG_I64, x.meta.ndim, x.meta.shape)
    cdef val source = along(op_raw_contiguous(x), mark, c.n)
    length, lines = c.n[1], c.n[0] * c.n[2]
    wide = x.meta.dtype == TG_I64 or x.meta.dtype == TG_F64
    if length >> 32 and not wide:
        raise RuntimeError(f"sort: the input of shape {shape_of(x)} and type {type_name(x.meta.dtype)} has {length} "
                           "elements along the dimension to sort, but only float64 and int64 may have 2**32 or more")
    room = min(lines, TG_SORT_PIECES) * length * (4 if wide else 2)
    cdef val scratch = make_empty(TG_I64, 1, &room)
    c.fn = tg_k.sort[x.meta.dtype]
    c.p[0] = out.data
    c.p[1] = source.data
    c.p[2] = indices[0].data
    c.p[3] = scratch.data
    c.flags = descending
    if out.meta.numel:
        launch(&c)
    if tracks(x):
        n = new_node(&SORT, 1, 1, &x, 1, 1)
        n.args[0] = dim
        save(n, 0, indices[0], TG_FROM_NOWHERE)
        return finish(n, out)
    return out

cdef val op_extremum(bint largest, val x, int dim, bint keep, val *indices) except NULL:
    """Largest or smallest values along dim, and where they stand."""
    cdef tg_node *n
    cdef val where = op_arg(largest, x, 1 << dim if x.meta.ndim else 0, True), out
    cdef int64_t sizes[TG_MAX_DIMS]
    if tg_grad_disabled or not tracks(x):
        out = op_gather(x, dim, where)
    else:
        out = op_gather_raw(x, dim, where)
        n = new_node(&MAX if largest else &MIN, 1, 1, &x, 1, 1)
        n.args[0] = dim
        save(n, 0, where, TG_FROM_NOWHERE)
        finish(n, out)
    indices[0] = where
    if not keep and x.meta.ndim:
        indices[0] = op_squeeze(where, 1 << dim)
        out = op_squeeze(out, 1 << dim)
    return out
