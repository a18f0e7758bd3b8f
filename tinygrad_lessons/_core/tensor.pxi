# The Python class around a value: names, argument forms and errors as in PyTorch; the work is done by the ops.

cdef inline val operand(object other, val like, str op) except NULL:
    """The other operand of a binary op: a Tensor's value, or a Python number in a type that gives way to like's."""
    if isinstance(other, Tensor):
        return (<Tensor>other).v
    return number(other, like.meta.dtype, op)

cdef val number(object x, int t, str op) except NULL:
    cdef val v
    if isinstance(x, float):
        v = scalar(t if is_float(t) else default_float, x, 0)
    elif isinstance(x, bool):
        v = scalar(t, x, x)
    elif isinstance(x, int):
        if t == TG_BOOL:
            t = TG_I64
        if t == TG_U8 and not 0 <= x <= 255 or t == TG_I32 and not -2147483648 <= x <= 2147483647:
            raise RuntimeError(f"{op}: value {x} cannot be converted to type {type_name(t)} without overflow")
        if is_float(t):
            v = scalar(t, x, 0)
        else:
            v = scalar(t, 0, x)
    elif isinstance(x, (np_number, np_bool)):
        return number(x.item(), t, op)
    else:
        raise TypeError(f"{op}: expected a Tensor or a number, but got {type(x).__name__}")
    v.flags |= TG_WEAK
    return v

cdef inline bint is_number(object x):
    return isinstance(x, (float, int)) or isinstance(x, (np_number, np_bool))

cdef inline int operands(object a, object b, str op, val *x, val *y) except -1:
    """The values of an operator's two operands; 0 if one is of a type that may know better what to do."""
    if isinstance(a, Tensor):
        x[0] = (<Tensor>a).v
        if isinstance(b, Tensor):
            y[0] = (<Tensor>b).v
            return 1
        if is_number(b):
            y[0] = number(b, x[0].meta.dtype, op)
            return 1
    elif is_number(a) and isinstance(b, Tensor):
        y[0] = (<Tensor>b).v
        x[0] = number(a, y[0].meta.dtype, op)
        return 1
    return 0

cdef int dtype_code(object d, int otherwise) except -1:
    if d is None:
        return otherwise
    if isinstance(d, dtype):
        return (<dtype>d).code
    raise TypeError(f"dtype: expected one of {', '.join([str(x) for x in DTYPES])}, but got {d!r}")

cdef uint32_t parse_dims(object dim, val x, str op) except? 0xFFFFFFFF:
    """The dimensions a reduction runs over, one bit each: None or () means all."""
    cdef uint32_t dims = 0
    cdef int d
    if dim is None:
        return all_dims(x)
    if isinstance(dim, (tuple, list)):
        if not dim:
            return all_dims(x)
        for one in dim:
            d = wrap_dim(operator_index(one), x.meta.ndim, op)
            if dims >> d & 1:
                raise RuntimeError(f"{op}: dimension {d} appears twice in {tuple(dim)}")
            dims |= <uint32_t>1 << d
    else:
        dims = <uint32_t>1 << wrap_dim(operator_index(dim), x.meta.ndim, op)
    return dims if x.meta.ndim else 0

cdef int ask_gradient(val v, bint requires_grad) except -1:
    """Makes v a leaf that gradients flow to, or no longer."""
    cdef tg_node *n
    if v.node is not NULL and v.node.rule is not NULL:
        if not requires_grad:
            raise RuntimeError("requires_grad_: you can only change requires_grad flags of leaf variables; use "
                               "detach() to get a tensor off the tape")
    elif requires_grad and not is_float(v.meta.dtype):
        raise RuntimeError(f"requires_grad_: only tensors of floating point dtype can require gradients, not "
                           f"{type_name(v.meta.dtype)}")
    elif requires_grad and v.node is NULL:
        n = tg_node_new(NULL, 1, 0, 0, 0)
        if n is NULL:
            raise MemoryError("not enough memory for the tape")
        attach(n, 0, v)
        tg_node_release(n)
        n.output[0].value = v
    elif not requires_grad and v.node is not NULL:
        forget_node(v)
    return 0

cdef inline object either(object one, object other, str op, str name):
    """dim and keepdim, or NumPy's axis and keepdims."""
    if other is None:
        return one
    if one is not None and one is not False:
        raise TypeError(f"{op}: give {name} or its NumPy twin, not both")
    return other

cdef object needed(object dim, str op):
    if dim is None:
        raise TypeError(f"{op}: missing the dimension to work along, as in {op}(dim=-1)")
    return dim

cdef int parse_sizes(object sizes, str op, val x, int64_t *shape) except -1:
    cdef int nd = parse_shape(sizes, op, shape)
    infer_shape(x, nd, shape, op)
    return nd

cdef int parse_order(object dims, val x, str op, int64_t *order) except -1:
    cdef uint32_t seen = 0
    cdef int k, d
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = dims[0]
    if len(dims) != x.meta.ndim:
        raise RuntimeError(f"{op}: {len(dims)} dimensions given for a tensor of shape {shape_of(x)}, which has "
                           f"{x.meta.ndim}")
    for k, dim in enumerate(dims):
        d = wrap_dim(operator_index(dim), x.meta.ndim, op)
        if seen >> d & 1:
            raise RuntimeError(f"{op}: dimension {d} appears twice in {tuple(dims)}")
        seen |= <uint32_t>1 << d
        order[k] = d
    return 0

cdef object element(val v):
    """The number a value of one element holds."""
    cdef int t = v.meta.dtype
    if t == TG_F32:
        return (<float *>v.data)[0]
    if t == TG_F64:
        return (<double *>v.data)[0]
    if t == TG_I64:
        return (<int64_t *>v.data)[0]
    if t == TG_I32:
        return (<int32_t *>v.data)[0]
    if t == TG_U8:
        return (<uint8_t *>v.data)[0]
    return v.data[0] != 0

cdef Tensor require_tensor(object x, str op, str what):
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}: {what} must be a Tensor, not {type(x).__name__}")
    return x

include "row_methods.pxi"

