# Fused ops of nn.functional: cross-entropy, activations with a rule of their own, the norms.

cdef int check_targets(str op, val x, val target, int64_t ignore) except -1:
    """Class indices of shape (N, d…) for scores of shape (N, C, d…), or () for (C,)."""
    cdef int nd = x.meta.ndim, d
    cdef int64_t classes, i, t
    if nd > 1 and target.meta.ndim and target.meta.shape[0] != x.meta.shape[0]:
        raise ValueError(f"{op}: expected input batch_size ({x.meta.shape[0]}) to match target batch_size "
                         f"({target.meta.shape[0]})")
    cdef bint fits = nd >= 1 and target.meta.ndim == nd - 1
    classes = x.meta.shape[1 if nd > 1 else 0] if nd else 0
    for d in range(target.meta.ndim if fits else 0):
        fits = fits and target.meta.shape[d] == x.meta.shape[d if d == 0 else d + 1]
    if not fits:
        raise RuntimeError(f"{op}: target of shape {shape_of(target)} does not fit the input of shape {shape_of(x)}: "
                           "expected the input's shape without its class dimension (the second, or the only one)")
    if target.meta.dtype != TG_I64:
        raise RuntimeError(f"{op}: expected class indices of type int64, not {type_name(target.meta.dtype)}; "
                           "convert them with target.long()")
    for i in range(target.meta.numel):
        t = (<int64_t *>target.data)[i]
        if (t < 0 or t >= classes) and t != ignore:
            raise IndexError(f"{op}: target {t} is out of bounds for {classes} classes")
    return 0

cdef int64_t count_targets(val target, int64_t ignore) noexcept:
    cdef int64_t i, count = 0
    for i in range(target.meta.numel):
        count += (<int64_t *>target.data)[i] != ignore
    return count

cdef void class_axis(val x, int64_t *n) noexcept:
    """n = {N, C, d…}"""
    cdef int d
    cdef bint single = x.meta.ndim == 1
    n[0] = 1 if single else x.meta.shape[0]
    n[1] = x.meta.shape[0 if single else 1]
    n[2] = 1
    for d in range(2, x.meta.ndim):
        n[2] *= x.meta.shape[d]

cdef int cross_entropy_backward(tg_node *n, val *g, val *out) except -1:
    """g (softmax(x) - one_hot(target)), where the target is not ignored."""
    cdef val x = saved(n, 0), target = saved(n, 1), lse = saved(n, 2), share = g[0], p, hit, one_hot, result
    cdef tg_call c
    cdef int dim = 1 if x.meta.ndim > 1 else 0
    if n.args[1]:  # mean
        share = op_div(share, constant(<double>n.args[2], share))
    if tg_grad_disabled:
        result = make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape)
        class_axis(x, c.n)
        c.fn = tg_k.cross_entropy_backward[x.meta.dtype == TG_F64]
        share = op_raw_contiguous(share)
        c.p[0] = result.data
        c.p[1] = op_raw_contiguous(x).data
        c.p[2] = target.data
        c.p[3] = lse.data
        c.p[4] = share.data
        c.i[0] = n.args[0]
        c.flags = share.meta.ndim == 0
        if x.meta.numel:
            launch(&c)
        out[0] = result
        return 0
    p = op_softmax(x, dim)
    hit = op_ne(target, scalar(TG_I64, 0, n.args[0]))
    target = op_unsqueeze(op_where(hit, target, scalar(TG_I64, 0, 0)), dim)
    hit = op_unsqueeze(op_to(hit, x.meta.dtype), dim)
    if share.meta.ndim:
        share = op_unsqueeze(share, dim)
    one_hot = op_scatter_add(make_zeros(x.meta.dtype, x.meta.ndim, x.meta.shape), dim, target,
                             make_ones(x.meta.dtype, target.meta.ndim, target.meta.shape))
    out[0] = op_mul(op_mul(op_sub(p, one_hot), hit), share)
    return 0

cdef tg_rule CROSS_ENTROPY = tg_rule(b"CrossEntropy", cross_entropy_backward)

cdef enum:
    REDUCE_NONE, REDUCE_MEAN, REDUCE_SUM

cdef int reduction_code(str reduction, str op) except -1:
    if reduction == "none":
        return REDUCE_NONE
    if reduction == "mean":
        return REDUCE_MEAN
    if reduction == "sum":
        return REDUCE_SUM
    raise ValueError(f"{op}: {reduction!r} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")

