/* Threads: one pool for all kernels. */
#ifndef TG_THREADS_H
#define TG_THREADS_H

#include <stdint.h>

#define TG_MAX_THREADS 256

typedef void tg_piece(void *context, int64_t begin, int64_t end);

/* Calls body once for each piece of `grain` items out of n, the last one shorter, each on some thread, in any order, and
   returns when all are done. The cut depends on n and grain alone, so what a piece computes does not depend on how many
   threads there are. A body must be worth it: some 100,000 multiply-adds or more. Inside a body, and while another
   Python thread has the pool, the pieces run one after the other on the calling thread. */
void tg_parallel(int64_t n, int64_t grain, tg_piece *body, void *context);

/* The same on at most `threads` threads, each of which tells body its number, 0 or more: for room of its own. */
typedef void tg_numbered_piece(void *context, int thread, int64_t begin, int64_t end);
void tg_parallel_numbered(int threads, int64_t n, int64_t grain, tg_numbered_piece *body, void *context);

int tg_num_threads(void);
void tg_set_num_threads(int n); /* at least 1; more than TG_MAX_THREADS count as that many */

#endif
