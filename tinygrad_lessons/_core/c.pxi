# What csrc/ offers: see csrc/engine.h, kernels.h and table.h, where each thing is explained.
from libc.stdint cimport int8_t, uint8_t, int32_t, uint32_t, int64_t, uint64_t, INT32_MIN, INT32_MAX

cdef extern from * nogil:
    bint multiply_overflows "__builtin_mul_overflow"(int64_t, int64_t, int64_t *)

cdef extern from "engine.h" nogil:
    enum: TG_MAX_DIMS, TG_MAX_OPERANDS, TG_SORT_PIECES
    ctypedef int tg_dtype
    enum: TG_BOOL, TG_U8, TG_I32, TG_I64, TG_F32, TG_F64, TG_DTYPES
    enum: TG_CONTIGUOUS, TG_OVERLAPS, TG_DENSE, TG_BLOCKS
    enum: TG_WEAK, TG_RETAIN_GRAD, TG_UNVERSIONED, TG_POOLED, TG_NO_GRAD_VIEW, TG_ROW_SPARSE, TG_COALESCED
    enum: TG_FROM_OUTPUT, TG_FROM_NOWHERE, TG_FREED

    ctypedef struct tg_storage:
        int32_t refs
        uint32_t version
        char *data
        int64_t bytes
        void *owner

    ctypedef struct tg_meta:
        uint8_t dtype, ndim, flags
        int64_t numel, bytes
        void *py_shape
        int64_t *stride
        int64_t *shape

    ctypedef struct tg_value:
        int32_t refs, flags
        tg_storage *storage
        char *data
        tg_meta *meta
        tg_node *node
        int32_t out
        uint32_t rewrites
        tg_value *base
        tg_value *grad
        tg_value *rows
        tg_value *next
        void *wrapper

    ctypedef struct tg_rule:
        const char *name
        int (*backward)(tg_node *, tg_value **, tg_value **) except -1

    ctypedef struct tg_edge:
        tg_node *node
        int32_t out

    ctypedef struct tg_saved:
        tg_storage *storage
        char *data
        tg_meta *meta
        uint32_t version
        int32_t source

    ctypedef struct tg_output:
        tg_value *grad
        tg_meta *meta
        tg_value *value

    ctypedef struct tg_node:
        int32_t refs, n_out, n_in, n_saved, n_args
        uint8_t flags, queued, needed
        uint64_t seq, mark
        const tg_rule *rule
        void *py
        double s[2]
        tg_output *output
        tg_edge *edge
        tg_saved *saved
        int64_t *args

    ctypedef struct tg_memory_t:
        int64_t in_use, peak, reserved, reserved_peak, served, freed, retries, failures

    const int8_t tg_size[]
    const char *tg_dtype_name[]
    tg_memory_t tg_memory
    tg_value *tg_pool
    tg_value *tg_pool_base
    int tg_grad_disabled
    void (*tg_py_release)(void *) noexcept

    tg_storage *tg_storage_new(int64_t)
    tg_storage *tg_storage_borrow(void *, int64_t, void (*)(void *) noexcept, void *)
    tg_meta *tg_meta_get(tg_dtype, int, const int64_t *, const int64_t *)
    tg_meta *tg_meta_contiguous(tg_dtype, int, const int64_t *)
    tg_value *tg_value_alloc(tg_meta *)
    tg_value *tg_value_new(tg_storage *, char *, tg_meta *)
    tg_node *tg_node_new(const tg_rule *, int, int, int, int)
    void tg_node_drop_saved(tg_node *)
    void tg_pool_drain(tg_value *)
    tg_storage *tg_storage_retain(tg_storage *)
    void tg_storage_release(tg_storage *)
    tg_meta *tg_meta_retain(tg_meta *)
    void tg_meta_release(tg_meta *)
    tg_value *tg_retain(tg_value *)
    void tg_release(tg_value *)
    bint tg_leads(const tg_value *)
    bint tg_fills_blocks(const tg_value *)
    tg_node *tg_node_retain(tg_node *)
    void tg_node_release(tg_node *)
    void *tg_alloc(int64_t bytes, int32_t *bin)
    void tg_free(void *block, int32_t bin)
    void tg_trim()

