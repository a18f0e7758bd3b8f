# The tape: how an op leaves its step, and how a rule gets back what the op saved.

cdef inline int tracks(val v) except -1:
    """Whether what is done with v now belongs on the tape."""
    if tg_grad_disabled:
        return 0
    if v.base is not NULL and v.rewrites != v.base.rewrites:
        renew_view(v)
    return v.node is not NULL

cdef tg_node *new_node(const tg_rule *rule, int n_out, int n_in, val *inputs, int n_saved, int n_args) except NULL:
    """A node with its edges; the caller saves, and then attaches it to its outputs."""
    cdef tg_node *n = tg_node_new(rule, n_out, n_in, n_saved, n_args)
    cdef int k
    if n is NULL:
        raise MemoryError("not enough memory for the tape")
    for k in range(n_in):
        if inputs[k] is not NULL and inputs[k].node is not NULL:
            n.edge[k].node = tg_node_retain(inputs[k].node)
            n.edge[k].out = inputs[k].out
    return n

cdef inline void save(tg_node *n, int k, val v, int source) noexcept:
    """Keeps a snapshot of v: input `source` of the node, or its output where source is TG_FROM_OUTPUT - index."""
    cdef tg_saved *s = &n.saved[k]
    s.storage = tg_storage_retain(v.storage)
    s.data = v.data
    s.meta = tg_meta_retain(v.meta)
    s.version = v.storage.version
    s.source = source

cdef inline void attach(tg_node *n, int k, val out) noexcept:
    """out is output k of n from now on."""
    n.output[k].meta = tg_meta_retain(out.meta)
    if out.node is not NULL:
        forget_node(out)
    out.node = tg_node_retain(n)
    out.out = k
    if out.flags & TG_RETAIN_GRAD:
        n.output[k].value = out

cdef inline void forget_node(val v) noexcept:
    if v.node.output[v.out].value is v:
        v.node.output[v.out].value = NULL
    tg_node_release(v.node)
    v.node = NULL

cdef inline val finish(tg_node *n, val out) except NULL:
    """Attaches the node of an op with one output, and gives that output back."""
    attach(n, 0, out)
    tg_node_release(n)
    return out

cdef val taped(const tg_rule *rule, val x, val out) except NULL:
    """out, made of x alone by a rule that needs nothing saved."""
    if tracks(x):
        return finish(new_node(rule, 1, 1, &x, 0, 0), out)
    return out

cdef val saved(tg_node *n, int k) except NULL:
    """What the op saved, checked against writes since; linked to the tape if the gradient is to be differentiated."""
    cdef tg_saved *s = &n.saved[k]
    cdef val v
    if s.storage is NULL:
        raise RuntimeError(
            f"backward: {node_name(n)} has been gone through before and has freed what it saved; "
            "pass retain_graph=True to the first backward to go through it again")
    if s.storage.version != s.version:
        which = (f"its output {-1 - s.source}" if s.source < 0 else
                 f"its input {s.source}" if s.source != TG_FROM_NOWHERE else "a tensor")
        raise RuntimeError(
            f"one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"{which} of {node_name(n)}, a {type_name(s.meta.dtype)} tensor of shape "
            f"{as_tuple(s.meta.ndim, s.meta.shape)}, is at version {s.storage.version} but was saved at version "
            f"{s.version}; clone it before changing it")
    v = checked(tg_value_new(tg_storage_retain(s.storage), s.data, tg_meta_retain(s.meta)))
    if not tg_grad_disabled and s.source != TG_FROM_NOWHERE:
        if s.source < 0:
            v.node = tg_node_retain(n)
            v.out = -1 - s.source
        elif n.edge[s.source].node is not NULL:
            v.node = tg_node_retain(n.edge[s.source].node)
            v.out = n.edge[s.source].out
    return v

cdef inline bint wants(tg_node *n, int k) noexcept:
    """Whether anybody asks for the gradient of input k."""
    return n.edge[k].node is not NULL and (not selective or n.edge[k].node.needed)

cdef inline tg_meta *input_meta(tg_node *n, int k) noexcept:
    return n.edge[k].node.output[n.edge[k].out].meta

cdef str node_name(tg_node *n):
    if n.rule is NULL:
        return "AccumulateGrad"
    if n.rule is &FUNCTION:
        return type((<Extras>n.py).context).__name__
    return n.rule.name.decode() + "Backward0"

