# How Tensors are made and unmade.
#
# Every result of every op becomes a Tensor, so this is done by hand: what Cython would write costs as much as the rest of
# a small op. A Tensor comes from a list of spare ones; it is hidden from Python's cycle collector, and has no attribute
# dictionary, until it needs them.

cdef extern from "Python.h":
    void PyObject_GC_Track(PyObject *)
    void PyObject_GC_UnTrack(PyObject *)
    bint PyObject_GC_IsTracked(PyObject *)
    PyObject *PyObject_GC_New "_PyObject_GC_New"(PyTypeObject *) except NULL
    Tensor init_object "(PyObject *)PyObject_INIT"(PyObject *, PyTypeObject *)
    Tensor new_reference "(PyObject *)"(PyObject *)
    void PyObject_ClearWeakRefs(PyObject *)
    void Py_XDECREF(PyObject *)
    PyTypeObject *Py_TYPE(PyObject *)

cdef enum:
    MOST_SPARE = 1024

cdef PyTypeObject *TENSOR = NULL
cdef Py_ssize_t dict_offset, weakrefs_offset
cdef PyObject *spare = NULL  # linked by the field v
cdef int spares = 0

cdef inline PyObject **field(PyObject *o, Py_ssize_t offset) noexcept:
    return <PyObject **>(<char *>o + offset)

cdef inline Tensor new_tensor(val v):
    """A Tensor around v, of which a reference is taken over."""
    global spare, spares
    cdef PyObject *o = spare
    cdef Tensor t
    if o is NULL:
        o = PyObject_GC_New(TENSOR)
        field(o, dict_offset)[0] = NULL
        field(o, weakrefs_offset)[0] = NULL
        t = new_reference(o)
    else:
        spare = <PyObject *>(<Tensor>o).v
        spares -= 1
        t = init_object(o, TENSOR)
    t.v = v
    v.wrapper = <void *>o
    return t

cdef void tensor_dealloc(PyObject *o) noexcept:
    global spare, spares
    cdef val v = (<Tensor>o).v
    if v is not NULL:
        v.wrapper = NULL  # first: what follows may call Python, and that must not find this Tensor again
    if PyObject_GC_IsTracked(o):
        PyObject_GC_UnTrack(o)
    if field(o, weakrefs_offset)[0] is not NULL:
        PyObject_ClearWeakRefs(o)
    if field(o, dict_offset)[0] is not NULL:
        Py_XDECREF(field(o, dict_offset)[0])
        field(o, dict_offset)[0] = NULL
    tg_release(v)
    if Py_TYPE(o) is TENSOR and spares < MOST_SPARE:
        (<Tensor>o).v = <val>spare
        spare = o
        spares += 1
    else:
        Py_TYPE(o).tp_free(o)

cdef inline Tensor adopt(val v):
    """The Tensor of a value, of which a reference is taken over."""
    cdef Tensor t
    if v.wrapper is not NULL:
        t = <Tensor>v.wrapper
        tg_release(v)
        return t
    return new_tensor(v)

cdef inline Tensor wrap_shared(val v):
    return adopt(tg_retain(v))

cdef inline Tensor wrap(val v):
    """The Tensor of an op's result; the op's other values are let go."""
    global tg_pool
    if tg_pool is v and v is not tg_pool_base:
        tg_pool = v.next
        v.flags &= ~TG_POOLED
    else:
        tg_retain(v)
    if tg_pool is not tg_pool_base:
        tg_pool_drain(tg_pool_base)
    return adopt(v)

# ---- the collector's view of a Tensor ----
#
# A tensor with hooks or the context of a custom Function on its node can be part of a reference cycle, through a node
# that Python does not know. While nobody else holds that node, the collector is shown what hangs off it.

cdef void track_cycles(Tensor t) noexcept:
    """Lets Python's collector see t: from now on it holds Python objects that may lead back to it."""
    if not PyObject_GC_IsTracked(<PyObject *>t):
        PyObject_GC_Track(<PyObject *>t)

cdef traverseproc plain_traverse

cdef int traverse(PyObject *self, visitproc visit_, void *arg) except -1:
    cdef val v = (<Tensor>self).v
    cdef int r = plain_traverse(self, visit_, arg)
    if r == 0 and v is not NULL and v.refs == 1 and v.node is not NULL and v.node.refs == 1 and v.node.py is not NULL:
        r = visit_(<PyObject *>v.node.py, arg)
    return r

# ---- the types, once they are ready ----

cdef extern from *:
    """
    static void tg_set_new(PyTypeObject *type, newfunc make) { type->tp_new = make; type->tp_vectorcall = NULL; }
    static Py_ssize_t tg_weakrefs_offset(PyTypeObject *type) { return type->tp_weaklistoffset; }
    """
    void tg_set_new(PyTypeObject *, newfunc)
    Py_ssize_t tg_weakrefs_offset(PyTypeObject *)

cdef object refuse_new(object cls, object args, object kwargs):
    raise TypeError("Tensor: make tensors with tensor(data), zeros(shape), empty(shape) …; the engine's own types have "
                    "no constructor")

cdef void finish_types() noexcept:
    global plain_traverse, TENSOR, dict_offset, weakrefs_offset
    TENSOR = <PyTypeObject *>Tensor
    dict_offset = TENSOR.tp_dictoffset
    weakrefs_offset = tg_weakrefs_offset(TENSOR)
    plain_traverse = TENSOR.tp_traverse
    TENSOR.tp_traverse = (<PyTypeObject *>Parameter).tp_traverse = traverse
    TENSOR.tp_dealloc = (<PyTypeObject *>Parameter).tp_dealloc = tensor_dealloc
    # Python's way of making them only: the engine makes its objects without it.
    tg_set_new(<PyTypeObject *>RowMethods, <newfunc>refuse_new)
    tg_set_new(TENSOR, <newfunc>refuse_new)
    tg_set_new(<PyTypeObject *>RowSparse, <newfunc>refuse_new)
    tg_set_new(<PyTypeObject *>GradFn, <newfunc>refuse_new)