cdef extern from "table.h" nogil:
    ctypedef struct tg_call:
        void (*fn)(const tg_call *) noexcept nogil
        int64_t n[3]
        void *p[6]
        const int64_t *dims
        int32_t ndim, flags
        double s[2]
        int64_t i[2]
        uint64_t u[2]
        const void *hyper

    ctypedef void (*tg_kernel)(const tg_call *) noexcept nogil
    ctypedef int tg_unary
    ctypedef int tg_binary

    ctypedef struct tg_kernels:
        const char *isa
        tg_kernel unary[1][6]
        tg_kernel unary_backward[1][2]
        tg_kernel binary[1][6]
        tg_kernel binary_backward[1][2][2]
        tg_kernel where[6]
        tg_kernel copy[6][6]
        tg_kernel sum[6]
        tg_kernel prod[6]
        tg_kernel cumsum[6]
        tg_kernel cumprod[6]
        tg_kernel amax[6]
        tg_kernel amin[6]
        tg_kernel argmax[6]
        tg_kernel argmin[6]
        tg_kernel sort[6]
        tg_kernel any
        tg_kernel all
        tg_kernel var[2]
        tg_kernel softmax[2]
        tg_kernel log_softmax[2]
        tg_kernel logsumexp[2]
        tg_kernel softmax_backward[2]
        tg_kernel log_softmax_backward[2]
        tg_kernel cross_entropy[2]
        tg_kernel cross_entropy_backward[2]
        tg_kernel conv[2]
        tg_kernel conv_input[2]
        tg_kernel conv_weight[2]
        tg_kernel max_pool[2]
        tg_kernel max_pool_put[2]
        tg_kernel max_pool_take[2]
        tg_kernel avg_pool[2]
        tg_kernel avg_pool_backward[2]
        tg_kernel batch_norm[2]
        tg_kernel batch_norm_follow[2]
        tg_kernel batch_norm_backward[2]
        tg_kernel layer_norm[2]
        tg_kernel layer_norm_backward[2]
        tg_kernel group_norm[2]
        tg_kernel group_norm_backward[2]
        tg_kernel take[6]
        tg_kernel put[6]
        tg_kernel put_add[6]
        tg_kernel offsets
        tg_kernel nonzero_count
        tg_kernel nonzero
        tg_kernel batch
        tg_kernel warp_affine[6]
        tg_kernel crop[6]
        tg_kernel resize[6]
        tg_kernel blur[6]
        tg_kernel jitter[6]
        tg_kernel uniform[2]
        tg_kernel normal[2]
        tg_kernel exponential[2]
        tg_kernel dropout[2]
        tg_kernel dropped[2]
        tg_kernel bernoulli
        tg_kernel randint
        tg_kernel randperm
        tg_kernel optim[1][2], optim_squares[2]
        const void *gemm[2]
        tg_kernel limit_fma
        tg_kernel limit_read
        tg_kernel limit_update

    const tg_kernels *tg_k
    int tg_dispatch_init(const char *)
    int tg_isa_available(const char *)

cdef extern from "threads.h" nogil:
    enum: TG_MAX_THREADS
    int tg_num_threads()
    void tg_set_num_threads(int)

cdef extern from "norm.h" nogil:
    int64_t tg_norm_rows(int64_t, int64_t)

cdef extern from "gemm.h" nogil:
    enum: TG_GEMM_ROOM
    int tg_gemm_threads(int64_t batch, int64_t M, int64_t N, int64_t K)
    void tg_gemm_f32(const tg_call *) noexcept
    void tg_gemm_f64(const tg_call *) noexcept

ctypedef tg_value *val
