#include "engine.h"

#include <stdlib.h>
#include <string.h>

const int8_t tg_size[TG_DTYPES] = {1, 1, 4, 8, 4, 8};
const char *const tg_dtype_name[TG_DTYPES] = {"bool", "uint8", "int32", "int64", "float32", "float64"};

TG_TLS tg_value *tg_pool, *tg_pool_base;
TG_TLS int tg_grad_disabled;
void (*tg_py_release)(void *object);

/* ---- storage: header and data lie in one block ---- */

_Static_assert(sizeof(tg_storage) <= TG_HEADER, "the data behind a storage's header must stay aligned");

tg_storage *tg_storage_new(int64_t bytes)
{
    int32_t bin;
    if (bytes < 0 || bytes > INT64_MAX - TG_HEADER)
        return NULL;
    tg_storage *s = tg_alloc(TG_HEADER + bytes, &bin);
    if (!s)
        return NULL;
    /* what was there might be denormal, and slow kernels down */
    memset((char *)s + ((TG_HEADER + bytes - 1) & -64), 0, 64);
    *s = (tg_storage){.refs = 1, .data = (char *)s + TG_HEADER, .bytes = bytes, .bin = bin};
    return s;
}

tg_storage *tg_storage_borrow(void *data, int64_t bytes, void (*release)(void *), void *owner)
{
    tg_storage *s = tg_storage_new(1); /* so that nobody's data lies where that of its own would: see tg_leads() */
    if (s) {
        s->data = data;
        s->bytes = bytes;
        s->release = release;
        s->owner = owner;
    }
    return s;
}

void tg_storage_free(tg_storage *s)
{
    if (s->release)
        s->release(s->owner);
    tg_free(s, s->bin);
}

/* ---- meta: one table of all layouts; those nobody holds stay until the table has grown ---- */

static tg_meta **table;
static size_t table_size, table_used;

static uint64_t hash_layout(tg_dtype dtype, int ndim, const int64_t *shape, const int64_t *stride)
{
    uint64_t h = (uint64_t)dtype * 31 + (uint64_t)ndim;
    for (int d = 0; d < ndim; d++) {
        h = (h ^ (uint64_t)shape[d]) * 0x9E3779B97F4A7C15u;
        h = (h ^ (uint64_t)stride[d] ^ h >> 29) * 0xBF58476D1CE4E5B9u;
    }
    return h ^ h >> 32;
}

static void meta_free(tg_meta *m)
{
    if (m->py_shape)
        tg_py_release(m->py_shape);
    free(m);
}

/* Drops the layouts nobody holds, and makes room for as many again as are left. */
static int table_rebuild(void)
{
    size_t live = 0;
    for (size_t i = 0; i < table_size; i++)
        for (tg_meta *m = table[i]; m; m = m->next)
            live += m->refs > 0;
    size_t size = 1024;
    while (size < 4 * live)
        size *= 2;
    tg_meta **fresh = calloc(size, sizeof *fresh);
    if (!fresh)
        return -1;
    for (size_t i = 0; i < table_size; i++)
        for (tg_meta *m = table[i], *next; m; m = next) {
            next = m->next;
            if (m->refs > 0) {
                m->next = fresh[m->hash & (size - 1)];
                fresh[m->hash & (size - 1)] = m;
            } else {
                meta_free(m);
            }
        }
    free(table);
    table = fresh;
    table_size = size;
    table_used = live;
    return 0;
}

static int layout_flags(int ndim, const int64_t *shape, const int64_t *stride, int64_t numel)
{
    int64_t expected = 1;
    int contiguous = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        if (shape[d] != 1 && stride[d] != expected)
            contiguous = 0;
        expected *= shape[d];
    }
    if (contiguous || numel == 0)
        return TG_CONTIGUOUS | TG_DENSE;
    /* By increasing stride, each dimension must step over all that the smaller ones span. */
    int order[TG_MAX_DIMS], n = 0;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] == 1)
            continue;
        int k = n++;
        for (; k > 0 && stride[order[k - 1]] > stride[d]; k--)
            order[k] = order[k - 1];
        order[k] = d;
    }
    int64_t span = 0;
    for (int k = 0; k < n; k++) {
        if (stride[order[k]] <= span)
            return TG_OVERLAPS;
        span += (shape[order[k]] - 1) * stride[order[k]];
    }
    return span + 1 == numel ? TG_DENSE : 0;
}

/* A loop, as layouts are too short for memcmp to be worth its call. */
static int has_layout(const tg_meta *m, tg_dtype dtype, int ndim, const int64_t *shape, const int64_t *stride)
{
    if (m->dtype != dtype || m->ndim != ndim)
        return 0;
    for (int d = 0; d < ndim; d++)
        if (m->shape[d] != shape[d] || m->stride[d] != stride[d])
            return 0;
    return 1;
}

