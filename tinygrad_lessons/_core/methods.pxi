# What Tensor's methods share.

SortResult = namedtuple("sort", ["values", "indices"])
TopkResult = namedtuple("topk", ["values", "indices"])
MaxResult = namedtuple("max", ["values", "indices"])
MinResult = namedtuple("min", ["values", "indices"])

cdef inline Tensor wrap_same(Tensor t, val v):
    """t itself where an op had nothing to do."""
    return t if v is t.v else wrap(v)

cdef tuple wrap_pair(val a, val b):
    """Two results of one op; neither may be drained while the other is wrapped."""
    tg_retain(b)
    first = wrap(a)
    return first, adopt(b)

cdef val scaled(val x, object alpha) except NULL:
    return x if alpha == 1 else op_mul(x, number(alpha, x.meta.dtype, "alpha"))

cdef val filler(object value, val like, str op) except NULL:
    """A value to be written into like: a number, or a 0-d tensor."""
    cdef val v = operand(value, like, op)
    if v.meta.ndim:
        raise RuntimeError(f"{op}: the value must be a number or a 0-d tensor, but has shape {shape_of(v)}")
    return op_to(v, like.meta.dtype)

cdef val divide(val a, val b, object mode) except NULL:
    if mode is None:
        return op_div(a, b)
    if mode == "floor":
        return op_floor_divide(a, b)
    if mode != "trunc":
        raise RuntimeError(f"div: rounding_mode must be None, 'trunc' or 'floor', not {mode!r}")
    cdef int t = promote(a, b)
    if is_float(t):
        return op_trunc(op_div(a, b))
    return op_div_trunc(op_to(a, t), op_to(b, t))

cdef val op_div_trunc(val a, val b) except NULL:
    """Integer quotient towards zero: (a - fmod(a, b)) // b."""
    return op_floor_divide(op_sub(a, op_fmod(a, b)), b)

cdef val power(val a, val b, object exponent) except NULL:
    if type(exponent) is int or type(exponent) is float:
        if exponent == 2:
            return op_square(a) if a.meta.dtype != TG_BOOL else op_pow(a, b)
        if exponent == 1 and is_float(a.meta.dtype):
            return op_mul(a, constant(1, a))
        if exponent < 0 and not is_float(promote(a, b)):
            raise RuntimeError("pow: integers to negative integer powers are not allowed; convert to a float type first")
    return op_pow(a, b)

cdef val clamped(val x, object lo, object hi, bint in_place) except NULL:
    cdef val out = x
    cdef int t = x.meta.dtype
    if lo is None and hi is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    for bound in (lo, hi):
        if isinstance(bound, (float, np_floating)) and not is_float(t):
            t = default_float
    if isinstance(lo, Tensor) or isinstance(hi, Tensor):
        if lo is not None:
            out = op_maximum(out, operand(lo, x, "clamp"))
        if hi is not None:
            out = op_minimum(out, operand(hi, x, "clamp"))
        return op_copy_(x, out, "clamp_") if in_place else out
    cdef double a = -INFINITY if lo is None else lo, b = INFINITY if hi is None else hi
    if in_place:
        return op_clamp_(x, a, b)
    return op_clamp(op_to(x, t), a, b)

cdef val index_value(object index, str op) except NULL:
    cdef val v = require_tensor(index, op, "the index").v
    if v.meta.dtype != TG_I64 and v.meta.dtype != TG_I32:
        raise RuntimeError(f"{op}: expected an int64 or int32 index, not {type_name(v.meta.dtype)}")
    return v

cdef uint32_t one_dim(object dim, val x, str op) except? 0xFFFFFFFF:
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{op}: takes one dimension or none, not {dim}")
    return parse_dims(dim, x, op)

cdef object extremum(Tensor x, bint largest, object dim, object keepdim):
    cdef val indices = NULL, values
    cdef uint32_t whole
    name = "max" if largest else "min"
    if isinstance(dim, Tensor):
        return wrap(op_maximum(x.v, (<Tensor>dim).v) if largest else op_minimum(x.v, (<Tensor>dim).v))
    if dim is None:
        whole = all_dims(x.v)
        if x.v.meta.numel == 0:
            raise RuntimeError(f"{name}: the input of shape {x.shape} has no elements, and so no such element; "
                               "name a dimension that has some")
        return wrap(op_amax(x.v, whole, False) if largest else op_amin(x.v, whole, False))
    values = op_extremum(largest, x.v, wrap_dim(operator_index(dim), x.v.meta.ndim, name), keepdim, &indices)
    return (MaxResult if largest else MinResult)(*wrap_pair(values, indices))

