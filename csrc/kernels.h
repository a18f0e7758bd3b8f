/* The border between the engine and its kernels: element types, the call record, the kernel table.

   A kernel gets one record and returns nothing. It knows no Python, allocates nothing and reports no errors:
   whoever fills the record has checked shapes, types and bounds. Sizes and strides count elements. */
#ifndef TG_KERNELS_H
#define TG_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* In the order of promotion: the type of a result is the larger of its operands' types. */
typedef enum { TG_BOOL, TG_U8, TG_I32, TG_I64, TG_F32, TG_F64, TG_DTYPES } tg_dtype;

#define TG_MAX_DIMS 16
#define TG_BLOCK 16              /* elements that an element-wise kernel works on at a time */
#define TG_MOST_IN_BLOCKS 16384  /* fewer than are worth a second thread */
#define TG_MAX_OPERANDS 6
#define TG_SORT_PIECES 16 /* of the work of a sort at most, each with room of its own: see sort.inc */

typedef struct tg_call tg_call;
typedef void (*tg_kernel)(const tg_call *);

/* How each family of kernels reads the record.

   element-wise   n[0] elements; p[0] output, p[1..] inputs. ndim = 0: all operands are contiguous.
                  Otherwise dims holds ndim sizes, then ndim strides for each operand; a stride of 0 repeats.
                  An output may be one of the inputs, element for element. flags: whether the operands are contiguous,
                  at most TG_MOST_IN_BLOCKS, and have room for whole blocks of TG_BLOCK elements.
   axis           n = {outer, len, inner}: contiguous operands seen as [outer][len][inner], worked along len.
   rows           n[0] rows of n[1] elements, at the offsets (int64, in elements) that p[2] lists.
   gemm           n = {M, N, K}; dims: see gemm.c.
   random         n[0] elements; u = {seed, offset of the first Philox block}.                                    */
struct tg_call {
    tg_kernel fn;
    int64_t n[3];
    void *p[TG_MAX_OPERANDS];
    const int64_t *dims;
    int32_t ndim;
    int32_t flags;
    union { double s[2]; int64_t i[2]; uint64_t u[2]; };  /* parameters of the op */
    const void *hyper;                                    /* parameters that change between replays */
};

#ifdef __cplusplus
static_assert(sizeof(tg_call) <= 128, "a call record fits two cache lines");
#else
_Static_assert(sizeof(tg_call) <= 128, "a call record fits two cache lines");
#endif

#define TG_CAT_(a, b) a##_##b
#define TG_CAT(a, b) TG_CAT_(a, b)
#define TG_NAME_(a) #a
#define TG_NAME(a) TG_NAME_(a)

#endif
