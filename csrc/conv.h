/* Convolution: its sizes, and what the plan (conv.c) and the work (conv.inc) know of each other. */
#ifndef TG_CONV_H
#define TG_CONV_H

#include "kernels.h"

/* x [N][C][H][W], weight [O][C / groups][KH][KW], y [N][O][OH][OW]; PH and PW zeros stand before x, and as many behind
   as OH and OW ask for. A call record's dims point to one. */
typedef struct {
    int64_t N, C, H, W, O, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, groups;
} tg_conv;

/* One dimension of a correlation: output i < out stands at first + i stride, and for every tap t < taps reads the
   source at i step + offset + t offset_step, which is zero outside, with the kernel's element tap + t tap_step. */
typedef struct {
    int64_t out, first, stride;
    int64_t source, step, offset, offset_step;
    int64_t taps, tap, tap_step;
} tg_conv_axis;

/* out[m] = sum over c and taps of weight[m w_m + c w_c + ...] source[c], and how it is cut.

   The source is unfolded along its width: plane (c, t) holds, for tap t of the width, just the columns that the outputs
   read. Then a tap of the height is a number of rows to go down, and what neighbouring outputs read lies side by side.
   Where outputs share few rows (strides, large dilations), each tap of the height has rows of its own instead.        */
typedef struct {
    tg_conv_axis h, w;
    int64_t M, C, w_m, w_c;    /* of one group */
    int64_t kernel_w;          /* the kernel's own width */
    int64_t k;                 /* products to sum for each output: C h.taps w.taps */
    int64_t rows, cols;        /* outputs of a block: rows of full width, or a part of one row */
    int64_t row_blocks, col_blocks;
    int64_t planes, taps;      /* of a block: unfolded planes, taps of the height */
    int dots;                  /* the weight's gradient: lanes are positions, not output channels */
} tg_conv_plan;

/* One block of outputs. */
typedef struct {
    int64_t row, col, rows, cols;
} tg_conv_block;

/* One block of products: planes and, for each of them, taps of the height. */
typedef struct {
    int64_t plane, planes, tap, taps;
    int64_t first;             /* the number of products before */
    int64_t source_row, plane_rows, tap_rows; /* of the unfolded planes; a tap begins tap_rows after the one before */
    int shared;
} tg_conv_part;

enum {
    TG_CONV_K = 384,                 /* products in a block */
    TG_CONV_UNFOLDED = 256 << 10,    /* bytes of unfolded planes */
    TG_CONV_TURNED = 256 << 10,      /* bytes of output gradients, channels innermost */
    TG_CONV_SLACK = 1 << 10,         /* that tiles may read behind */
    TG_CONV_IMAGES = 8,              /* most images of a run */
    TG_CONV_RESTS = TG_CONV_K * (TG_CONV_IMAGES + 1) * 64, /* bytes of what is left of its images */
    TG_CONV_CHANNELS = 128,          /* output channels that share unfolded planes in the weight's gradient */
    TG_CONV_PARTS = 8,               /* sums of the weight's gradient, one for each part of the batch */
    TG_CONV_PARTIAL = 4 << 20,       /* bytes of these sums, unless one is larger */
    TG_CONV_FEW_CHANNELS = 15,       /* output channels that would leave vectors half empty, */
    TG_CONV_FEW_PRODUCTS = 12,       /* and products that are not worth turning the gradient around */
    TG_CONV_DOTS = 2048,             /* positions of a block whose lanes they are */
    TG_CONV_GRAIN = 1 << 18,         /* multiply-adds worth a thread */
};

void tg_conv_plan_output(tg_conv_plan *, const tg_conv *, int64_t size);
/* The inputs at (row, col) modulo the strides; no taps: they reach no output. */
void tg_conv_plan_input(tg_conv_plan *, const tg_conv *, int64_t size, int64_t row, int64_t col);
void tg_conv_plan_weight(tg_conv_plan *, const tg_conv *, int64_t size);

tg_conv_block tg_conv_block_at(const tg_conv_plan *, int64_t i);
/* Goes on to the next part, from one with planes = 0 to the first; 0 if there is none. */
int tg_conv_next_part(const tg_conv_plan *, const tg_conv_block *, tg_conv_part *);

int64_t tg_conv_weight_parts(const tg_conv *, const tg_conv_plan *, int64_t size);
/* How many threads a convolution is worth now. */
int tg_conv_threads(const tg_conv *);
/* Bytes that each of them works in, and those at p[4] for a call with flags = threads: behind what they work in stands the
   packed weight (for the output and the input gradient) or the sums (for the weight's gradient). */
int64_t tg_conv_desk(int weight_gradient);
int64_t tg_conv_room(const tg_conv *, int weight_gradient, int64_t size, int threads);

/* What the tiles of a block have in common. */
typedef struct {
    int64_t k;
    const int64_t *offset;     /* of each product's source */
    int64_t c_row;             /* from one row of the tile to the next in the output */
    int64_t cols;              /* columns there are: a tile computes all of its own and stores these */
    const int64_t *place;      /* of each column in the output; NULL: they fill the tile and lie side by side */
    int add;                   /* to what is there */
} tg_conv_step;

#endif
