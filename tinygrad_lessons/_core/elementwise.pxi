# Element-wise ops. The rows of csrc/unary.def and binary.def call these with their kernels; see generate.py.

cdef enum:
    SAVES_FIRST = 1   # the derivative reads the operand (the first of two)
    SAVES_SECOND = 2
    SAVES_RESULT = 4
    SAVES = 7
    FLOAT_ONLY = 8    # integers are promoted to the default float type
    TO_BOOL = 16
    DIVIDES = 32      # a zero integer divisor is an error

cdef val op_to(val x, int t) except NULL:
    """x in type t; x itself if it has it. The gradient is cast back where it is gathered."""
    if x.meta.dtype == t:
        return x
    cdef val out = empty_like(x, t)
    copy_into(out, x)
    out.flags |= x.flags & TG_WEAK
    return taped(&TO_COPY, x, out) if is_float(t) and is_float(x.meta.dtype) else out

cdef int identity_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = g[0]
    return 0

cdef tg_rule TO_COPY = tg_rule(b"ToCopy", identity_backward)
cdef tg_rule CLONE = tg_rule(b"Clone", identity_backward)

cdef val op_clone(val x) except NULL:
    cdef val out = empty_like(x, x.meta.dtype)
    copy_into(out, x)
    return taped(&CLONE, x, out)

cdef val op_contiguous(val x) except NULL:
    if x.meta.flags & TG_CONTIGUOUS:
        return x
    return taped(&CLONE, x, dense_copy(x, x.meta.dtype))

cdef int unsupported(str op, int t) except -1:
    if t == TG_BOOL and op in ("neg", "sub", "relu"):
        raise RuntimeError(f"{op}: not supported for bool tensors; use ~, ^ or logical_not() for masks, or convert them "
                           "with x.to(dtype)")
    raise NotImplementedError(f"{op}: not implemented for {type_name(t)} tensors; convert them first, as with x.to(dtype)")

cdef val result_for(str op, val dst, int t, int out_type, val out, val a, val b) except NULL:
    """Where the kernel of an in-place op writes: dst itself, or memory of its own to be copied into dst after."""
    check_writable(dst, op)
    if category(out_type) > category(dst.meta.dtype):
        raise RuntimeError(f"{op}: result type {type_name(out_type)} can't be cast to the desired output type "
                           f"{type_name(dst.meta.dtype)}")
    if out is not NULL and not same_shape(dst.meta, out.meta):
        raise RuntimeError(f"{op}: output with shape {shape_of(dst)} doesn't match the broadcast shape {shape_of(out)}")
    cdef bint apart = check_overlap(dst, a, op)
    if b is not NULL:
        apart = check_overlap(dst, b, op) or apart
    if apart or out_type != dst.meta.dtype:
        return out
    return dst

cdef val unary(str name, int op, const tg_rule *rule, int how, val x, val dst, double p0, double p1) except NULL:
    cdef int t = x.meta.dtype
    if how & FLOAT_ONLY and not is_float(t):
        t = default_float
        x = op_to(x, t)
    cdef tg_call c
    c.fn = tg_k.unary[op][t]
    if c.fn is NULL:
        unsupported(name, t)
    if is_float(t):
        c.s[0] = p0
        c.s[1] = p1
    else:
        c.i[0] = saturated(p0, t)
        c.i[1] = saturated(p1, t)
    cdef int out_type = TG_BOOL if how & TO_BOOL else t
    cdef val out
    if dst is NULL:
        out = empty_like(x, out_type)
    else:
        out = result_for(name, dst, t, out_type, dst, x, NULL)
        if out is dst and out_type != dst.meta.dtype:
            out = empty_like(x, out_type)
    cdef tg_node *n = NULL
    if rule is not NULL and tracks(x):
        n = new_node(rule, 1, 1, &x, 2 if how & SAVES else 0, 0)
        n.s[0] = p0
        n.s[1] = p1
        if how & SAVES_FIRST:
            save(n, 0, kept(x, dst), 0)
    elementwise(&c, out, 1, &x)
    return written(n, how, 1, dst, out)

cdef int64_t saturated(double p, int t) noexcept:
    cdef double lo = 0 if t <= TG_U8 else -2147483648.0 if t == TG_I32 else -9.2e18
    cdef double hi = 1 if t == TG_BOOL else 255 if t == TG_U8 else 2147483647.0 if t == TG_I32 else 9.2e18
    return <int64_t>(lo if p < lo else hi if p > hi else p)

cdef val written(tg_node *n, int how, int result_slot, val dst, val out) except NULL:
    """Completes an element-wise op: out holds the result; if dst is given, the result is written there."""
    if dst is not NULL:
        if out is not dst:
            copy_into(dst, out)
            out = dst
        bump(dst)
    if n is NULL:
        return out
    if how & SAVES_RESULT:
        save(n, result_slot, out, TG_FROM_OUTPUT)
    if dst is not NULL:
        rebase(dst, n)
        return dst
    return finish(n, out)

