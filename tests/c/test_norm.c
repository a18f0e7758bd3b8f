/* Batch, layer, RMS and group norm against their formulas in long double. */
#include "norm.h"
#include "test.h"

/* x is seen as [A][B][C]; where it lies among the means, and among the weights. */
enum { BATCH, LAYER, RMS, GROUP, KINDS };
static int kind;
static int64_t size[3], groups;
static int64_t set_of(int64_t i)
{
    const int64_t b = i / size[2] % size[1], a = i / size[2] / size[1];
    return kind == BATCH ? b : a;
}
static int64_t weight_of(int64_t i)
{
    const int64_t b = i / size[2] % size[1], a = i / size[2] / size[1];
    return kind == GROUP ? a % groups * size[1] + b : b;
}

static void round_of(tg_dtype t, int given)
{
    const int f = t == TG_F64, affine = (int)random_below(2);
    const double offset = random_below(2) || kind == RMS ? 0 : 100, eps = 1e-5;
    const int64_t n = size[0] * size[1] * size[2], sets = kind == BATCH ? size[1] : size[0];
    const int64_t weights = kind == GROUP ? groups * size[1] : size[1], M = sets ? n / sets : 0;
    if (n == 0) return;
    int64_t scratch = 1;
    if (kind == LAYER || kind == RMS) scratch += (size[0] + tg_norm_rows(size[0], size[1]) - 1) / tg_norm_rows(size[0], size[1]);
    if (kind == GROUP) scratch += size[0] / groups;
    array x = array_random(t, n, 0), g = array_random(t, n, 0), y = array_new(t, n), gx = array_new(t, n);
    array stats = array_new(t, (kind == BATCH ? 3 : 2) * sets), sums = array_new(t, scratch * 2 * weights);
    array weight = array_random(t, weights, 0), bias = array_random(t, weights, 0);
    for (int64_t i = 0; i < n; i++) set(x, i, get(x, i) + offset);
    for (int64_t k = 0; given && k < sets; k++) set(stats, k, offset + random_unit()), set(stats, 2 * sets + k, 1 + random_unit());

    const tg_kernel forward = kind == BATCH ? tg_k->batch_norm[f] : kind == GROUP ? tg_k->group_norm[f] : tg_k->layer_norm[f];
    const tg_kernel backward = kind == BATCH   ? tg_k->batch_norm_backward[f]
                               : kind == GROUP ? tg_k->group_norm_backward[f]
                                               : tg_k->layer_norm_backward[f];
    tg_call c = {.n = {size[0], size[1], size[2]}, .flags = given || kind == RMS, .s = {eps, (double)groups}};
    c.p[0] = y.p, c.p[1] = x.p, c.p[2] = affine ? weight.p : NULL, c.p[3] = affine ? bias.p : NULL, c.p[4] = stats.p;
    forward(&c);
    c.p[0] = gx.p, c.p[1] = g.p, c.p[2] = x.p, c.p[3] = affine ? weight.p : NULL, c.p[4] = stats.p, c.p[5] = sums.p;
    backward(&c);

    typedef long double real;
    real *m = calloc((size_t)sets, sizeof(real)), *v = calloc((size_t)sets, sizeof(real));
    real *gw = calloc((size_t)sets, sizeof(real)), *moment = calloc((size_t)sets, sizeof(real));
    real *size_g = calloc((size_t)sets, sizeof(real)), *gweight = calloc((size_t)weights, sizeof(real));
    real *gbias = calloc((size_t)weights, sizeof(real)), *size_w = calloc((size_t)weights, sizeof(real));
    const double unsure = 120 * epsilon(t), large = unsure * (3 + offset);
    for (int64_t i = 0; i < n; i++) m[set_of(i)] += kind == RMS ? 0 : get(x, i) / (real)M;
    for (int64_t i = 0; i < n; i++) v[set_of(i)] += (get(x, i) - m[set_of(i)]) * (get(x, i) - m[set_of(i)]) / M;
    for (int64_t k = 0; k < sets; k++) {
        if (!given) CLOSE("mean", t, get(stats, k), m[k], large);
        if (given) m[k] = get(stats, k), v[k] = get(stats, 2 * sets + k);
        else if (kind == BATCH) CLOSE("variance", t, get(stats, 2 * sets + k), v[k], unsure * v[k] + powl(large, 2));
        const real r = 1 / sqrtl(v[k] + eps);
        CLOSE("rstd", t, get(stats, sets + k), r, r * (unsure + r * r * powl(large, 2)));
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = set_of(i), w = weight_of(i);
        const real d = get(x, i) - get(stats, k), up = get(g, i) * (affine ? get(weight, w) : 1);
        gw[k] += up, moment[k] += up * d, size_g[k] += fabsl(up) * (1 + fabsl(d));
        gweight[w] += get(g, i) * d * get(stats, sets + k), gbias[w] += get(g, i);
        size_w[w] += fabs(get(g, i)) * (1 + fabsl(d) * get(stats, sets + k));
    }
    for (int64_t w = 0; w < weights; w++) {
        CLOSE("gweight", t, get(sums, w), gweight[w], unsure * size_w[w]);
        CLOSE("gbias", t, get(sums, weights + w), gbias[w], unsure * size_w[w]);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = set_of(i);
        const real r = get(stats, sets + k), w = affine ? get(weight, weight_of(i)) : 1, b = affine ? get(bias, weight_of(i)) : 0;
        const real d = get(x, i) - get(stats, k), free = given ? 0 : 1;
        const real expected = r * (get(g, i) * w - free * ((kind == RMS ? 0 : gw[k] / M) + d * r * r * moment[k] / M));
        CLOSE("y", t, get(y, i), d * r * w + b, unsure * (r * fabsl(w) * (fabsl(d) + epsilon(t) * offset) + fabsl(b)));
        CLOSE("gx", t, get(gx, i), expected, unsure * r * (4 * fabsl(w) + size_g[k] / M * (1 + r * r * fabsl(d))));
    }
    const array all[] = {x, g, y, gx, stats, sums, weight, bias};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) array_free(all[k]);
    real *const sum[] = {m, v, gw, moment, size_g, gweight, gbias, size_w};
    for (size_t k = 0; k < sizeof sum / sizeof *sum; k++) free(sum[k]);
}

