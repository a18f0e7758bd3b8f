/* Pooling: the sizes, which a call record's dims point to. */
#ifndef TG_POOL_H
#define TG_POOL_H

#include <stdint.h>

/* Output i < out reads every dilation-th of `kernel` elements from i stride - padding on, as far as there are any;
   kernel = 0: adaptive, it reads floor(i size / out) to ceil((i + 1) size / out). */
typedef struct {
    int64_t size, out, kernel, stride, padding, dilation;
} tg_pool_axis;

typedef struct {
    int64_t planes;
    tg_pool_axis h, w;
    int64_t include_padding, divisor; /* of averages; divisor = 0: what is read */
} tg_pooling;

#endif
