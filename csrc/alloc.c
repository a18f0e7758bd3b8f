/* Memory in 64-byte-aligned blocks of fixed sizes, kept for reuse: page faults cost more than arithmetic. A block serves
   its own size only, so a program keeps at most what it had in use at once of every size. Called by one thread at a
   time, like the rest of the engine: kernels do not allocate. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

/* Bins: multiples of 64 up to 1 KiB, then four sizes to each power of two. */
#define SMALL 16
#define BINS (SMALL + 4 * 40)
#define KEEP_BYTES ((int64_t)1 << 30)

typedef struct block { struct block *next; } block;
static block *kept[BINS];
tg_memory_t tg_memory;

static int bin_of(int64_t bytes)
{
    if (bytes <= 64 * SMALL)
        return bytes <= 64 ? 0 : (int)((bytes + 63) / 64 - 1);
    const int log = 63 - __builtin_clzll((uint64_t)(bytes - 1));           /* 2^log <= bytes - 1 */
    const int quarter = (int)(((bytes - 1) >> (log - 2)) & 3);
    return SMALL + 4 * (log - 10) + quarter;
}

static int64_t bin_bytes(int bin)
{
    if (bin < SMALL)
        return 64 * (int64_t)(bin + 1);
    const int log = 10 + (bin - SMALL) / 4, quarter = (bin - SMALL) % 4;
    return ((int64_t)1 << log) + (((int64_t)quarter + 1) << (log - 2));
}

void *tg_alloc(int64_t bytes, int32_t *bin)
{
    if ((uint64_t)bytes > (uint64_t)1 << 48)
        return NULL;
    const int b = bin_of(bytes);
    const int64_t size = bin_bytes(b);
    block *p = kept[b];
    if (p) {
        kept[b] = p->next;
    } else {
        p = aligned_alloc(64, (size_t)size);
        if (!p) {
            tg_memory.retries++;
            tg_trim();
            p = aligned_alloc(64, (size_t)size);
            if (!p) {
                tg_memory.failures++;
                return NULL;
            }
        }
        tg_memory.reserved += size;
        if (tg_memory.reserved > tg_memory.reserved_peak)
            tg_memory.reserved_peak = tg_memory.reserved;
    }
    *bin = b;
    tg_memory.served++;
    tg_memory.in_use += size;
    if (tg_memory.in_use > tg_memory.peak)
        tg_memory.peak = tg_memory.in_use;
    return p;
}

void tg_free(void *p, int32_t bin)
{
    const int64_t size = bin_bytes(bin);
    tg_memory.in_use -= size;
    tg_memory.freed++;
    if (tg_memory.reserved - tg_memory.in_use > KEEP_BYTES) {
        tg_memory.reserved -= size;
        free(p);
        return;
    }
    block *b = p;
    b->next = kept[bin];
    kept[bin] = b;
}

void tg_trim(void)
{
    for (int b = 0; b < BINS; b++)
        while (kept[b]) {
            block *p = kept[b];
            kept[b] = p->next;
            free(p);
        }
    tg_memory.reserved = tg_memory.in_use;
}
