# Grad modes, backward() and grad(), as Python calls them.

cdef class grad_mode:
    """A grad mode, as context manager and as decorator."""
    cdef int mode
    cdef list before
    cdef object function  # of the decorator without parentheses

    def __enter__(self):
        if self.before is None:
            self.before = []
        self.before.append(set_grad_disabled(self.mode))

    def __exit__(self, *exc):
        set_grad_disabled(self.before.pop())

    def __call__(self, *args, **kwargs):
        if self.function is None:
            return self.decorated(*args, **kwargs)
        cdef int before = set_grad_disabled(self.mode)
        try:
            return self.function(*args, **kwargs)
        finally:
            set_grad_disabled(before)

    def __get__(self, instance, owner):
        return self if instance is None else partial(self, instance)

    def decorated(self, function):
        """The function, run in this mode."""
        if isgeneratorfunction(function):
            raise TypeError(f"grad mode: {function.__name__} is a generator; use the mode inside it instead")
        cdef int mode = self.mode

        @wraps(function)
        @cython.binding(True)
        def in_mode(*args, **kwargs):
            before = set_grad_disabled(mode)
            try:
                return function(*args, **kwargs)
            finally:
                set_grad_disabled(before)

        return in_mode

cdef class no_grad(grad_mode):
    """Nothing goes on the tape: `with no_grad():`, or as the decorator `@no_grad()`."""

    def __cinit__(self, function=None):
        self.mode = 1
        self.function = function

cdef class enable_grad(grad_mode):
    """Ops go on the tape again, inside no_grad: `with enable_grad():`, or as a decorator."""

    def __cinit__(self, function=None):
        self.mode = 0
        self.function = function

cdef class set_grad_enabled(grad_mode):
    """Switches the tape on or off, at once or for a with block."""
    cdef int entered

    def __cinit__(self, mode):
        self.mode = 0 if mode else 1
        self.before = [set_grad_disabled(self.mode)]
        self.entered = 0

    def __enter__(self):
        if self.entered:
            self.before.append(set_grad_disabled(self.mode))
        self.entered = 1

    def decorated(self, function):
        """The function, run in this mode; the mode itself is as before."""
        set_grad_disabled(self.before.pop())
        return grad_mode.decorated(self, function)

def is_grad_enabled():
    """Whether ops go on the tape."""
    return tg_grad_disabled == 0

cdef int backward_from(list tensors, object gradients, object retain_graph, object create_graph, object inputs) except -1:
    grad_of(tensors, gradients, retain_graph, create_graph, inputs, True, True)
    return 0

cdef list as_list(object x):
    return list(x) if isinstance(x, (tuple, list)) else [x]

cdef object grad_of(list tensors, object gradients, object retain_graph, object create_graph, object inputs,
                    bint accumulates, bint allow_unused):
    """Runs backward from tensors. With inputs, their gradients are returned, or added to their .grad."""
    cdef int k, n_roots = len(tensors), n_targets = 0
    cdef val *roots
    cdef tg_edge *targets
    cdef Tensor t
    cdef Pass p
    cdef bint create = bool(create_graph)
    cdef bint retain = create if retain_graph is None else bool(retain_graph)
    op = "backward" if accumulates else "grad"
    targets_list = None if inputs is None else as_list(inputs)
    if targets_list is not None:
        n_targets = len(targets_list)
        if n_targets == 0:
            raise RuntimeError(f"{op}: inputs must not be empty")
        for x in targets_list:
            if not require_tensor(x, op, "an input").requires_grad:
                raise RuntimeError(f"{op}: one of the inputs does not require grad")
    if gradients is not None and len(gradients) != n_roots:
        raise RuntimeError(f"{op}: got {n_roots} tensors and {len(gradients)} gradients")
    kept = []
    results = []
    roots = <val *>calloc(2 * n_roots + n_targets + 1, sizeof(val))
    targets = <tg_edge *>calloc(n_targets + 1, sizeof(tg_edge))
    try:
        if roots is NULL or targets is NULL:
            raise MemoryError()
        for k in range(n_roots):
            t = require_tensor(tensors[k], op, "an output")
            if not t.requires_grad:
                raise RuntimeError(f"{op}: element {k} of tensors does not require grad and does not have a grad_fn")
            roots[k] = t.v
            g = None if gradients is None else gradients[k]
            if g is None:
                if t.v.meta.numel != 1:
                    raise RuntimeError(f"{op}: grad can be implicitly created only for scalar outputs, but this one has "
                                       f"shape {t.shape}; pass a gradient")
                g = wrap(make_ones(t.v.meta.dtype, t.v.meta.ndim, t.v.meta.shape))
            elif not same_shape(require_tensor(g, op, "a gradient").v.meta, t.v.meta):
                raise RuntimeError(f"{op}: mismatch in shape: a gradient has shape {g.shape}, its output {t.shape}")
            kept.append(g)
            roots[n_roots + k] = (<Tensor>g).v
        for k in range(n_targets):
            t = targets_list[k]
            targets[k].node = t.v.node
            targets[k].out = t.v.out
        run_backward(n_roots, roots, roots + n_roots, retain, create, targets, n_targets, roots + 2 * n_roots)
        memset(&p, 0, sizeof(p))
        p.create_graph = create
        for k in range(n_targets):
            t = targets_list[k]
            if roots[2 * n_roots + k] is NULL:
                if not allow_unused:
                    raise RuntimeError(f"grad: input {k} of shape {t.shape} appears to not have been used in the graph; "
                                       "pass allow_unused=True if this is intended")
                results.append(None)
            elif accumulates:
                accumulate(&p, t.v, roots[2 * n_roots + k])
            else:
                results.append(gradient_object(tg_retain(roots[2 * n_roots + k])))
    finally:
        if roots is not NULL:
            for k in range(n_targets):
                tg_release(roots[2 * n_roots + k])
        free(roots)
        free(targets)
        tg_pool_drain(tg_pool_base)
    return tuple(results)

def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradients of tensors to the .grad of the leaves; see Tensor.backward."""
    backward_from(as_list(tensors), None if grad_tensors is None else as_list(grad_tensors), retain_graph, create_graph,
                  inputs)

def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False,
         materialize_grads=False):
    """The gradients of outputs by inputs, as a tuple; no .grad is touched.

    Raises RuntimeError for an input that the outputs do not depend on, unless allow_unused (then its gradient is
    None) or materialize_grads (then zeros).

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    results = grad_of(as_list(outputs), None if grad_outputs is None else as_list(grad_outputs), retain_graph,
                      create_graph, inputs, False, allow_unused or materialize_grads)
    if materialize_grads:
        results = tuple([zeros_like(x) if r is None else r for r, x in zip(results, as_list(inputs))])
    return results
