# The backward pass: nodes in reverse order of creation, from a heap, without recursion.
#
# Every node was created after those it depends on, so the highest sequence number waiting has received all its
# gradients. One pass runs at a time; a pass started inside another (by a hook or a custom Function) sets the outer
# one's pending gradients aside.

cdef struct Pass:
    tg_node **heap
    int64_t size, room
    bint create_graph
    bint retain
    Pass *outer

cdef Pass *running = NULL        # the innermost pass
cdef unsigned long runner = 0    # the thread it runs in
cdef bint selective = False      # only nodes marked as needed are followed
cdef uint64_t walks = 0

cdef int push(Pass *p, tg_node *n) except -1:
    cdef tg_node **grown
    cdef int64_t i, parent
    if p.size == p.room:
        grown = <tg_node **>realloc(p.heap, 2 * max(p.room, 32) * sizeof(void *))
        if grown is NULL:
            raise MemoryError()
        p.heap = grown
        p.room = 2 * max(p.room, 32)
    i = p.size
    p.size += 1
    while i > 0:
        parent = (i - 1) // 2
        if p.heap[parent].seq >= n.seq:
            break
        p.heap[i] = p.heap[parent]
        i = parent
    p.heap[i] = tg_node_retain(n)
    n.queued = 1
    return 0

cdef tg_node *pop(Pass *p) noexcept:
    """The node created last; its reference goes to the caller."""
    cdef tg_node *top = p.heap[0]
    cdef tg_node *last
    cdef int64_t i = 0, child
    p.size -= 1
    if p.size:
        last = p.heap[p.size]
        while 2 * i + 1 < p.size:
            child = 2 * i + 1
            if child + 1 < p.size and p.heap[child + 1].seq > p.heap[child].seq:
                child += 1
            if p.heap[child].seq <= last.seq:
                break
            p.heap[i] = p.heap[child]
            i = child
        p.heap[i] = last
    top.queued = 0
    return top

cdef inline bint owned(val g) noexcept:
    """Nobody else can see g's memory."""
    return g.refs == 1 and g.storage.refs == 1

cdef int gather_gradient(Pass *p, tg_edge *e, val g) except -1:
    """Adds g to what has arrived at an edge's end: the one place where broadcasting and promotion are undone."""
    cdef tg_output *o = &e.node.output[e.out]
    cdef val total
    if not same_shape(g.meta, o.meta):
        g = op_sum_to(g, o.meta)
    if g.meta.dtype != o.meta.dtype:
        g = op_to(g, o.meta.dtype)
    if o.grad is NULL:
        o.grad = tg_retain(g)
    elif not p.create_graph and owned(o.grad) and o.grad.meta.flags & TG_DENSE \
            and not (o.grad.flags | g.flags) & TG_ROW_SPARSE:
        add_in_place(o.grad, g)
    else:
        total = tg_retain(add_gradients(o.grad, g))
        tg_release(o.grad)
        o.grad = total
    if not e.node.queued:
        push(p, e.node)
    return 0

cdef int accumulate(Pass *p, val leaf, val g) except -1:
    """leaf.grad += g. A gradient that nobody else holds is kept as it is."""
    cdef val total
    if leaf.grad is not NULL and not (same_shape(leaf.grad.meta, g.meta) and leaf.grad.meta.dtype == g.meta.dtype):
        raise RuntimeError(f"accumulating a gradient: .grad, {gradient_kind(leaf.grad)} of shape {shape_of(leaf.grad)}, "
                           f"does not fit the gradient, {gradient_kind(g)} of shape {shape_of(g)}; set .grad to None where "
                           ".data changes")
    if g.flags & TG_ROW_SPARSE and (leaf.grad is NULL or leaf.grad.flags & TG_ROW_SPARSE):
        return accumulate_rows(leaf, g)
    g = dense(g)
    if leaf.grad is NULL:
        if p.create_graph:
            total = g
        elif owned(g) and (g.meta is leaf.meta or g.meta.flags & leaf.meta.flags & TG_CONTIGUOUS):
            total = g
        else:
            total = empty_like(leaf, g.meta.dtype)
            copy_into(total, g)
        leaf.grad = tg_retain(total)
    elif not p.create_graph and leaf.grad.node is NULL and not leaf.grad.flags & TG_ROW_SPARSE:
        check_overlap(leaf.grad, g, "accumulating a gradient")
        add_in_place(leaf.grad, g)
        bump(leaf.grad)
    else:
        total = tg_retain(add_gradients(leaf.grad, g))
        tg_release(leaf.grad)
        leaf.grad = total
    return 0

