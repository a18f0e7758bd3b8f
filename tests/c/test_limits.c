/* What the limits of the machine are measured with does the work that is counted. */
#include "test.h"

static void multiply_adds(int64_t rounds)
{
    float total = NAN;
    int64_t operations = -1;
    tg_call c = {.n = {rounds, 1, 1}, .p = {&total, &operations}, .s = {0.5, 1}};
    tg_k->limit_fma(&c);
    CHECK(operations >= rounds * 2 * 12 * 4 && operations % (rounds * 2 * 12) == 0, "%ld operations", (long)operations);
    /* x / 2 + 1 tends to 2, from wherever it starts */
    const int64_t lanes = operations / rounds / 2;
    CHECK(rounds < 60 || total == 2 * (float)lanes, "sum %g of %ld", total, (long)lanes);
}

static void streams(int64_t steps, int64_t rounds)
{
    const int64_t n = steps * 8 * 16; /* whole steps on every instruction set */
    float *x = aligned_alloc(64, (size_t)(n * 4)), total = NAN;
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 7);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * (double)rounds;
    tg_call c = {.n = {n, rounds, 1}, .p = {&total, x}};
    tg_k->limit_read(&c);
    CHECK(total == sum, "sum %g, expected %g", total, sum);
    tg_k->limit_update(&c);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++)
        wrong += x[i] != (rounds % 2 ? -1 : 1) * (float)(i % 7);
    CHECK(!wrong, "%ld of %ld elements", (long)wrong, (long)n);
    free(x);
}

static void run(void)
{
    multiply_adds(1);
    multiply_adds(100);
    for (int r = 0; r < 20; r++)
        streams(1 + random_below(20), 1 + random_below(5));
}
