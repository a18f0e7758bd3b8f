# Indexing with tensors. An index first becomes offsets into memory, one for each row that moves; taking rows from
# offsets and adding rows at offsets are each other's way back.

cdef struct Places:
    val offsets         # int64, one for each row
    int64_t row         # elements of a row: what lies contiguously behind the last indexed dimension
    int ndim            # shape of the result
    int64_t shape[TG_MAX_DIMS]

cdef int add_lattice(val offsets, int at, int64_t length, int64_t stride) except -1:
    """offsets += stride · position along dimension `at` of offsets."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int d
    cdef val steps
    cdef val pair[2]
    cdef tg_call c
    cdef int64_t i
    if length == 1 or stride == 0:
        return 0
    for d in range(offsets.meta.ndim):
        shape[d] = 1
    shape[at] = length
    steps = make_empty(TG_I64, offsets.meta.ndim, shape)
    for i in range(length):
        (<int64_t *>steps.data)[i] = i * stride
    pair[0] = offsets
    pair[1] = steps
    c.fn = tg_k.binary[TG_BINARY_add][TG_I64]
    elementwise(&c, offsets, 2, pair)
    return 0

cdef int add_index(val offsets, val index, int64_t size, int64_t stride, bint front_only, object error, str op,
                   int dim) except -1:
    """offsets += stride · index, which broadcasts to offsets; front_only: indices must not be negative."""
    cdef int64_t bad = 0
    cdef tg_call c
    cdef val whole
    index = op_to(index, TG_I64)
    if not same_shape(index.meta, offsets.meta) or not index.meta.flags & TG_CONTIGUOUS:
        whole = make_empty(TG_I64, offsets.meta.ndim, offsets.meta.shape)
        copy_into(whole, index)
        index = whole
    if index.meta.numel == 0:
        return 0
    c.fn = tg_k.offsets
    c.n[0] = index.meta.numel
    c.n[1] = c.n[2] = 0
    c.p[0] = offsets.data
    c.p[1] = index.data
    c.p[2] = &bad
    c.i[0] = size
    c.i[1] = stride
    c.flags = front_only
    launch(&c)
    if bad:
        raise error(f"{op}: index {(<int64_t *>index.data)[bad - 1]} is out of bounds for dimension {dim} with "
                    f"size {size}{', and must not be negative' if front_only else ''}")
    return 0

cdef int locate(Places *p, val x, tg_meta *layout, int count, const int *dims, val *index, bint front_only,
                str op) except -1:
    """Offsets of x[..., index0, …, index1, …] in memory laid out as `layout` (x's own, or a contiguous one).

    Neighbouring indexed dimensions are replaced where they stand by the broadcast shape of the indices; else that
    shape comes first, as in NumPy.
    """
    cdef int nd = x.meta.ndim, first = dims[0], last = dims[count - 1], d, k, at, o = 0, tail = nd
    cdef int index_ndim
    cdef val probe = index[0]
    cdef tg_meta *m
    cdef bint adjacent = last - first == count - 1
    for k in range(1, count):
        try:
            m = broadcast(op, probe, index[k], TG_I64)
        except RuntimeError as error:
            raise IndexError(f"{op}: the indices do not broadcast together ({error})") from None
        probe = alloc(tg_meta_contiguous(TG_I64, m.ndim, m.shape))
        tg_meta_release(m)
    index_ndim = probe.meta.ndim
    if nd - count + index_ndim > TG_MAX_DIMS:
        raise RuntimeError(f"{op}: the result would have more than {TG_MAX_DIMS} dimensions")
    p.row = 1  # rows are as long as memory is contiguous behind the last indexed dimension
    while tail > last + 1 and (layout.stride[tail - 1] == p.row or layout.shape[tail - 1] == 1):
        tail -= 1
        p.row *= layout.shape[tail]
    p.ndim = 0
    at = first if adjacent else 0
    for d in range(at):
        p.shape[p.ndim] = x.meta.shape[d]
        p.ndim += 1
    for d in range(index_ndim):
        p.shape[p.ndim] = probe.meta.shape[d]
        p.ndim += 1
    k = 0
    for d in range(at, nd):
        if k < count and dims[k] == d:
            k += 1
        else:
            p.shape[p.ndim] = x.meta.shape[d]
            p.ndim += 1
    p.offsets = make_zeros(TG_I64, p.ndim - (nd - tail), p.shape)
    k = 0
    o = 0
    for d in range(tail):
        if k < count and dims[k] == d:
            if k == 0 and adjacent:
                o += index_ndim
            k += 1
            continue
        if not adjacent and o < index_ndim:
            o = index_ndim
        add_lattice(p.offsets, o, x.meta.shape[d], layout.stride[d])
        o += 1
    for k in range(count):
        add_index_at(p.offsets, index[k], at, index_ndim, x.meta.shape[dims[k]], layout.stride[dims[k]], front_only, op,
                     dims[k])
    return 0

cdef int add_index_at(val offsets, val index, int at, int index_ndim, int64_t size, int64_t stride, bint front_only,
                      str op, int dim) except -1:
    """As add_index, the index standing at dimensions at … at + index_ndim of offsets."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int d, behind = offsets.meta.ndim - at - index_ndim
    for d in range(index.meta.ndim):
        shape[d] = index.meta.shape[d]
    for d in range(behind):
        shape[index.meta.ndim + d] = 1
    index = op_reshape(op_raw_contiguous(index), index.meta.ndim + behind, shape)
    return add_index(offsets, index, size, stride, front_only, IndexError, op, dim)

# ---- taking and adding rows ----

cdef int take_backward(tg_node *n, val *g, val *out) except -1:
    cdef tg_meta *m = input_meta(n, 0)
    out[0] = op_put_add(g[0], saved(n, 0), n.args[0], m.ndim, m.shape)
    return 0

cdef int put_add_backward(tg_node *n, val *g, val *out) except -1:
    cdef tg_meta *m = input_meta(n, 0)
    out[0] = op_take(op_contiguous(g[0]), saved(n, 0), n.args[0], m.ndim, m.shape)
    return 0

cdef tg_rule TAKE = tg_rule(b"Index", take_backward)
cdef tg_rule PUT_ADD = tg_rule(b"IndexBackward", put_add_backward)

cdef int move_rows(tg_kernel fn, char *to, char *fro, val offsets, int64_t row) except -1:
    cdef tg_call c
    c.fn = fn
    c.n[0] = offsets.meta.numel
    c.n[1] = row
    c.n[2] = 0
    c.p[0] = to
    c.p[1] = fro
    c.p[2] = offsets.data
    if c.n[0] and row:
        launch(&c)
    return 0

cdef val op_take(val x, val offsets, int64_t row, int ndim, const int64_t *shape) except NULL:
    """Rows of x's memory at offsets, as a tensor of the given shape. On the tape, x is contiguous."""
    cdef val out
    cdef tg_node *n
    if tracks(x):
        x = op_contiguous(x)
    out = make_empty(x.meta.dtype, ndim, shape)
    move_rows(tg_k.take[x.meta.dtype], out.data, x.data, offsets, row)
    if tracks(x):
        n = new_node(&TAKE, 1, 1, &x, 1, 1)
        n.args[0] = row
        save(n, 0, offsets, TG_FROM_NOWHERE)
        return finish(n, out)
    return out

cdef val op_put_add(val g, val offsets, int64_t row, int ndim, const int64_t *shape) except NULL:
    """Zeros of the given shape, with g's rows added at offsets."""
    cdef val out = make_zeros(g.meta.dtype, ndim, shape)
    cdef tg_node *n
    move_rows(tg_k.put_add[g.meta.dtype], out.data, op_raw_contiguous(g).data, offsets, row)
    if tracks(g):
        n = new_node(&PUT_ADD, 1, 1, &g, 1, 1)
        n.args[0] = row
        save(n, 0, offsets, TG_FROM_NOWHERE)
        return finish(n, out)
    return out

# ---- writing rows in place ----

cdef int put_backward(tg_node *n, val *g, val *out) except -1:
    """args: row length, whether rows were added; the written places get nothing of the old values' gradient."""
    cdef tg_meta *m
    if wants(n, 0):
        out[0] = g[0] if n.args[1] else op_blank_rows(g[0], saved(n, 0), n.args[0])
    if wants(n, 1):
        m = input_meta(n, 1)
        out[1] = op_take(op_contiguous(g[0]), saved(n, 0), n.args[0], m.ndim, m.shape)
    return 0

cdef tg_rule PUT = tg_rule(b"IndexPut", put_backward)

cdef int blank_rows_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_blank_rows(g[0], saved(n, 0), n.args[0])
    return 0

cdef tg_rule BLANK_ROWS = tg_rule(b"IndexBlank", blank_rows_backward)

cdef val op_blank_rows(val g, val offsets, int64_t row) except NULL:
    """g with zeros in the rows at offsets."""
    cdef val out = dense_copy(g, g.meta.dtype)
    cdef int64_t count = offsets.meta.numel * row
    cdef tg_node *n
    move_rows(tg_k.put[g.meta.dtype], out.data, make_zeros(g.meta.dtype, 1, &count).data, offsets, row)
    if tracks(g):
        n = new_node(&BLANK_ROWS, 1, 1, &g, 1, 1)
        n.args[0] = row
        save(n, 0, offsets, TG_FROM_NOWHERE)
        return finish(n, out)
    return out

cdef val put_(val dst, Places *p, Places *contiguous, val src, bint adds, str op) except NULL:
    """Writes (or adds) src's rows at the places in dst; contiguous: the same places if dst were contiguous."""
    cdef val pair[2]
    cdef tg_node *n = NULL
    check_writable(dst, op)
    src = op_to(src, dst.meta.dtype)
    if not (src.meta.ndim == p.ndim and memcmp(src.meta.shape, p.shape, p.ndim * sizeof(int64_t)) == 0):
        if src.meta.ndim > p.ndim:
            src = without_leading_ones(src, p.ndim)
        src = op_expand(src, p.ndim, p.shape)
    if overlap(dst, src):
        src = op_clone(src)
    pair[0] = dst
    pair[1] = op_contiguous(src)
    if is_float(dst.meta.dtype) and tracks(dst) + tracks(src):
        n = new_node(&PUT, 1, 2, pair, 1, 2)
        n.args[0] = contiguous.row
        n.args[1] = adds
        save(n, 0, contiguous.offsets, TG_FROM_NOWHERE)
    cdef tg_kernel fn = tg_k.put_add[dst.meta.dtype] if adds else tg_k.put[dst.meta.dtype]
    move_rows(fn, dst.data, pair[1].data, p.offsets, p.row)
    bump(dst)
    if n is not NULL:
        rebase(dst, n)
    return dst

cdef int locate_both(Places *p, Places *c, val x, int count, const int *dims, val *index, bint front_only,
                     str op) except -1:
    """The places in x's memory, and where they would be if x were contiguous."""
    cdef tg_meta *m
    locate(p, x, x.meta, count, dims, index, front_only, op)
    c[0] = p[0]
    if not x.meta.flags & TG_CONTIGUOUS:
        m = tg_meta_contiguous(<tg_dtype>x.meta.dtype, x.meta.ndim, x.meta.shape)
        try:
            locate(c, x, m, count, dims, index, front_only, op)
        finally:
            tg_meta_release(m)
    return 0

cdef val op_index(val x, int count, const int *dims, val *index, bint front_only, str op) except NULL:
    cdef Places p
    if tracks(x):
        x = op_contiguous(x)
    locate(&p, x, x.meta, count, dims, index, front_only, op)
    return op_take(x, p.offsets, p.row, p.ndim, p.shape)

cdef val op_index_put_(val x, int count, const int *dims, val *index, val src, bint adds, bint front_only,
                       str op) except NULL:
    cdef Places p, c
    locate_both(&p, &c, x, count, dims, index, front_only, op)
    return put_(x, &p, &c, src, adds, op)

# ---- gather and scatter: one place for every element of the index ----

cdef int locate_along(Places *p, val x, tg_meta *layout, int dim, val index, str op) except -1:
    cdef int d, nd = x.meta.ndim
    if index.meta.dtype != TG_I64 and index.meta.dtype != TG_I32:
        raise RuntimeError(f"{op}: expected dtype int64 (or int32) for index, not {type_name(index.meta.dtype)}")
    if (index.meta.ndim or 1) != (nd or 1):
        raise RuntimeError(f"{op}: the index of shape {shape_of(index)} must have as many dimensions as the tensor of "
                           f"shape {shape_of(x)}")
    p.row = 1
    p.ndim = index.meta.ndim
    memcpy(p.shape, index.meta.shape, p.ndim * sizeof(int64_t))
    p.offsets = make_zeros(TG_I64, p.ndim, p.shape)
    for d in range(min(nd, p.ndim)):
        if d != dim and index.meta.numel:
            if p.shape[d] > x.meta.shape[d]:
                raise RuntimeError(f"{op}: size {p.shape[d]} of the index of shape {shape_of(index)} exceeds that of "
                                   f"the tensor of shape {shape_of(x)} in dimension {d}; only dimension {dim} may")
            add_lattice(p.offsets, d, p.shape[d], layout.stride[d])
    add_index(p.offsets, index, x.meta.shape[dim] if nd else 1, layout.stride[dim] if nd else 1, True, RuntimeError, op,
              dim)
    return 0

cdef val op_gather(val x, int dim, val index) except NULL:
    cdef Places p
    if tracks(x):
        x = op_contiguous(x)
    locate_along(&p, x, x.meta, dim, index, "gather")
    return op_take(x, p.offsets, 1, p.ndim, p.shape)

cdef val op_gather_raw(val x, int dim, val index) except NULL:
    """gather, but not on the tape."""
    cdef Places p
    cdef val out
    locate_along(&p, x, x.meta, dim, index, "gather")
    out = make_empty(x.meta.dtype, p.ndim, p.shape)
    move_rows(tg_k.take[x.meta.dtype], out.data, x.data, p.offsets, 1)
    return out

cdef val op_scatter_(val dst, int dim, val index, val src, bint adds, str op) except NULL:
    cdef Places p, c
    cdef tg_meta *m
    cdef int d
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    locate_along(&p, dst, dst.meta, dim, index, op)
    c = p
    if not dst.meta.flags & TG_CONTIGUOUS:
        m = tg_meta_contiguous(<tg_dtype>dst.meta.dtype, dst.meta.ndim, dst.meta.shape)
        try:
            locate_along(&c, dst, m, dim, index, op)
        finally:
            tg_meta_release(m)
    if src.meta.ndim and src.meta.ndim == p.ndim:  # a larger source is read from its front
        whole_slice(src, args)
        for d in range(p.ndim):
            if src.meta.shape[d] < p.shape[d]:
                raise RuntimeError(f"{op}: the source of shape {shape_of(src)} is smaller than the index of shape "
                                   f"{shape_of(index)} in dimension {d}")
            args[4 * d + 3] = p.shape[d]
        src = op_slice(src, args, &SLICE)
    return put_(dst, &p, &c, src, adds, op)

cdef val op_scatter_add(val base, int dim, val index, val src) except NULL:
    return op_scatter_(op_clone(base), dim, index, src, True, "scatter_add")

# ---- masks ----

cdef val flat_nonzero(val mask) except NULL:
    """Positions, in row-major order, at which a bool tensor holds."""
    cdef int64_t count = 0
    cdef tg_call c
    cdef val out
    mask = op_raw_contiguous(mask)
    c.fn = tg_k.nonzero_count
    c.n[0] = mask.meta.numel
    c.n[1] = c.n[2] = 0
    c.p[0] = &count
    c.p[1] = mask.data
    launch(&c)
    out = make_empty(TG_I64, 1, &count)
    c.fn = tg_k.nonzero
    c.p[0] = out.data
    launch(&c)
    return out

cdef int unravel(val flat, tg_meta *m, val *index) except -1:
    """Splits row-major positions into one index for each dimension of m."""
    cdef int d
    cdef int64_t behind = 1
    for d in range(m.ndim - 1, -1, -1):
        index[d] = op_floor_divide(flat, scalar(TG_I64, 0, behind)) if behind != 1 else flat
        if d:
            index[d] = op_remainder(index[d], scalar(TG_I64, 0, max(m.shape[d], 1)))
        behind *= max(m.shape[d], 1)
    return 0

# ---- x[key] ----

cdef struct Key:
    int count                          # indices by tensors
    int dims[2 * TG_MAX_DIMS]          # the dimensions of the view they stand at
    val index[2 * TG_MAX_DIMS]

cdef val index_view(val x, object key, Key *k) except NULL:
    """The basic part of an index (numbers, slices, None, ...) as a view; what is left goes into k."""
    cdef int64_t args[1 + 4 * TG_MAX_DIMS]
    cdef int64_t start, stop, step, i
    cdef int dim = 0, consumed = 0, place = 0, d
    cdef val v
    cdef list new_dims = [], tensors = []
    cdef bint sliced = False
    k.count = 0
    items = key if isinstance(key, tuple) else (key,)
    items = [index_item(item) for item in items]
    for item in items:
        if isinstance(item, Tensor) and (<Tensor>item).v.meta.dtype == TG_BOOL:
            consumed += (<Tensor>item).v.meta.ndim
        elif item is not None and item is not Ellipsis:
            consumed += 1
    if consumed > x.meta.ndim:
        raise IndexError(f"index: too many indices ({consumed}) for a tensor of dimension {x.meta.ndim}, "
                         f"shape {shape_of(x)}")
    if Ellipsis not in [item for item in items if not isinstance(item, Tensor)]:
        items.append(Ellipsis)
    elif sum([item is Ellipsis for item in items]) > 1:
        raise IndexError("index: an index can have only one ellipsis ('...')")
    whole_slice(x, args)
    for item in items:
        if item is Ellipsis:
            dim += x.meta.ndim - consumed
            place += x.meta.ndim - consumed
        elif item is None:
            new_dims.append(place)
            place += 1
        elif isinstance(item, slice):
            if item.step is not None and operator_index(item.step) <= 0:
                raise ValueError(f"index: the step of a slice must be greater than zero, but is {item.step}; use flip()")
            first, last, by = item.indices(x.meta.shape[dim])
            start, stop, step = first, last, min(by, x.meta.shape[dim] + 1)
            args[4 * dim + 1] = start
            args[4 * dim + 2] = step
            args[4 * dim + 3] = max(0, (stop - start + step - 1) // step)
            sliced = sliced or args[4 * dim + 3] != x.meta.shape[dim]
            dim += 1
            place += 1
        elif isinstance(item, Tensor):
            tensors.append((place, item))
            d = (<Tensor>item).v.meta.ndim if (<Tensor>item).v.meta.dtype == TG_BOOL else 1
            if d == 0:  # a 0-d mask adds a dimension
                new_dims.append(place)
                place += 1
            dim += d
            place += d
        else:
            i = item
            if i < -x.meta.shape[dim] or i >= x.meta.shape[dim]:
                raise IndexError(f"index: index {i} is out of bounds for dimension {dim} with size {x.meta.shape[dim]}")
            args[0] |= <int64_t>1 << dim
            args[4 * dim + 1] = i + x.meta.shape[dim] if i < 0 else i
            args[4 * dim + 3] = 1
            dim += 1
    v = x
    if args[0] or sliced or not (new_dims or tensors):
        v = op_slice(x, args, &SLICE if sliced or not args[0] else &SELECT)
    for place in new_dims:
        v = op_unsqueeze(v, place)
    for place, item in tensors:
        add_tensor_index(v, place, (<Tensor>item).v, k)
    return v

cdef object index_item(object item):
    """A part of an index as int, slice, None, Ellipsis or Tensor."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (bool, list, np_ndarray, np_bool)):
        item = tensor(item)
        if (<Tensor>item).v.meta.numel == 0 and (<Tensor>item).v.meta.dtype != TG_BOOL:
            item = wrap(op_to((<Tensor>item).v, TG_I64))
    elif isinstance(item, (range, tuple)):
        item = tensor(list(item), dtype=int64)
    if isinstance(item, Tensor):
        if is_float((<Tensor>item).v.meta.dtype):
            raise IndexError(f"index: tensors used as indices must be integer or bool tensors, "
                             f"not {type_name((<Tensor>item).v.meta.dtype)}")
        if (<Tensor>item).v.meta.ndim == 0 and (<Tensor>item).v.meta.dtype != TG_BOOL:
            return item.item()
        return item
    try:
        return operator_index(item)
    except TypeError:
        raise TypeError(f"index: an index can be made of integers, slices (':'), '...', None, lists and integer or "
                        f"bool tensors, not {type(item).__name__}") from None

cdef int add_tensor_index(val x, int dim, val index, Key *k) except -1:
    cdef int d, count = max(<int>index.meta.ndim, 1)
    cdef val flat
    keep_pooled(index)  # its Tensor may have been made for this key alone
    if index.meta.dtype != TG_BOOL and index.meta.dtype != TG_U8:
        k.dims[k.count] = dim
        k.index[k.count] = index
        k.count += 1
        return 0
    if index.meta.dtype == TG_U8:
        raise IndexError("index: a uint8 tensor as an index is ambiguous; use a bool tensor for a mask, or int64")
    for d in range(index.meta.ndim):
        if index.meta.shape[d] != x.meta.shape[dim + d]:
            raise IndexError(f"index: the mask of shape {shape_of(index)} does not match the indexed tensor of shape "
                             f"{shape_of(x)} at dimension {dim + d}")
    flat = flat_nonzero(index)
    if index.meta.ndim:
        unravel(flat, index.meta, &k.index[k.count])
    else:
        k.index[k.count] = flat
    for d in range(count):
        k.dims[k.count + d] = dim + d
    k.count += count
    return 0

cdef val get_item(val x, object key) except NULL:
    cdef Key k
    cdef val v = index_view(x, key, &k)
    if k.count == 0:
        return v
    return op_index(v, k.count, k.dims, k.index, False, "index")

cdef int set_item(val x, object key, val src) except -1:
    cdef Key k
    cdef val v = index_view(x, key, &k)
    if k.count == 0:
        op_copy_(v, src, "setitem")
    else:
        op_index_put_(v, k.count, k.dims, k.index, src, False, False, "setitem")
    return 0