cdef class Tensor(RowMethods):
    """An array on the tape.

    Made by tensor(), zeros() and the other factories, and by every op. Methods carry PyTorch's names and meaning.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000  # NumPy lets our operators go first

    def __setattr__(self, name, value):
        PyObject_GenericSetAttr(self, name, value)
        track_cycles(self)

    # ---- what it is ----

    @property
    def shape(self):
        """The sizes of the dimensions."""
        return shape_of(self.v)

    def size(self, dim=None):
        """The shape, or the size of one dimension."""
        if dim is None:
            return shape_of(self.v)
        return self.v.meta.shape[wrap_dim(operator_index(dim), self.v.meta.ndim, "size")]

    def stride(self, dim=None):
        """Elements from one index to the next, for each dimension or for one."""
        if dim is None:
            return as_tuple(self.v.meta.ndim, self.v.meta.stride)
        return self.v.meta.stride[wrap_dim(operator_index(dim), self.v.meta.ndim, "stride")]

    def storage_offset(self):
        """Elements from the start of the storage to the first element."""
        return (self.v.data - self.v.storage.data) // tg_size[self.v.meta.dtype]

    def data_ptr(self):
        """Address of the first element."""
        return <size_t>self.v.data

    @property
    def ndim(self):
        """How many dimensions."""
        return self.v.meta.ndim

    def dim(self):
        """How many dimensions."""
        return self.v.meta.ndim

    def numel(self):
        """How many elements."""
        return self.v.meta.numel

    def nelement(self):
        """How many elements."""
        return self.v.meta.numel

    def element_size(self):
        """Bytes in an element."""
        return tg_size[self.v.meta.dtype]

    @property
    def dtype(self):
        """The type of the elements."""
        return DTYPES[self.v.meta.dtype]

    @property
    def device(self):
        """Where the tensor lies: device('cpu')."""
        return CPU

    @property
    def itemsize(self):
        """Bytes in an element."""
        return tg_size[self.v.meta.dtype]

    @property
    def nbytes(self):
        """Bytes in all elements."""
        return self.v.meta.numel * tg_size[self.v.meta.dtype]

    def is_contiguous(self):
        """Whether the elements lie in row-major order without gaps."""
        return self.v.meta.flags & TG_CONTIGUOUS != 0

    def is_floating_point(self):
        """Whether the elements are floats."""
        return is_float(self.v.meta.dtype)

    @property
    def is_sparse(self):
        """Whether only some rows are held, as row-sparse gradients do: False."""
        return False

    def to_dense(self):
        """The tensor itself: it has all elements."""
        return self

    @property
    def _version(self):
        return self.v.storage.version

    @property
    def _base(self):
        return None if self.v.base is NULL else wrap_shared(self.v.base)

    def _is_view(self):
        return self.v.base is not NULL

    # ---- its place on the tape ----

    @property
    def requires_grad(self):
        """Whether gradients flow to this tensor. Can be set on leaves."""
        if self.v.base is not NULL and self.v.rewrites != self.v.base.rewrites:
            renew_view(self.v)
        return self.v.node is not NULL

    @requires_grad.setter
    def requires_grad(self, value):
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad=True):
        """Asks for a gradient of this leaf, or no longer; returns the tensor."""
        ask_gradient(self.v, requires_grad)
        return self

    @property
    def is_leaf(self):
        """Whether no op on the tape made it."""
        return not self.requires_grad or self.v.node.rule is NULL

    @property
    def grad_fn(self):
        """The step of the tape that made it; None for leaves."""
        if not self.requires_grad or self.v.node.rule is NULL:
            return None
        return grad_fn_of(self.v.node)

    @property
    def output_nr(self):
        """Which output of its grad_fn it is."""
        return self.v.out

    @property
    def grad(self):
        """The gradient gathered by backward(), or None."""
        return None if self.v.grad is NULL else gradient_object(tg_retain(self.v.grad))

    @grad.setter
    def grad(self, value):
        cdef val g = NULL
        if value is not None:
            g = gradient_value(value)
            if g is NULL:
                raise TypeError(f"grad: the gradient must be a Tensor, not {type(value).__name__}")
            if not same_shape(g.meta, self.v.meta) or g.meta.dtype != self.v.meta.dtype:
                raise RuntimeError(f"grad: a gradient of shape {shape_of(g)} and type {type_name(g.meta.dtype)} does not "
                                   f"fit a tensor of shape {shape_of(self.v)} and type {type_name(self.v.meta.dtype)}")
            if g is self.v:
                raise RuntimeError("grad: a tensor cannot be its own gradient")
            tg_retain(g)
        tg_release(self.v.grad)
        self.v.grad = g

    @grad.deleter
    def grad(self):
        self.grad = None

    @property
    def data(self):
        """The same memory, off the tape; writes through it are not noticed by backward."""
        cdef val v = view_alias(self.v)
        v.flags |= TG_UNVERSIONED
        return wrap(v)

    @data.setter
    def data(self, value):
        cdef val g = require_tensor(value, "data", "the new data").v
        cdef tg_storage *storage = tg_storage_retain(g.storage)
        cdef tg_meta *meta = tg_meta_retain(g.meta)
        if g.meta.dtype != self.v.meta.dtype and self.v.node is not NULL and not is_float(g.meta.dtype):
            tg_storage_release(storage)
            tg_meta_release(meta)
            raise RuntimeError(f"data: a tensor that requires grad cannot become {type_name(g.meta.dtype)}")
        tg_storage_release(self.v.storage)
        tg_meta_release(self.v.meta)
        self.v.storage = storage
        self.v.meta = meta
        self.v.data = g.data
        if self.v.node is not NULL and self.v.node.rule is NULL:  # the leaf's gradient has the new shape
            tg_meta_release(self.v.node.output[0].meta)
            self.v.node.output[0].meta = tg_meta_retain(meta)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Computes the gradients of this tensor (a scalar, unless `gradient` is given) and adds them to the .grad of
        the leaves it was made of, or of `inputs` only.

        Raises RuntimeError if the tensor is not on the tape, is no scalar, or its graph has been freed.
        """
        backward_from([self], None if gradient is None else [gradient], retain_graph, create_graph, inputs)

    def detach(self):
        """The same memory, off the tape."""
        return wrap(view_alias(self.v))

    def detach_(self):
        """Takes this tensor off the tape; returns it."""
        if self.v.base is not NULL:
            raise RuntimeError("detach_: can't detach views in-place; use detach() instead")
        if self.v.node is not NULL:
            forget_node(self.v)
        return self

    def retain_grad(self):
        """Makes backward() keep the gradient of this tensor, though it is no leaf."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad: can't retain_grad on a Tensor that has requires_grad=False")
        if self.v.node.rule is not NULL:
            self.v.flags |= TG_RETAIN_GRAD
            self.v.node.output[self.v.out].value = self.v

    @property
    def retains_grad(self):
        """Whether retain_grad() was asked for."""
        return self.v.flags & TG_RETAIN_GRAD != 0

    def register_hook(self, hook):
        """Calls hook(gradient) whenever a gradient of this tensor is computed; a tensor it returns takes the
        gradient's place. Returns a handle with remove()."""
        if not self.requires_grad:
            raise RuntimeError("register_hook: cannot register a hook on a tensor that doesn't require gradient")
        handle = add_hook(self.v.node, self.v.out, hook)
        track_cycles(self)
        return handle

    # ---- to Python and NumPy ----

    def item(self):
        """The number in a tensor of one element."""
        if self.v.meta.numel != 1:
            raise RuntimeError(f"item: a Tensor with {self.v.meta.numel} elements cannot be converted to Scalar")
        return element(self.v)

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return element(self.v) if self.v.meta.ndim == 0 else as_ndarray(self).tolist()

    def numpy(self, *, force=False):
        """A NumPy array on the same memory. Tensors that require grad must be detached first, or force=True."""
        if self.requires_grad and not force:
            raise RuntimeError("numpy: can't call numpy() on Tensor that requires grad; use tensor.detach().numpy()")
        return as_ndarray(self)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"__array__: {array.dtype} cannot become {dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __bool__(self):
        if self.v.meta.numel != 1:
            raise RuntimeError(f"bool: the truth of a tensor with {self.v.meta.numel} elements is ambiguous; "
                               "use any() or all()")
        return bool(element(self.v))

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.v.meta.numel != 1 or is_float(self.v.meta.dtype):
            raise TypeError("index: only integer tensors of a single element can be converted to an index")
        return int(element(self.v))

    def __complex__(self):
        return complex(self.item())

    def __len__(self):
        if self.v.meta.ndim == 0:
            raise TypeError("len: a 0-d tensor has no length")
        return self.v.meta.shape[0]

    def __iter__(self):
        if self.v.meta.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, x):
        return bool((self == x).any())

    def __hash__(self):
        return <size_t>(<void *>self) >> 4

    def __repr__(self):
        return tensor_str(self)

    def __format__(self, spec):
        if self.v.meta.ndim == 0 and spec:
            return format(self.item(), spec)
        return object.__format__(self, spec) if spec else repr(self)

    def __copy__(self):
        cdef Tensor out = renewed(type(self), view_alias(self.v))
        if self.requires_grad and self.is_leaf:
            out.requires_grad_()
        vars(out).update(vars(self))
        return out

    def __reduce_ex__(self, protocol):
        return rebuild, (type(self), as_ndarray(self).copy(), self.requires_grad and self.is_leaf, self.v.grad is not NULL and self.grad,
                         dict(vars(self)))

    def __deepcopy__(self, memo):
        cdef Tensor out
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError("deepcopy: only tensors created explicitly by the user (graph leaves) support the "
                               "deepcopy protocol; detach() first")
        out = renewed(type(self), copied_with_storage(self.v, memo))
        memo[id(self)] = out
        out.requires_grad_(self.requires_grad)
        if self.v.grad is not NULL:
            out.grad = deepcopy(self.grad, memo)
        for name, value in vars(self).items():
            setattr(out, name, deepcopy(value, memo))
        return out

    # ---- type and place ----

    def to(self, *args, dtype=None, device=None, copy=False, non_blocking=False):
        """The tensor in another dtype: to(dtype), to(device), to(device, dtype), to(other)."""
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, _dtype):
                dtype = arg
            elif isinstance(arg, (bool, type(None))):
                pass
            else:
                device = arg
        check_device(device)
        cdef val v = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        if v is self.v:
            return wrap(op_clone(v)) if copy else self
        return wrap(v)

    def type(self, dtype=None):
        """The tensor in another dtype; without an argument, the dtype's name as PyTorch has it."""
        if dtype is None:
            return "torch." + {"float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int",
                               "uint8": "Byte", "bool": "Bool"}[type_name(self.v.meta.dtype)] + "Tensor"
        return self.to(dtype=dtype)

    def type_as(self, other):
        """The tensor in other's dtype."""
        return self.to(dtype=other.dtype)

    def float(self):
        """The tensor as float32."""
        return wrap_same(self, op_to(self.v, TG_F32))

    def double(self):
        """The tensor as float64."""
        return wrap_same(self, op_to(self.v, TG_F64))

    def long(self):
        """The tensor as int64."""
        return wrap_same(self, op_to(self.v, TG_I64))

    def int(self):
        """The tensor as int32."""
        return wrap_same(self, op_to(self.v, TG_I32))

    def byte(self):
        """The tensor as uint8."""
        return wrap_same(self, op_to(self.v, TG_U8))

    def bool(self):
        """The tensor as bool."""
        return wrap_same(self, op_to(self.v, TG_BOOL))

    def cpu(self):
        """The tensor itself: it lies on the CPU."""
        return self

    def clone(self):
        """A copy with memory of its own, on the tape."""
        return wrap(op_clone(self.v))

    def contiguous(self):
        """The tensor itself if its elements lie in row-major order, else such a copy."""
        return wrap_same(self, op_contiguous(self.v))

    # ---- element-wise ops that need arguments of their own; the others are in RowMethods ----

    def add(self, other, *, alpha=1):
        """self + alpha · other"""
        return wrap(op_add(self.v, scaled(operand(other, self.v, "add"), alpha)))

    def add_(self, other, *, alpha=1):
        """self += alpha · other"""
        return wrap(op_add_(self.v, scaled(operand(other, self.v, "add_"), alpha)))

    def sub(self, other, *, alpha=1):
        """self - alpha · other"""
        return wrap(op_sub(self.v, scaled(operand(other, self.v, "sub"), alpha)))

    def sub_(self, other, *, alpha=1):
        """self -= alpha · other"""
        return wrap(op_sub_(self.v, scaled(operand(other, self.v, "sub_"), alpha)))

    def div(self, other, *, rounding_mode=None):
        """self / other; rounding_mode 'floor' or 'trunc' rounds the quotient."""
        return wrap(divide(self.v, operand(other, self.v, "div"), rounding_mode))

    def div_(self, other, *, rounding_mode=None):
        """self /= other"""
        if rounding_mode is None:
            return wrap(op_div_(self.v, operand(other, self.v, "div_")))
        return wrap(op_copy_(self.v, divide(self.v, operand(other, self.v, "div_"), rounding_mode), "div_"))

    def sign(self):
        """-1, 0 or 1 for each element; bools as they are."""
        return wrap(op_clone(self.v) if self.v.meta.dtype == TG_BOOL else op_sign(self.v))

    def sign_(self):
        """sign in place."""
        return wrap(op_sign_(self.v))

    def square(self):
        """Element-wise x · x; bools become int64."""
        return wrap(op_square(op_to(self.v, TG_I64) if self.v.meta.dtype == TG_BOOL else self.v))

    def square_(self):
        """square in place."""
        return wrap(op_square_(self.v))

    def pow(self, exponent):
        """self to the power of exponent, a tensor or number."""
        return wrap(power(self.v, operand(exponent, self.v, "pow"), exponent))

    def pow_(self, exponent):
        """self to the power of exponent, in place."""
        return wrap(op_pow_(self.v, operand(exponent, self.v, "pow_")))

    def gelu(self, approximate="none"):
        """x Φ(x) (Hendrycks & Gimpel 2016); approximate='tanh' takes tanh for Φ."""
        if approximate == "none":
            return wrap(op_gelu(self.v))
        if approximate == "tanh":
            return wrap(op_gelu_tanh(self.v))
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")

    def prelu(self, weight):
        """x where it is above 0, else weight · x; weight has one element, or one for each channel of (N, C, …)."""
        return wrap(op_prelu_channels(self.v, require_tensor(weight, "prelu", "the weight").v))

    def round(self, *, decimals=0):
        """Rounds to the nearest integer, halves to even; or to `decimals` digits behind the point."""
        if not is_float(self.v.meta.dtype):
            return wrap(op_clone(self.v))
        if decimals == 0:
            return wrap(op_round(self.v))
        cdef val ten = constant(10.0 ** abs(decimals), self.v)
        if decimals > 0:
            return wrap(op_div(op_round(op_mul(self.v, ten)), ten))
        return wrap(op_mul(op_round(op_div(self.v, ten)), ten))

    def round_(self):
        """round in place."""
        return wrap(op_round_(self.v))

    def clamp(self, min=None, max=None):
        """Elements below min become min, those above max become max; either a number, a tensor or None."""
        return wrap(clamped(self.v, min, max, False))

    def clamp_(self, min=None, max=None):
        """clamp in place."""
        return wrap(clamped(self.v, min, max, True))

    def clamp_min(self, min):
        """clamp from below."""
        return self.clamp(min=min)

    def clamp_max(self, max):
        """clamp from above."""
        return self.clamp(max=max)

    def bitwise_not(self):
        """Element-wise ~x for integers, not x for bools."""
        if is_float(self.v.meta.dtype):
            raise RuntimeError(f"bitwise_not: needs integers or bools, not {type_name(self.v.meta.dtype)}")
        return wrap(op_bitwise_xor(self.v, scalar(self.v.meta.dtype, 0, 1 if self.v.meta.dtype == TG_BOOL else -1)))

    def bitwise_not_(self):
        """bitwise_not in place."""
        return wrap(op_copy_(self.v, (<Tensor>self.bitwise_not()).v, "bitwise_not_"))

    def isclose(self, other, rtol=1e-5, atol=1e-8, equal_nan=False):
        """Element-wise |self - other| ≤ atol + rtol · |other|; infinities are close to themselves."""
        return isclose(self, other, rtol, atol, equal_nan)

    def allclose(self, other, rtol=1e-5, atol=1e-8, equal_nan=False):
        """Whether isclose() holds everywhere."""
        return allclose(self, other, rtol, atol, equal_nan)

    def lerp(self, end, weight):
        """self + weight · (end - self)"""
        cdef val e = operand(end, self.v, "lerp")
        return wrap(op_add(self.v, op_mul(operand(weight, self.v, "lerp"), op_sub(e, self.v))))

    def lerp_(self, end, weight):
        """lerp in place."""
        cdef val e = operand(end, self.v, "lerp_")
        return wrap(op_add_(self.v, op_mul(operand(weight, self.v, "lerp_"), op_sub(e, self.v))))

    def addcmul(self, tensor1, tensor2, *, value=1):
        """self + value · tensor1 · tensor2"""
        cdef val product = op_mul(require_tensor(tensor1, "addcmul", "tensor1").v, operand(tensor2, self.v, "addcmul"))
        return wrap(op_add(self.v, scaled(product, value)))

    def addcmul_(self, tensor1, tensor2, *, value=1):
        """addcmul in place."""
        cdef val product = op_mul(require_tensor(tensor1, "addcmul_", "tensor1").v, operand(tensor2, self.v, "addcmul_"))
        return wrap(op_add_(self.v, scaled(product, value)))

    def addcdiv(self, tensor1, tensor2, *, value=1):
        """self + value · tensor1 / tensor2"""
        cdef val ratio = op_div(require_tensor(tensor1, "addcdiv", "tensor1").v, operand(tensor2, self.v, "addcdiv"))
        return wrap(op_add(self.v, scaled(ratio, value)))

    def addcdiv_(self, tensor1, tensor2, *, value=1):
        """addcdiv in place."""
        cdef val ratio = op_div(require_tensor(tensor1, "addcdiv_", "tensor1").v, operand(tensor2, self.v, "addcdiv_"))
        return wrap(op_add_(self.v, scaled(ratio, value)))

    multiply = RowMethods.mul
    divide = div
    true_divide = div
    negative = RowMethods.neg
    absolute = RowMethods.abs
    arctan2 = RowMethods.atan2

    # ---- operators ----

    def __pow__(a, b, modulo):
        cdef val x, y
        if modulo is not None or not operands(a, b, "pow", &x, &y):
            return NotImplemented
        return wrap(power(x, y, b))

    def __matmul__(a, b):
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
            return NotImplemented
        return wrap(op_matmul((<Tensor>a).v, (<Tensor>b).v))

    def __richcmp__(self, other, int op):
        cdef val a, b
        if not operands(self, other, "comparison", &a, &b):
            return NotImplemented
        if op == Py_EQ:
            return wrap(op_eq(a, b))
        if op == Py_NE:
            return wrap(op_ne(a, b))
        if op == Py_LT:
            return wrap(op_lt(a, b))
        if op == Py_LE:
            return wrap(op_le(a, b))
        if op == Py_GT:
            return wrap(op_gt(a, b))
        return wrap(op_ge(a, b))

    def __ipow__(self, other, modulo):
        cdef val x, y
        if not operands(self, other, "pow_", &x, &y):
            return NotImplemented
        return wrap(op_pow_(x, y))

    def __neg__(self):
        return wrap(op_neg(self.v))

    def __pos__(self):
        return self

    def __abs__(self):
        return wrap(op_abs(self.v))

    def __invert__(self):
        return self.bitwise_not()

    # ---- plain writes ----

    def copy_(self, src, non_blocking=False):
        """Writes src (a tensor or number), broadcast and converted, over this tensor."""
        return wrap(op_copy_(self.v, operand(src, self.v, "copy_"), "copy_"))

    def fill_(self, value):
        """Writes one value everywhere."""
        return wrap(op_copy_(self.v, operand(value, self.v, "fill_"), "fill_"))

    def zero_(self):
        """Writes zeros everywhere."""
        return wrap(op_copy_(self.v, constant(0, self.v), "zero_"))

    def masked_fill(self, mask, value):
        """value where mask (bool, broadcast) holds, else self."""
        return wrap(op_where(require_tensor(mask, "masked_fill", "the mask").v, filler(value, self.v, "masked_fill"),
                             self.v))

    def masked_fill_(self, mask, value):
        """masked_fill in place."""
        cdef val v = op_where(require_tensor(mask, "masked_fill_", "the mask").v,
                              filler(value, self.v, "masked_fill_"), self.v)
        return wrap(op_copy_(self.v, v, "masked_fill_"))

    def where(self, condition, other):
        """self where the condition holds, else other."""
        return wrap(op_where(require_tensor(condition, "where", "the condition").v, self.v,
                             operand(other, self.v, "where")))

    def uniform_(self, double from_=0, double to=1, *, generator=None):
        """Draws from the uniform distribution over [from, to)."""
        return wrap(op_uniform_(self.v, from_, to, generator))

    def normal_(self, double mean=0, double std=1, *, generator=None):
        """Draws from the normal distribution."""
        return wrap(op_normal_(self.v, mean, std, generator))

    def exponential_(self, double lambd=1, *, generator=None):
        """Draws from the exponential distribution with rate lambd."""
        return wrap(op_exponential_(self.v, lambd, generator))

    def log_normal_(self, double mean=1, double std=2, *, generator=None):
        """Draws whose logarithms are normal with this mean and standard deviation."""
        return wrap(op_log_normal_(self.v, mean, std, generator))

    def cauchy_(self, double median=0, double sigma=1, *, generator=None):
        """Draws from the Cauchy distribution."""
        return wrap(op_cauchy_(self.v, median, sigma, generator))

    def geometric_(self, double p, *, generator=None):
        """How many trials it takes until the first success, of probability p each: 1, 2, …"""
        return wrap(op_geometric_(self.v, p, generator))

    def bernoulli_(self, p=0.5, *, generator=None):
        """Ones with probability p (a number, or a tensor of this shape), else zeros."""
        if isinstance(p, Tensor):
            return wrap(op_copy_(self.v, (<Tensor>bernoulli(p.expand(self.shape), generator=generator)).v, "bernoulli_"))
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_: expected a probability between 0 and 1, but got {p}")
        return wrap(op_copy_(self.v, bernoulli_mask(self.v.meta.ndim, self.v.meta.shape, p, generator), "bernoulli_"))

    def random_(self, *range_, generator=None):
        """random_(to) or random_(from, to): integers from [from, to); without `to`, all that the dtype holds exactly.

        Raises RuntimeError if the range is empty, or holds numbers that the dtype does not.
        """
        if len(range_) > 2:
            raise TypeError(f"random_: expected at most from and to, but got {len(range_)} numbers")
        low, to = range_ if len(range_) == 2 else (0, range_[0] if range_ else None)
        if to is None:
            to = LARGEST_INTEGER[self.v.meta.dtype] + 1
        return wrap(op_copy_(self.v, op_randint("random_", self.v.meta.ndim, self.v.meta.shape, self.v.meta.dtype, low, to,
                                                generator), "random_"))

    def bernoulli(self, p=None, *, generator=None):
        """Ones with probability p, or else with the probabilities that stand in this tensor."""
        return bernoulli(self, p, generator=generator)

    def multinomial(self, num_samples, replacement=False, *, generator=None):
        """Draws indices with the weights in this tensor; see tg.multinomial."""
        return multinomial(self, num_samples, replacement, generator=generator)

    # ---- views ----

    def view(self, *shape):
        """The same elements in another shape (one size may be -1), sharing memory; view(dtype) is not offered."""
        cdef int64_t sizes[TG_MAX_DIMS]
        cdef int nd = parse_sizes(shape, "view", self.v, sizes)
        return wrap(op_view(self.v, nd, sizes, &VIEW))

    def view_as(self, other):
        """view in other's shape."""
        return self.view(other.shape)

    def reshape(self, *shape):
        """The same elements in another shape: a view where strides allow it, else a copy."""
        cdef int64_t sizes[TG_MAX_DIMS]
        cdef int nd = parse_sizes(shape, "reshape", self.v, sizes)
        return wrap_same(self, op_reshape(self.v, nd, sizes))

    def reshape_as(self, other):
        """reshape to other's shape."""
        return self.reshape(other.shape)

    def flatten(self, start_dim=0, end_dim=-1):
        """Makes one dimension of those from start_dim to end_dim."""
        cdef int nd = self.v.meta.ndim, d, k = 0
        cdef int a = wrap_dim(start_dim, nd, "flatten"), b = wrap_dim(end_dim, nd, "flatten")
        cdef int64_t shape[TG_MAX_DIMS]
        if a > b:
            raise RuntimeError(f"flatten: start_dim ({start_dim}) cannot come after end_dim ({end_dim})")
        if nd == 0:
            return self.reshape(1)
        for d in range(nd):
            if a < d <= b:
                shape[k - 1] *= self.v.meta.shape[d]
            else:
                shape[k] = self.v.meta.shape[d]
                k += 1
        return wrap_same(self, op_reshape(self.v, k, shape))

    def ravel(self):
        """flatten to one dimension."""
        return self.reshape(-1)

    def unflatten(self, dim, sizes):
        """Splits a dimension into several; one of the sizes may be -1."""
        cdef int d = wrap_dim(operator_index(dim), self.v.meta.ndim, "unflatten")
        shape = self.shape
        sizes = list(sizes)
        whole = shape[d]
        known = 1
        for s in sizes:
            known *= s if s != -1 else 1
        if sizes.count(-1) == 1 and known and whole % known == 0:
            sizes[sizes.index(-1)] = whole // known
            known = whole
        if known != whole or sizes.count(-1):
            raise RuntimeError(f"unflatten: sizes {tuple(sizes)} don't multiply up to the size of dim {d} ({whole})")
        return self.view(shape[:d] + tuple(sizes) + shape[d + 1:])

    def permute(self, *dims):
        """The dimensions in another order."""
        cdef int64_t order[TG_MAX_DIMS]
        parse_order(dims, self.v, "permute", order)
        return wrap(op_permute(self.v, order, &PERMUTE))

    def transpose(self, dim0, dim1):
        """Swaps two dimensions."""
        cdef int nd = self.v.meta.ndim
        return wrap(op_transpose(self.v, wrap_dim(dim0, nd, "transpose"), wrap_dim(dim1, nd, "transpose"), &TRANSPOSE))

    swapaxes = transpose
    swapdims = transpose

    def t(self):
        """The transpose of a matrix; vectors and 0-d tensors as they are."""
        if self.v.meta.ndim > 2:
            raise RuntimeError(f"t: expects a tensor with at most 2 dimensions, but the shape is {self.shape}")
        return wrap(op_transpose(self.v, 0, self.v.meta.ndim - 1, &T_))

    @property
    def T(self):
        """All dimensions in reverse order."""
        cdef int64_t order[TG_MAX_DIMS]
        cdef int d
        for d in range(self.v.meta.ndim):
            order[d] = self.v.meta.ndim - 1 - d
        return wrap(op_permute(self.v, order, &PERMUTE))

    @property
    def mT(self):
        """The last two dimensions swapped."""
        if self.v.meta.ndim < 2:
            raise RuntimeError(f"mT: needs at least 2 dimensions, but the shape is {self.shape}")
        return wrap(op_mT(self.v))

    def movedim(self, source, destination):
        """Moves dimensions to other places; the others keep their order."""
        cdef int nd = self.v.meta.ndim
        source = source if isinstance(source, (tuple, list)) else (source,)
        destination = destination if isinstance(destination, (tuple, list)) else (destination,)
        source = [wrap_dim(s, nd, "movedim") for s in source]
        destination = [wrap_dim(d, nd, "movedim") for d in destination]
        if len(source) != len(destination) or len(set(source)) != len(source) or len(set(destination)) != len(source):
            raise RuntimeError(f"movedim: source {source} and destination {destination} must be as many, "
                               "without repetition")
        order = [d for d in range(nd) if d not in source]
        if nd:  # of a 0-d tensor, dimension 0 may be named though it has none
            for d, s in sorted(zip(destination, source)):
                order.insert(d, s)
        return self.permute(order)

    moveaxis = movedim

    def squeeze(self, dim=None):
        """Without the dimensions of size 1: all, or those named."""
        return wrap(op_squeeze(self.v, parse_dims(dim, self.v, "squeeze")))

    def unsqueeze(self, dim):
        """With a new dimension of size 1 at dim."""
        return wrap(op_unsqueeze(self.v, operator_index(dim)))

    def unsqueeze_(self, dim):
        """unsqueeze in place is not offered: use x = x.unsqueeze(dim)."""
        raise RuntimeError("unsqueeze_: not offered, as it would change the shape of other views; "
                           "write x = x.unsqueeze(dim)")

    def expand(self, *sizes):
        """Repeats dimensions of size 1 without copying; -1 keeps a size."""
        cdef int64_t shape[TG_MAX_DIMS]
        cdef int nd = parse_shape(sizes, "expand", shape)
        return wrap(op_expand(self.v, nd, shape))

    def expand_as(self, other):
        """expand to other's shape."""
        return self.expand(other.shape)

    def broadcast_to(self, shape):
        """expand to a shape."""
        return self.expand(shape)

    def repeat(self, *sizes):
        """Copies of the tensor side by side, sizes[d] of them along dimension d."""
        cdef int64_t times[TG_MAX_DIMS]
        cdef int nd = parse_shape(sizes, "repeat", times), d
        if nd < self.v.meta.ndim:
            raise RuntimeError(f"repeat: {nd} repetitions are fewer than the {self.v.meta.ndim} dimensions of shape "
                               f"{self.shape}")
        shape = (1,) * (nd - self.v.meta.ndim) + self.shape
        pairs = []
        for d in range(nd):
            pairs += [times[d], shape[d]]
        spaced = self.reshape([s for size in shape for s in (1, size)])
        return spaced.expand(pairs).reshape([times[d] * shape[d] for d in range(nd)])

    def tile(self, *args, dims=None):
        """repeat, with ones put before too few dims."""
        dims = args if dims is None else (dims,)
        dims = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
        return self.repeat((1,) * (self.v.meta.ndim - len(dims)) + tuple(dims))

    def narrow(self, dim, start, length):
        """The elements start … start + length - 1 along dim."""
        cdef int d = wrap_dim(operator_index(dim), self.v.meta.ndim, "narrow")
        cdef int64_t size, first = operator_index(start), count = operator_index(length)
        if self.v.meta.ndim == 0:
            raise RuntimeError("narrow: cannot be applied to a 0-d tensor")
        size = self.v.meta.shape[d]
        if first < -size or first > size:
            raise IndexError(f"narrow: start {start} is out of range for dimension {d} with size {size}")
        if first < 0:
            first += size
        if count < 0 or first + count > size:
            raise RuntimeError(f"narrow: start ({first}) + length ({count}) exceeds dimension size ({size})")
        return wrap(op_narrow(self.v, d, first, count))

    def select(self, dim, index):
        """Element `index` along dim, which drops out."""
        cdef int d = wrap_dim(operator_index(dim), self.v.meta.ndim, "select")
        cdef int64_t i = operator_index(index), size
        if self.v.meta.ndim == 0:
            raise IndexError("select: cannot be applied to a 0-d tensor")
        size = self.v.meta.shape[d]
        if i < -size or i >= size:
            raise IndexError(f"select: index {index} is out of range for dimension {d} with size {size}")
        return wrap(op_select(self.v, d, i + size if i < 0 else i))

    def split(self, split_size, dim=0):
        """Parts of split_size along dim (the last may be smaller), or of the sizes in a list."""
        cdef int d = wrap_dim(operator_index(dim), self.v.meta.ndim, "split")
        if self.v.meta.ndim == 0:
            raise RuntimeError("split: expects at least a 1-d tensor")
        whole = self.v.meta.shape[d]
        if isinstance(split_size, (tuple, list)):
            lengths = [operator_index(s) for s in split_size]
            if sum(lengths) != whole or min(lengths, default=0) < 0:
                raise RuntimeError(f"split: sizes {lengths} do not add up to the size of dimension {d} ({whole})")
        else:
            if split_size < 0 or split_size == 0 and whole:
                raise RuntimeError(f"split: split_size must be positive, but is {split_size}")
            lengths = [min(split_size, whole - s) for s in range(0, whole, split_size or 1)] or [0]
        return tuple(op_split(self.v, d, lengths, False))

    def chunk(self, chunks, dim=0):
        """About `chunks` equal parts along dim."""
        cdef int d = wrap_dim(operator_index(dim), self.v.meta.ndim, "chunk")
        if chunks <= 0:
            raise RuntimeError(f"chunk: expects chunks to be greater than 0, but got {chunks}")
        whole = self.shape[d] if self.v.meta.ndim else 0
        size = -(-whole // chunks)
        return self.split([0] * chunks if size == 0 else size, d)

    def unbind(self, dim=0):
        """The elements along dim, each without it."""
        cdef int d = wrap_dim(operator_index(dim), self.v.meta.ndim, "unbind")
        if self.v.meta.ndim == 0:
            raise RuntimeError("unbind: cannot be applied to a 0-d tensor")
        return tuple(op_split(self.v, d, [1] * self.v.meta.shape[d], True))

    def diagonal(self, offset=0, dim1=0, dim2=1):
        """The elements whose indices at dim1 and dim2 differ by offset, as a new last dimension."""
        return wrap(op_diagonal(self.v, offset, wrap_dim(dim1, self.v.meta.ndim, "diagonal"),
                                wrap_dim(dim2, self.v.meta.ndim, "diagonal")))

    def flip(self, *args, dims=None):
        """A copy with the order along the dimensions reversed."""
        dims = args if dims is None else (dims,)
        dims = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
        return wrap(op_flip(self.v, parse_dims(dims, self.v, "flip") if dims else 0))

    def roll(self, shifts, dims=None):
        """The elements moved along dims, those pushed out coming in at the other end."""
        if dims is None:
            return self.flatten().roll(shifts, 0).view(self.shape)
        out = self
        shifts = shifts if isinstance(shifts, (tuple, list)) else (shifts,)
        dims = dims if isinstance(dims, (tuple, list)) else (dims,)
        if len(shifts) != len(dims):
            raise RuntimeError(f"roll: {len(shifts)} shifts do not fit {len(dims)} dims")
        for shift, dim in zip(shifts, dims):
            size = out.size(dim)
            if size and shift % size:
                k = size - shift % size
                out = cat([out.narrow(dim, k, size - k), out.narrow(dim, 0, k)], dim)
        return out.clone() if out is self else out

    def tril(self, diagonal=0):
        """Zeros above a diagonal of the last two dimensions."""
        return triangle(self, diagonal, False)

    def triu(self, diagonal=0):
        """Zeros below a diagonal of the last two dimensions."""
        return triangle(self, diagonal, True)

    # ---- indexing ----

    def __getitem__(self, key):
        return wrap(get_item(self.v, key))

    def __setitem__(self, key, value):
        cdef val src
        if isinstance(value, np_ndarray) or isinstance(value, (list, tuple)):
            value = tensor(value)
        src = operand(value, self.v, "setitem")
        set_item(self.v, key, src)
        tg_pool_drain(tg_pool_base)

    def gather(self, dim, index):
        """out[i][j] = self[index[i][j]][j] for dim 0, and so on."""
        return wrap(op_gather(self.v, wrap_dim(dim, self.v.meta.ndim, "gather"), index_value(index, "gather")))

    def take_along_dim(self, indices, dim=None):
        """The elements that indices name along dim; the other dimensions broadcast. Without dim, of all elements."""
        if dim is None:
            return self.reshape(-1).gather(0, require_tensor(indices, "take_along_dim", "the indices").reshape(-1))
        d = wrap_dim(dim, self.v.meta.ndim, "take_along_dim")
        if indices.ndim != self.v.meta.ndim:
            raise RuntimeError(f"take_along_dim: the indices of shape {indices.shape} must have as many dimensions as "
                               f"the tensor of shape {self.shape}")
        shape = list(broadcast_shapes(self.shape[:d] + (1,) + self.shape[d + 1:],
                                      indices.shape[:d] + (1,) + indices.shape[d + 1:]))
        shape[d] = self.shape[d]
        source = self.expand(shape)
        shape[d] = indices.shape[d]
        return source.gather(d, indices.expand(shape))

    def scatter(self, dim, index, src):
        """A copy with self[index[i][j]][j] = src[i][j] for dim 0, and so on; src is a tensor or number."""
        return wrap(op_scatter_(op_clone(self.v), wrap_dim(dim, self.v.meta.ndim, "scatter"),
                                index_value(index, "scatter"), operand(src, self.v, "scatter"), False, "scatter"))

    def scatter_(self, dim, index, src):
        """scatter in place."""
        return wrap(op_scatter_(self.v, wrap_dim(dim, self.v.meta.ndim, "scatter_"), index_value(index, "scatter_"),
                                operand(src, self.v, "scatter_"), False, "scatter_"))

    def scatter_add(self, dim, index, src):
        """A copy with src[i][j] added to self[index[i][j]][j] for dim 0, and so on."""
        return wrap(op_scatter_(op_clone(self.v), wrap_dim(dim, self.v.meta.ndim, "scatter_add"),
                                index_value(index, "scatter_add"), require_tensor(src, "scatter_add", "src").v, True,
                                "scatter_add"))

    def scatter_add_(self, dim, index, src):
        """scatter_add in place."""
        return wrap(op_scatter_(self.v, wrap_dim(dim, self.v.meta.ndim, "scatter_add_"),
                                index_value(index, "scatter_add_"), require_tensor(src, "scatter_add_", "src").v, True,
                                "scatter_add_"))

    def index_select(self, dim, index):
        """The elements along dim that a 1-d index names."""
        cdef int d = wrap_dim(dim, self.v.meta.ndim, "index_select")
        cdef val i = index_value(index, "index_select")
        if i.meta.ndim > 1:
            raise IndexError(f"index_select: the index must be 1-d, but has shape {shape_of(i)}")
        if i.meta.ndim == 0:
            i = op_unsqueeze(i, 0)
        return wrap(op_index(self.v, 1, &d, &i, True, "index_select"))

    def index_add(self, dim, index, source, *, alpha=1):
        """A copy with alpha · source added at the places along dim that a 1-d index names."""
        return self.clone().index_add_(dim, index, source, alpha=alpha)

    def index_add_(self, dim, index, source, *, alpha=1):
        """index_add in place."""
        cdef int d = wrap_dim(dim, self.v.meta.ndim, "index_add")
        cdef val i = index_value(index, "index_add")
        if i.meta.ndim != 1:
            raise IndexError(f"index_add: the index must be 1-d, but has shape {shape_of(i)}")
        return wrap(op_index_put_(self.v, 1, &d, &i, scaled(require_tensor(source, "index_add", "source").v, alpha),
                                  True, True, "index_add"))

    def index_put_(self, indices, values, accumulate=False):
        """Writes values at the places that a tuple of index tensors names, or adds them."""
        cdef Key k
        cdef val v = index_view(self.v, tuple(indices), &k)
        if k.count == 0:
            raise IndexError("index_put_: at least one tensor of indices is needed")
        op_index_put_(v, k.count, k.dims, k.index, operand(values, self.v, "index_put_"), accumulate, False,
                      "index_put_")
        tg_pool_drain(tg_pool_base)
        return self

    def index_put(self, indices, values, accumulate=False):
        """A copy with values written at the places that a tuple of index tensors names, or added."""
        return self.clone().index_put_(indices, values, accumulate)

    def masked_select(self, mask):
        """The elements where mask (bool, broadcast) holds, as a 1-d tensor."""
        a, m = broadcast_tensors(self, mask)
        return a[m]

    def nonzero(self):
        """The indices of the elements that are not zero, one row each."""
        cdef val index[TG_MAX_DIMS]
        cdef val flat = flat_nonzero(op_to(self.v, TG_BOOL))
        cdef int64_t shape[2]
        cdef int d
        unravel(flat, self.v.meta, index)
        shape[0], shape[1] = flat.meta.numel, self.v.meta.ndim
        cdef val out = make_empty(TG_I64, 2, shape)
        for d in range(self.v.meta.ndim):
            copy_into(op_select(out, 1, d), index[d])
        return wrap(out)

    # ---- reductions ----

    def sum(self, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
        """The sum over dim (a number, several, or all)."""
        dim = either(dim, axis, "sum", "dim")
        keepdim = either(keepdim, keepdims, "sum", "keepdim")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_sum(x, parse_dims(dim, x, "sum"), keepdim))

    def mean(self, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
        """The mean over dim (a number, several, or all)."""
        dim = either(dim, axis, "mean", "dim")
        keepdim = either(keepdim, keepdims, "mean", "keepdim")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_mean(x, parse_dims(dim, x, "mean"), keepdim))

    def prod(self, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
        """The product over one dimension, or all."""
        dim = either(dim, axis, "prod", "dim")
        keepdim = either(keepdim, keepdims, "prod", "keepdim")
        if isinstance(dim, (tuple, list)):
            raise TypeError(f"prod: takes one dimension or none, not {dim}")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_prod(x, parse_dims(dim, x, "prod"), keepdim))

    def amax(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """The largest elements over dim; equal ones share the gradient."""
        dim = either(dim, axis, "amax", "dim")
        return wrap(op_amax(self.v, parse_dims(dim, self.v, "amax"), either(keepdim, keepdims, "amax", "keepdim")))

    def amin(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """The smallest elements over dim; equal ones share the gradient."""
        dim = either(dim, axis, "amin", "dim")
        return wrap(op_amin(self.v, parse_dims(dim, self.v, "amin"), either(keepdim, keepdims, "amin", "keepdim")))

    def max(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """The largest element; along a dimension, (values, indices); with a tensor, the element-wise maximum."""
        return extremum(self, True, either(dim, axis, "max", "dim"), either(keepdim, keepdims, "max", "keepdim"))

    def min(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """The smallest element; along a dimension, (values, indices); with a tensor, the element-wise minimum."""
        return extremum(self, False, either(dim, axis, "min", "dim"), either(keepdim, keepdims, "min", "keepdim"))

    def argmax(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """Index of the first largest element, of all or along dim."""
        dim = either(dim, axis, "argmax", "dim")
        return wrap(op_arg(True, self.v, one_dim(dim, self.v, "argmax"), either(keepdim, keepdims, "argmax", "keepdim")))

    def argmin(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """Index of the first smallest element, of all or along dim."""
        dim = either(dim, axis, "argmin", "dim")
        return wrap(op_arg(False, self.v, one_dim(dim, self.v, "argmin"), either(keepdim, keepdims, "argmin", "keepdim")))

    def any(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """Whether any element is not zero, over dim or all."""
        dim = either(dim, axis, "any", "dim")
        return wrap(op_any_along(self.v, parse_dims(dim, self.v, "any"), either(keepdim, keepdims, "any", "keepdim")))

    def all(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """Whether all elements are not zero, over dim or all."""
        dim = either(dim, axis, "all", "dim")
        return wrap(op_all_along(self.v, parse_dims(dim, self.v, "all"), either(keepdim, keepdims, "all", "keepdim")))

    def var(self, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
        """The variance over dim: Σ (x - mean)² / (count - correction), correction 1 unless unbiased=False."""
        return spread_of(self, dim, unbiased, keepdim, correction, axis, keepdims, False)

    def std(self, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
        """The root of the variance."""
        return spread_of(self, dim, unbiased, keepdim, correction, axis, keepdims, True)

    def norm(self, p=2, dim=None, keepdim=False, dtype=None):
        """The p-norm over dim: (Σ |x|^p)^(1/p); p may be 'fro', 0, or ±inf."""
        x = self if dtype is None else self.to(dtype)
        return norm_of(x, p, dim, keepdim)

    def logsumexp(self, dim=None, keepdim=False, *, axis=None, keepdims=None):
        """log Σ exp(x) over dim, without overflow."""
        dim = needed(either(dim, axis, "logsumexp", "dim"), "logsumexp")
        keepdim = either(keepdim, keepdims, "logsumexp", "keepdim")
        return wrap(op_logsumexp(self.v, parse_dims(dim, self.v, "logsumexp"), keepdim))

    def softmax(self, dim=None, dtype=None, *, axis=None):
        """exp(x) / Σ exp(x) along dim."""
        dim = needed(either(dim, axis, "softmax", "dim"), "softmax")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_softmax(x, wrap_dim(dim, x.meta.ndim, "softmax")))

    def log_softmax(self, dim=None, dtype=None, *, axis=None):
        """log softmax(x) along dim, without overflow."""
        dim = needed(either(dim, axis, "log_softmax", "dim"), "log_softmax")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_log_softmax(x, wrap_dim(dim, x.meta.ndim, "log_softmax")))

    def cumsum(self, dim=None, dtype=None, *, axis=None):
        """Running sums along dim."""
        dim = needed(either(dim, axis, "cumsum", "dim"), "cumsum")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_cumsum(x, wrap_dim(dim, x.meta.ndim, "cumsum")))

    def cumprod(self, dim=None, dtype=None, *, axis=None):
        """Running products along dim."""
        dim = needed(either(dim, axis, "cumprod", "dim"), "cumprod")
        cdef val x = op_to(self.v, dtype_code(dtype, self.v.meta.dtype))
        return wrap(op_cumprod(x, wrap_dim(dim, x.meta.ndim, "cumprod")))

    def sort(self, dim=-1, descending=False, stable=True):
        """(values, indices) in ascending or descending order along dim; always stable, NaN counts as largest."""
        cdef val indices = NULL
        cdef val values = op_sort(self.v, wrap_dim(dim, self.v.meta.ndim, "sort"), descending, &indices)
        return SortResult(*wrap_pair(values, indices))

    def argsort(self, dim=-1, descending=False, stable=True):
        """The indices that sort along dim."""
        return self.sort(dim, descending)[1]

    def topk(self, k, dim=-1, largest=True, sorted=True):
        """(values, indices) of the k largest (or smallest) elements along dim, in order."""
        d = wrap_dim(dim, self.v.meta.ndim, "topk")
        size = self.shape[d] if self.v.meta.ndim else 1
        if not 0 <= k <= size:
            raise RuntimeError(f"topk: k = {k} is out of range for dimension {d} with size {size}")
        values, indices = self.sort(dim, largest)
        if self.v.meta.ndim == 0:
            return TopkResult(values, indices)
        return TopkResult(values.narrow(d, 0, k), indices.narrow(d, 0, k))

    # ---- products ----

    def matmul(self, other):
        """Matrix product: 1-D · 1-D is a number, 2-D a matrix product, more dimensions are a broadcast batch."""
        return wrap(op_matmul(self.v, require_tensor(other, "matmul", "the other operand").v))

    def mm(self, other):
        """Product of two matrices."""
        return exact_matmul(self, other, 2, 2, "mm")

    def bmm(self, other):
        """Product of two batches of matrices."""
        return exact_matmul(self, other, 3, 3, "bmm")

    def mv(self, other):
        """Product of a matrix and a vector."""
        return exact_matmul(self, other, 2, 1, "mv")

    def dot(self, other):
        """Product of two vectors."""
        return exact_matmul(self, other, 1, 1, "dot")

    def outer(self, other):
        """All products of the elements of two vectors."""
        if self.v.meta.ndim != 1 or require_tensor(other, "outer", "the other operand").v.meta.ndim != 1:
            raise RuntimeError(f"outer: expected two vectors, but the shapes are {self.shape} and {other.shape}")
        return self.unsqueeze(1) * other

    # ---- factories in this tensor's likeness ----

    def new_zeros(self, *size, dtype=None, requires_grad=False):
        """zeros of this tensor's dtype."""
        return zeros(*size, dtype=dtype or self.dtype, requires_grad=requires_grad)

    def new_ones(self, *size, dtype=None, requires_grad=False):
        """ones of this tensor's dtype."""
        return ones(*size, dtype=dtype or self.dtype, requires_grad=requires_grad)

    def new_empty(self, *size, dtype=None, requires_grad=False):
        """empty of this tensor's dtype."""
        return empty(*size, dtype=dtype or self.dtype, requires_grad=requires_grad)

    def new_full(self, size, fill_value, *, dtype=None, requires_grad=False):
        """full of this tensor's dtype."""
        return full(size, fill_value, dtype=dtype or self.dtype, requires_grad=requires_grad)

    def new_tensor(self, data, *, dtype=None, requires_grad=False):
        """tensor(data) of this tensor's dtype."""
        return tensor(data, dtype=dtype or self.dtype, requires_grad=requires_grad)


cdef class Parameter(Tensor):
    """A tensor that a Module takes for one of its parameters; requires grad unless told otherwise.

    >>> from tinygrad_lessons import nn, zeros
    >>> nn.Parameter(zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __cinit__(self, data=None, requires_grad=True):
        self.v = tg_retain(view_alias(require_tensor(data, "Parameter", "data").v))
        self.v.wrapper = <void *>self
        tg_pool_drain(tg_pool_base)

    def __init__(self, data=None, requires_grad=True):
        self.requires_grad_(requires_grad)
