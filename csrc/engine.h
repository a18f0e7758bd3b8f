/* What a tensor is made of, below Python: storage, meta, value, node.

   storage   the memory, counted, with a version that every write in place moves on
   meta      shape, strides and type, interned: equal layouts are one object, so comparing them is comparing pointers
   value     a storage seen through a meta, with its place on the tape; a Python Tensor wraps one
   node      one step of the tape: a rule, the edges along which gradients go on, and snapshots of what it saved

   All of it is touched by one thread at a time (under Python's GIL); only kernels run beside each other. */
#ifndef TG_ENGINE_H
#define TG_ENGINE_H

#include "kernels.h"

typedef struct tg_storage tg_storage;
typedef struct tg_meta tg_meta;
typedef struct tg_value tg_value;
typedef struct tg_node tg_node;

/* ---- storage ---- */

struct tg_storage {
    int32_t refs;
    uint32_t version;
    char *data;
    int64_t bytes;
    void (*release)(void *owner);  /* memory that somebody else owns is given back through this */
    void *owner;
    int32_t bin;
};

/* The data of a storage that owns its memory follows its header, in lines of 64 bytes; what the last line has to spare
   is zero at first. */
#define TG_HEADER 64

tg_storage *tg_storage_new(int64_t bytes);  /* contents undefined; NULL when memory is short */
tg_storage *tg_storage_borrow(void *data, int64_t bytes, void (*release)(void *), void *owner);
void tg_storage_free(tg_storage *s);

/* ---- meta ---- */

#define TG_CONTIGUOUS 1
#define TG_OVERLAPS 2  /* two indices may reach one element, as after expand */
#define TG_DENSE 4     /* the elements fill one stretch of memory, in whatever order */
#define TG_BLOCKS 8    /* dense, few, and a storage made for them has room for whole blocks: see tg_fills_blocks() */

struct tg_meta {
    int32_t refs;
    uint8_t dtype, ndim, flags;
    int64_t numel;
    int64_t bytes;    /* of a dense layout */
    uint64_t hash;
    tg_meta *next;
    void *py_shape;   /* the shape as Python shows it, made when first asked for; NULL before */
    int64_t *stride;  /* shape + ndim */
    int64_t shape[];
};

tg_meta *tg_meta_get(tg_dtype dtype, int ndim, const int64_t *shape, const int64_t *stride);  /* new reference */
tg_meta *tg_meta_contiguous(tg_dtype dtype, int ndim, const int64_t *shape);                  /* new reference */
extern void (*tg_py_release)(void *object);  /* how the engine lets go of an object of Python's */

extern const int8_t tg_size[TG_DTYPES];
extern const char *const tg_dtype_name[TG_DTYPES];

/* ---- value ---- */

#define TG_WEAK 1            /* made of a Python number: gives way in type promotion */
#define TG_RETAIN_GRAD 4
#define TG_UNVERSIONED 8     /* x.data: writes through it are not noticed */
#define TG_POOLED 16
#define TG_NO_GRAD_VIEW 32   /* a view made under no_grad */
#define TG_ROW_SPARSE 64     /* a gradient of some rows: never a leaf, never on the tape */
#define TG_COALESCED 128     /* and each row is there once, in order */

struct tg_value {
    int32_t refs;
    int32_t flags;
    tg_storage *storage;
    char *data;
    tg_meta *meta;
    tg_node *node;       /* who made it (output `out` of that node), or the leaf's own node; NULL: no gradient */
    int32_t out;
    uint32_t rewrites;   /* of a base: how often its node changed; of a view: the base's count when node was made */
    tg_value *base;      /* of a view: the tensor whose memory it shows, never itself a view */
    union {
        tg_value *grad;  /* of a leaf, or after retain_grad */
        tg_value *rows;  /* with TG_ROW_SPARSE: which rows the memory holds; see _core/sparse.pxi */
    };
    tg_value *next;      /* in the pool */
    void *wrapper;       /* the living Tensor around this value, if any; not counted */
};

/* A new value is owned by the pool of its thread, and dies when that is drained, unless somebody retains it. The new
   value takes over the caller's references to storage and meta, also when it fails and returns NULL. */
tg_value *tg_value_new(tg_storage *storage, char *data, tg_meta *meta);
tg_value *tg_value_alloc(tg_meta *meta);  /* with a storage of its own, contents undefined; meta must be dense */
void tg_value_free(tg_value *v);