cdef Tensor spread_of(Tensor x, object dim, object unbiased, object keepdim, object correction, object axis,
                      object keepdims, bint root):
    name = "std" if root else "var"
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    dim = either(dim, axis, name, "dim")
    if correction is None:
        correction = 0 if unbiased is False else 1
    return wrap(op_var(x.v, parse_dims(dim, x.v, name), either(keepdim, keepdims, name, "keepdim"), correction, root))

cdef Tensor norm_of(Tensor x, object p, object dim, object keepdim):
    cdef uint32_t dims
    if not is_float(x.v.meta.dtype):
        raise RuntimeError(f"norm: needs a float type, not {type_name(x.v.meta.dtype)}; convert the tensor")
    dims = parse_dims(dim, x.v, "norm")
    if p == "fro" or p is None:
        p = 2
    if p == 2:
        return wrap(op_norm(x.v, dims, keepdim))
    cdef val size = op_abs(x.v)
    if p == INFINITY:
        return wrap(op_amax(size, dims, keepdim))
    if p == -INFINITY:
        return wrap(op_amin(size, dims, keepdim))
    if p == 0:
        return wrap(op_sum(op_to(op_ne(x.v, constant(0, x.v)), x.v.meta.dtype), dims, keepdim))
    if p == 1:
        return wrap(op_sum(size, dims, keepdim))
    return wrap(op_pow(op_sum(op_pow(size, constant(p, size)), dims, keepdim), constant(1.0 / p, size)))

cdef Tensor exact_matmul(Tensor a, object other, int na, int nb, str op):
    cdef Tensor b = require_tensor(other, op, "the other operand")
    if a.v.meta.ndim != na or b.v.meta.ndim != nb:
        raise RuntimeError(f"{op}: expected tensors with {na} and {nb} dimensions, but the shapes are {a.shape} and "
                           f"{b.shape}; use matmul() for others")
    if na == 3 and a.v.meta.shape[0] != b.v.meta.shape[0]:
        raise RuntimeError(f"{op}: the batch sizes of shapes {a.shape} and {b.shape} must be equal")
    return wrap(op_matmul(a.v, b.v))

cdef Tensor triangle(Tensor x, int64_t diagonal, bint upper):
    cdef int nd = x.v.meta.ndim
    if nd < 2:
        raise RuntimeError(f"{'triu' if upper else 'tril'}: needs at least 2 dimensions, but the shape is {x.shape}")
    rows = arange(x.shape[nd - 2]).unsqueeze(1)
    columns = arange(x.shape[nd - 1])
    keep = columns - rows >= diagonal if upper else columns - rows <= diagonal
    return wrap(op_where((<Tensor>keep).v, x.v, constant(0, x.v)))

# ---- diagonal: a view with the strides of two dimensions added ----

cdef val op_diagonal(val x, int64_t offset, int a, int b) except NULL:
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int64_t rows, columns, length
    cdef int d, k = 0
    cdef char *data = x.data
    cdef tg_node *n
    if a == b or x.meta.ndim < 2:
        raise RuntimeError(f"diagonal: dim1 and dim2 must be two different dimensions of shape {shape_of(x)}")
    rows, columns = x.meta.shape[a], x.meta.shape[b]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    if length:
        data += (offset * x.meta.stride[b] if offset >= 0 else -offset * x.meta.stride[a]) * tg_size[x.meta.dtype]
    for d in range(x.meta.ndim):
        if d != a and d != b:
            shape[k] = x.meta.shape[d]
            stride[k] = x.meta.stride[d]
            k += 1
    shape[k] = length
    stride[k] = x.meta.stride[a] + x.meta.stride[b]
    cdef val out = view_of(x, tg_meta_get(<tg_dtype>x.meta.dtype, k + 1, shape, stride), data)
    if tracks(x):
        n = new_node(&AS_STRIDED, 1, 1, &x, 0, geometry_args(out.meta))
        write_geometry(n, out, x)
        return finish(n, out)
    return out

# ---- NumPy ----

cdef class MemoryHolder:
    """Keeps a storage alive for the NumPy arrays on it."""
    cdef tg_storage *s

    def __dealloc__(self):
        tg_storage_release(self.s)