cdef val op_cross_entropy(val x, val target, int64_t ignore, str reduction) except NULL:
    """-log softmax(x)[target] in one pass, without class weights and smoothing."""
    cdef int how = reduction_code(reduction, "cross_entropy")
    cdef tg_call c
    cdef tg_node *n
    need_float("cross_entropy", x)
    target = op_raw_contiguous(target)
    check_targets("cross_entropy", x, target, ignore)
    cdef val source = op_raw_contiguous(x), loss, lse
    cdef int t = x.meta.dtype
    cdef int64_t count = 0
    loss = make_empty(t, target.meta.ndim, target.meta.shape)
    lse = make_empty(t, target.meta.ndim, target.meta.shape)
    class_axis(x, c.n)
    c.fn = tg_k.cross_entropy[t == TG_F64]
    c.p[0] = loss.data
    c.p[1] = source.data
    c.p[2] = target.data
    c.p[3] = lse.data
    c.i[0] = ignore
    if target.meta.numel:
        launch(&c)
    if how != REDUCE_NONE:
        loss = reduce_by(tg_k.sum[t], loss, all_dims(loss), False, t, 0)
    if how == REDUCE_MEAN:
        count = count_targets(target, ignore)
        if t == TG_F32:
            (<float *>loss.data)[0] = (<float *>loss.data)[0] / <float>count
        else:
            (<double *>loss.data)[0] = (<double *>loss.data)[0] / <double>count
    if tracks(x):
        n = new_node(&CROSS_ENTROPY, 1, 1, &x, 3, 3)
        n.args[0] = ignore
        n.args[1] = how == REDUCE_MEAN
        n.args[2] = count
        save(n, 0, x, 0)
        save(n, 1, target, TG_FROM_NOWHERE)
        save(n, 2, lse, TG_FROM_NOWHERE)
        return finish(n, loss)
    return loss

# ---- activations ----

cdef val op_gelu_slope(val x) except NULL:
    """Φ(x) + x φ(x) of the normal distribution, which csrc/mathf.inc has in one go."""
    cdef val tail = op_erfc(op_mul(x, constant(-0.7071067811865476, x)))
    cdef val density = op_exp(op_mul(op_mul(x, x), constant(-0.5, x)))
    return op_add(op_mul(tail, constant(0.5, x)), op_mul(op_mul(x, density), constant(0.3989422804014327, x)))

cdef val op_mish_slope(val x) except NULL:
    """t + x (1 - t²) σ(x) with t = tanh(softplus(x)), which csrc/activation.inc has in one go."""
    cdef val t = op_tanh(op_softplus(x, 1, INFINITY))
    return op_add(t, op_mul(op_mul(x, op_sigmoid(x)), op_sub(constant(1, x), op_mul(t, t))))

