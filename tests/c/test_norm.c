/* Batch norm against its formulas in long double. */
#include "test.h"

static int64_t N, C, L;
static int64_t where(int64_t n, int64_t k, int64_t l) { return (n * C + k) * L + l; }

static void round_of(tg_dtype t)
{
    const int f = t == TG_F64, affine = (int)random_below(2);
    const double offset = random_below(2) ? 0 : 100, M = (double)(N * L);
    array x = array_random(t, N * C * L, 0), g = array_random(t, x.n, 0), y = array_new(t, x.n), gx = array_new(t, x.n);
    array mean = array_new(t, C), var = array_new(t, C), rstd = array_new(t, C);
    array weight = array_random(t, C, 0), bias = array_random(t, C, 0);
    array gweight = array_new(t, C), gbias = array_new(t, C);
    for (int64_t i = 0; i < x.n; i++) set(x, i, get(x, i) + offset);

    tg_call stats = {.n = {N, C, L}, .p = {mean.p, var.p, x.p}};
    tg_k->batch_norm_stats[f](&stats);
    for (int64_t k = 0; k < C; k++) set(rstd, k, 1 / sqrt(get(var, k) + 1e-5));
    tg_call apply = {.n = {N, C, L}, .p = {y.p, x.p, mean.p, rstd.p, affine ? weight.p : NULL, affine ? bias.p : NULL}};
    tg_k->batch_norm_apply[f](&apply);
    void *sums[2] = {gweight.p, gbias.p};
    tg_call backward = {.n = {N, C, L}, .p = {gx.p, g.p, x.p, mean.p, rstd.p, affine ? weight.p : NULL}, .hyper = sums};
    tg_k->batch_norm_backward[f](&backward);

    const double unsure = 120 * epsilon(t);
    for (int64_t k = 0; k < C; k++) {
        long double m = 0, v = 0, sum_g = 0, moment = 0, size_g = 0;
        for (int64_t n = 0; n < N; n++)
            for (int64_t l = 0; l < L; l++) m += get(x, where(n, k, l));
        m /= M;
        const long double its_mean = get(mean, k), r = get(rstd, k);
        const long double w = affine ? get(weight, k) : 1, b = affine ? get(bias, k) : 0;
        for (int64_t n = 0; n < N; n++)
            for (int64_t l = 0; l < L; l++) {
                const long double d = get(x, where(n, k, l)) - its_mean, up = get(g, where(n, k, l));
                v += (get(x, where(n, k, l)) - m) * (get(x, where(n, k, l)) - m);
                sum_g += up, moment += up * d, size_g += fabsl(up);
            }
        v /= M;
        CLOSE("mean", t, get(mean, k), m, unsure * (3 + offset));
        CLOSE("var", t, get(var, k), v, unsure * v + powl(unsure * (3 + offset), 2));
        CLOSE("gbias", t, get(gbias, k), sum_g, unsure * size_g);
        CLOSE("gweight", t, get(gweight, k), r * moment, unsure * r * size_g * 6);
        for (int64_t n = 0; n < N; n++)
            for (int64_t l = 0; l < L; l++) {
                const int64_t i = where(n, k, l);
                const long double d = get(x, i) - its_mean, scale = fabsl(r * w);
                const long double expected = r * w * (get(g, i) - sum_g / M - d * r * r * moment / M);
                CLOSE("apply", t, get(y, i), d * r * w + b,
                      unsure * (scale * (fabsl(d) + epsilon(t) * offset) + fabsl(b)));
                CLOSE("backward", t, get(gx, i), expected,
                      unsure * scale * (4 + size_g / M + fabsl(d) * r * r * size_g * 6 / M));
            }
    }
    const array all[] = {x, g, y, gx, mean, var, rstd, weight, bias, gweight, gbias};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) array_free(all[k]);
}

static void run(void)
{
    for (int r = 0; r < 150; r++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++) {
            N = random_size(70), C = random_size(140), L = random_below(2) ? 1 : random_size(40);
            round_of(t);
        }
}