cdef object as_ndarray(Tensor t):
    cdef cnp.npy_intp shape[TG_MAX_DIMS]
    cdef cnp.npy_intp stride[TG_MAX_DIMS]
    cdef MemoryHolder holder
    cdef val v = t.v
    cdef int d
    for d in range(v.meta.ndim):
        shape[d] = v.meta.shape[d]
        stride[d] = v.meta.stride[d] * tg_size[v.meta.dtype]
    array = cnp.PyArray_New(np_ndarray, v.meta.ndim, shape, NUMPY_TYPES[v.meta.dtype], stride, v.data, 0,
                            0 if v.meta.flags & TG_OVERLAPS else cnp.NPY_ARRAY_WRITEABLE, None)
    holder = MemoryHolder.__new__(MemoryHolder)
    holder.s = tg_storage_retain(v.storage)
    cnp.set_array_base(array, holder)
    cnp.PyArray_UpdateFlags(array, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED)
    return array

cdef int NUMPY_TYPES[6]
NUMPY_TYPES[:] = [cnp.NPY_BOOL, cnp.NPY_UINT8, cnp.NPY_INT32, cnp.NPY_INT64, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]

cdef void release_owner(void *owner) noexcept with gil:
    Py_DECREF(<object>owner)

cdef val from_ndarray(cnp.ndarray array) except NULL:
    """A value on the array's memory."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t stride[TG_MAX_DIMS]
    cdef int d, size, t = code_of(array.dtype)
    if t < 0:
        raise TypeError(f"from_numpy: can't convert an array of type {array.dtype}; supported are float64, float32, "
                        "int64, int32, uint8 and bool: convert it with array.astype")
    if array.ndim > TG_MAX_DIMS:
        raise RuntimeError(f"from_numpy: {array.ndim} dimensions are more than the {TG_MAX_DIMS} a tensor can have")
    size = tg_size[t]
    for d in range(array.ndim):
        shape[d] = array.shape[d]
        stride[d] = array.strides[d] // size if shape[d] > 1 else 1
        if stride[d] < 0:
            raise ValueError("from_numpy: arrays with negative strides are not supported; use array.copy()")
        if shape[d] > 1 and array.strides[d] % size:
            raise ValueError("from_numpy: the array's strides are no multiples of its element size; use array.copy()")
    if not array.flags.aligned:
        raise ValueError("from_numpy: the array is not aligned; use array.copy()")
    if t == TG_BOOL and array.view("uint8").max(initial=0) > 1:
        raise ValueError("from_numpy: the array of bools holds bytes other than 0 and 1; pass array != 0")
    cdef tg_meta *m = tg_meta_get(<tg_dtype>t, array.ndim, shape, stride)
    cdef tg_storage *s = NULL
    if m is not NULL:
        s = tg_storage_borrow(cnp.PyArray_DATA(array), span(m) * size, release_owner, <void *>array)
    if s is not NULL:
        Py_INCREF(array)
    return checked(tg_value_new(s, <char *>cnp.PyArray_DATA(array), m))

cdef int code_of(object d):
    """The type code of a NumPy dtype; -1 if there is none."""
    cdef int t
    if not d.isnative:
        return -1
    for t in range(TG_DTYPES):
        if d == NUMPY_DTYPES[t]:
            return t
    return -1

# ---- copying and pickling ----

cdef Tensor renewed(object cls, val v):
    """A Tensor, or Parameter, of the same class."""
    cdef Tensor t
    if cls is Tensor:
        return wrap(v)
    return cls.__new__(cls, wrap(v))

cdef val copied_with_storage(val v, dict memo) except NULL:
    """v in a copy of its storage, which tensors that share memory share again."""
    cdef tg_storage *s
    cdef int64_t size = v.storage.bytes
    key = ("storage", <size_t>v.storage)
    if key not in memo:
        s = tg_storage_new(size)
        if s is NULL:
            raise MemoryError("not enough memory for a copy")
        memcpy(s.data, v.storage.data, size)
        memo[key] = wrap_shared(checked(tg_value_new(s, s.data, tg_meta_contiguous(TG_U8, 1, &size))))
    s = (<Tensor>memo[key]).v.storage
    return checked(tg_value_new(tg_storage_retain(s), s.data + (v.data - v.storage.data), tg_meta_retain(v.meta)))

def rebuild(cls, array, requires_grad, grad, attributes):
    """Makes a tensor again from what pickle kept of it."""
    cdef Tensor t = renewed(cls, from_ndarray(array))
    t.requires_grad_(requires_grad)
    if grad is not False:
        t.grad = grad
    vars(t).update(attributes)
    return t
