# Convolution. Output, input gradient and weight gradient are three ops, each linear in both of its operands, so the
# derivative of each is made of the two others.

cdef extern from "conv.h" nogil:
    ctypedef struct tg_conv:
        int64_t N, C, H, W, O, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, groups
    int tg_conv_threads(const tg_conv *)
    int64_t tg_conv_room(const tg_conv *, int, int64_t, int)

cdef enum:
    CONV_ARGS = sizeof(tg_conv) // sizeof(int64_t)

cdef enum:
    CONV_OUTPUT  # of x and weight
    CONV_INPUT   # x's gradient, of g and weight
    CONV_WEIGHT  # weight's gradient, of g and x

cdef int conv_backward(tg_node *n, val *g, val *out) except -1:
    cdef bint wants_bias = n.n_in == 3 and wants(n, 2)
    cdef val bias = NULL
    if wants(n, 0):
        out[0] = convolution(CONV_INPUT, n.args, g[0], saved(n, 1), NULL, NULL)
    if wants(n, 1):
        if wants_bias and tg_grad_disabled:  # the same pass over g sums it
            bias = make_empty(g[0].meta.dtype, 1, &g[0].meta.shape[1])
        out[1] = convolution(CONV_WEIGHT, n.args, g[0], saved(n, 0), bias, NULL)
    if wants_bias:
        out[2] = bias if bias is not NULL else op_sum(g[0], all_dims(g[0]) & ~2, False)
    return 0

cdef int conv_input_backward(tg_node *n, val *g, val *out) except -1:
    if wants(n, 0):
        out[0] = convolution(CONV_OUTPUT, n.args, g[0], saved(n, 1), NULL, NULL)
    if wants(n, 1):
        out[1] = convolution(CONV_WEIGHT, n.args, saved(n, 0), g[0], NULL, NULL)
    return 0

cdef int conv_weight_backward(tg_node *n, val *g, val *out) except -1:
    if wants(n, 0):
        out[0] = convolution(CONV_OUTPUT, n.args, saved(n, 1), g[0], NULL, NULL)
    if wants(n, 1):
        out[1] = convolution(CONV_INPUT, n.args, saved(n, 0), g[0], NULL, NULL)
    return 0

cdef tg_rule CONV_RULE = tg_rule(b"Convolution", conv_backward)
cdef tg_rule CONV_INPUT_RULE = tg_rule(b"ConvolutionInput", conv_input_backward)
cdef tg_rule CONV_WEIGHT_RULE = tg_rule(b"ConvolutionWeight", conv_weight_backward)

cdef val convolution(int kind, const int64_t *args, val a, val b, val bias, const Activation *f) except NULL:
    """One of the three ops; a and b have 3 dimensions (N, C, W) or 4, and the sizes in args fit them.

    bias: of the output; of the weight's gradient, which is not on the tape then, the place for that of the bias.
    f: of the output, or NULL; one launch, but on the tape the two steps that it would be otherwise.
    """
    cdef const tg_conv *s = <const tg_conv *>args
    cdef int t = a.meta.dtype, nd = a.meta.ndim
    cdef int64_t shape[4]
    cdef int64_t room
    cdef tg_call c
    cdef tg_rule *rule
    cdef tg_node *n
    cdef val out, activated
    cdef val operand[3]
    cdef bint on_tape = tracks(a) + tracks(b) + (bias is not NULL and tracks(bias))
    if kind == CONV_OUTPUT:
        shape[0], shape[1], shape[2], shape[nd - 1] = s.N, s.O, s.OH, s.OW
        c.fn, rule = tg_k.conv[t == TG_F64], &CONV_RULE
    elif kind == CONV_INPUT:
        shape[0], shape[1], shape[2], shape[nd - 1] = s.N, s.C, s.H, s.W
        c.fn, rule = tg_k.conv_input[t == TG_F64], &CONV_INPUT_RULE
    else:
        shape[0], shape[1], shape[2], shape[nd - 1] = s.O, s.C // s.groups, s.KH, s.KW
        c.fn, rule = tg_k.conv_weight[t == TG_F64], &CONV_WEIGHT_RULE
    out = activated = make_empty(t, nd, shape)
    if a.meta.numel and b.meta.numel and out.meta.numel:
        c.n[0], c.n[1], c.n[2] = a.meta.numel, shape[1], s.KH * s.KW
        c.p[0] = out.data
        c.p[1] = op_raw_contiguous(a).data
        c.p[2] = op_raw_contiguous(b).data
        c.p[3] = op_raw_contiguous(bias).data if bias is not NULL else NULL
        c.flags = tg_conv_threads(s)
        room = tg_conv_room(s, kind == CONV_WEIGHT, tg_size[t], c.flags)
        c.p[4] = make_empty(TG_U8, 1, &room).data
        c.i[0] = 0
        if f is not NULL:
            activated = place_for(f, out, on_tape)
            c.i[0] = 1 + f.row
            c.p[5] = activated.data
        c.dims = args
        launch(&c)
    else:  # sums over nothing
        memset(out.data, 0, out.meta.numel * tg_size[t])
        if kind == CONV_OUTPUT and bias is not NULL:
            copy_into(out, channelwise(bias, out))
        elif bias is not NULL:
            copy_into(bias, op_sum(a, all_dims(a) & ~2, False))
    if on_tape:
        operand[0], operand[1], operand[2] = a, b, bias
        n = new_node(rule, 1, 2 if bias is NULL else 3, operand, 2, CONV_ARGS)
        memcpy(n.args, args, sizeof(tg_conv))
        save(n, 0, a, 0)
        save(n, 1, b, 1)
        finish(n, out)
    if f is NULL:
        return out
    if not out.meta.numel or not a.meta.numel or not b.meta.numel:
        return unary("conv", f.row, f.rule, f.saves, out, NULL, 0, 0)
    return activation_step(f, out, activated) if on_tape else activated

