# Row-sparse gradients: of a matrix of which few rows get a gradient, those rows alone.
#
# On its way through backward such a gradient is a value like any other, but its memory holds the rows only, one behind
# the other, and its `rows` say which they are; a row may come several times. Its layout has the shape of the matrix and
# strides of 0: whoever took it for a dense one would read its first element again and again, and nothing beyond.
#
# Hooks and keepers get it as it is. Rules never meet one: visit() makes it dense before.

cdef val row_sparse(const int64_t *shape, val rows, val values) except NULL:
    """The gradient of a matrix of this shape: contiguous values (n, shape[1]) at rows (n), contiguous int64."""
    cdef int64_t stride[2]
    stride[0] = stride[1] = 0
    cdef val g = checked(tg_value_new(tg_storage_retain(values.storage), values.data,
                                      tg_meta_get(<tg_dtype>values.meta.dtype, 2, shape, stride)))
    g.rows = tg_retain(rows)
    g.flags |= TG_ROW_SPARSE | (TG_COALESCED if rows.meta.numel < 2 else 0)
    return g

cdef val with_values(val g, val values) except NULL:
    """The same rows with other values."""
    cdef val out = row_sparse(g.meta.shape, g.rows, values)
    out.flags |= g.flags & TG_COALESCED
    return out

cdef val values_of(val g) except NULL:
    cdef int64_t shape[2]
    shape[0], shape[1] = g.rows.meta.numel, g.meta.shape[1]
    return checked(tg_value_new(tg_storage_retain(g.storage), g.data,
                                tg_meta_contiguous(<tg_dtype>g.meta.dtype, 2, shape)))

cdef val copied(val g) except NULL:
    """g in memory of its own."""
    cdef val values = values_of(g)
    cdef val out = row_sparse(g.meta.shape, dense_copy(g.rows, TG_I64), dense_copy(values, g.meta.dtype))
    out.flags |= g.flags & TG_COALESCED
    return out

cdef val dense(val g) except NULL:
    """g itself, or the matrix of which it has the rows."""
    cdef val offsets
    if not g.flags & TG_ROW_SPARSE:
        return g
    offsets = make_zeros(TG_I64, 1, g.rows.meta.shape)
    add_index(offsets, g.rows, g.meta.shape[0], g.meta.shape[1], True, IndexError, "to_dense", 0)
    return op_put_add(values_of(g), offsets, g.meta.shape[1], 2, g.meta.shape)

