# Embeddings: rows of a table, looked up by index.

cdef enum:
    EMBEDDING_PADDING, EMBEDDING_SCALE, EMBEDDING_SPARSE, EMBEDDING_ARGS

cdef val rows_at(val x, val index) except NULL:
    cdef int dim = 0
    return op_index(x, 1, &dim, &index, True, "embedding")

cdef val occurrences(val index, int64_t size, int t) except NULL:
    """For each index, all below `size`, how often it comes: a column of type t."""
    cdef int64_t count = index.meta.numel
    cdef int64_t column[2]
    column[0], column[1] = count, 1
    return op_take(op_put_add(make_ones(t, 1, &count), index, 1, 1, &size), index, 1, 2, column)

cdef int embedding_backward(tg_node *n, val *g, val *out) except -1:
    """The rows of g, added up at where they were taken from, or as they are; the padding's are left out."""
    cdef tg_meta *m = input_meta(n, 0)
    cdef int64_t row = m.shape[1], shape[2]
    cdef int64_t padding = n.args[EMBEDDING_PADDING]
    cdef bint scales = n.args[EMBEDDING_SCALE], sparse = n.args[EMBEDDING_SPARSE]
    cdef val rows = g[0], offsets = saved(n, 0), index, kept
    if padding < 0 and not scales and not sparse:
        out[0] = op_put_add(rows, offsets, row, 2, m.shape)
        return 0
    if sparse and scales:
        raise RuntimeError("embedding: scale_grad_by_freq not supported with sparse gradients; leave one of them out")
    if sparse and tracks(rows):
        raise RuntimeError("embedding: a sparse gradient cannot be differentiated again (create_graph=True); use sparse=False")
    shape[0], shape[1] = offsets.meta.numel, row
    rows = op_reshape(rows, 2, shape)
    index = op_floor_divide(op_reshape(offsets, 1, shape), scalar(TG_I64, 0, max(row, 1)))
    if padding >= 0:
        kept = flat_nonzero(op_ne(index, scalar(TG_I64, 0, padding)))
        if kept.meta.numel < shape[0]:
            rows, index = rows_at(rows, kept), rows_at(index, kept)
    if sparse:
        out[0] = row_sparse(m.shape, index, op_raw_contiguous(rows))
        return 0
    if scales:
        rows = op_div(rows, occurrences(index, m.shape[0], rows.meta.dtype))
    out[0] = op_put_add(rows, op_mul(index, scalar(TG_I64, 0, row)), row, 2, m.shape)
    return 0

cdef tg_rule EMBEDDING = tg_rule(b"Embedding", embedding_backward)

cdef val op_embedding(val weight, val index, int64_t padding, bint scale, bint sparse) except NULL:
    """weight[index]; row `padding` (none if negative) gets no gradient."""
    cdef Places p
    cdef tg_node *n
    cdef int dim = 0
    cdef val out
    cdef bint taped = tracks(weight)
    if taped:
        weight = op_contiguous(weight)
    locate(&p, weight, weight.meta, 1, &dim, &index, True, "embedding")
    out = make_empty(weight.meta.dtype, p.ndim, p.shape)
    move_rows(tg_k.take[weight.meta.dtype], out.data, weight.data, p.offsets, p.row)
    if taped:
        n = new_node(&EMBEDDING, 1, 1, &weight, 1, EMBEDDING_ARGS)
        n.args[EMBEDDING_PADDING] = padding
        n.args[EMBEDDING_SCALE] = scale
        n.args[EMBEDDING_SPARSE] = sparse
        save(n, 0, p.offsets, TG_FROM_NOWHERE)
        return finish(n, out)
    return out

def embedding(input, weight, padding_idx=None, scale_grad_by_freq=False, sparse=False):
    """The rows of weight (V, D) that input names; nn.functional.embedding explains the rest."""
    cdef val index = index_value(input, "embedding"), table = require_tensor(weight, "embedding", "the weight").v
    cdef int64_t padding = -1
    if table.meta.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, (number of embeddings, their size), not {shape_of(table)}")
    if padding_idx is not None:
        padding = operator_index(padding_idx)
        if not -table.meta.shape[0] <= padding < table.meta.shape[0]:
            raise AssertionError(f"embedding: Padding_idx must be within num_embeddings: {padding} is not within "
                                 f"{table.meta.shape[0]}")
        padding += table.meta.shape[0] if padding < 0 else 0
    return wrap(op_embedding(table, index, padding, scale_grad_by_freq, sparse))
