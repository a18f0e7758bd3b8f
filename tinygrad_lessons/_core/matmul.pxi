# Matrix products. The kernel takes any strides, so transposed and expanded operands are never copied.

cdef enum:
    MULTIPLY_ADDS = 16  # take about as long as an element of other kernels

cdef enum:
    FLIP_FIRST = 1   # transposed: rows for columns in the last two dimensions
    FLIP_SECOND = 2

cdef int gemm(val out, val a, val b, int flips, char *bias, int activation, char *activated) except -1:
    """out = a @ b (+ bias); a, b, out have at least two dimensions, and the batch ones broadcast to out's. activation
    is 0, or 1 + a row of unary.def; then activated, which is laid out as out, gets its results."""
    cdef tg_call c
    cdef int64_t dims[9]
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[6][TG_MAX_DIMS]
    cdef int64_t index[TG_MAX_DIMS]
    cdef val operand[3]
    cdef int64_t offset[3]
    cdef int nd = out.meta.ndim - 2, d, k, lead
    cdef int64_t outer = 1, i
    cdef int32_t room
    cdef int a_row = a.meta.ndim - (1 if flips & FLIP_FIRST else 2), a_col = 2 * a.meta.ndim - 3 - a_row
    cdef int b_row = b.meta.ndim - (1 if flips & FLIP_SECOND else 2), b_col = 2 * b.meta.ndim - 3 - b_row
    if out.meta.numel == 0:
        return 0
    operand[0], operand[1], operand[2] = a, b, out
    for d in range(nd):
        shape[d] = out.meta.shape[d]
        for k in range(3):
            lead = nd - (operand[k].meta.ndim - 2)
            stride[k][d] = 0 if d < lead or operand[k].meta.shape[d - lead] == 1 else operand[k].meta.stride[d - lead]
    nd = coalesce(nd, 3, shape, stride)
    for k in range(3):
        dims[1 + k] = stride[k][nd - 1] if nd else 0
        offset[k] = 0
    dims[0] = shape[nd - 1] if nd else 1
    dims[4] = a.meta.stride[a_row]
    dims[5] = a.meta.stride[a_col]
    dims[6] = b.meta.stride[b_row]
    dims[7] = b.meta.stride[b_col]
    dims[8] = out.meta.stride[out.meta.ndim - 2]
    c.fn = tg_gemm_f64 if out.meta.dtype == TG_F64 else tg_gemm_f32
    c.n[0] = a.meta.shape[a_row]
    c.n[1] = b.meta.shape[b_col]
    c.n[2] = a.meta.shape[a_col]
    c.p[3] = bias
    c.p[4] = activated
    c.dims = dims
    c.flags = 0
    c.i[0] = activation
    c.i[1] = tg_gemm_threads(dims[0], c.n[0], c.n[1], c.n[2])
    c.p[5] = tg_alloc(c.i[1] * TG_GEMM_ROOM, &room)
    if c.p[5] is NULL:
        raise MemoryError("not enough memory for a matrix product")
    for d in range(nd - 1):
        outer *= shape[d]
        index[d] = 0
    for i in range(outer):  # the kernel runs one batch dimension; the others are walked here
        for k in range(3):
            c.p[0 if k == 2 else 1 + k] = operand[k].data + offset[k] * tg_size[out.meta.dtype]
        launch_worth(&c, dims[0] * c.n[0] * c.n[1] * c.n[2] // MULTIPLY_ADDS)
        for d in range(nd - 2, -1, -1):
            index[d] += 1
            for k in range(3):
                offset[k] += stride[k][d]
            if index[d] < shape[d]:
                break
            for k in range(3):
                offset[k] -= shape[d] * stride[k][d]
            index[d] = 0
    tg_free(c.p[5], room)
    return 0

cdef int matmul_backward(tg_node *n, val *g, val *out) except -1:
    if wants(n, 0):
        out[0] = op_matmul(g[0], op_mT(saved(n, 1)))
    if wants(n, 1):
        out[1] = op_matmul(op_mT(saved(n, 0)), g[0])
    return 0

cdef tg_rule MATMUL = tg_rule(b"Mm", matmul_backward)
cdef tg_rule BATCHED_MATMUL = tg_rule(b"Bmm", matmul_backward)

cdef val op_matmul(val a, val b) except NULL:
    """Matrix product of tensors with at least one dimension, the leading ones broadcast."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t folded[2]
    cdef int na = a.meta.ndim, nb = b.meta.ndim, nd, d
    cdef int64_t sa, sb
    cdef val out
    cdef val pair[2]
    cdef tg_node *n
    if na == 0 or nb == 0:
        raise RuntimeError(f"matmul: both arguments need at least one dimension, but the shapes are {shape_of(a)} and "
                           f"{shape_of(b)}; use * for products with numbers")
    if a.meta.dtype != b.meta.dtype:
        raise RuntimeError(f"matmul: expected both arguments to have the same dtype, but got "
                           f"{type_name(a.meta.dtype)} and {type_name(b.meta.dtype)}; convert one of them")
    if na == 1:
        return op_squeeze(op_matmul(op_unsqueeze(a, 0), b), 1 << (max(nb, 2) - 2) if nb > 1 else 1)
    if nb == 1:
        return op_squeeze(op_matmul(a, op_unsqueeze(b, 1)), 1 << (na - 1))
    if a.meta.shape[na - 1] != b.meta.shape[nb - 2]:
        raise RuntimeError(f"matmul: shapes {shape_of(a)} and {shape_of(b)} do not fit: the first's last dimension "
                           f"({a.meta.shape[na - 1]}) must equal the second's second to last ({b.meta.shape[nb - 2]})")
    if not is_float(a.meta.dtype):
        return integer_matmul(a, b)
    if nb == 2 and na > 2 and a.meta.numel:  # one large product instead of many small ones
        folded[0] = a.meta.numel // a.meta.shape[na - 1]
        folded[1] = a.meta.shape[na - 1]
        memcpy(shape, a.meta.shape, na * sizeof(int64_t))
        shape[na - 1] = b.meta.shape[1]
        return op_reshape(op_matmul(op_reshape(a, 2, folded), b), na, shape)
    nd = max(na, nb)
    for d in range(nd - 2):
        sa = 1 if d < nd - na else a.meta.shape[d - (nd - na)]
        sb = 1 if d < nd - nb else b.meta.shape[d - (nd - nb)]
        if sa != sb and sa != 1 and sb != 1:
            raise RuntimeError(f"matmul: the batch dimensions of shapes {shape_of(a)} and {shape_of(b)} do not "
                               f"broadcast: {sa} and {sb} must be equal, or one of them 1")
        shape[d] = sb if sa == 1 else sa
    shape[nd - 2] = a.meta.shape[na - 2]
    shape[nd - 1] = b.meta.shape[nb - 1]
    out = make_empty(a.meta.dtype, nd, shape)
    gemm(out, a, b, 0, NULL, 0, NULL)
    if tracks(a) + tracks(b):
        pair[0], pair[1] = a, b
        n = new_node(&MATMUL if nd == 2 else &BATCHED_MATMUL, 1, 2, pair, 2, 0)
        save(n, 0, a, 0)
        save(n, 1, b, 1)
        return finish(n, out)
    return out

cdef val integer_matmul(val a, val b) except NULL:
    """Integers have no kernel of their own: products, then sums."""
    cdef int t = a.meta.dtype
    cdef val products = op_mul(op_unsqueeze(a, -1), op_unsqueeze(b, -3))
    return op_to(op_sum(products, <uint32_t>1 << (products.meta.ndim - 2), False), t)

# ---- linear: x Wᵀ + b in one pass, and an activation with it ----

cdef val two_d(val x) except NULL:
    """x as a matrix, its leading dimensions made one."""
    cdef int64_t shape[2]
    if x.meta.ndim == 2:
        return x
    matrix_shape(x, shape)
    return op_reshape(x, 2, shape)

cdef void matrix_shape(val x, int64_t *shape) noexcept:
    cdef int d
    shape[0] = 1
    for d in range(x.meta.ndim - 1):
        shape[0] *= x.meta.shape[d]
    shape[1] = x.meta.shape[x.meta.ndim - 1]

cdef int linear_backward(tg_node *n, val *g, val *out) except -1:
    cdef val g0 = two_d(g[0]), x, w
    if wants(n, 0):
        out[0] = op_matmul(g[0], saved(n, 1))
    if wants(n, 1):
        x = two_d(saved(n, 0))
        if tg_grad_disabled:
            w = make_empty(x.meta.dtype, 2, input_meta(n, 1).shape)
            gemm(w, g0, x, FLIP_FIRST, NULL, 0, NULL)
            out[1] = w
        else:
            out[1] = op_matmul(op_transpose(g0, 0, 1, &TRANSPOSE), x)
    if n.n_in == 3 and wants(n, 2):
        out[2] = op_sum(g0, 1, False)
    return 0

cdef tg_rule LINEAR = tg_rule(b"Linear", linear_backward)

cdef struct Activation:  # of a row of unary.def
    int row
    const tg_rule *rule
    int saves

cdef Activation RELU = Activation(TG_UNARY_relu, &RULE_relu, SAVES_RESULT)
cdef Activation GELU = Activation(TG_UNARY_gelu, &RULE_gelu, SAVES_FIRST)
cdef Activation GELU_TANH = Activation(TG_UNARY_gelu_tanh, &RULE_gelu_tanh, SAVES_FIRST)

cdef int find_activation(str op, object name, const Activation **f) except -1:
    """What an op may take along in its launch; NULL for None."""
    if name is None:
        f[0] = NULL
    elif name == "relu":
        f[0] = &RELU
    elif name == "gelu":
        f[0] = &GELU
    elif name == "gelu_tanh":
        f[0] = &GELU_TANH
    else:
        raise ValueError(f"{op}: the activation must be None, 'relu', 'gelu' or 'gelu_tanh', not {name!r}")
    return 0

cdef val place_for(const Activation *f, val out, bint on_tape) except NULL:
    """Where f of out goes: into out's own memory, unless the tape needs both."""
    if not on_tape:
        return out
    return empty_like(out, out.meta.dtype) if f.saves & SAVES_FIRST else shared(out)

cdef val activation_step(const Activation *f, val out, val activated) except NULL:
    """Puts f, which has been computed along with out, on the tape."""
    cdef tg_node *n = new_node(f.rule, 1, 1, &out, 2, 0)
    if f.saves & SAVES_FIRST:
        save(n, 0, out, 0)
    return written(n, f.saves, 1, NULL, activated)

cdef val op_linear(val x, val w, val b, const Activation *f) except NULL:
    """x: (*, in), w: (out, in), b: (out) or NULL. Result: (*, out), or f of that unless f is NULL: one launch, but on
    the tape the two steps that it would be otherwise."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef val operand[3]
    cdef tg_node *n
    cdef int nd = x.meta.ndim
    if nd == 0 or w.meta.ndim != 2 or x.meta.shape[nd - 1] != w.meta.shape[1]:
        raise RuntimeError(f"linear: input of shape {shape_of(x)} does not fit the weight of shape {shape_of(w)}: the "
                           "input's last dimension must equal the weight's second")
    if b is not NULL and (b.meta.ndim != 1 or b.meta.shape[0] != w.meta.shape[0]):
        raise RuntimeError(f"linear: bias of shape {shape_of(b)} does not fit the weight of shape {shape_of(w)}: "
                           f"expected ({w.meta.shape[0]},)")
    if x.meta.dtype != w.meta.dtype or (b is not NULL and b.meta.dtype != x.meta.dtype) or not is_float(x.meta.dtype):
        raise RuntimeError(
            f"linear: input ({type_name(x.meta.dtype)}), weight ({type_name(w.meta.dtype)}) and bias must have the same "
            "float dtype; convert the input, as with x.to(weight.dtype)")
    if nd == 1:
        x = op_squeeze(op_linear(op_unsqueeze(x, 0), w, b, NULL), 1)
        return x if f is NULL else unary("linear", f.row, f.rule, f.saves, x, NULL, 0, 0)
    memcpy(shape, x.meta.shape, nd * sizeof(int64_t))
    shape[nd - 1] = w.meta.shape[0]
    cdef val out = make_empty(x.meta.dtype, nd, shape)
    cdef val rows = x, result = out, bias = b, activated = out
    cdef bint on_tape = tracks(x) + tracks(w) + (b is not NULL and tracks(b))
    if nd > 2:
        rows = flattened(op_raw_contiguous(x))
        result = flattened(out)
    if b is not NULL and not b.meta.flags & TG_CONTIGUOUS:
        bias = dense_copy(b, b.meta.dtype)
    if f is not NULL:
        activated = place_for(f, out, on_tape)
    gemm(result, rows, w, FLIP_SECOND, NULL if bias is NULL else bias.data, 0 if f is NULL else 1 + f.row, activated.data)
    if on_tape:
        operand[0], operand[1], operand[2] = x, w, b
        n = new_node(&LINEAR, 1, 2 if b is NULL else 3, operand, 2, 0)
        save(n, 0, x, 0)
        save(n, 1, w, 1)
        finish(n, out)
        if f is not NULL:
            return activation_step(f, out, activated)
    return activated

cdef inline val shared(val x) except NULL:
    """The same memory as another value; not on the tape."""
    return checked(tg_value_new(tg_storage_retain(x.storage), x.data, tg_meta_retain(x.meta)))

cdef val flattened(val x) except NULL:
    """Contiguous x as a matrix; not on the tape."""
    cdef int64_t shape[2]
    matrix_shape(x, shape)
    return checked(tg_value_new(tg_storage_retain(x.storage), x.data,
                                tg_meta_contiguous(<tg_dtype>x.meta.dtype, 2, shape)))