cdef val concatenated(val a, val b) except NULL:
    """Two contiguous values, b behind a along the first dimension."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int64_t first = a.meta.numel * tg_size[a.meta.dtype]
    memcpy(shape, a.meta.shape, a.meta.ndim * sizeof(int64_t))
    shape[0] += b.meta.shape[0]
    cdef val out = make_empty(a.meta.dtype, a.meta.ndim, shape)
    memcpy(out.data, a.data, first)
    memcpy(out.data + first, b.data, b.meta.numel * tg_size[b.meta.dtype])
    return out

cdef val add_gradients(val a, val b) except NULL:
    """a + b, either of which may be row-sparse; if both are, so is the sum: all rows of a, then all of b."""
    if not a.flags & b.flags & TG_ROW_SPARSE:
        return op_add(dense(a), dense(b))
    return row_sparse(a.meta.shape, concatenated(a.rows, b.rows), concatenated(values_of(a), values_of(b)))

cdef val coalesced(val g) except NULL:
    """g with each row once, in order; what came several times is added up in the order in which it came."""
    cdef val order = NULL, rows, to, values
    cdef int64_t *row
    cdef int64_t *place
    cdef int64_t n = g.rows.meta.numel, length = g.meta.shape[1], count = 0, k
    cdef int64_t shape[2]
    if g.flags & TG_COALESCED:
        return g
    rows = op_sort(g.rows, 0, False, &order)
    to = make_empty(TG_I64, 1, &n)
    row, place = <int64_t *>rows.data, <int64_t *>order.data
    for k in range(n):
        if k == 0 or row[k] != row[count - 1]:
            row[count] = row[k]
            count += 1
        (<int64_t *>to.data)[place[k]] = (count - 1) * length
    shape[0], shape[1] = count, length
    values = make_zeros(g.meta.dtype, 2, shape)
    move_rows(tg_k.put_add[g.meta.dtype], values.data, g.data, to, length)
    g = row_sparse(g.meta.shape, op_narrow(rows, 0, 0, count), values)
    g.flags |= TG_COALESCED
    return g

cdef void become(val g, val other) noexcept:
    """g's rows and values are other's from now on."""
    cdef tg_storage *storage = g.storage
    cdef val rows = g.rows
    g.storage, g.data, g.rows = tg_storage_retain(other.storage), other.data, tg_retain(other.rows)
    g.flags = g.flags & ~TG_COALESCED | other.flags & TG_COALESCED
    tg_storage_release(storage)
    tg_release(rows)

cdef int accumulate_rows(val leaf, val g) except -1:
    """leaf.grad += g, both row-sparse (or leaf.grad NULL). It stays the same object."""
    if leaf.grad is NULL:
        leaf.grad = tg_retain(g if owned(g) else copied(g))
    else:
        become(leaf.grad, add_gradients(leaf.grad, g))
    return 0

# ---- what Python sees ----

cdef inline val gradient_value(object x) noexcept:
    """The value of a gradient, or NULL if x is none."""
    if isinstance(x, Tensor):
        return (<Tensor>x).v
    return (<RowSparse>x).v if isinstance(x, RowSparse) else NULL

cdef object gradient_object(val g):
    """The Tensor or RowSparse of a gradient, of which a reference is taken over."""
    cdef RowSparse out
    if not g.flags & TG_ROW_SPARSE:
        return adopt(g)
    if g.wrapper is not NULL:
        out = <RowSparse>g.wrapper
        tg_release(g)
        return out
    out = RowSparse.__new__(RowSparse)
    out.v = g
    g.wrapper = <void *>out
    return out

cdef str gradient_kind(val g):
    return f"{'row-sparse ' if g.flags & TG_ROW_SPARSE else ''}{type_name(g.meta.dtype)}"

cdef object wrap_rows(val g):
    """As wrap(), for a row-sparse gradient."""
    tg_retain(g)
    tg_pool_drain(tg_pool_base)
    return gradient_object(g)

cdef object refuse_array():
    raise TypeError("numpy: can't convert a row-sparse gradient to numpy; use to_dense() first")

cdef class RowSparse:
    """A row-sparse gradient, as an embedding with sparse=True leaves it in its weight's .grad: the rows that were looked
    up, and which they are. It answers to PyTorch's names for sparse tensors; it is no Tensor, but to_dense() makes one.

    >>> import tinygrad_lessons as tg
    >>> embedding = tg.nn.Embedding(4, 2, sparse=True)
    >>> embedding(tg.tensor([3, 1, 3])).sum().backward()
    >>> embedding.weight.grad.coalesce()
    tensor(indices=tensor([[1, 3]]),
           values=tensor([[1., 1.],
                          [2., 2.]]),
           size=(4, 2), nnz=2, layout=torch.sparse_coo)
    """
    cdef val v

    is_sparse = True
    is_leaf = True
    requires_grad = False
    grad_fn = None
    __array_ufunc__ = None  # NumPy leaves operators to us

    def __dealloc__(self):
        if self.v is not NULL:
            self.v.wrapper = NULL
        tg_release(self.v)

    def __getattr__(self, name):
        raise AttributeError(f"a row-sparse gradient has no {name!r}; to_dense() makes a tensor of it, or "
                             "sparse=False in the embedding a dense gradient")

    # ---- the whole ----

    @property
    def shape(self):
        """The shape of the matrix of which it has some rows."""
        return shape_of(self.v)

    def size(self, dim=None):
        """That shape, or the size of one dimension."""
        return shape_of(self.v) if dim is None else self.v.meta.shape[wrap_dim(operator_index(dim), 2, "size")]

    @property
    def ndim(self):
        """How many dimensions the matrix has: 2."""
        return 2

    def dim(self):
        """How many dimensions the matrix has: 2."""
        return 2

    def numel(self):
        """How many elements the matrix has."""
        return self.v.meta.numel

    def nelement(self):
        """How many elements the matrix has."""
        return self.v.meta.numel

    @property
    def dtype(self):
        """The type of the elements."""
        return DTYPES[self.v.meta.dtype]

    @property
    def device(self):
        """Where it lies: device('cpu')."""
        return CPU

    def is_floating_point(self):
        """Whether the elements are floats."""
        return is_float(self.v.meta.dtype)

    def __len__(self):
        return self.v.meta.shape[0]

    def __bool__(self):
        raise RuntimeError("bool: the truth of a row-sparse gradient is ambiguous; use to_dense() and any() or all()")

    def __repr__(self):
        return row_sparse_str(self)

    # ---- its parts ----

    def sparse_dim(self):
        """How many dimensions are indexed: 1."""
        return 1

    def dense_dim(self):
        """How many dimensions a value has: 1."""
        return 1

    def _nnz(self):
        return self.v.rows.meta.numel

    def _indices(self):
        return wrap(op_unsqueeze(view_alias(self.v.rows), 0))

    def _values(self):
        return wrap(values_of(self.v))

    def indices(self):
        """Which rows there are, as an int64 tensor (1, n). Raises RuntimeError unless coalesced."""
        self.need_coalesced("indices")
        return self._indices()

    def values(self):
        """The rows (n, columns). Raises RuntimeError unless coalesced."""
        self.need_coalesced("values")
        return self._values()

    cdef int need_coalesced(self, str what) except -1:
        if not self.v.flags & TG_COALESCED:
            raise RuntimeError(f"{what}: Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")
        return 0

    def is_coalesced(self):
        """Whether it is known that each row is there once, and that they are in order."""
        return self.v.flags & TG_COALESCED != 0

    def coalesce(self):
        """Each row once and in order, those that came several times added up; itself if it is so already."""
        return wrap_rows(coalesced(self.v))

    def to_dense(self):
        """The matrix as a tensor, with zeros in the other rows."""
        return wrap(dense(self.v))

    # ---- others like it ----

    def clone(self):
        """A copy with memory of its own."""
        return wrap_rows(copied(self.v))

    def detach(self):
        """Another one on the same memory."""
        return wrap_rows(with_values(self.v, values_of(self.v)))

    def detach_(self):
        """Itself: it is on no tape."""
        return self

    def zero_(self):
        """Lets all rows go, so that the matrix is zero; returns itself."""
        cdef int64_t shape[2]
        shape[0], shape[1] = 0, self.v.meta.shape[1]
        become(self.v, row_sparse(self.v.meta.shape, make_empty(TG_I64, 1, shape), make_empty(self.v.meta.dtype, 2, shape)))
        tg_pool_drain(tg_pool_base)
        return self

    def to(self, *args, **kwargs):
        """It in another dtype; takes what Tensor.to takes."""
        values = wrap(values_of(self.v))
        changed = values.to(*args, **kwargs)
        return self if changed is values else wrap_rows(with_values(self.v, (<Tensor>changed).v))

    def float(self):
        """It as float32."""
        return self.to(float32)

    def double(self):
        """It as float64."""
        return self.to(float64)

    def __mul__(a, b):
        return scaled_rows(a, b, False) if isinstance(a, RowSparse) else scaled_rows(b, a, False)

    def __truediv__(a, b):
        return scaled_rows(a, b, True) if isinstance(a, RowSparse) else NotImplemented

    def __deepcopy__(self, memo):
        return memo.setdefault(id(self), self.clone())

    def __reduce__(self):
        return rebuild_rows, (tuple(self.shape), as_ndarray(wrap(dense_copy(self.v.rows, TG_I64))),
                              as_ndarray(self._values()).copy(), self.is_coalesced())

    def numpy(self, *, force=False):
        """Raises TypeError: to_dense() comes first."""
        refuse_array()

    def __array__(self, dtype=None, copy=None):
        refuse_array()

cdef object scaled_rows(RowSparse g, object factor, bint divides):
    """g · factor or g / factor, a number or 0-d tensor."""
    cdef val values = values_of(g.v), by
    if not is_number(factor) and not (isinstance(factor, Tensor) and (<Tensor>factor).v.meta.ndim == 0):
        return NotImplemented
    by = operand(factor, values, "div" if divides else "mul")
    values = op_div(values, by) if divides else op_mul(values, by)
    if values.node is not NULL:
        raise RuntimeError("mul: a row-sparse gradient cannot be on the tape; detach() the factor")
    return wrap_rows(with_values(g.v, values))

def rebuild_rows(shape, rows, values, coalesced):
    """Makes a gradient again from what pickle kept of it."""
    cdef int64_t whole[2]
    cdef val g
    whole[0], whole[1] = shape
    if rows.dtype != "int64" or values.shape != (*rows.shape, whole[1]):
        raise RuntimeError(f"rebuild_rows: values of shape {values.shape} at {rows.dtype} rows of shape {rows.shape} are no "
                           f"part of a matrix of shape {shape}")
    g = row_sparse(whole, op_raw_contiguous(from_ndarray(rows)), op_raw_contiguous(from_ndarray(values)))
    g.flags |= TG_COALESCED if coalesced else 0
    return wrap_rows(g)