tg_meta *tg_meta_get(tg_dtype dtype, int ndim, const int64_t *shape, const int64_t *stride)
{
    const uint64_t h = hash_layout(dtype, ndim, shape, stride);
    if (table_size)
        for (tg_meta *m = table[h & (table_size - 1)]; m; m = m->next)
            if (m->hash == h && has_layout(m, dtype, ndim, shape, stride))
                return tg_meta_retain(m);
    if (table_used >= table_size && table_rebuild() < 0)
        return NULL;
    const size_t bytes = (size_t)ndim * sizeof(int64_t);
    tg_meta *m = malloc(sizeof *m + 2 * bytes);
    if (!m)
        return NULL;
    int64_t numel = 1;
    for (int d = 0; d < ndim; d++)
        numel *= shape[d];
    const int flags = layout_flags(ndim, shape, stride, numel), size = tg_size[dtype];
    const int64_t blocks = (numel + TG_BLOCK - 1) / TG_BLOCK * TG_BLOCK;
    *m = (tg_meta){.refs = 1, .dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim, .numel = numel, .hash = h,
                   .flags = (uint8_t)flags, .stride = m->shape + ndim};
    if (flags & TG_DENSE) {
        m->bytes = numel * size;
        if (numel && numel <= TG_MOST_IN_BLOCKS && blocks * size <= (m->bytes + 63) / 64 * 64)
            m->flags |= TG_BLOCKS;
    }
    memcpy(m->shape, shape, bytes);
    memcpy(m->stride, stride, bytes);
    m->next = table[h & (table_size - 1)];
    table[h & (table_size - 1)] = m;
    table_used++;
    return m;
}

tg_meta *tg_meta_contiguous(tg_dtype dtype, int ndim, const int64_t *shape)
{
    int64_t stride[TG_MAX_DIMS], step = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= shape[d] > 1 ? shape[d] : 1;
    }
    return tg_meta_get(dtype, ndim, shape, stride);
}

/* ---- value ---- */

static tg_value *spare_values;  /* linked by next */

tg_value *tg_value_new(tg_storage *storage, char *data, tg_meta *meta)
{
    tg_value *v = spare_values;
    if (v) {
        spare_values = v->next;
    } else {
        int32_t bin;
        v = storage && meta ? tg_alloc(sizeof *v, &bin) : NULL;
    }
    if (!v || !storage || !meta) {
        if (v) {
            v->next = spare_values;
            spare_values = v;
        }
        tg_storage_release(storage);
        tg_meta_release(meta);
        return NULL;
    }
    *v = (tg_value){.refs = 1, .flags = TG_POOLED, .storage = storage, .data = data, .meta = meta, .next = tg_pool};
    tg_pool = v;
    return v;
}

tg_value *tg_value_alloc(tg_meta *meta)
{
    tg_storage *s = meta ? tg_storage_new(meta->bytes) : NULL;
    return tg_value_new(s, s ? s->data : NULL, meta);
}

void tg_value_free(tg_value *v)
{
    if (v->node) {
        tg_output *o = &v->node->output[v->out];
        if (o->value == v)
            o->value = NULL;
        tg_node_release(v->node);
    }
    tg_storage_release(v->storage);
    tg_meta_release(v->meta);
    tg_release(v->base);
    tg_release(v->grad);
    v->next = spare_values;
    spare_values = v;
}

void tg_pool_drain(tg_value *until)
{
    while (tg_pool && tg_pool != until) {
        tg_value *v = tg_pool;
        tg_pool = v->next;
        v->flags &= ~TG_POOLED;
        tg_release(v);
    }
}

/* ---- node: one block, sized by what it holds ---- */

static uint64_t created;

tg_node *tg_node_new(const tg_rule *rule, int n_out, int n_in, int n_saved, int n_args)
{
    const size_t outputs = (size_t)n_out * sizeof(tg_output), edges = (size_t)n_in * sizeof(tg_edge);
    const size_t saved = (size_t)n_saved * sizeof(tg_saved), args = (size_t)n_args * sizeof(int64_t);
    const size_t bytes = sizeof(tg_node) + outputs + edges + saved + args;
    int32_t bin;
    tg_node *n = tg_alloc((int64_t)bytes, &bin);
    if (!n)
        return NULL;
    for (size_t line = 0; line < bytes; line += 64) /* blocks are whole lines, and a call of memset costs more */
        memset((char *)n + line, 0, 64);
    n->refs = 1;
    n->n_out = n_out;
    n->n_in = n_in;
    n->n_saved = n_saved;
    n->n_args = n_args;
    n->bin = bin;
    n->seq = ++created;
    n->rule = rule;
    n->output = (tg_output *)(n + 1);
    n->edge = (tg_edge *)((char *)n->output + outputs);
    n->saved = (tg_saved *)((char *)n->edge + edges);
    n->args = (int64_t *)((char *)n->saved + saved);
    return n;
}

void tg_node_drop_saved(tg_node *n)
{
    n->flags |= TG_FREED;
    for (int k = 0; k < n->n_saved; k++) {
        tg_saved *s = &n->saved[k];
        tg_storage_release(s->storage);
        tg_meta_release(s->meta);
        s->storage = NULL;
        s->meta = NULL;
    }
}

/* Nodes wait in a list instead of freeing each other in turn: chains are as long as the user makes them. */
void tg_node_free(tg_node *n)
{
    static tg_node *waiting;
    static int at_work;
    n->next = waiting;
    waiting = n;
    if (at_work)
        return;
    at_work = 1;
    while ((n = waiting)) {
        waiting = n->next;
        tg_node_drop_saved(n);
        for (int k = 0; k < n->n_out; k++) {
            tg_release(n->output[k].grad);
            tg_meta_release(n->output[k].meta);
        }
        for (int k = 0; k < n->n_in; k++)
            tg_node_release(n->edge[k].node);
        if (n->py)
            tg_py_release(n->py);
        tg_free(n, n->bin);
    }
    at_work = 0;
}
