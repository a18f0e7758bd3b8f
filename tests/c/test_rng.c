/* The generator against the published vectors, the draws against their definition, the distributions against theirs. */
#include "test.h"

/* Philox 4x32-10 as the paper writes it. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53 * c[0], p1 = (uint64_t)0xCD9E8D57 * c[2];
        const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k[0], (uint32_t)p1,
                                  (uint32_t)(p0 >> 32) ^ c[3] ^ k[1], (uint32_t)p0};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9, k[1] += 0xBB67AE85;
    }
    memcpy(out, c, sizeof c);
}

/* From the Random123 distribution (Salmon et al.), kat_vectors: counter, key, output. */
static void published(void)
{
    static const uint32_t vector[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
         0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int k = 0; k < 3; k++) {
        uint32_t out[4];
        philox(vector[k], vector[k] + 4, out);
        CHECK(!memcmp(out, vector[k] + 6, sizeof out), "published vector %d", k);
    }
    uint64_t words[2];
    static const int64_t all[2] = {0, 0};
    tg_call c = {.n = {2}, .p = {words}, .hyper = all};
    tg_k->randint(&c);
    CHECK(words[0] == 0xe169c58d6627e8d5 && words[1] == 0x9b00dbd8bc57ac4c, "the kernel's block 0 of seed 0");
}

static uint64_t seed, first;
static uint32_t word32(int64_t i)
{
    const uint64_t block = first + (uint64_t)i / 4;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    philox(counter, key, out);
    return out[i % 4];
}
static uint64_t word64(int64_t i) { return word32(2 * i) | (uint64_t)word32(2 * i + 1) << 32; }
static long double fraction(tg_dtype t, int64_t i)
{
    return t == TG_F32 ? (word32(i) >> 8) * 0x1p-24L : (word64(i) >> 11) * 0x1p-53L;
}

static array draw(tg_kernel fn, tg_dtype type, int64_t n, const void *hyper)
{
    array out = array_new(type, n);
    tg_call c = {.n = {n}, .p = {out.p}, .u = {seed, first}, .hyper = hyper};
    fn(&c);
    return out;
}

static void floats(tg_dtype t, int64_t n)
{
    const int f = t == TG_F64;
    const double unit[] = {0, 1}, range[] = {-1.7, 2.9}, standard[] = {0, 1}, moments[] = {5, 3}, lambda = 1.5;
    array u = draw(tg_k->uniform[f], t, n, unit), v = draw(tg_k->uniform[f], t, n, range);
    array base_v = draw(tg_kernels_baseline.uniform[f], t, n, range);
    CHECK(same_bits(v, base_v), "uniform differs from baseline");
    array z = draw(tg_k->normal[f], t, n, standard), base_z = draw(tg_kernels_baseline.normal[f], t, n, standard);
    array y = draw(tg_k->normal[f], t, n, moments);
    array e = draw(tg_k->exponential[f], t, n, &lambda);
    for (int64_t i = 0; i < n; i++) {
        const long double x = fraction(t, i);
        CLOSE("uniform", t, get(u, i), x, 0);
        CLOSE("uniform(-1.7, 2.9)", t, get(v, i), -1.7 + x * 4.6, 4 * epsilon(t));
        CHECK(get(v, i) < (t == TG_F32 ? 2.9f : 2.9), "uniform reaches its end");
        CLOSE("exponential", t, get(e, i), -log1pl(-x) / lambda, 4 * epsilon(t) * get(e, i) + epsilon(t) / 2);
        const int64_t even = i & ~(int64_t)1;
        const int quarter = (int)(f ? word64(even + 1) >> 62 : word32(even + 1) >> 30);
        const long double rest = f ? (word64(even + 1) << 2 >> 11) * 0x1p-53L : (word32(even + 1) << 2 >> 8) * 0x1p-24L;
        const long double angle = (rest - 0.5L) * acosl(0), radius = sqrtl(-2 * log1pl(-fraction(t, even)));
        const long double turned[] = {cosl(angle), -sinl(angle), -cosl(angle), sinl(angle)};  /* cos, quarters on */
        const long double expected = radius * turned[(quarter + (i & 1 ? 3 : 0)) % 4];
        CLOSE("normal", t, get(z, i), expected, 3 * epsilon(t) * fabsl(expected));
        CLOSE("normal and baseline's", t, get(z, i), get(base_z, i), 4 * epsilon(t) * fabs(get(z, i)));
        CLOSE("normal(5, 3)", t, get(y, i), 5 + 3 * get(z, i), 8 * epsilon(t) * 16);
    }
    const array all[] = {u, v, base_v, z, y, base_z, e};
    for (int k = 0; k < 7; k++) array_free(all[k]);
}

