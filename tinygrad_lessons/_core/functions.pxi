# Functions of tensors that are no methods.

# ---- several tensors ----

cdef object joined(object tensors, int64_t dim, str op, bint new_dim):
    cdef int k, d, count = len(tensors), nd, t = 0
    cdef val *parts
    cdef val out
    if count == 0:
        raise RuntimeError(f"{op}: expected a non-empty list of tensors")
    for k, x in enumerate(tensors):
        t = max(t, require_tensor(x, op, f"element {k}").v.meta.dtype)
    if not new_dim:  # PyTorch lets empty vectors be joined with anything
        solid = [x for x in tensors if not ((<Tensor>x).v.meta.ndim == 1 and (<Tensor>x).v.meta.numel == 0)]
        tensors = solid or tensors[:1]
        count = len(tensors)
    first = (<Tensor>tensors[0]).v
    nd = first.meta.ndim + new_dim
    if nd == 0:
        raise RuntimeError(f"{op}: 0-d tensors cannot be joined; use stack()")
    d = wrap_dim(dim, nd, op)
    parts = <val *>malloc(count * sizeof(val))
    if parts is NULL:
        raise MemoryError()
    try:
        for k in range(count):
            parts[k] = op_to((<Tensor>tensors[k]).v, t)
            if new_dim:
                parts[k] = op_unsqueeze(parts[k], d)
            if not joins(parts[0].meta, parts[k].meta, -1 if new_dim else d):
                raise RuntimeError(f"{op}: sizes must match but for dimension {d}, but tensor 0 has shape "
                                   f"{(<Tensor>tensors[0]).shape} and tensor {k} {(<Tensor>tensors[k]).shape}")
        out = op_cat(count, parts, d)
    finally:
        free(parts)
    return wrap(out)

cdef bint joins(tg_meta *a, tg_meta *b, int but) noexcept:
    cdef int d
    if a.ndim != b.ndim:
        return False
    for d in range(a.ndim):
        if d != but and a.shape[d] != b.shape[d]:
            return False
    return True

def cat(tensors, dim=0):
    """The tensors behind each other along dim; their other sizes must be equal."""
    return joined(list(tensors), dim, "cat", False)

concat = cat
concatenate = cat

def stack(tensors, dim=0):
    """The tensors side by side along a new dimension; their shapes must be equal."""
    return joined(list(tensors), dim, "stack", True)

def where(condition, input=None, other=None):
    """input where the condition (bool) holds, else other; where(condition) gives the indices instead."""
    cdef Tensor c = require_tensor(condition, "where", "the condition")
    cdef val a, b
    if input is None and other is None:
        return tuple(c.nonzero().unbind(1))
    if isinstance(input, Tensor):
        a, b = (<Tensor>input).v, operand(other, (<Tensor>input).v, "where")
    elif isinstance(other, Tensor):
        a, b = operand(input, (<Tensor>other).v, "where"), (<Tensor>other).v
    else:
        a = number(input, default_float if isinstance(input, float) or isinstance(other, float) else TG_I64, "where")
        b = operand(other, a, "where")
        a.flags &= ~TG_WEAK
        b.flags &= ~TG_WEAK
    return wrap(op_where(c.v, a, b))

def broadcast_tensors(*tensors):
    """The tensors expanded to their common shape."""
    shape = broadcast_shapes(*[t.shape for t in tensors])
    return tuple([t.expand(shape) for t in tensors])

def broadcast_shapes(*shapes):
    """The shape that shapes broadcast to."""
    try:
        return Size(np_broadcast_shapes(*shapes))
    except ValueError:
        raise RuntimeError(f"broadcast_shapes: the shapes {', '.join([str(tuple(s)) for s in shapes])} do not "
                           "broadcast: sizes must be equal or 1") from None

