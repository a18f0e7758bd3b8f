/* How layer norm's backward pass is cut, for the kernel and for who allocates its scratch. */
#ifndef TG_NORM_H
#define TG_NORM_H

#include <stdint.h>

enum { TG_NORM_BLOCK = 32 };

/* Rows of a block: x and g of a block stay in the first-level cache. */
static inline int64_t tg_norm_block(int64_t len)
{
    return len <= 4096 / TG_NORM_BLOCK ? TG_NORM_BLOCK : len <= 4096 ? 4096 / len : 1;
}

/* Rows of a piece: whole blocks, at least 32768 elements, and at most 64 pieces. */
static inline int64_t tg_norm_rows(int64_t rows, int64_t len)
{
    const int64_t block = tg_norm_block(len), worth = 32768 / (len + !len) + 1, share = (rows + 63) / 64;
    return ((worth > share ? worth : share) + block - 1) / block * block;
}

#endif
