# Views: another shape, order or part of the same memory. Each is undone in backward by its counterpart.

cdef val view_of(val x, tg_meta *m, char *data) except NULL:
    """A value on x's memory, which remembers its base; takes over the reference to m."""
    if m is NULL:
        raise MemoryError()
    cdef val v = checked(tg_value_new(tg_storage_retain(x.storage), data, m))
    v.base = tg_retain(x if x.base is NULL else x.base)
    v.rewrites = v.base.rewrites
    v.flags |= x.flags & (TG_UNVERSIONED | TG_NO_GRAD_VIEW)
    if tg_grad_disabled:
        v.flags |= TG_NO_GRAD_VIEW
    return v

cdef inline int wrap_dim(int64_t dim, int ndim, str op) except -1:
    cdef int64_t n = ndim if ndim else 1
    if dim < -n or dim >= n:
        raise IndexError(f"{op}: dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return <int>(dim + n if dim < 0 else dim)

# ---- the same elements in another shape: view, squeeze, flatten, … ----

cdef int reshape_backward(tg_node *n, val *g, val *out) except -1:
    cdef tg_meta *m = input_meta(n, 0)
    out[0] = op_reshape(g[0], m.ndim, m.shape)
    return 0

cdef tg_rule VIEW = tg_rule(b"View", reshape_backward)
cdef tg_rule RESHAPE = tg_rule(b"Reshape", reshape_backward)
cdef tg_rule UNSQUEEZE = tg_rule(b"Unsqueeze", reshape_backward)
cdef tg_rule SQUEEZE = tg_rule(b"Squeeze", reshape_backward)

cdef bint view_strides(tg_meta *m, int ndim, const int64_t *shape, int64_t *stride) noexcept:
    """Strides that show m's elements in another shape of as many elements; false if only a copy can."""
    cdef int d, last = m.ndim - 1
    cdef int64_t size, step, have
    d = ndim - 1
    if m.numel == 0 or m.flags & TG_CONTIGUOUS:
        step = 1
        for d in range(ndim - 1, -1, -1):
            stride[d] = step
            step *= shape[d] if shape[d] > 1 else 1
        return True
    while last >= 0:  # each run of dimensions of m that lie behind each other takes some of the new ones
        while last >= 0 and m.shape[last] == 1:
            last -= 1
        if last < 0:
            break
        have = m.shape[last]
        step = m.stride[last]
        while last > 0 and (m.shape[last - 1] == 1 or m.stride[last - 1] == have * step):
            last -= 1
            have *= m.shape[last]
        last -= 1
        while d >= 0 and (have > 1 or shape[d] == 1):
            if have % shape[d]:
                return False
            stride[d] = step
            step *= shape[d]
            have //= shape[d]
            d -= 1
        if have != 1:
            return False
    while d >= 0:
        stride[d] = 1
        d -= 1
    return True

cdef val op_view(val x, int ndim, const int64_t *shape, const tg_rule *rule) except NULL:
    cdef int64_t stride[TG_MAX_DIMS]
    if not view_strides(x.meta, ndim, shape, stride):
        raise RuntimeError(
            f"view: shape {as_tuple(ndim, shape)} is not compatible with a tensor of shape {shape_of(x)} and strides "
            f"{as_tuple(x.meta.ndim, x.meta.stride)}: at least one dimension spans two that do not lie behind each "
            "other in memory; use reshape()")
    return taped(rule, x, view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, ndim, shape, stride), x.data))

cdef val op_reshape(val x, int ndim, const int64_t *shape) except NULL:
    cdef int64_t stride[TG_MAX_DIMS]
    if ndim == x.meta.ndim and memcmp(shape, x.meta.shape, ndim * sizeof(int64_t)) == 0:
        return x
    if not view_strides(x.meta, ndim, shape, stride):
        x = op_contiguous(x)
    return op_view(x, ndim, shape, &RESHAPE)