cdef int visit(Pass *p, tg_node *n, val *captured, tg_edge *targets, int n_targets) except -1:
    """Hands a node's gradients to hooks and keepers, and what its rule makes of them to its inputs."""
    cdef val room[16]
    cdef val *g = room
    cdef val *out
    cdef tg_output *o
    cdef val keeper, whole
    cdef int k, total = n.n_out + n.n_in
    if total > 16:
        g = <val *>malloc(total * sizeof(val))
        if g is NULL:
            raise MemoryError()
    out = g + n.n_out
    memset(g, 0, total * sizeof(val))
    try:
        for k in range(n.n_out):
            o = &n.output[k]
            g[k] = o.grad
            o.grad = NULL
            if g[k] is NULL:
                continue
            if n.py is not NULL:
                g[k] = hooked(n, k, g[k])
            for t in range(n_targets):
                if targets[t].node is n and targets[t].out == k:
                    tg_release(captured[t])
                    captured[t] = tg_retain(g[k])
            keeper = o.value
            if keeper is not NULL and (n_targets == 0 or (n.rule is not NULL and keeper.flags & TG_RETAIN_GRAD)):
                if n.rule is NULL:
                    accumulate(p, keeper, g[k])
                else:
                    tg_release(keeper.grad)
                    keeper.grad = tg_retain(g[k])
            if g[k].flags & TG_ROW_SPARSE and n.rule is not NULL:
                whole = tg_retain(dense(g[k]))
                tg_release(g[k])
                g[k] = whole
        if n.rule is not NULL and follows(n):
            n.rule.backward(n, g, out)
            for k in range(n.n_in):
                if out[k] is not NULL and wants(n, k):
                    gather_gradient(p, &n.edge[k], out[k])
            if not p.retain:
                tg_node_drop_saved(n)
    finally:
        for k in range(n.n_out):
            tg_release(g[k])
        if g is not room:
            free(g)
    return 0

cdef inline bint follows(tg_node *n) noexcept:
    """Whether any input asks for a gradient."""
    cdef int k
    if not selective:
        return True
    for k in range(n.n_in):
        if n.edge[k].node is not NULL and n.edge[k].node.needed:
            return True
    return False

cdef int mark_needed(int n_roots, val *roots, tg_edge *targets, int n_targets) except -1:
    """Marks the nodes through which a gradient reaches a target."""
    global walks
    cdef list found = []
    cdef list stack = []
    cdef tg_node *n
    cdef tg_node *m
    cdef int k
    walks += 1
    for k in range(n_roots):
        stack.append(<size_t>roots[k].node)
    while stack:
        n = <tg_node *><size_t>stack.pop()
        if n.mark == walks:
            continue
        n.mark = walks
        n.needed = 0
        found.append((n.seq, <size_t>n))
        for k in range(n.n_in):
            m = n.edge[k].node
            if m is not NULL and m.mark != walks:
                stack.append(<size_t>m)
    for k in range(n_targets):
        if targets[k].node is not NULL and targets[k].node.mark == walks:
            targets[k].node.needed = 1
    found.sort()
    for _, address in found:
        n = <tg_node *><size_t>address
        for k in range(n.n_in):
            if n.edge[k].node is not NULL and n.edge[k].node.needed:
                n.needed = 1
    return 0