cdef val op_prelu_channels(val x, val weight) except NULL:
    """A weight of one element, or one for each channel of (N, C, …)."""
    cdef int64_t channels = x.meta.shape[1] if x.meta.ndim > 1 else 1
    need_float("prelu", x)
    if weight.meta.dtype != x.meta.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {type_name(x.meta.dtype)} and "
                           f"{type_name(weight.meta.dtype)}")
    if weight.meta.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.meta.ndim}")
    if weight.meta.numel != 1 and weight.meta.numel != channels:
        raise RuntimeError(f"prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                           f"{weight.meta.numel} and channel size = {channels}.")
    if weight.meta.ndim and x.meta.ndim > 1:
        weight = channelwise(weight, x)
    return op_prelu(x, weight)

# ---- batch, layer, RMS and group norm: csrc/norm.inc has the formulas ----

cdef enum:
    NORM_GIVEN = 1  # batch norm by mean and variance that are given
    NORM_RMS = 1    # layer norm around 0

cdef enum:
    NORM_KIND, NORM_FLAGS, NORM_SIZES, NORM_GROUPS = 5, NORM_ARGS

cdef enum:
    BATCH, LAYER, GROUP

cdef int norm_view(tg_node *n, int64_t *shape, uint32_t *statistics, uint32_t *channels) noexcept:
    """How x is seen: the dimensions' number and sizes, and which belong to a mean and which to a weight."""
    cdef int64_t *size = n.args + NORM_SIZES
    if n.args[NORM_KIND] == GROUP:
        shape[0], shape[1], shape[2], shape[3] = size[0] // n.args[NORM_GROUPS], n.args[NORM_GROUPS], size[1], size[2]
        statistics[0], channels[0] = 0b1100, 0b0110
        return 4
    shape[0], shape[1], shape[2] = size[0], size[1], size[2]
    statistics[0], channels[0] = 0b101 if n.args[NORM_KIND] == BATCH else 0b010, 0b010
    return 3

cdef int normalized_backward_taped(tg_node *n, val g, val *out) except -1:
    """With x̂ = (x - mean) rstd: gx = rstd (g weight - mean(g weight) - x̂ mean(g weight x̂)), gweight = Σ g x̂, gbias = Σ g."""
    cdef val x = saved(n, 0), weight = saved(n, 2) if n.n_saved == 3 else NULL, gx, gw, x_hat, rstd, stats
    cdef int64_t shape[4]
    cdef int64_t narrow[4]
    cdef uint32_t dims, channels
    cdef int nd = norm_view(n, shape, &dims, &channels), d
    cdef tg_meta *m = x.meta
    cdef bint given = n.args[NORM_KIND] == BATCH and n.args[NORM_FLAGS] & NORM_GIVEN
    cdef bint rms = n.args[NORM_KIND] == LAYER and n.args[NORM_FLAGS] & NORM_RMS
    for d in range(nd):
        narrow[d] = shape[d] if channels >> d & 1 else 1
    x, g = op_reshape(x, nd, shape), op_reshape(g, nd, shape)
    if given:
        stats = saved(n, 1)
        x = op_sub(x, op_reshape(op_narrow(stats, 0, 0, 1), nd, narrow))
        rstd = op_reshape(op_narrow(stats, 0, 1, 1), nd, narrow)
    else:
        if not rms:
            x = op_sub(x, op_mean(x, dims, True))
        rstd = op_rsqrt(op_add(op_mean(op_mul(x, x), dims, True), constant(n.s[0], x)))
    x_hat = op_mul(x, rstd)
    if wants(n, 0):
        gw = g if weight is NULL else op_mul(g, op_reshape(weight, nd, narrow))
        gx = gw
        if not given:
            gx = op_sub(gx, op_mul(x_hat, op_mean(op_mul(gw, x_hat), dims, True)))
            if not rms:
                gx = op_sub(gx, op_mean(gw, dims, True))
        out[0] = op_reshape(op_mul(gx, rstd), m.ndim, m.shape)
    if wants(n, 1):
        out[1] = norm_parameter(n, 1, op_sum(op_mul(g, x_hat), ~channels & ((1 << nd) - 1), False))
    if wants(n, 2):
        out[2] = norm_parameter(n, 2, op_sum(g, ~channels & ((1 << nd) - 1), False))
    return 0

cdef val norm_parameter(tg_node *n, int k, val g) except NULL:
    return op_reshape(g, input_meta(n, k).ndim, input_meta(n, k).shape)

cdef int normalized_backward(tg_node *n, val *g, val *out) except -1:
    """saved: x, the statistics and perhaps the weight."""
    if not tg_grad_disabled:
        return normalized_backward_taped(n, g[0], out)
    cdef val x = op_raw_contiguous(saved(n, 0)), weight = op_raw_contiguous(saved(n, 2)) if n.n_saved == 3 else NULL
    cdef int k, kind = <int>n.args[NORM_KIND], f = x.meta.dtype == TG_F64
    cdef int64_t *size = n.args + NORM_SIZES
    cdef int64_t channels = size[1] * n.args[NORM_GROUPS], rows = 1
    cdef bint parameters = wants(n, 1) or wants(n, 2)
    cdef val sums = NULL
    cdef tg_call c
    out[0] = make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape)
    if kind == LAYER:
        rows += (size[0] + tg_norm_rows(size[0], size[1]) - 1) // tg_norm_rows(size[0], size[1])
    elif kind == GROUP:
        rows += size[0] // n.args[NORM_GROUPS]
    rows *= 2 * channels
    if kind != LAYER or parameters:
        sums = make_empty(x.meta.dtype, 1, &rows) if x.meta.numel else make_zeros(x.meta.dtype, 1, &rows)
    c.fn = tg_k.batch_norm_backward[f] if kind == BATCH else tg_k.layer_norm_backward[f] if kind == LAYER else \
        tg_k.group_norm_backward[f]
    c.n[0], c.n[1], c.n[2] = size[0], size[1], size[2]
    c.p[0] = out[0].data
    c.p[1] = op_raw_contiguous(g[0]).data
    c.p[2] = x.data
    c.p[3] = weight.data if weight is not NULL else NULL
    c.p[4] = saved(n, 1).data
    c.p[5] = sums.data if sums is not NULL else NULL
    c.s[1] = n.args[NORM_GROUPS]
    c.flags = <int32_t>n.args[NORM_FLAGS]
    if x.meta.numel:
        launch(&c)
    for k in range(1, 3):
        if wants(n, k):
            out[k] = make_empty(x.meta.dtype, input_meta(n, k).ndim, input_meta(n, k).shape)
            memcpy(out[k].data, sums.data + (k - 1) * channels * tg_size[x.meta.dtype],
                   channels * tg_size[x.meta.dtype])
    return 0