def one_hot(input, num_classes=-1):
    """Rows of zeros with a one at each class index: (*) int64 -> (*, num_classes) int64."""
    cdef Tensor x = require_tensor(input, "one_hot", "the input")
    if x.v.meta.dtype != TG_I64:
        raise RuntimeError(f"one_hot: expected class indices of type int64, not {type_name(x.v.meta.dtype)}")
    if x.v.meta.numel == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: cannot infer the number of classes from an empty tensor; pass num_classes")
    if x.v.meta.numel and int(x.amin()) < 0:
        raise RuntimeError("one_hot: class values must be non-negative")
    classes = int(x.amax()) + 1 if num_classes == -1 else num_classes
    if x.v.meta.numel and int(x.amax()) >= classes:
        raise RuntimeError(f"one_hot: class values must be smaller than num_classes ({num_classes})")
    return (x.unsqueeze(-1) == arange(classes)).to(int64)

def result_type(a, b):
    """The type that an op on a and b (tensors or numbers) gives."""
    like = a if isinstance(a, Tensor) else b
    return DTYPES[promote(operand(a, (<Tensor>like).v, "result_type"), operand(b, (<Tensor>like).v, "result_type"))]

def is_tensor(x):
    """Whether x is a Tensor."""
    return isinstance(x, Tensor)

def meshgrid(*tensors, indexing="ij"):
    """Grids of coordinates from vectors."""
    vectors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', not {indexing!r}")
    if indexing == "xy" and len(vectors) > 1:
        a, b, *rest = meshgrid(vectors[1], vectors[0], *vectors[2:])
        return (b, a, *rest)
    n = len(vectors)
    shape = [v.numel() for v in vectors]
    return tuple([v.reshape([-1 if d == k else 1 for d in range(n)]).expand(shape) for k, v in enumerate(vectors)])

def equal(a, b):
    """Whether two tensors have the same shape and elements."""
    return a.shape == b.shape and bool((a == b).all())

def isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Element-wise |input - other| ≤ atol + rtol · |other|; infinities are close to themselves."""
    close = (input == other) | ((input - other).abs() <= other.abs() * rtol + atol) & other.isfinite()
    return close | input.isnan() & other.isnan() if equal_nan else close

def allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether isclose() holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())

# ---- what nn.functional is made of ----

cdef inline val maybe(object t, str op, str what) except? NULL:
    """The value of a tensor that may be left out."""
    if t is None:
        return NULL
    require_tensor(t, op, what)
    return (<Tensor>t).v

def linear(input, weight, bias=None, activation=None):
    """x Wᵀ + b: input (*, in), weight (out, in), bias (out) -> (*, out); with "relu", "gelu" or "gelu_tanh" of it."""
    cdef Tensor x = require_tensor(input, "linear", "the input"), w = require_tensor(weight, "linear", "the weight")
    cdef const Activation *f
    find_activation("linear", activation, &f)
    return wrap(op_linear(x.v, w.v, maybe(bias, "linear", "the bias"), f))

def dropout(input, double p=0.5, generator=None):
    """Zeroes elements with probability p and scales the others by 1 / (1 - p)."""
    return wrap(op_dropout(require_tensor(input, "dropout", "the input").v, p, generator))

def batch_norm(input, weight, bias, running_mean, running_var, training, double momentum, double eps):
    """(x - mean) / sqrt(var + eps) · weight + bias per channel of (N, C, …)."""
    return wrap(op_batch_norm(require_tensor(input, "batch_norm", "the input").v, maybe(weight, "batch_norm", "the weight"),
                              maybe(bias, "batch_norm", "the bias"),
                              maybe(running_mean, "batch_norm", "running_mean"),
                              maybe(running_var, "batch_norm", "running_var"), training, momentum, eps))

cdef val normalized_over(str op, object input, object shape, object weight, object bias, double eps, bint rms) except NULL:
    cdef int64_t sizes[TG_MAX_DIMS]
    cdef int k
    cdef val x = require_tensor(input, op, "the input").v
    shape = tuple([operator_index(size) for size in shape])
    if len(shape) > TG_MAX_DIMS:
        raise RuntimeError(f"{op}: normalized_shape {shape} has more than {TG_MAX_DIMS} dimensions")
    for k in range(len(shape)):
        sizes[k] = shape[k]
    return op_layer_norm(op, x, len(shape), sizes, maybe(weight, op, "the weight"), maybe(bias, op, "the bias"), eps, rms)

def layer_norm(input, normalized_shape, weight=None, bias=None, double eps=1e-5):
    """(x - mean) / sqrt(var + eps) · weight + bias over the last dimensions."""
    return wrap(normalized_over("layer_norm", input, normalized_shape, weight, bias, eps, False))

def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean(x²) + eps) · weight over the last dimensions; eps is by default that of the type."""
    if eps is None:
        eps = 2.0 ** -52 if require_tensor(input, "rms_norm", "the input").v.meta.dtype == TG_F64 else 2.0 ** -23
    return wrap(normalized_over("rms_norm", input, normalized_shape, weight, None, eps, True))