cdef list set_aside(Pass *p):
    """Takes the pending gradients of a pass off its nodes, so that another can use them."""
    cdef list kept = []
    cdef int64_t i
    cdef int k
    cdef tg_node *n
    for i in range(p.size):
        n = p.heap[i]
        n.queued = 0
        for k in range(n.n_out):
            kept.append(<size_t>n.output[k].grad)
            n.output[k].grad = NULL
    return kept

cdef void put_back(Pass *p, list kept) noexcept:
    cdef int64_t i, at = 0
    cdef int k
    cdef tg_node *n
    for i in range(p.size):
        n = p.heap[i]
        n.queued = 1
        for k in range(n.n_out):
            n.output[k].grad = <val><size_t>kept[at]
            at += 1

cdef int run_backward(int n_roots, val *roots, val *gradients, bint retain, bint create_graph, tg_edge *targets,
                      int n_targets, val *captured) except -1:
    """Sends gradients from the roots backward, into the leaves' .grad. With targets, only towards those, where they are
    captured instead: captured holds references of the caller's."""
    global running, runner, selective
    cdef Pass p
    cdef tg_node *n
    cdef tg_value *mark
    cdef tg_edge root
    cdef bint was_selective = selective
    cdef int grad_mode, k
    cdef unsigned long me = PyThread_get_thread_ident()
    while running is not NULL and runner != me:  # another thread's pass: let it finish
        sleep(0.0001)
    memset(&p, 0, sizeof(p))
    p.outer = running
    p.create_graph = create_graph
    p.retain = retain
    kept = set_aside(p.outer) if p.outer is not NULL else None
    outer_needed = None
    grad_mode = set_grad_disabled(0 if create_graph else 1)
    running = &p
    runner = me
    try:
        selective = n_targets > 0
        if selective:
            mark_needed(n_roots, roots, targets, n_targets)
        for k in range(n_roots):
            root.node = roots[k].node
            root.out = roots[k].out
            gather_gradient(&p, &root, gradients[k])
        while p.size:
            n = pop(&p)
            mark = tg_pool
            try:
                if not selective or n.needed:
                    visit(&p, n, captured, targets, n_targets)
                else:
                    drop_gradients(n)
            finally:
                tg_node_release(n)
            tg_pool_drain(mark)
    finally:
        while p.size:  # after an error
            n = pop(&p)
            drop_gradients(n)
            tg_node_release(n)
        free(p.heap)
        running = p.outer
        selective = was_selective
        set_grad_disabled(grad_mode)
        if running is not NULL:
            put_back(running, kept)
    return 0

cdef void drop_gradients(tg_node *n) noexcept:
    cdef int k
    for k in range(n.n_out):
        tg_release(n.output[k].grad)
        n.output[k].grad = NULL

# ---- hooks, and the context of a custom Function: what a node holds of Python's ----

cdef class Extras:
    cdef dict hooks      # output -> {key: hook}
    cdef object context  # of a custom Function

cdef Extras extras(tg_node *n):
    """The node's extras, made when first needed."""
    if n.py is NULL:
        e = Extras.__new__(Extras)
        (<Extras>e).hooks = {}
        Py_INCREF(e)
        n.py = <void *>e
    return <Extras>n.py

cdef void py_release(void *object_) noexcept with gil:
    """How the engine lets go of what a node or a layout holds of Python's."""
    held = <object>object_
    if isinstance(held, Extras) and (<Extras>held).context is not None:
        ref = (<Extras>held).context.node_
        if ref is not None:
            (<NodeRef>ref).n = NULL
    Py_DECREF(held)