#if defined(__ELF__)
#define TG_TLS __thread __attribute__((tls_model("initial-exec")))
#else
#define TG_TLS __thread
#endif
extern TG_TLS tg_value *tg_pool;
extern TG_TLS tg_value *tg_pool_base;  /* what lies below belongs to a caller further out */
extern TG_TLS int tg_grad_disabled;
void tg_pool_drain(tg_value *until);

static inline tg_storage *tg_storage_retain(tg_storage *s) { s->refs++; return s; }
static inline void tg_storage_release(tg_storage *s) { if (s && --s->refs == 0) tg_storage_free(s); }
static inline tg_meta *tg_meta_retain(tg_meta *m) { m->refs++; return m; }
static inline void tg_meta_release(tg_meta *m) { if (m) m->refs--; }
static inline tg_value *tg_retain(tg_value *v) { v->refs++; return v; }
static inline void tg_release(tg_value *v) { if (v && --v->refs == 0) tg_value_free(v); }

/* v lies at the start of memory that its storage owns: there, whole lines of 64 bytes can be read. */
static inline int tg_leads(const tg_value *v) { return v->data == (const char *)v->storage + TG_HEADER; }

/* v is all there is in memory of its storage's own, and not much: element-wise kernels may write whole blocks of
   TG_BLOCK elements, past v's end, and read them from other values of its layout that lead. */
static inline int tg_fills_blocks(const tg_value *v)
{
    return v->meta->flags & TG_BLOCKS && tg_leads(v) && v->storage->bytes == v->meta->bytes;
}

/* ---- node ---- */

typedef struct {
    const char *name;  /* as grad_fn shows it, without "Backward0" */
    int (*backward)(tg_node *node, tg_value **g, tg_value **out);  /* g per output, out per input; -1: Python error */
} tg_rule;

typedef struct { tg_node *node; int32_t out; } tg_edge;

#define TG_FROM_OUTPUT (-1)   /* source of a saved value: this node's output -1 - source */
#define TG_FROM_NOWHERE 255   /* nothing to differentiate by */

typedef struct {
    tg_storage *storage;
    char *data;
    tg_meta *meta;
    uint32_t version;
    int32_t source;   /* the input it came from; < 0: an output of the node; TG_FROM_NOWHERE */
} tg_saved;

typedef struct {
    tg_value *grad;   /* gathered so far in the running backward pass */
    tg_meta *meta;    /* what a gradient of this output looks like */
    tg_value *value;  /* who wants to keep the gradient (a leaf, or after retain_grad); not counted */
} tg_output;

#define TG_FREED 1   /* backward has gone through: what it saved is gone */

struct tg_node {
    int32_t refs;
    int32_t n_out, n_in, n_saved, n_args;
    uint8_t flags, queued, needed;
    int32_t bin;
    uint64_t seq;         /* order of creation: gradients flow from high to low */
    uint64_t mark;        /* the last walk that came by */
    const tg_rule *rule;  /* NULL: a leaf */
    tg_node *next;        /* when waiting to be freed */
    void *py;             /* hooks and contexts: rare */
    double s[2];
    tg_output *output;
    tg_edge *edge;
    tg_saved *saved;
    int64_t *args;
};

tg_node *tg_node_new(const tg_rule *rule, int n_out, int n_in, int n_saved, int n_args);  /* new reference */
void tg_node_free(tg_node *n);
void tg_node_drop_saved(tg_node *n);
static inline tg_node *tg_node_retain(tg_node *n) { n->refs++; return n; }
static inline void tg_node_release(tg_node *n) { if (n && --n->refs == 0) tg_node_free(n); }

/* ---- memory ---- */

void *tg_alloc(int64_t bytes, int32_t *bin);  /* 64-byte aligned; NULL when memory is short */
void tg_free(void *block, int32_t bin);
void tg_trim(void);                           /* gives what is kept for reuse back to the system */
typedef struct {
    int64_t in_use, peak;              /* bytes of blocks handed out, and the most there were at once */
    int64_t reserved, reserved_peak;   /* bytes in use or kept for reuse, and the most there were */
    int64_t served, freed;             /* blocks handed out, and given back */
    int64_t retries, failures;         /* how often the system had no memory: before kept blocks went back, and after */
} tg_memory_t;
extern tg_memory_t tg_memory;

#endif
