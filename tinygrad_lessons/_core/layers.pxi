# Fused ops of nn.functional: cross-entropy and batch norm.

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

# ---- batch norm ----

cdef val channelwise(val v, val x) except NULL:
    """A value per channel as (1, C, 1, …), to broadcast against x."""
    cdef int64_t shape[TG_MAX_DIMS]
    cdef int d
    for d in range(x.meta.ndim):
        shape[d] = 1
    shape[1] = v.meta.numel
    return op_reshape(v, x.meta.ndim, shape)

cdef int batch_norm_backward(tg_node *n, val *g, val *out) except -1:
    """saved: x, mean, rstd and perhaps the weight. With x̂ = (x - mean) rstd:
    gx = weight rstd (g - mean(g) - x̂ mean(g x̂)), gweight = Σ g x̂, gbias = Σ g."""
    cdef val x = saved(n, 0), mean, rstd, weight = saved(n, 3) if n.n_saved == 4 else NULL, g0 = g[0]
    cdef val x_hat, gx, gw, gb
    cdef uint32_t dims = all_dims(x) & ~<uint32_t>2
    cdef tg_call c
    cdef char *sums[2]
    if tg_grad_disabled:
        gx = make_empty(x.meta.dtype, x.meta.ndim, x.meta.shape)
        mean, rstd = saved(n, 1), saved(n, 2)
        gw = make_empty(x.meta.dtype, 1, x.meta.shape + 1)
        gb = make_empty(x.meta.dtype, 1, x.meta.shape + 1)
        sums[0], sums[1] = gw.data, gb.data
        class_axis(x, c.n)
        c.fn = tg_k.batch_norm_backward[x.meta.dtype == TG_F64]
        c.p[0] = gx.data
        c.p[1] = op_raw_contiguous(g0).data
        c.p[2] = op_raw_contiguous(x).data
        c.p[3] = mean.data
        c.p[4] = rstd.data
        c.p[5] = op_raw_contiguous(weight).data if weight is not NULL else NULL
        c.hyper = sums
        launch(&c)
    else:
        mean = op_mean(x, dims, True)
        rstd = op_rsqrt(op_add(op_var(x, dims, True, 0, False), constant(n.s[0], x)))
        x_hat = op_mul(op_sub(x, mean), rstd)
        gw = op_sum(op_mul(g0, x_hat), dims, False)
        gb = op_sum(g0, dims, False)
        gx = op_sub(op_sub(g0, op_mean(g0, dims, True)), op_mul(x_hat, op_mean(op_mul(g0, x_hat), dims, True)))
        gx = op_mul(gx, rstd)
        if weight is not NULL:
            gx = op_mul(gx, channelwise(weight, x))
    out[0] = gx
    if n.n_in > 1:
        out[1] = gw
    if n.n_in > 2:
        out[2] = gb
    return 0

cdef tg_rule BATCH_NORM = tg_rule(b"BatchNorm", batch_norm_backward)

cdef int follow(val running, val fresh, double momentum) except -1:
    """running += momentum (fresh - running), in place."""
    cdef val moved = op_add(op_mul(running, constant(1 - momentum, running)),
                            op_to(op_mul(fresh, constant(momentum, fresh)), running.meta.dtype))
    copy_into(running, moved)
    return bump(running)

cdef val op_batch_norm(val x, val weight, val bias, val running_mean, val running_var, bint training, double momentum,
                       double eps) except NULL:
    """x: (N, C, …); the others (C) or NULL. In training by the batch's statistics, else by the running ones."""
    cdef int t = x.meta.dtype
    cdef int64_t count, channels
    cdef tg_call c
    cdef tg_node *n
    cdef val mean, variance, rstd, out, source, scale
    cdef val operand[3]
    cdef val given[4]
    cdef int mode
    need_float("batch_norm", x)
    if x.meta.ndim < 2:
        raise RuntimeError(f"batch_norm: expected an input of shape (N, C, …), not {shape_of(x)}")
    channels = x.meta.shape[1]
    given[0], given[1], given[2], given[3] = weight, bias, running_mean, running_var
    for k, name in enumerate(("weight", "bias", "running_mean", "running_var")):
        if given[k] is not NULL and (given[k].meta.ndim != 1 or given[k].meta.shape[0] != channels):
            raise RuntimeError(f"batch_norm: {name} of shape {shape_of(given[k])} does not fit the input of shape "
                               f"{shape_of(x)}: expected ({channels},)")
        if given[k] is not NULL and given[k].meta.dtype != t:
            raise RuntimeError(f"batch_norm: {name} is {type_name(given[k].meta.dtype)} but the input is "
                               f"{type_name(t)}; convert one of them")
    if not training:
        if running_mean is NULL or running_var is NULL:
            raise RuntimeError("batch_norm: evaluation needs running_mean and running_var; pass training=True to "
                               "normalise by the batch")
        scale = op_rsqrt(op_add(running_var, constant(eps, running_var)))
        if weight is not NULL:
            scale = op_mul(scale, weight)
        out = op_mul(op_sub(x, channelwise(running_mean, x)), channelwise(scale, x))
        return out if bias is NULL else op_add(out, channelwise(bias, x))
    count = x.meta.numel // channels if channels else 0
    if count <= 1 and x.meta.numel:
        raise ValueError(f"batch_norm: expected more than 1 value per channel when training, got input size "
                         f"{shape_of(x)}")
    source = op_raw_contiguous(x)
    mean = make_empty(t, 1, &channels)
    variance = make_empty(t, 1, &channels)
    out = make_empty(t, x.meta.ndim, x.meta.shape)
    class_axis(x, c.n)
    c.fn = tg_k.batch_norm_stats[t == TG_F64]
    c.p[0] = mean.data
    c.p[1] = variance.data
    c.p[2] = source.data
    if x.meta.numel:
        launch(&c)
    mode = set_grad_disabled(1)
    try:
        rstd = op_rsqrt(op_add(variance, constant(eps, variance)))
        if running_mean is not NULL and x.meta.numel:
            follow(running_mean, mean, momentum)
        if running_var is not NULL and x.meta.numel:
            follow(running_var, op_mul(variance, constant(<double>count / (count - 1), variance)), momentum)
    finally:
        set_grad_disabled(mode)
    c.fn = tg_k.batch_norm_apply[t == TG_F64]
    c.p[0] = out.data
    c.p[1] = source.data
    c.p[2] = mean.data
    c.p[3] = rstd.data
    c.p[4] = op_raw_contiguous(weight).data if weight is not NULL else NULL
    c.p[5] = op_raw_contiguous(bias).data if bias is not NULL else NULL
    if x.meta.numel:
        launch(&c)
    if tracks(x) + (weight is not NULL and tracks(weight)) + (bias is not NULL and tracks(bias)):
        operand[0], operand[1], operand[2] = x, weight, bias
        n = new_node(&BATCH_NORM, 1, 3, operand, 4 if weight is not NULL else 3, 0)
        n.s[0] = eps
        save(n, 0, x, 0)
        save(n, 1, mean, TG_FROM_NOWHERE)
        save(n, 2, rstd, TG_FROM_NOWHERE)
        if weight is not NULL:
            save(n, 3, weight, 1)
        return finish(n, out)
    return out

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