cdef class RemovableHandle:
    """What a `register_…_hook` returns: `remove()`, or leaving `with`, takes the hook off again."""
    cdef object hooks, key

    def __init__(self, hooks, key):
        self.hooks = hooks
        self.key = key

    def remove(self):
        """Takes the hook off; does nothing the second time."""
        self.hooks.pop(self.key, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()

cdef RemovableHandle add_hook(tg_node *n, int out, object hook):
    hooks, key = extras(n).hooks.setdefault(out, {}), object()
    hooks[key] = hook
    return RemovableHandle(hooks, key)

cdef val hooked(tg_node *n, int k, val g) except NULL:
    """g after the hooks of output k; takes over the reference to g and returns one."""
    cdef object held
    cdef val fresh
    hooks = extras(n).hooks.get(k)
    if not hooks:
        return g
    tg_retain(g)  # one for the tensor, one for the caller
    held = gradient_object(g)
    for hook in list(hooks.values()):
        result = call_out(hook, (held,))
        if result is None:
            continue
        fresh = gradient_value(result)
        if fresh is NULL:
            tg_release(g)
            raise TypeError(f"a tensor hook must return None or a Tensor, not {type(result).__name__}")
        if (fresh.flags ^ g.flags) & TG_ROW_SPARSE or fresh.meta.dtype != g.meta.dtype:
            kinds = f"was {gradient_kind(g)}, got {gradient_kind(fresh)}"
            tg_release(g)
            raise RuntimeError(f"a hook has changed the type of value ({kinds})")
        if not same_shape(fresh.meta, n.output[k].meta):
            tg_release(g)
            raise RuntimeError(f"a hook changed a gradient's shape from {as_tuple(n.output[k].meta.ndim, n.output[k].meta.shape)} to "
                               f"{shape_of(fresh)}")
        held = result
    fresh = tg_retain(gradient_value(held))
    tg_release(g)
    return fresh

cdef object call_out(object function, tuple args):
    """Calls Python from inside the engine: values below the mark are not the callee's to drain."""
    global tg_pool_base
    cdef tg_value *base = tg_pool_base
    tg_pool_base = tg_pool
    try:
        return function(*args)
    finally:
        tg_pool_drain(tg_pool_base)
        tg_pool_base = base

# ---- grad_fn ----

cdef class GradFn:
    """A step of the tape, as tensor.grad_fn shows it.

    >>> import tinygrad_lessons as tg
    >>> (tg.ones(2, requires_grad=True) * 2).grad_fn.name()
    'MulBackward0'
    """
    cdef tg_node *n

    def __dealloc__(self):
        tg_node_release(self.n)

    def name(self):
        """The op's name."""
        return node_name(self.n)

    @property
    def next_functions(self):
        """The steps that the gradients go on to: a (grad_fn, output number) for each input, (None, 0) where none."""
        return tuple([(grad_fn_of(self.n.edge[k].node), self.n.edge[k].out) if self.n.edge[k].node is not NULL
                      else (None, 0) for k in range(self.n.n_in)])

    @property
    def variable(self):
        """Of a leaf's step: the leaf, if it is still there."""
        if self.n.rule is not NULL or self.n.output[0].value is NULL:
            return None
        return wrap(self.n.output[0].value)

    def __eq__(self, other):
        return isinstance(other, GradFn) and self.n is (<GradFn>other).n

    def __hash__(self):
        return hash(<size_t>self.n)

    def __repr__(self):
        return f"<{self.name()}>"

cdef object grad_fn_of(tg_node *n):
    cdef GradFn f
    if n.py is not NULL and (<Extras>n.py).context is not None:
        return (<Extras>n.py).context
    f = GradFn.__new__(GradFn)
    f.n = tg_node_retain(n)
    return f

# ---- custom Functions ----

cdef int function_backward(tg_node *n, val *g, val *out) except -1:
    cdef int k
    context = (<Extras>n.py).context
    gradients = []
    for k in range(n.n_out):
        if g[k] is NULL and context.materialize_grads_:
            gradients.append(
                wrap_shared(make_zeros(n.output[k].meta.dtype, n.output[k].meta.ndim, n.output[k].meta.shape)))
        else:
            gradients.append(None if g[k] is NULL else wrap_shared(g[k]))
    results = call_out(type(context).function_.backward, (context, *gradients))
    if not isinstance(results, tuple):
        results = (results,)
    if len(results) > n.n_in and all([r is None for r in results[n.n_in:]]):
        results = results[:n.n_in]
    if len(results) != n.n_in:
        raise RuntimeError(f"{node_name(n)}: backward returned {len(results)} gradients, but forward had {n.n_in} "
                           "arguments; return None for those without one")
    for k, result in enumerate(results):
        if result is None:
            continue
        if not isinstance(result, Tensor):
            raise TypeError(f"{node_name(n)}: backward must return tensors or None, but gradient {k} is "
                            f"{type(result).__name__}")
        if n.edge[k].node is not NULL:
            out[k] = (<Tensor>result).v
            if out[k].meta.ndim < input_meta(n, k).ndim or not broadcasts_down(out[k].meta, input_meta(n, k)):
                raise RuntimeError(f"{node_name(n)}: backward returned a gradient of shape {shape_of(out[k])} for "
                                   f"argument {k} of shape "
                                   f"{as_tuple(input_meta(n, k).ndim, input_meta(n, k).shape)}")
            keep_pooled(out[k])
    return 0

cdef bint broadcasts_down(tg_meta *g, tg_meta *m) noexcept:
    """Whether m's shape broadcasts to g's, so that g can be summed to it."""
    cdef int d, lead = g.ndim - m.ndim
    for d in range(m.ndim):
        if m.shape[d] != g.shape[d + lead] and m.shape[d] != 1:
            return False
    return True

cdef int keep_pooled(val v) except -1:
    """Keeps a value that a Python object holds alive until the engine has used it."""
    checked(tg_value_new(tg_storage_retain(v.storage), v.data, tg_meta_retain(v.meta)))
    cdef val holder = tg_pool
    holder.base = tg_retain(v)
    return 0

cdef tg_rule FUNCTION = tg_rule(b"Function", function_backward)

class FunctionCtx:
    """What a custom Function's forward and backward share; also the grad_fn of its outputs."""

    def __init__(self):
        self.to_save_ = ()
        self.non_differentiable_ = ()
        self.dirty_ = ()
        self.materialize_grads_ = True
        self.node_ = None
        self.needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors (or None) for backward, where saved_tensors gives them back, checked for writes since."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward: can only save tensors, but got {type(t).__name__}; "
                                "keep other things as attributes of ctx")
        self.to_save_ = tensors

    def mark_dirty(self, *tensors):
        """Says which arguments forward has written to; they must be among its outputs."""
        self.dirty_ = tensors

    def mark_non_differentiable(self, *tensors):
        """Says which outputs get no gradient."""
        self.non_differentiable_ = tensors

    def set_materialize_grads(self, value):
        """Whether backward sees zeros (True, as at first) or None for outputs that got no gradient."""
        self.materialize_grads_ = bool(value)

    @property
    def saved_tensors(self):
        """What save_for_backward kept."""
        return unpack_saved(self)

    def name(self):
        """The Function's name with Backward behind it."""
        return type(self).__name__

    @property
    def next_functions(self):
        """The steps that the gradients go on to."""
        return () if self.node_ is None else self.node_.next_functions

    def __repr__(self):
        return f"<{self.name()}>"