cdef int parse_shape(object sizes, str op, int64_t *shape) except -1:
    """Reads a shape given as arguments or as one sequence; returns the number of dimensions."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    if len(sizes) > TG_MAX_DIMS:
        raise RuntimeError(f"{op}: {len(sizes)} dimensions are more than the {TG_MAX_DIMS} that a tensor can have")
    for d, size in enumerate(sizes):
        try:
            shape[d] = operator_index(size)
        except TypeError:
            raise TypeError(f"{op}: sizes must be integers, but the one of dimension {d} is "
                            f"{type(size).__name__}") from None
    return <int>len(sizes)

cdef int infer_shape(val x, int ndim, int64_t *shape, str op) except -1:
    """Fills in a size given as -1, and checks that the shape holds x's elements."""
    cdef int64_t known = 1
    cdef int d, unknown = -1
    for d in range(ndim):
        if shape[d] == -1 and unknown < 0:
            unknown = d
        elif shape[d] < 0:
            raise RuntimeError(f"{op}: invalid shape {as_tuple(ndim, shape)}: one size at most may be -1, "
                               "the others must not be negative")
        else:
            known *= shape[d]
    if unknown >= 0 and known and x.meta.numel % known == 0:
        shape[unknown] = x.meta.numel // known
        known = x.meta.numel
    elif unknown >= 0:
        if known == 0:
            raise RuntimeError(f"{op}: the size -1 in {as_tuple(ndim, shape)} is ambiguous for a tensor without "
                               "elements; give it as a number")
        known = -1
    if known != x.meta.numel:
        raise RuntimeError(f"{op}: shape '{list(as_tuple(ndim, shape))}' is invalid for input of size {x.meta.numel} "
                           f"(shape {shape_of(x)})")
    return 0

cdef val op_unsqueeze(val x, int64_t dim) except NULL:
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int nd = x.meta.ndim, at = wrap_dim(dim, nd + 1, "unsqueeze"), d
    if nd == TG_MAX_DIMS:
        raise RuntimeError(f"unsqueeze: a tensor has at most {TG_MAX_DIMS} dimensions")
    for d in range(nd):
        shape[d + (d >= at)] = x.meta.shape[d]
        stride[d + (d >= at)] = x.meta.stride[d]
    shape[at] = 1
    stride[at] = x.meta.stride[at] * x.meta.shape[at] if at < nd else 1
    return taped(&UNSQUEEZE, x, view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, nd + 1, shape, stride), x.data))