def group_norm(input, num_groups, weight=None, bias=None, double eps=1e-5):
    """(x - mean) / sqrt(var + eps) · weight + bias per group of channels of (N, C, …)."""
    return wrap(op_group_norm(require_tensor(input, "group_norm", "the input").v, operator_index(num_groups),
                              maybe(weight, "group_norm", "the weight"), maybe(bias, "group_norm", "the bias"), eps))

cdef tuple picked(Tensor x, Tensor target, object weight, int64_t ignore):
    """(-x at the target classes · their weights, the weights), both zero where the target is ignored."""
    cdef int dim = 1 if x.v.meta.ndim > 1 else 0
    check_targets("nll_loss", x.v, op_raw_contiguous(target.v), ignore)
    classes = x.v.meta.shape[dim]
    if weight is not None and (weight.ndim != 1 or weight.shape[0] != classes or weight.dtype != x.dtype):
        raise RuntimeError(f"nll_loss: the weight should be defined for all {classes} classes, as a {x.dtype} tensor of "
                           f"shape ({classes},), but has shape {tuple(weight.shape)} and type {weight.dtype}")
    keep = target != ignore
    index = where(keep, target, 0)
    share = (keep.to(x.dtype) if weight is None else where(keep, weight[index], 0.0)) if x.v.meta.ndim else None
    return where(keep, -x.gather(dim, index.unsqueeze(dim)).squeeze(dim), 0.0) * share, share

cdef object averaged(object loss, object share, str reduction, str op):
    cdef int how = reduction_code(reduction, op)
    if how == REDUCE_NONE:
        return loss
    return loss.sum() / share.sum() if how == REDUCE_MEAN else loss.sum()

def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-input[target], weighted by class: input (N, C, …), target (N, …) of class indices."""
    loss, share = picked(require_tensor(input, "nll_loss", "the input"), require_tensor(target, "nll_loss", "the target"), weight, ignore_index)
    return averaged(loss, share, reduction, "nll_loss")

def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", double label_smoothing=0.0):
    """-log softmax(input)[target] for scores (N, C, …) and class indices (N, …), or (C,) and ()."""
    cdef Tensor x = require_tensor(input, "cross_entropy", "the input")
    cdef Tensor t = require_tensor(target, "cross_entropy", "the target")
    cdef int dim = 1 if x.v.meta.ndim > 1 else 0
    if weight is None and label_smoothing == 0:
        return wrap(op_cross_entropy(x.v, t.v, ignore_index, reduction))
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0 and 1, but is {label_smoothing}")
    log_p = x.log_softmax(dim)
    loss, share = picked(log_p, t, weight, ignore_index)
    if label_smoothing:
        classes = x.shape[dim]
        if weight is not None:
            log_p = log_p * weight.reshape([-1 if d == dim else 1 for d in range(x.v.meta.ndim)])
        smooth = where(t != ignore_index, -log_p.sum(dim), 0.0)
        loss = (1 - label_smoothing) * loss + label_smoothing / classes * smooth
    return averaged(loss, share, reduction, "cross_entropy")