cdef tg_rule BATCH_NORM = tg_rule(b"NativeBatchNorm", normalized_backward)
cdef tg_rule LAYER_NORM = tg_rule(b"NativeLayerNorm", normalized_backward)
cdef tg_rule RMS_NORM = tg_rule(b"FusedRmsNorm", normalized_backward)
cdef tg_rule GROUP_NORM = tg_rule(b"NativeGroupNorm", normalized_backward)

cdef val normalized(const tg_rule *rule, int kind, int flags, val x, val weight, val bias, int64_t *size, int64_t groups,
                    double eps, val stats) except NULL:
    """x seen with these sizes, as csrc/norm.inc describes them; its statistics go to stats."""
    cdef tg_call c
    cdef tg_node *n
    cdef val operand[3]
    cdef int f = x.meta.dtype == TG_F64
    cdef val out = make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape)
    c.fn = tg_k.batch_norm[f] if kind == BATCH else tg_k.layer_norm[f] if kind == LAYER else tg_k.group_norm[f]
    c.n[0], c.n[1], c.n[2] = size[0], size[1], size[2]
    c.p[0] = out.data
    c.p[1] = op_raw_contiguous(x).data
    c.p[2] = op_raw_contiguous(weight).data if weight is not NULL else NULL
    c.p[3] = op_raw_contiguous(bias).data if bias is not NULL else NULL
    c.p[4] = stats.data
    c.s[0], c.s[1] = eps, groups
    c.flags = flags
    if x.meta.numel:
        launch(&c)
    if tracks(x) + (weight is not NULL and tracks(weight)) + (bias is not NULL and tracks(bias)):
        operand[0], operand[1], operand[2] = x, weight, bias
        n = new_node(rule, 1, 3, operand, 3 if weight is not NULL else 2, NORM_ARGS)
        n.s[0] = eps
        n.args[NORM_KIND], n.args[NORM_FLAGS], n.args[NORM_GROUPS] = kind, flags, groups
        memcpy(n.args + NORM_SIZES, size, 3 * sizeof(int64_t))
        save(n, 0, x, 0)
        save(n, 1, stats, TG_FROM_NOWHERE)
        if weight is not NULL:
            save(n, 2, weight, 1)
        return finish(n, out)
    return out

cdef val statistics(val x, int64_t rows, int64_t sets) except NULL:
    cdef int64_t shape[2]
    shape[0], shape[1] = rows, sets
    return make_empty(x.meta.dtype, 2, shape)

cdef int check_parameter(str op, str name, val p, val x, int ndim, const int64_t *shape) except -1:
    """A weight, bias or running statistic, or NULL."""
    if p is NULL:
        return 0
    if p.meta.ndim != ndim or memcmp(p.meta.shape, shape, ndim * sizeof(int64_t)) != 0:
        raise RuntimeError(f"{op}: {name} of shape {shape_of(p)} does not fit the input of shape {shape_of(x)}: "
                           f"expected {as_tuple(ndim, shape)}")
    if p.meta.dtype != x.meta.dtype:
        raise RuntimeError(f"{op}: {name} is {type_name(p.meta.dtype)} but the input is {type_name(x.meta.dtype)}; "
                           "convert one of them")
    return 0

cdef int follow(val running_mean, val running_var, val stats, int64_t count, double momentum) except -1:
    """running += momentum (fresh - running), in place; either may be NULL."""
    cdef tg_call c
    cdef val running[2]
    cdef val dense[2]
    cdef int k
    running[0], running[1] = running_mean, running_var
    for k in range(2):
        dense[k] = op_raw_contiguous(running[k]) if running[k] is not NULL else NULL
        c.p[k] = dense[k].data if running[k] is not NULL else NULL
    c.fn = tg_k.batch_norm_follow[stats.meta.dtype == TG_F64]
    c.n[0] = stats.meta.shape[1]
    c.n[1] = c.n[2] = 0
    c.p[2] = stats.data
    c.s[0], c.s[1] = momentum, count
    launch(&c)
    for k in range(2):
        if running[k] is not NULL:
            if dense[k] is not running[k]:
                copy_into(running[k], dense[k])
            bump(running[k])
    return 0