cdef class NodeRef:
    """A context's way to the node that owns it; leads nowhere once the node is gone."""
    cdef tg_node *n
    cdef tuple saved_none

    @property
    def next_functions(self):
        if self.n is NULL:
            return ()
        cdef GradFn f = GradFn.__new__(GradFn)
        f.n = tg_node_retain(self.n)
        return f.next_functions

cdef tuple unpack_saved(object context):
    cdef NodeRef ref = context.node_
    cdef int k
    if ref is None:  # nothing is differentiated: still inside forward
        return context.to_save_
    if ref.n is NULL:
        raise RuntimeError(f"saved_tensors: {type(context).__name__} has been freed with what it saved")
    return tuple([None if ref.saved_none[k] else wrap(saved(ref.n, k)) for k in range(len(ref.saved_none))])

class Function:
    """A differentiable op of the user's own: subclass it with static methods forward(ctx, …) and backward(ctx, *grads).

    >>> import tinygrad_lessons as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x ** 2 * g
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    context_type_ = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.context_type_ = type(cls.__name__ + "Backward", (FunctionCtx,), {"function_": cls})

    @staticmethod
    def forward(ctx, *args):
        """Computes the outputs from the arguments; to be overridden."""
        raise NotImplementedError("a custom Function needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx, *grads):
        """Computes the arguments' gradients from the outputs'; to be overridden."""
        raise NotImplementedError("a custom Function needs a static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args):
        """Runs forward, and puts the op on the tape if any argument requires grad."""
        return apply_function(cls, args)

cdef object apply_function(object cls, tuple args):
    cdef bint track = False
    cdef int k, i, mode
    cdef tg_node *n
    cdef val *inputs
    cdef NodeRef ref
    cdef Tensor t
    if cls.context_type_ is None:
        raise TypeError("apply: subclass autograd.Function first")
    context = cls.context_type_()
    needs = []
    for arg in args:
        needs.append(isinstance(arg, Tensor) and tracks((<Tensor>arg).v) != 0)
    context.needs_input_grad = tuple(needs)
    track = any(needs)
    mode = set_grad_disabled(1)
    try:
        result = call_out(cls.forward, (context, *args))
    finally:
        set_grad_disabled(mode)
    outputs = result if isinstance(result, tuple) else (result,)
    if not track:
        return result
    for t in context.dirty_:
        check_dirty(t, outputs)
    outputs = tuple([fresh_output(o, args, context.dirty_) for o in outputs])
    inputs = <val *>malloc((len(args) + 1) * sizeof(val))
    if inputs is NULL:
        raise MemoryError()
    for k, arg in enumerate(args):
        inputs[k] = (<Tensor>arg).v if isinstance(arg, Tensor) else NULL
    try:
        n = new_node(&FUNCTION, len(outputs), len(args), inputs, len(context.to_save_), 0)
    finally:
        free(inputs)
    try:
        extras(n).context = context
        ref = NodeRef.__new__(NodeRef)
        ref.n = n
        ref.saved_none = tuple([s is None for s in context.to_save_])
        skipped = {id(s) for s in context.non_differentiable_}
        original = result if isinstance(result, tuple) else (result,)
        for k, out in enumerate(outputs):
            if isinstance(out, Tensor):
                t = out
                if is_float(t.v.meta.dtype) and id(original[k]) not in skipped:
                    attach(n, k, t.v)
                    track_cycles(t)
                else:
                    n.output[k].meta = tg_meta_retain(t.v.meta)
        for k, s in enumerate(context.to_save_):
            if s is None:
                continue
            source = TG_FROM_NOWHERE
            for i, arg in enumerate(args):
                if arg is s:
                    source = i
            for i, out in enumerate(original):
                if out is s:
                    source = -1 - i
                    s = outputs[i]
            save(n, k, (<Tensor>s).v, source)
        context.to_save_ = ()
        context.node_ = ref
    finally:
        tg_node_release(n)
    return outputs if isinstance(result, tuple) else outputs[0]

cdef int check_dirty(Tensor t, tuple outputs) except -1:
    """What forward wrote to takes the result's place on the tape, if that is allowed."""
    check_writable(t.v, "mark_dirty")
    if t.v.base is not NULL:
        raise RuntimeError("mark_dirty: a custom Function cannot write to a view; pass it a clone()")
    if not any([o is t for o in outputs]):
        raise RuntimeError("mark_dirty: a tensor that forward has written to must be one of its outputs")
    return 0

cdef object fresh_output(object out, tuple args, tuple dirty):
    """An argument that forward returned as it is must not become its own result, unless forward wrote to it."""
    if isinstance(out, Tensor) and any([out is arg for arg in args]) and not any([out is d for d in dirty]):
        return wrap(view_alias((<Tensor>out).v))
    return out

cdef val view_alias(val v) except NULL:
    return checked(tg_value_new(tg_storage_retain(v.storage), v.data, tg_meta_retain(v.meta)))
