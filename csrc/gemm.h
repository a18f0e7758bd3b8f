/* Matrix multiplication: what the blocking (gemm.c) and the work in registers (gemm_tile.inc) know of each other. */
#ifndef TG_GEMM_H
#define TG_GEMM_H

#include "kernels.h"

/* Before a loop of constant length: no loop at all. */
#if defined(__clang__)
#define TG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TG_UNROLL _Pragma("GCC unroll 16")
#endif

#define TG_GEMM_ROOM (768 << 10) /* bytes for each thread, where blocks are packed */
enum { TG_GEMM_ADD = 1 };        /* flags */

/* How many threads a product is worth now. */
int tg_gemm_threads(int64_t batch, int64_t M, int64_t N, int64_t K);

#define TG_GEMM_MAX_ROWS 12 /* of any tile, in any instruction set */

/* What the tiles of one panel have in common. Strides count elements. */
typedef struct {
    int64_t k;            /* products to sum for each element */
    int64_t a_row, a_col;
    int64_t b_step;       /* between rows of B */
    int64_t c_row;
    int rows;
    int64_t cols;         /* columns of C there are: a tile computes all of its own and stores these */
    int add;              /* C += AB instead of C = AB */
} tg_gemm_step;

/* C = A B for one tile of C, plus `bias`, a row, in every row unless NULL. */
typedef void tg_gemm_tile(const tg_gemm_step *, const void *a, const void *b, const void *bias, void *c);

/* The same for contiguous rows of A and columns of B, which lie b_step apart; any number of both. */
typedef void tg_gemm_dots(const tg_gemm_step *, const void *a, const void *b, const void *bias, void *c);

/* panel[k][width] = source, which has `count` of the width lanes; the others are zero. The last row may be followed by
   TG_GEMM_SLACK bytes of anything. */
typedef void tg_gemm_pack(void *panel, int width, int count, int64_t k, const void *source, int64_t lane,
                          int64_t step);
#define TG_GEMM_SLACK 64

/* One width of tile, in every height up to `rows`: tile[r - 1] has r rows. */
typedef struct {
    int rows, cols;
    tg_gemm_tile *tile[TG_GEMM_MAX_ROWS];
} tg_gemm_shape;

typedef struct {
    tg_gemm_shape main;   /* fills the registers */
    tg_gemm_shape narrow; /* half as wide and no lower, for the last columns */
    tg_gemm_shape thin;   /* twice as wide, for so few rows that main would wait for its own sums */
    tg_gemm_dots *dots;
    tg_gemm_pack *pack;
} tg_gemm_tiles;

void tg_gemm_f32(const tg_call *);
void tg_gemm_f64(const tg_call *);

#endif