cdef inline val kept(val x, val dst) except NULL:
    """What to save of the operand that an op in place replaces: a copy, as in PyTorch."""
    return dense_copy(x, x.meta.dtype) if dst is not NULL and x.storage is dst.storage else x

cdef val unary_backward(int op, tg_node *n, int how, val g) except NULL:
    """The compiled derivative of a row; operands the row does not read are stood in for by g."""
    cdef val operand[3]
    operand[0] = g
    operand[1] = saved(n, 0) if how & SAVES_FIRST else g
    operand[2] = saved(n, 1) if how & SAVES_RESULT else g
    cdef val out = empty_like(operand[1] if how & SAVES_FIRST else operand[2], g.meta.dtype)
    cdef tg_call c
    c.fn = tg_k.unary_backward[op][g.meta.dtype == TG_F64]
    c.s[0] = n.s[0]
    c.s[1] = n.s[1]
    elementwise(&c, out, 3, operand)
    return out

cdef tg_meta *broadcast(str op, val a, val b, int t) except NULL:
    """The layout of a result of a and b: theirs where they agree, else contiguous."""
    cdef tg_meta *ma = a.meta
    cdef tg_meta *mb = b.meta
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t sa, sb
    cdef int d, nd = max(ma.ndim, mb.ndim)
    if ma is mb or mb.ndim == 0:
        if ma.flags & TG_DENSE:
            return tg_meta_retain(ma) if ma.dtype == t else layout_in(ma, t)
    elif ma.ndim == 0 and mb.flags & TG_DENSE:
        return tg_meta_retain(mb) if mb.dtype == t else layout_in(mb, t)
    for d in range(nd):
        sa = 1 if d < nd - ma.ndim else ma.shape[d - (nd - ma.ndim)]
        sb = 1 if d < nd - mb.ndim else mb.shape[d - (nd - mb.ndim)]
        if sa != sb and sa != 1 and sb != 1:
            raise RuntimeError(
                f"{op}: shapes {shape_of(a)} and {shape_of(b)} do not broadcast: the sizes {sa} and {sb} of dimension "
                f"{d} (of {nd}) must be equal, or one of them 1")
        shape[d] = sb if sa == 1 else sa
    checked_numel(nd, shape)
    cdef tg_meta *m = tg_meta_contiguous(<tg_dtype>t, nd, shape)
    if m is NULL:
        raise MemoryError()
    return m

cdef inline tg_meta *layout_in(tg_meta *m, int t) except NULL:
    m = tg_meta_get(<tg_dtype>t, m.ndim, m.shape, m.stride)
    if m is NULL:
        raise MemoryError()
    return m

cdef val binary(str name, int op, const tg_rule *rule, int how, val a, val b, val dst) except NULL:
    cdef int t = a.meta.dtype
    cdef bint alike = a.meta is b.meta and dst is NULL and is_float(t) and not how & TO_BOOL
    if not alike:
        t = promote(a, b)
        if how & FLOAT_ONLY and not is_float(t):
            t = default_float
        a, b = op_to(a, t), op_to(b, t)
    cdef tg_call c
    c.fn = tg_k.binary[op][t]
    if c.fn is NULL:
        unsupported(name, t)
    if how & DIVIDES and not is_float(t):
        refuse_zero(name, b)
    cdef int out_type = TG_BOOL if how & TO_BOOL else t
    cdef val out = NULL
    if alike and a.meta.flags & TG_DENSE:
        out = alloc(tg_meta_retain(a.meta))
    elif dst is NULL:
        out = alloc(broadcast(name, a, b, out_type))
    else:
        if not (same_shape(dst.meta, a.meta) and (b.meta.ndim == 0 or same_shape(dst.meta, b.meta))):
            out = alloc(broadcast(name, a, b, out_type))
        elif out_type != dst.meta.dtype or overlap(dst, a) == 2 or overlap(dst, b) == 2:
            out = empty_like(a, out_type)
        out = result_for(name, dst, t, out_type, out, a, b)
    cdef tg_node *n = NULL
    cdef val pair[2]
    pair[0] = a
    pair[1] = b
    if rule is not NULL and (tracks(a) or tracks(b)):
        tracks(b)
        n = new_node(rule, 1, 2, pair, 3 if how & SAVES else 0, 0)
        if how & SAVES_FIRST:
            save(n, 0, kept(a, dst), 0)
        if how & SAVES_SECOND:
            save(n, 1, b, 1)
    elementwise(&c, out, 2, pair)
    return written(n, how, 2, dst, out)

cdef int refuse_zero(str name, val b) except -1:
    cdef val found = op_any(op_eq(b, constant(0, b)))
    if found.data[0]:
        raise RuntimeError(f"{name}: ZeroDivisionError: an integer divisor of shape {shape_of(b)} holds a zero")
    return 0