cdef val op_squeeze(val x, uint32_t dims) except NULL:
    """Without those of the marked dimensions that have size 1."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int nd = 0, d
    for d in range(x.meta.ndim):
        if x.meta.shape[d] != 1 or not dims >> d & 1:
            shape[nd] = x.meta.shape[d]
            stride[nd] = x.meta.stride[d]
            nd += 1
    return taped(&SQUEEZE, x, view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, nd, shape, stride), x.data))

# ---- another order of dimensions ----

cdef int permute_backward(tg_node *n, val *g, val *out) except -1:
    cdef int64_t inverse[TG_MAX_DIMS]
    cdef int d
    for d in range(n.n_args):
        inverse[n.args[d]] = d
    out[0] = op_permute(g[0], inverse, n.rule)
    return 0

cdef tg_rule PERMUTE = tg_rule(b"Permute", permute_backward)
cdef tg_rule TRANSPOSE = tg_rule(b"Transpose", permute_backward)
cdef tg_rule T_ = tg_rule(b"T", permute_backward)

cdef val op_permute(val x, const int64_t *order, const tg_rule *rule) except NULL:
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int nd = x.meta.ndim, d
    cdef tg_node *n
    for d in range(nd):
        shape[d] = x.meta.shape[order[d]]
        stride[d] = x.meta.stride[order[d]]
    cdef val out = view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, nd, shape, stride), x.data)
    if tracks(x):
        n = new_node(rule, 1, 1, &x, 0, nd)
        memcpy(n.args, order, nd * sizeof(int64_t))
        return finish(n, out)
    return out

cdef val op_transpose(val x, int a, int b, const tg_rule *rule) except NULL:
    cdef int64_t order[TG_MAX_DIMS]
    cdef int d
    for d in range(x.meta.ndim):
        order[d] = d
    if x.meta.ndim:
        order[a], order[b] = b, a
    return op_permute(x, order, rule)

cdef inline val op_mT(val x) except NULL:
    return op_transpose(x, x.meta.ndim - 2, x.meta.ndim - 1, &TRANSPOSE)

# ---- repeated elements ----

cdef int expand_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_sum_to(g[0], input_meta(n, 0))
    return 0

cdef tg_rule EXPAND = tg_rule(b"Expand", expand_backward)

cdef val op_expand(val x, int ndim, const int64_t *shape) except NULL:
    """x repeated to shape; -1 keeps a size."""
    cdef int64_t size[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int d, lead = ndim - x.meta.ndim
    cdef bint fits = lead >= 0
    for d in range(ndim if fits else 0):
        size[d] = x.meta.shape[d - lead] if d >= lead and shape[d] == -1 else shape[d]
        if d < lead or (x.meta.shape[d - lead] == 1 and size[d] != 1):
            stride[d] = 0
        else:
            stride[d] = x.meta.stride[d - lead]
        fits = fits and size[d] >= 0 and (d < lead or x.meta.shape[d - lead] in (1, size[d]))
    if not fits:
        raise RuntimeError(f"expand: shape {shape_of(x)} cannot be expanded to {as_tuple(ndim, shape)}: only sizes of 1 "
                           "grow, new dimensions stand in front, and -1 keeps an existing size")
    checked_numel(ndim, size)
    return taped(&EXPAND, x, view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, ndim, size, stride), x.data))

cdef val op_sum_to(val g, tg_meta *m) except NULL:
    """The sum of g over all that broadcasting m's shape to g's repeated. The counterpart of expand."""
    cdef int d, lead = g.meta.ndim - m.ndim
    cdef uint32_t dims = 0
    if same_shape(g.meta, m):
        return g
    for d in range(g.meta.ndim):
        if d < lead or (m.shape[d - lead] == 1 and g.meta.shape[d] != 1):
            dims |= <uint32_t>1 << d
    g = op_sum(g, dims, True)
    return op_reshape(g, m.ndim, m.shape)

# ---- a part: per dimension a start, a step and a length; some dimensions drop out ----
# args of the node: the dropped dimensions, then start, step, length and the whole size of each dimension.

cdef int slice_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_unslice(g[0], n.args, n.n_args)
    return 0

cdef int unslice_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_slice(g[0], n.args, &SLICE)
    return 0

cdef tg_rule SLICE = tg_rule(b"Slice", slice_backward)
cdef tg_rule SELECT = tg_rule(b"Select", slice_backward)
cdef tg_rule UNSLICE = tg_rule(b"SliceBackward", unslice_backward)

cdef val part_of(val x, const int64_t *args) except NULL:
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int d, nd = 0
    cdef int64_t offset = 0
    for d in range(x.meta.ndim):
        if args[4 * d + 3]:  # an empty part keeps the pointer inside the memory
            offset += args[4 * d + 1] * x.meta.stride[d]
        if not args[0] >> d & 1:
            shape[nd] = args[4 * d + 3]
            stride[nd] = args[4 * d + 2] * x.meta.stride[d]
            nd += 1
    if x.meta.numel == 0:
        offset = 0
    return view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, nd, shape, stride),
                   x.data + offset * tg_size[x.meta.dtype])

cdef val op_slice(val x, const int64_t *args, const tg_rule *rule) except NULL:
    cdef int n_args = 1 + 4 * x.meta.ndim
    cdef tg_node *n
    cdef val out = part_of(x, args)
    if tracks(x):
        n = new_node(rule, 1, 1, &x, 0, n_args)
        memcpy(n.args, args, n_args * sizeof(int64_t))
        return finish(n, out)
    return out

cdef val op_unslice(val g, const int64_t *args, int n_args) except NULL:
    """Zeros of the whole, with g at the part's place. The counterpart of slicing."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int d, nd = (n_args - 1) // 4
    cdef tg_node *n
    for d in range(nd):
        shape[d] = args[4 * d + 4]
    cdef val out = make_zeros(g.meta.dtype, nd, shape)
    copy_into(part_of(out, args), g)
    if tracks(g):
        n = new_node(&UNSLICE, 1, 1, &g, 0, n_args)
        memcpy(n.args, args, n_args * sizeof(int64_t))
        return finish(n, out)
    return out

cdef void whole_slice(val x, int64_t *args) noexcept:
    """Args that keep all of x."""
    cdef int d
    args[0] = 0
    for d in range(x.meta.ndim):
        args[4 * d + 1] = 0
        args[4 * d + 2] = 1
        args[4 * d + 3] = args[4 * d + 4] = x.meta.shape[d]

cdef val op_narrow(val x, int dim, int64_t start, int64_t length) except NULL:
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    whole_slice(x, args)
    args[4 * dim + 1] = start
    args[4 * dim + 3] = length
    return op_slice(x, args, &SLICE)

cdef val op_select(val x, int dim, int64_t index) except NULL:
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    whole_slice(x, args)
    args[0] = 1 << dim
    args[4 * dim + 1] = index
    args[4 * dim + 3] = 1
    return op_slice(x, args, &SELECT)

# ---- several parts at once: split, chunk, unbind. One node with an output per part, so that the way back is linear ----