static void whole(int64_t n)
{
    const double p = random_below(4) ? random_unit() : (double)random_below(2);
    const int64_t range[][2] = {{0, 10}, {-5, 3}, {7, 8}, {INT64_MIN, INT64_MAX}, {-(1ll << 40), 1ll << 41}, {5, 5}};
    array bits = draw(tg_k->randint, TG_I64, n, (int64_t[2]){0, 0}), b = draw(tg_k->bernoulli, TG_U8, n, &p);
    for (int64_t i = 0; i < n; i++) {
        CHECK(((uint64_t *)bits.p)[i] == word64(i), "word %lld", (long long)i);
        CHECK(get(b, i) == (word32(i) < (uint64_t)(p * 0x1p32 + 0.5)), "bernoulli(%g)", p);
    }
    for (int r = 0; r < 6; r++) {
        array k = draw(tg_k->randint, TG_I64, n, range[r]);
        const uint64_t width = (uint64_t)range[r][1] - (uint64_t)range[r][0];
        for (int64_t i = 0; i < n; i++) {
            /* the upper half of a product of 64 bits, by halves of 32 */
            const uint64_t w = word64(i), w0 = w & 0xffffffff, w1 = w >> 32, r0 = width & 0xffffffff, r1 = width >> 32;
            const uint64_t middle = (w0 * r0 >> 32) + (w1 * r0 & 0xffffffff) + (w0 * r1 & 0xffffffff);
            const uint64_t expected = width ? w1 * r1 + (w1 * r0 >> 32) + (w0 * r1 >> 32) + (middle >> 32) : w;
            CHECK(((uint64_t *)k.p)[i] == expected + (uint64_t)range[r][0], "randint");
        }
        array_free(k);
    }
    array_free(bits), array_free(b);
}

/* Each word of 64 bits is below the next in the order, or equal and its index lower. */
static void permutation(int64_t n)
{
    array order = array_new(TG_I64, n), entries = array_new(TG_I64, 2 * n), seen = array_new(TG_U8, n);
    tg_call c = {.n = {n}, .p = {order.p, entries.p}, .u = {seed, first}};
    tg_k->randperm(&c);
    memset(seen.p, 0, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = ((int64_t *)order.p)[i], before = i ? ((int64_t *)order.p)[i - 1] : k;
        CHECK(k >= 0 && k < n && !((uint8_t *)seen.p)[k]++, "randperm of %lld: index %lld", (long long)n, (long long)k);
        CHECK(!i || word64(before) < word64(k) || (word64(before) == word64(k) && before < k), "randperm's order");
    }
    array_free(order), array_free(entries), array_free(seen);
}

static void dropout(tg_dtype t, int64_t n)
{
    const double p = random_below(4) ? random_unit() : (double)random_below(2);
    array x = array_random(t, n, 0), y = array_new(t, n), mask = array_new(TG_U8, n);
    tg_call c = {.n = {n}, .p = {y.p, x.p, mask.p}, .u = {seed, first}, .hyper = &p};
    tg_k->dropout[t == TG_F64](&c);
    for (int64_t i = 0; i < n; i++) {
        const int keep = word32(i) < (uint64_t)((1 - p) * 0x1p32 + 0.5);
        CHECK(get(mask, i) == keep, "dropout's mask at p = %g", p);
        CLOSE("dropout", t, get(y, i), keep ? get(x, i) / (1 - p) : 0, 2 * epsilon(t) * fabs(get(y, i)));
    }
    array again = array_new(t, n);
    c.p[0] = again.p;
    tg_k->dropped[t == TG_F64](&c);
    CHECK(same_bits(y, again), "dropped is not dropout by the same mask");
    array_free(x), array_free(y), array_free(mask), array_free(again);
}