# ---- writes in place ----

cdef int check_writable(val v, str op) except -1:
    """Refuses what PyTorch refuses: leaves that require grad, and memory that two indices reach."""
    cdef val owner = v if v.base is NULL else v.base
    if v.meta.flags & TG_OVERLAPS:
        raise RuntimeError(
            f"{op}: unsupported operation: more than one element of the written-to tensor refers to a single memory "
            f"location (shape {shape_of(v)}, strides {as_tuple(v.meta.ndim, v.meta.stride)}); clone() it first")
    if not tg_grad_disabled:
        if owner.node is not NULL and owner.node.rule is NULL:
            kind = "a leaf Variable that requires grad" if v.base is NULL else \
                "a view of a leaf Variable that requires grad"
            raise RuntimeError(f"{op}: {kind} is being used in an in-place operation; do it under no_grad(), "
                               "or on a clone()")
        if v.flags & TG_NO_GRAD_VIEW:
            raise RuntimeError(f"{op}: a view was created in no_grad mode and is being modified inplace with grad "
                               "mode enabled; make the view outside no_grad, or write under no_grad too")
    return 0

cdef int overlap(val a, val b) noexcept:
    """0: no common memory; 1: the very same elements in the same order; 2: anything else."""
    cdef int64_t ea, eb
    if a.storage is not b.storage or a.meta.numel == 0 or b.meta.numel == 0:
        return 0
    if a.data is b.data and a.meta is b.meta:
        return 1
    ea = span(a.meta) * tg_size[a.meta.dtype]
    eb = span(b.meta) * tg_size[b.meta.dtype]
    return 2 if a.data < b.data + eb and b.data < a.data + ea else 0

cdef int64_t span(tg_meta *m) noexcept:
    """Elements from the first to the last."""
    cdef int64_t n = 1
    cdef int d
    if m.numel == 0:
        return 0
    for d in range(m.ndim):
        n += (m.shape[d] - 1) * m.stride[d]
    return n

cdef int check_overlap(val dst, val src, str op) except -1:
    """1 if src must be read out before dst is written; an overlap of two dense tensors is refused, as in PyTorch."""
    cdef int o = overlap(dst, src)
    if o < 2:
        return 0
    if dst.meta.flags & src.meta.flags & TG_DENSE and src.meta.ndim:
        raise RuntimeError(f"{op}: unsupported operation: some elements of the input tensor and the written-to tensor "
                           "refer to a single memory location; clone() the input first")
    return 1

cdef int rebase(val dst, tg_node *n) except -1:
    """After a write in place, recorded as node n (whose reference is taken over), dst and all that share its memory
    are what n made of them: a base takes n's place on the tape; under a view, the base becomes its old self with the
    view's part replaced."""
    cdef val base = dst.base
    cdef val pair[2]
    cdef tg_node *splice
    if base is NULL:
        attach(n, 0, dst)
        tg_node_release(n)
        dst.rewrites += 1
        return 0
    n.output[0].meta = tg_meta_retain(dst.meta)
    pair[0] = base
    pair[1] = NULL
    splice = new_node(&SPLICE, 1, 2, pair, 0, geometry_args(dst.meta))
    splice.edge[1].node = n
    write_geometry(splice, dst, base)
    attach(splice, 0, base)
    tg_node_release(splice)
    base.rewrites += 1
    return 0

cdef int renew_view(val v) except -1:
    """The base has been written to since this view was made: the view is now a part of what the base has become."""
    cdef val base = v.base
    cdef tg_node *n
    if v.flags & TG_NO_GRAD_VIEW:
        v.rewrites = base.rewrites
        return 0
    n = NULL
    if base.node is not NULL:
        n = new_node(&AS_STRIDED, 1, 1, &base, 0, geometry_args(v.meta))
        write_geometry(n, v, base)
    if n is not NULL:
        attach(n, 0, v)
        tg_node_release(n)
    elif v.node is not NULL:
        forget_node(v)
    v.rewrites = base.rewrites
    return 0

# A view's place in its base, as args of a node: offset in elements, then the base's span, shape and strides of both.

cdef inline int geometry_args(tg_meta *view) noexcept:
    return 4 + 4 * TG_MAX_DIMS