cdef enum:
    MOST = 0x7fffffff  # the largest stride, padding or dilation
    LONGEST = 0x800000000000  # 2**47, more elements than memory holds: of an input's dimension, of what a kernel spans

cdef int read_sizes(object given, int dims, int64_t *out, int64_t least, str op, str what) except -1:
    """A number for all dimensions, or one for each."""
    cdef int d
    if isinstance(given, (tuple, list)):
        if len(given) != 1 and len(given) != dims:
            raise RuntimeError(f"{op}: expected {what} to be a number or {dims} of them, not {given}")
        for d in range(dims):
            out[d] = operator_index(given[d if len(given) > 1 else 0])
    else:
        if isinstance(given, (float, str)):
            raise TypeError(f"{op}: {what} must be an int or a tuple of ints, not {given!r}")
        out[0] = operator_index(given)
        for d in range(1, dims):
            out[d] = out[0]
    for d in range(dims):
        if out[d] < least or out[d] > MOST:
            raise RuntimeError(f"{op}: {what} must be at least {least} and less than 2**31, not {given}")
    return 0

cdef val op_conv(str op, int dims, val x, val w, val bias, object stride, object padding, object dilation,
                 int64_t groups, const Activation *f) except NULL:
    """x: (N, C, *in) or (C, *in), w: (O, C / groups, *kernel), bias: (O) or NULL -> (N, O, *out), over 1 or 2 dimensions;
    f of that unless f is NULL."""
    cdef tg_conv s
    cdef int nd = x.meta.ndim, d
    cdef int64_t strides[2]
    cdef int64_t before[2]
    cdef int64_t dilations[2]
    cdef int64_t out[2]
    cdef int64_t reach, size, both
    cdef bint same = False
    if nd != dims + 1 and nd != dims + 2:
        raise RuntimeError(f"{op}: expected an input of {dims + 2} dimensions (batch, channels, …), or {dims + 1} without a "
                           f"batch, but got shape {shape_of(x)}")
    if w.meta.ndim != dims + 2:
        raise RuntimeError(f"{op}: expected a weight of {dims + 2} dimensions (out channels, in channels / groups, …), but "
                           f"got shape {shape_of(w)}")
    if x.meta.dtype != w.meta.dtype or (bias is not NULL and bias.meta.dtype != x.meta.dtype) or not is_float(x.meta.dtype):
        raise RuntimeError(
            f"{op}: input ({type_name(x.meta.dtype)}), weight ({type_name(w.meta.dtype)}) and bias must have the same float "
            "dtype; convert the input, as with x.to(weight.dtype)")
    if nd == dims + 1:
        x = op_squeeze(op_conv(op, dims, op_unsqueeze(x, 0), w, bias, stride, padding, dilation, groups, NULL), 1)
        return x if f is NULL else unary(op, f.row, f.rule, f.saves, x, NULL, 0, 0)
    s.O = w.meta.shape[0]
    if groups < 1:
        raise RuntimeError(f"{op}: groups must be at least 1, not {groups}")
    if s.O % groups:
        raise RuntimeError(f"{op}: the weight of shape {shape_of(w)} has {s.O} output channels, which groups={groups} does "
                           "not divide")
    if x.meta.shape[1] != w.meta.shape[1] * groups:
        raise RuntimeError(f"{op}: with groups={groups}, a weight of shape {shape_of(w)} expects input of "
                           f"{w.meta.shape[1] * groups} channels, but got {x.meta.shape[1]} in shape {shape_of(x)}")
    if bias is not NULL and (bias.meta.ndim != 1 or bias.meta.shape[0] != s.O):
        raise RuntimeError(f"{op}: bias of shape {shape_of(bias)} does not fit the weight of shape {shape_of(w)}: expected "
                           f"({s.O},)")
    read_sizes(stride, dims, strides, 1, op, "stride")
    read_sizes(dilation, dims, dilations, 1, op, "dilation")
    if isinstance(padding, str):
        if padding != "same" and padding != "valid":
            raise RuntimeError(f"{op}: padding must be 'same', 'valid' or numbers, not {padding!r}")
        same = padding == "same"
        before[0] = before[1] = 0
    else:
        read_sizes(padding, dims, before, 0, op, "padding")
    for d in range(dims):
        size = x.meta.shape[2 + d]
        if w.meta.shape[2 + d] < 1:
            raise RuntimeError(f"{op}: the kernel of the weight of shape {shape_of(w)} has no elements")
        if multiply_overflows(w.meta.shape[2 + d] - 1, dilations[d], &reach) or reach > LONGEST or size > LONGEST:
            raise RuntimeError(f"{op}: input of shape {shape_of(x)} or weight of shape {shape_of(w)} is too large: the input, "
                               f"and what the kernel spans with dilation {dilation}, may have {LONGEST} elements in a row")
        reach += 1
        both = 2 * before[d]
        if same:  # where the padding is odd, PyTorch has the larger part behind
            if strides[d] != 1:
                raise RuntimeError(f"{op}: padding='same' is not supported for strided convolutions, and stride is {stride}")
            before[d] = (reach - 1) // 2
            both = reach - 1
        if reach > size + both:
            raise RuntimeError(f"{op}: the kernel spans {reach} elements, more than the {size + both} of the padded input; "
                               f"input {shape_of(x)}, weight {shape_of(w)}, padding {padding}, dilation {dilation}")
        out[d] = (size + both - reach) // strides[d] + 1
    s.N, s.C, s.groups = x.meta.shape[0], x.meta.shape[1], groups
    s.H, s.KH, s.OH, s.SH, s.PH, s.DH = 1, 1, 1, 1, 0, 1
    if dims == 2:
        s.H, s.KH, s.OH = x.meta.shape[2], w.meta.shape[2], out[0]
        s.SH, s.PH, s.DH = strides[0], before[0], dilations[0]
    d = dims - 1
    s.W, s.KW, s.OW = x.meta.shape[2 + d], w.meta.shape[2 + d], out[d]
    s.SW, s.PW, s.DW = strides[d], before[d], dilations[d]
    return convolution(CONV_OUTPUT, <const int64_t *>&s, x, w, bias, f)

cdef object convolved(str op, int dims, object input, object weight, object bias, object stride, object padding,
                      object dilation, int64_t groups, object activation):
    cdef const Activation *f
    find_activation(op, activation, &f)
    return wrap(op_conv(op, dims, require_tensor(input, op, "the input").v, require_tensor(weight, op, "the weight").v,
                        maybe(bias, op, "the bias"), stride, padding, dilation, groups, f))

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, int64_t groups=1, activation=None):
    """input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O) -> (N, O, L'); activation as in linear."""
    return convolved("conv1d", 1, input, weight, bias, stride, padding, dilation, groups, activation)

def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, int64_t groups=1, activation=None):
    """input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O) -> (N, O, H', W'); activation as in linear."""
    return convolved("conv2d", 2, input, weight, bias, stride, padding, dilation, groups, activation)