/* A draw in two pieces, cut at a block, is the draw. */
static void pieces(tg_dtype t, int64_t n)
{
    const double hyper[] = {0.3, 0.8};
    const tg_kernel kernels[] = {tg_k->uniform[t == TG_F64], tg_k->normal[t == TG_F64], tg_k->exponential[t == TG_F64]};
    const int64_t per_block = t == TG_F64 ? 2 : 4, blocks = random_below(n / per_block + 1), cut = blocks * per_block;
    for (int k = 0; k < 3; k++) {
        array one = draw(kernels[k], t, n, hyper), left = draw(kernels[k], t, cut, hyper);
        first += (uint64_t)blocks;
        array right = draw(kernels[k], t, n - cut, hyper);
        first -= (uint64_t)blocks;
        const size_t bytes = (size_t)(cut * element_size[t]), rest = (size_t)(right.n * element_size[t]);
        CHECK(!memcmp(one.p, left.p, bytes), "left piece of kernel %d", k);
        CHECK(!memcmp((char *)one.p + bytes, right.p, rest), "right piece of kernel %d", k);
        array_free(one), array_free(left), array_free(right);
    }
}

/* The ends of [0, 1): of seed 0, word 0 of one block and word 2 of another have top bits of nothing but 0 and 1. */
static void ends(void)
{
    const double one_two[] = {1, 2}, lambda = 1, standard[] = {0, 1};
    const uint64_t zeros = 14883995, ones = 2330056;
    seed = 0, first = zeros;
    CHECK(word32(0) >> 8 == 0, "the word with zeros");
    array e = draw(tg_k->exponential[0], TG_F32, 4, &lambda), z = draw(tg_k->normal[0], TG_F32, 4, standard);
    CHECK(get(e, 0) > 0, "exponential is 0");
    CLOSE("normal of radius 0", TG_F32, get(z, 0), 0, 0);
    first = ones;
    CHECK(word32(2) >> 8 == 0xffffff, "the word with ones");
    array u = draw(tg_k->uniform[0], TG_F32, 4, one_two), largest = draw(tg_k->normal[0], TG_F32, 4, standard);
    CHECK(get(u, 2) >= 1 && get(u, 2) < 2, "uniform reaches its end");
    CLOSE("the largest radius", TG_F32, hypot(get(largest, 2), get(largest, 3)), sqrt(48 * log(2)), 1e-5);
    array_free(e), array_free(z), array_free(u), array_free(largest);
}

/* Kolmogorov's distance between a draw and its distribution: beyond 2.5 / sqrt(n) less than once in 100,000 draws. */
static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double normal_cdf(double x) { return erfc(-x / sqrt(2)) / 2; }
static double exponential_cdf(double x) { return -expm1(-x); }
static double uniform_cdf(double x) { return x; }
static void distribution(tg_kernel fn, tg_dtype t, double (*cdf)(double), const double *hyper)
{
    const int64_t n = 100000;
    array x = draw(fn, t, n, hyper), y = array_new(TG_F64, n);
    double distance = 0, pairs = 0, mean = 0;
    for (int64_t i = 0; i < n; i++) {
        set(y, i, get(x, i));
        mean += cdf(get(x, i)) / (double)n;
        if (i) pairs += (cdf(get(x, i)) - 0.5) * (cdf(get(x, i - 1)) - 0.5) * 12 / (double)n;
    }
    qsort(y.p, (size_t)n, sizeof(double), by_value);
    for (int64_t i = 0; i < n; i++) distance = fmax(distance, fabs(cdf(get(y, i)) - ((double)i + 0.5) / (double)n));
    CHECK(distance < 2.5 / sqrt((double)n), "distance %g", distance);
    CHECK(fabs(mean - 0.5) < 5 * sqrt(1 / 12. / (double)n), "mean %g", mean);
    CHECK(fabs(pairs) < 5 / sqrt((double)n), "neighbours correlate: %g", pairs);
    array_free(x), array_free(y);
}

static void run(void)
{
    static const double unit[] = {0, 1}, one = 1;
    published();
    ends();
    for (int r = 0; r < 60; r++) {
        const int64_t n = random_size(500);
        seed = random_bits();
        first = random_below(3) ? random_bits() : 0xffffffffu - (uint64_t)random_below(20);
        whole(n);
        permutation(n);
        for (tg_dtype t = TG_F32; t <= TG_F64; t++) {
            floats(t, n);
            dropout(t, n);
            pieces(t, n);
        }
    }
    permutation(20000);
    for (int f = 0; f < 2; f++) {
        distribution(tg_k->uniform[f], TG_F32 + f, uniform_cdf, unit);
        distribution(tg_k->normal[f], TG_F32 + f, normal_cdf, unit);
        distribution(tg_k->exponential[f], TG_F32 + f, exponential_cdf, &one);
    }
}