cdef void write_geometry(tg_node *n, val view, val base) noexcept:
    n.args[0] = (view.data - base.data) // tg_size[view.meta.dtype]
    n.args[1] = span(base.meta)
    write_layout(n.args + 2, view.meta)
    write_layout(n.args + 3 + 2 * TG_MAX_DIMS, base.meta)

cdef void write_layout(int64_t *to, tg_meta *m) noexcept:
    to[0] = m.ndim
    memcpy(to + 1, m.shape, m.ndim * sizeof(int64_t))
    memcpy(to + 1 + TG_MAX_DIMS, m.stride, m.ndim * sizeof(int64_t))

cdef inline tg_meta *read_layout(const int64_t *args, int t) noexcept:
    return tg_meta_get(<tg_dtype>t, <int>args[0], args + 1, args + 1 + TG_MAX_DIMS)

cdef val laid_out(val g, const int64_t *args) except NULL:
    """A copy of g in memory laid out as the base's."""
    cdef val out = alloc_span(args, g.meta.dtype)
    if g.meta.numel:
        copy_into(out, g)
    return out

cdef val alloc_span(const int64_t *args, int t) except NULL:
    """Memory for the base's span, zeroed, seen through the base's layout."""
    cdef tg_storage *s = tg_storage_new(args[1] * tg_size[t])
    if s is NULL:
        raise MemoryError("not enough memory for a gradient")
    memset(s.data, 0, args[1] * tg_size[t])
    return checked(tg_value_new(s, s.data, read_layout(args + 3 + 2 * TG_MAX_DIMS, t)))

cdef inline val part(val whole, const int64_t *args) except NULL:
    """The view's part of a value laid out as the base."""
    return checked(tg_value_new(tg_storage_retain(whole.storage), whole.data + args[0] * tg_size[whole.meta.dtype],
                                read_layout(args + 2, whole.meta.dtype)))

# Three linear maps between base and view, each differentiated by the others:
# take the part out, put a part into zeros, and zero a part.

cdef val op_part(val base, const int64_t *args) except NULL:
    cdef tg_node *n
    cdef val out = dense_copy(part(laid_out(base, args), args), base.meta.dtype)
    if tracks(base):
        n = new_node(&AS_STRIDED, 1, 1, &base, 0, geometry_args(NULL))
        memcpy(n.args, args, geometry_args(NULL) * sizeof(int64_t))
        finish(n, out)
    return out

cdef val op_unpart(val g, const int64_t *args) except NULL:
    """Zeros like the base, with g added at the view's place (a view may reach an element twice)."""
    cdef tg_node *n
    cdef val out = alloc_span(args, g.meta.dtype), place = part(out, args)
    cdef val pair[2]
    cdef tg_call c
    pair[0] = place
    pair[1] = g
    if place.meta.flags & TG_OVERLAPS:
        add_sequentially(place, g)
    else:
        copy_into(place, g)
    if tracks(g):
        n = new_node(&UNPART, 1, 1, &g, 0, geometry_args(NULL))
        memcpy(n.args, args, geometry_args(NULL) * sizeof(int64_t))
        finish(n, out)
    return out

cdef val op_blank(val g, const int64_t *args) except NULL:
    """g, laid out as the base, with zeros at the view's place."""
    cdef tg_node *n
    cdef val out = laid_out(g, args)
    fill(part(out, args), 0, 0)
    if tracks(g):
        n = new_node(&BLANK, 1, 1, &g, 0, geometry_args(NULL))
        memcpy(n.args, args, geometry_args(NULL) * sizeof(int64_t))
        finish(n, out)
    return out

cdef int as_strided_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_unpart(g[0], n.args)
    return 0

cdef int unpart_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_part(g[0], n.args)
    return 0

cdef int blank_backward(tg_node *n, val *g, val *out) except -1:
    out[0] = op_blank(g[0], n.args)
    return 0

cdef int splice_backward(tg_node *n, val *g, val *out) except -1:
    if wants(n, 0):
        out[0] = op_blank(g[0], n.args)
    if wants(n, 1):
        out[1] = op_part(g[0], n.args)
    return 0

cdef tg_rule AS_STRIDED = tg_rule(b"AsStrided", as_strided_backward)
cdef tg_rule UNPART = tg_rule(b"AsStridedBackward", unpart_backward)
cdef tg_rule BLANK = tg_rule(b"Blank", blank_backward)
cdef tg_rule SPLICE = tg_rule(b"CopySlices", splice_backward)