cdef val binary_backward(int op, int side, tg_node *n, int how, val g) except NULL:
    cdef val operand[4]
    operand[0] = g
    operand[1] = saved(n, 0) if how & SAVES_FIRST else g
    operand[2] = saved(n, 1) if how & SAVES_SECOND else g
    operand[3] = saved(n, 2) if how & SAVES_RESULT else g
    cdef val out = alloc(tg_meta_contiguous(<tg_dtype>g.meta.dtype, g.meta.ndim, g.meta.shape))
    cdef tg_call c
    c.fn = tg_k.binary_backward[op][side][g.meta.dtype == TG_F64]
    elementwise(&c, out, 4, operand)
    return out

cdef void add_in_place(val into, val g) noexcept:
    """into += g for the gradients that backward gathers: same type, same shape."""
    cdef tg_call c
    cdef val pair[2]
    pair[0] = into
    pair[1] = g
    c.fn = tg_k.binary[TG_BINARY_add][into.meta.dtype]
    elementwise(&c, into, 2, pair)

cdef void add_sequentially(val into, val g) noexcept:
    """into += g one element at a time, for layouts in which an element may come up twice."""
    cdef int64_t index[TG_MAX_DIMS]
    cdef int64_t to, fro, i, d, nd = into.meta.ndim
    memset(index, 0, sizeof(index))
    for i in range(into.meta.numel):
        to = fro = 0
        for d in range(nd):
            to += index[d] * into.meta.stride[d]
            fro += index[d] * g.meta.stride[d]
        if g.meta.dtype == TG_F32:
            (<float *>into.data)[to] += (<float *>g.data)[fro]
        else:
            (<double *>into.data)[to] += (<double *>g.data)[fro]
        for d in range(nd - 1, -1, -1):
            index[d] += 1
            if index[d] < into.meta.shape[d]:
                break
            index[d] = 0

# ---- three operands ----

cdef int where_backward(tg_node *n, val *g, val *out) except -1:
    cdef val zero = constant(0, g[0])
    if wants(n, 1):
        out[1] = op_where(saved(n, 0), g[0], zero)
    if wants(n, 2):
        out[2] = op_where(saved(n, 0), zero, g[0])
    return 0

cdef tg_rule WHERE = tg_rule(b"Where", where_backward)

cdef val op_where(val condition, val a, val b) except NULL:
    """a where the condition holds, else b; all three broadcast."""
    cdef int t = promote(a, b)
    cdef val operand[3]
    cdef tg_node *n
    if condition.meta.dtype != TG_BOOL:
        raise RuntimeError(f"where: the condition must be a bool tensor, not {type_name(condition.meta.dtype)}")
    operand[0] = condition
    operand[1] = op_to(a, t)
    operand[2] = op_to(b, t)
    cdef val probe = alloc(broadcast("where", operand[1], operand[2], t))
    cdef val out = alloc(broadcast("where", probe, condition, t))
    cdef tg_call c
    c.fn = tg_k.where[t]
    elementwise(&c, out, 3, operand)
    if tracks(operand[1]) + tracks(operand[2]):
        n = new_node(&WHERE, 1, 3, operand, 1, 0)
        save(n, 0, condition, TG_FROM_NOWHERE)
        return finish(n, out)
    return out

# ---- copy_ and fill_, the plain writes ----

cdef int copy_backward(tg_node *n, val *g, val *out) except -1:
    if wants(n, 1):
        out[1] = g[0]
    return 0

cdef tg_rule COPY = tg_rule(b"Copy", copy_backward)

cdef val op_copy_(val dst, val src, str name) except NULL:
    """Writes src, broadcast and converted, over dst."""
    cdef val pair[2]
    cdef tg_node *n = NULL
    cdef tg_meta *m
    check_writable(dst, name)
    if not same_shape(dst.meta, src.meta):
        if src.meta.ndim > dst.meta.ndim:
            src = without_leading_ones(src, dst.meta.ndim)
        m = broadcast(name, dst, src, dst.meta.dtype)
        fits = same_shape(m, dst.meta)
        tg_meta_release(m)
        if not fits:
            raise RuntimeError(f"{name}: a value of shape {shape_of(src)} cannot be broadcast to shape {shape_of(dst)}")
    if check_overlap(dst, src, name):
        src = op_clone(src)
    pair[0] = dst
    pair[1] = src
    if is_float(dst.meta.dtype) and tracks(dst) + tracks(src):
        n = new_node(&COPY, 1, 2, pair, 0, 0)
    copy_into(dst, src)
    bump(dst)
    if n is not NULL:
        rebase(dst, n)
    return dst

cdef val without_leading_ones(val x, int ndim) except NULL:
    """PyTorch lets a written value have extra leading dimensions of size 1."""
    cdef int extra = x.meta.ndim - ndim, d
    for d in range(extra):
        if x.meta.shape[d] != 1:
            return x
    return op_view(x, ndim, x.meta.shape + extra, &RESHAPE)
