/* What every kernel test needs: arrays of any type in blocks of their exact size (so that the sanitizer sees one
   element too far), random sizes and values, checks, and a main that goes through the instruction sets. */
#ifndef TG_TEST_H
#define TG_TEST_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

static int64_t passed, failed;

#define CHECK(condition, ...)                                              \
    do {                                                                   \
        if (condition) {                                                   \
            passed++;                                                      \
        } else if (++failed <= 20) {                                       \
            fprintf(stderr, "%s:%d (%s): ", __FILE__, __LINE__, tg_k->isa); \
            fprintf(stderr, __VA_ARGS__);                                  \
            fputc('\n', stderr);                                           \
        }                                                                  \
    } while (0)

/* xorshift64*: Marsaglia 2003, Vigna 2016 */
static uint64_t random_state = 1;
static inline uint64_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717u;
}
static inline int64_t random_below(int64_t n) { return (int64_t)(random_bits() % (uint64_t)n); }
static inline double random_unit(void) { return (double)(random_bits() >> 11) * 0x1p-53; }

/* Sizes that matter: 0, 1, a vector and its neighbours, a few of those, now and then many. */
static inline int64_t random_size(int64_t most)
{
    static const int64_t edge[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129};
    int64_t n = random_below(4) ? edge[random_below(20)] : random_below(most) + 1;
    return n < most ? n : most;
}

typedef struct { tg_dtype type; int64_t n; void *p; } array;

static const int64_t element_size[TG_DTYPES] = {1, 1, 4, 8, 4, 8};
static const char *const type_name[TG_DTYPES] = {"bool", "uint8", "int32", "int64", "float32", "float64"};
static inline int is_float(tg_dtype t) { return t >= TG_F32; }
static inline double epsilon(tg_dtype t) { return t == TG_F32 ? FLT_EPSILON : DBL_EPSILON; }

static inline array array_new(tg_dtype type, int64_t n)
{
    array a = {type, n, malloc((size_t)(n * element_size[type]))};
    memset(a.p, 0xa5, (size_t)(n * element_size[type]));
    return a;
}
static inline void array_free(array a) { free(a.p); }

static inline double get(array a, int64_t i)
{
    switch (a.type) {
    case TG_I32: return ((int32_t *)a.p)[i];
    case TG_I64: return (double)((int64_t *)a.p)[i];
    case TG_F32: return ((float *)a.p)[i];
    case TG_F64: return ((double *)a.p)[i];
    default: return ((uint8_t *)a.p)[i];
    }
}
static inline void set(array a, int64_t i, double x)
{
    switch (a.type) {
    case TG_BOOL: ((uint8_t *)a.p)[i] = x != 0; break;
    case TG_U8: ((uint8_t *)a.p)[i] = (uint8_t)(int64_t)x; break;
    case TG_I32: ((int32_t *)a.p)[i] = (int32_t)x; break;
    case TG_I64: ((int64_t *)a.p)[i] = (int64_t)x; break;
    case TG_F32: ((float *)a.p)[i] = (float)x; break;
    default: ((double *)a.p)[i] = x;
    }
}

/* Values around 0 with repeats; of floats one in `rare` is special: infinite, NaN, -0, denormal. rare = 0: none. */
static inline array array_random(tg_dtype type, int64_t n, int64_t rare)
{
    static const double special[] = {INFINITY, -INFINITY, NAN, -0.0, 0.0, 1e-310, 1e-40, 1e30, -1e30};
    array a = array_new(type, n);
    for (int64_t i = 0; i < n; i++) {
        double x = 6 * random_unit() - 3;
        if (type == TG_BOOL) x = random_below(2);
        else if (type == TG_U8) x = (double)random_below(256);
        else if (!is_float(type)) x = (double)(random_below(41) - 20);
        else if (rare && random_below(rare) == 0) x = special[random_below(9)];
        else if (random_below(3) == 0) x = (double)random_below(5) - 2;
        set(a, i, x);
    }
    return a;
}
static inline array array_copy(array a)
{
    array b = array_new(a.type, a.n);
    memcpy(b.p, a.p, (size_t)(a.n * element_size[a.type]));
    return b;
}
static inline int same_bits(array a, array b) { return !memcmp(a.p, b.p, (size_t)(a.n * element_size[a.type])); }

/* Both NaN, or equal, or within the tolerance; a NaN tolerance accepts nothing but the first two. */
static inline int near(long double x, long double y, long double tolerance)
{
    return x == y || (x != x && y != y) || fabsl(x - y) <= tolerance;
}

#define CLOSE(what, type, got, expected, tolerance)                                                              \
    do {                                                                                                         \
        const long double x_ = got, y_ = expected;                                                               \
        CHECK(near(x_, y_, tolerance), "%s %s: %.17Lg, not %.17Lg", what, type_name[type], x_, y_);              \
    } while (0)

static void run(void);  /* each test defines it: one round of random cases */

int main(int argc, char **argv)
{
    static const char *const sets[] = {"baseline", "avx2", "avx512"};
    const char *only = getenv("TGL_ISA");
    const int rounds = argc > 1 ? atoi(argv[1]) : 1;
    for (int k = 0; k < 3; k++) {
        if (only && *only && strcmp(only, sets[k])) continue;
        if (!tg_isa_available(sets[k]) || tg_dispatch_init(sets[k])) continue;
        passed = failed = 0;
        random_state = 88172645463325252u;
        for (int r = 0; r < rounds; r++) run();
        printf("%s %s: %lld passed, %lld failed\n", argv[0], sets[k], (long long)passed, (long long)failed);
        if (failed || !passed) return 1;
    }
    return 0;
}
#endif