cdef val op_batch_norm(val x, val weight, val bias, val running_mean, val running_var, bint training, double momentum,
                       double eps) except NULL:
    """x: (N, C, …); the others (C) or NULL. In training by the batch's statistics, else by the running ones."""
    cdef int64_t count, channels, bytes_
    cdef int64_t size[3]
    cdef val out, stats
    need_float("batch_norm", x)
    if x.meta.ndim < 2:
        raise RuntimeError(f"batch_norm: expected an input of shape (N, C, …), not {shape_of(x)}")
    channels = x.meta.shape[1]
    check_parameter("batch_norm", "weight", weight, x, 1, &channels)
    check_parameter("batch_norm", "bias", bias, x, 1, &channels)
    check_parameter("batch_norm", "running_mean", running_mean, x, 1, &channels)
    check_parameter("batch_norm", "running_var", running_var, x, 1, &channels)
    class_axis(x, size)
    stats = statistics(x, 3, channels)
    if not training:
        if running_mean is NULL or running_var is NULL:
            raise RuntimeError("batch_norm: evaluation needs running_mean and running_var; pass training=True to "
                               "normalise by the batch")
        bytes_ = channels * tg_size[x.meta.dtype]
        memcpy(stats.data, op_raw_contiguous(running_mean).data, bytes_)
        memcpy(stats.data + 2 * bytes_, op_raw_contiguous(running_var).data, bytes_)
        return normalized(&BATCH_NORM, BATCH, NORM_GIVEN, x, weight, bias, size, 1, eps, stats)
    count = size[0] * size[2]
    if count <= 1 and x.meta.numel:
        raise ValueError(f"batch_norm: expected more than 1 value per channel when training, got input size "
                         f"{shape_of(x)}")
    out = normalized(&BATCH_NORM, BATCH, 0, x, weight, bias, size, 1, eps, stats)
    if x.meta.numel and (running_mean is not NULL or running_var is not NULL):
        follow(running_mean, running_var, stats, count, momentum)
    return out

cdef val op_layer_norm(str op, val x, int ndim, const int64_t *shape, val weight, val bias, double eps, bint rms) except NULL:
    """Over the last ndim dimensions, whose sizes are `shape`; weight and bias have that shape or are NULL."""
    cdef int d, lead = x.meta.ndim - ndim
    cdef int64_t size[3]
    need_float(op, x)
    if ndim < 1:
        raise RuntimeError(f"{op}: expected normalized_shape to have at least one dimension")
    if lead < 0 or memcmp(x.meta.shape + lead, shape, ndim * sizeof(int64_t)) != 0:
        sizes = ", ".join(map(str, as_tuple(ndim, shape)))
        raise RuntimeError(f"{op}: Given normalized_shape=[{sizes}], expected input with shape [*, {sizes}], but got "
                           f"input of size{list(shape_of(x))}")
    check_parameter(op, "weight", weight, x, ndim, shape)
    check_parameter(op, "bias", bias, x, ndim, shape)
    size[0] = size[1] = size[2] = 1
    for d in range(x.meta.ndim):
        size[0 if d < lead else 1] *= x.meta.shape[d]
    return normalized(&RMS_NORM if rms else &LAYER_NORM, LAYER, NORM_RMS if rms else 0, x, weight, bias, size, 1, eps,
                      statistics(x, 2, size[0]))

cdef val op_group_norm(val x, int64_t groups, val weight, val bias, double eps) except NULL:
    """x: (N, C, …) in groups of C / groups channels; weight and bias (C) or NULL."""
    cdef int64_t size[3]
    cdef int64_t channels
    need_float("group_norm", x)
    if x.meta.ndim < 2:
        raise RuntimeError(f"group_norm: Expected at least 2 dimensions for input tensor but received {x.meta.ndim}")
    channels = x.meta.shape[1]
    if groups < 1 or channels % groups:
        raise RuntimeError(f"group_norm: Expected number of channels in input to be divisible by num_groups, but got "
                           f"input of shape {list(shape_of(x))} and num_groups={groups}")
    check_parameter("group_norm", "weight", weight, x, 1, &channels)
    check_parameter("group_norm", "bias", bias, x, 1, &channels)
    class_axis(x, size)
    size[0] *= groups
    size[1] //= groups
    return normalized(&GROUP_NORM, GROUP, 0, x, weight, bias, size, groups, eps, statistics(x, 2, size[0]))

cdef inline int set_grad_disabled(int mode) noexcept:
    """Switches recording; returns what it was."""
    global tg_grad_disabled
    cdef int before = tg_grad_disabled
    tg_grad_disabled = mode
    return before

cdef val make_ones(int t, int ndim, const int64_t *shape) except NULL:
    cdef val v = make_empty(t, ndim, shape)
    fill(v, 1, 1)
    return v
