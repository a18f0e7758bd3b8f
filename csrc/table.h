/* Every kernel of one instruction set, by op and type; NULL where an op does not exist for a type. */
#ifndef TG_TABLE_H
#define TG_TABLE_H

#include "conv.h"
#include "gemm.h"
#include "kernels.h"

#define UNARY(name, ...) TG_UNARY_##name,
#define UNARY_NUM UNARY
#define UNARY_PAR UNARY
#define UNARY_FLOAT_PAR UNARY
#define UNARY_HARD UNARY
#define PREDICATE UNARY
typedef enum {
#include "unary.def"
    TG_UNARY_COUNT
} tg_unary;

#define BINARY(name, ...) TG_BINARY_##name,
#define BINARY_NUM BINARY
#define BINARY_ANY BINARY
#define BINARY_HARD BINARY
#define BITWISE BINARY
#define COMPARE BINARY
typedef enum {
#include "binary.def"
    TG_BINARY_COUNT
} tg_binary;
#include "rows_end.inc"

#define OPTIM(name, ...) TG_OPTIM_##name,
#define OPTIM_MEASURED OPTIM
#define OPTIM_JOINT OPTIM
typedef enum {
#include "optim.def"
    TG_OPTIM_COUNT
} tg_optim;
#undef OPTIM
#undef OPTIM_MEASURED
#undef OPTIM_JOINT

/* Tables of float kernels have two places: [dtype == TG_F64]. */
typedef struct {
    const char *isa;

    tg_kernel unary[TG_UNARY_COUNT][TG_DTYPES], unary_backward[TG_UNARY_COUNT][2];
    tg_kernel binary[TG_BINARY_COUNT][TG_DTYPES], binary_backward[TG_BINARY_COUNT][2][2];  /* [op][operand] */
    tg_kernel where[TG_DTYPES], copy[TG_DTYPES][TG_DTYPES];                                 /* [to][from] */

    tg_kernel sum[TG_DTYPES], prod[TG_DTYPES], cumsum[TG_DTYPES], cumprod[TG_DTYPES];
    tg_kernel amax[TG_DTYPES], amin[TG_DTYPES], argmax[TG_DTYPES], argmin[TG_DTYPES], sort[TG_DTYPES];
    tg_kernel any, all, var[2];

    tg_kernel softmax[2], log_softmax[2], logsumexp[2], softmax_backward[2], log_softmax_backward[2];
    tg_kernel cross_entropy[2], cross_entropy_backward[2];
    tg_kernel conv[2], conv_input[2], conv_weight[2];
    tg_kernel max_pool[2], max_pool_put[2], max_pool_take[2], avg_pool[2], avg_pool_backward[2];
    tg_kernel batch_norm[2], batch_norm_follow[2], batch_norm_backward[2];
    tg_kernel layer_norm[2], layer_norm_backward[2], group_norm[2], group_norm_backward[2];

    tg_kernel take[TG_DTYPES], put[TG_DTYPES], put_add[TG_DTYPES];
    tg_kernel offsets, nonzero_count, nonzero, batch;

    tg_kernel warp_affine[TG_DTYPES], crop[TG_DTYPES], resize[TG_DTYPES], blur[TG_DTYPES], jitter[TG_DTYPES];

    tg_kernel uniform[2], normal[2], exponential[2], dropout[2], dropped[2];
    tg_kernel bernoulli, randint, randperm;

    tg_kernel optim[TG_OPTIM_COUNT][2], optim_squares[2];
    tg_kernel limit_fma, limit_read, limit_update;
    const tg_gemm_tiles *gemm[2];
} tg_kernels;

extern const tg_kernels tg_kernels_baseline;
#if defined(__x86_64__)
extern const tg_kernels tg_kernels_avx2, tg_kernels_avx512;
#endif

extern const tg_kernels *tg_k; /* the table in use */

/* Chooses the best table this machine can run, or the named one. 0, or -1: no such instruction set, or not here. */
int tg_dispatch_init(const char *isa);
int tg_isa_available(const char *isa);

#endif