cdef int split_backward(tg_node *n, val *g, val *out) except -1:
    """args: dimension, whether the parts dropped it (unbind), then the length of each part."""
    cdef int dim = <int>n.args[0], k
    cdef tg_meta *m = input_meta(n, 0)
    cdef int64_t shape[TG_MAX_DIMS]
    cdef val *parts = <val *>malloc(n.n_out * sizeof(val))
    if parts is NULL:
        raise MemoryError()
    try:
        memcpy(shape, m.shape, m.ndim * sizeof(int64_t))
        for k in range(n.n_out):
            shape[dim] = n.args[2 + k]
            if g[k] is NULL:
                parts[k] = make_zeros(m.dtype, m.ndim, shape)
            else:
                parts[k] = op_unsqueeze(g[k], dim) if n.args[1] else g[k]
        out[0] = op_cat(n.n_out, parts, dim)
    finally:
        free(parts)
    return 0

cdef tg_rule SPLIT = tg_rule(b"Split", split_backward)
cdef tg_rule UNBIND = tg_rule(b"Unbind", split_backward)

cdef list op_split(val x, int dim, list lengths, bint drop):
    """The parts of x along dim as Tensors."""
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    cdef tg_node *n = NULL
    cdef int64_t start = 0
    cdef int k
    cdef val v
    cdef list out = []
    whole_slice(x, args)
    args[0] = drop << dim
    if lengths and tracks(x):
        n = new_node(&UNBIND if drop else &SPLIT, len(lengths), 1, &x, 0, 2 + len(lengths))
        n.args[0] = dim
        n.args[1] = drop
    try:
        for k, length in enumerate(lengths):
            args[4 * dim + 1] = start
            args[4 * dim + 3] = length
            v = part_of(x, args)
            if n is not NULL:
                n.args[2 + k] = length
                attach(n, k, v)
            out.append(wrap(v))
            start += length
    finally:
        tg_node_release(n)
    return out

cdef int cat_backward(tg_node *n, val *g, val *out) except -1:
    """args: dimension, then the length of each input along it."""
    cdef int k
    cdef int64_t start = 0
    for k in range(n.n_in):
        if wants(n, k):
            out[k] = op_narrow(g[0], <int>n.args[0], start, n.args[1 + k])
        start += n.args[1 + k]
    return 0

cdef tg_rule CAT = tg_rule(b"Cat", cat_backward)

cdef val op_cat(int count, val *parts, int dim) except NULL:
    """The parts behind each other along dim; types and shapes have been checked."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    cdef int64_t start = 0
    cdef int k
    cdef tg_node *n
    cdef bint track = False
    cdef tg_meta *m = parts[0].meta
    memcpy(shape, m.shape, m.ndim * sizeof(int64_t))
    shape[dim] = 0
    for k in range(count):
        shape[dim] += parts[k].meta.shape[dim]
        track = tracks(parts[k]) or track
    cdef val out = make_empty(m.dtype, m.ndim, shape)
    whole_slice(out, args)
    for k in range(count):
        args[4 * dim + 1] = start
        args[4 * dim + 3] = parts[k].meta.shape[dim]
        copy_into(part_of(out, args), parts[k])
        start += parts[k].meta.shape[dim]
    if track:
        n = new_node(&CAT, 1, count, parts, 0, 1 + count)
        n.args[0] = dim
        for k in range(count):
            n.args[1 + k] = parts[k].meta.shape[dim]
        return finish(n, out)
    return out

# ---- flip copies, as in PyTorch ----

cdef int flip_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_flip(g[0], <uint32_t>n.args[0])
    return 0

cdef tg_rule FLIP = tg_rule(b"Flip", flip_backward)

cdef val op_flip(val x, uint32_t dims) except NULL:
    cdef int64_t stride[TG_MAX_DIMS]
    cdef char *data = x.data
    cdef tg_node *n
    cdef int d
    cdef val out = alloc(tg_meta_contiguous(<tg_dtype>x.meta.dtype, x.meta.ndim, x.meta.shape)), mirrored
    for d in range(x.meta.ndim):
        stride[d] = x.meta.stride[d]
        if dims >> d & 1 and x.meta.numel:
            data += (x.meta.shape[d] - 1) * stride[d] * tg_size[x.meta.dtype]
            stride[d] = -stride[d]
    mirrored = checked(tg_value_new(tg_storage_retain(x.storage), data,
                                    tg_meta_get(<tg_dtype>x.meta.dtype, x.meta.ndim, x.meta.shape, stride)))
    copy_into(out, mirrored)
    if tracks(x):
        n = new_node(&FLIP, 1, 1, &x, 0, 1)
        n.args[0] = dims
        return finish(n, out)
    return out

cdef val channelwise(val v, val x) except NULL:
    """A value per channel as (1, C, 1, …), to broadcast against x."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int d
    for d in range(x.meta.ndim):
        shape[d] = 1
    shape[1] = v.meta.numel
    return op_reshape(v, x.meta.ndim, shape)