/* running += momentum (fresh - running), with the unbiased variance. */
static void follow(tg_dtype t)
{
    const int64_t channels = random_size(140), count = 2 + random_below(100);
    const double momentum = random_unit();
    array stats = array_random(t, 3 * channels, 0), mean = array_random(t, channels, 0), var = array_random(t, channels, 0);
    array old_mean = array_copy(mean), old_var = array_copy(var);
    const int both = (int)random_below(2);
    tg_call c = {.n = {channels}, .p = {mean.p, both ? var.p : NULL, stats.p}, .s = {momentum, (double)count}};
    tg_k->batch_norm_follow[t == TG_F64](&c);
    for (int64_t k = 0; k < channels; k++) {
        const double fresh = get(stats, 2 * channels + k) * (double)count / (double)(count - 1);
        CLOSE("running mean", t, get(mean, k), (1 - momentum) * get(old_mean, k) + momentum * get(stats, k), 20 * epsilon(t));
        CLOSE("running variance", t, get(var, k), both ? (1 - momentum) * get(old_var, k) + momentum * fresh : get(old_var, k),
              both ? 40 * epsilon(t) : 0);
    }
    const array all[] = {stats, mean, var, old_mean, old_var};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) array_free(all[k]);
}

static void run(void)
{
    for (int r = 0; r < 20; r++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++) {
            follow(t);
            for (kind = 0; kind < KINDS; kind++) {
                groups = kind == GROUP ? 1 + random_below(4) : 1;
                size[0] = random_size(70) * groups, size[1] = random_size(kind == GROUP ? 9 : random_below(8) ? 140 : 5000);
                size[2] = kind == LAYER || kind == RMS || random_below(2) ? 1 : random_size(40);
                if (size[0] * size[2] < 2 && kind == BATCH) continue;
                if (kind == LAYER && size[1] < 2) continue;   /* d is nothing but rounding */
                round_of(t, kind == BATCH && random_below(3) == 0);
            }
        }
}
