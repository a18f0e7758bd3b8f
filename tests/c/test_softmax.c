/* The softmax family against its formulas in long double. */
#include "test.h"

static int64_t outer, len, inner;
static int64_t where(int64_t o, int64_t k, int64_t j) { return (o * len + k) * inner + j; }

static tg_call call(tg_kernel fn, array p0, array p1)
{
    return (tg_call){.fn = fn, .n = {outer, len, inner}, .p = {p0.p, p1.p}};
}

/* max x and log sum exp(x - max x) of a line; NaN where the line has a NaN or +inf, or nothing but -inf. */
typedef struct { long double max, log_sum; } normalizer;
static normalizer normalize(array x, int64_t o, int64_t j)
{
    normalizer z = {-INFINITY, 0};
    long double s = 0;
    for (int64_t k = 0; k < len; k++) {
        const double v = get(x, where(o, k, j));
        if (v > z.max || v != v) z.max = v;
    }
    for (int64_t k = 0; k < len; k++) s += expl(get(x, where(o, k, j)) - z.max);
    z.log_sum = logl(s);
    return z;
}

static void forward(tg_dtype t, array x)
{
    const int f = t == TG_F64;
    array soft = array_new(t, x.n), log_soft = array_new(t, x.n), lse = array_new(t, outer * inner);
    tg_call c[] = {call(tg_k->softmax[f], soft, x), call(tg_k->log_softmax[f], log_soft, x),
                   call(tg_k->logsumexp[f], lse, x)};
    for (int k = 0; k < 3; k++) c[k].fn(&c[k]);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            const normalizer z = normalize(x, o, j);
            long double expected = isinf(z.max) ? z.max : z.max + z.log_sum, sum = 0;
            if (len == 0) expected = -INFINITY;
            int nan = 0;
            for (int64_t k = 0; k < len; k++) nan |= isnan(get(x, where(o, k, j)));
            if (nan) expected = NAN;
            CLOSE("logsumexp", t, get(lse, o * inner + j), expected, 16 * epsilon(t) * (1 + fabsl(expected)));
            for (int64_t k = 0; k < len; k++) {
                const int64_t i = where(o, k, j);
                const long double l = get(x, i) - z.max - z.log_sum, e = expl(l);
                sum += get(soft, i);
                CLOSE("softmax", t, get(soft, i), e, 30 * epsilon(t) * e + 1e-44);
                CLOSE("log_softmax", t, get(log_soft, i), l, 16 * epsilon(t) * (1 + fabsl(l)));
            }
            if (len && sum == sum) CLOSE("sum of softmax", t, sum, 1, 30 * epsilon(t));
        }
    array_free(soft), array_free(log_soft), array_free(lse);
}

static void backward(tg_dtype t, array g, array x)
{
    const int f = t == TG_F64;
    array soft = array_new(t, x.n), log_soft = array_new(t, x.n), gx = array_new(t, x.n), log_gx = array_new(t, x.n);
    tg_call c[] = {call(tg_k->softmax[f], soft, x), call(tg_k->log_softmax[f], log_soft, x),
                   call(tg_k->softmax_backward[f], gx, g), call(tg_k->log_softmax_backward[f], log_gx, g)};
    c[2].p[2] = soft.p;
    c[3].p[2] = log_soft.p;
    for (int k = 0; k < 4; k++) c[k].fn(&c[k]);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            long double dot = 0, sum = 0, size = 0;
            for (int64_t k = 0; k < len; k++) {
                const int64_t i = where(o, k, j);
                dot += (long double)get(g, i) * get(soft, i);
                sum += get(g, i);
                size += fabs(get(g, i));
            }
            for (int64_t k = 0; k < len; k++) {
                const int64_t i = where(o, k, j);
                const double y = get(soft, i), tolerance = 80 * epsilon(t);
                CLOSE("softmax_backward", t, get(gx, i), y * (get(g, i) - dot), tolerance * y * (3 + size));
                CLOSE("log_softmax_backward", t, get(log_gx, i), get(g, i) - expl(get(log_soft, i)) * sum,
                      tolerance * (3 + size * y));
            }
        }
    array_free(soft), array_free(log_soft), array_free(gx), array_free(log_gx);
}

static void cross_entropy(tg_dtype t, array x)
{
    const int f = t == TG_F64, one_g = (int)random_below(2);
    const int64_t ignored = random_below(2) ? -100 : 0;
    array target = array_new(TG_I64, outer * inner), loss = array_new(t, target.n), lse = array_new(t, target.n);
    array g = array_random(t, one_g ? 1 : outer * inner, 0), gx = array_new(t, x.n);
    for (int64_t i = 0; i < target.n; i++)
        set(target, i, len == 0 || random_below(4) == 0 ? (double)ignored : (double)random_below(len));
    tg_call c = call(tg_k->cross_entropy[f], loss, x);
    c.p[2] = target.p, c.p[3] = lse.p, c.i[0] = ignored;
    c.fn(&c);
    tg_call b = call(tg_k->cross_entropy_backward[f], gx, x);
    b.p[2] = target.p, b.p[3] = lse.p, b.p[4] = g.p, b.i[0] = ignored, b.flags = one_g;
    b.fn(&b);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            const normalizer z = normalize(x, o, j);
            const int64_t i = o * inner + j, k = ((int64_t *)target.p)[i];
            const long double expected = k == ignored ? 0 : z.log_sum - (get(x, where(o, k, j)) - z.max);
            CLOSE("cross_entropy", t, get(loss, i), expected, 16 * epsilon(t) * (1 + fabsl(expected)));
            for (int64_t q = 0; q < len; q++) {
                const long double e = expl(get(x, where(o, q, j)) - z.max - z.log_sum), up = get(g, one_g ? 0 : i);
                const long double gradient = k == ignored ? 0 : up * (e - (q == k));
                const double unsure = (16 + fabs(get(lse, i))) * epsilon(t);   /* lse is rounded */
                CLOSE("cross_entropy_backward", t, get(gx, where(o, q, j)), gradient, unsure * fabsl(up));
            }
        }
    array_free(target), array_free(loss), array_free(lse), array_free(g), array_free(gx);
}

/* The same line everywhere gives the same bits everywhere. */
static void same_everywhere(tg_dtype t)
{
    const int f = t == TG_F64;
    array line = array_random(t, len, 0), x = array_new(t, outer * len * inner);
    array y = array_new(t, x.n), z = array_new(t, x.n);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < len; k++)
            for (int64_t j = 0; j < inner; j++) set(x, where(o, k, j), get(line, k));
    const tg_kernel kernels[] = {tg_k->softmax[f], tg_k->log_softmax[f], tg_k->softmax_backward[f],
                                 tg_k->log_softmax_backward[f], tg_k->logsumexp[f]};
    for (int n = 0; n < 5; n++) {
        array out = n == 4 ? array_new(t, outer * inner) : n < 2 ? y : z;
        tg_call c = call(kernels[n], out, x);
        c.p[2] = y.p;
        c.fn(&c);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t j = 0; j < inner; j++)
                for (int64_t k = 0; k < (n == 4 ? 1 : len); k++)
                    CLOSE("place changes the bits", t, get(out, n == 4 ? o * inner + j : where(o, k, j)),
                          get(out, n == 4 ? 0 : where(0, k, 0)), 0);
        if (outer > 0 && inner == 1) {  /* and so does a row alone */
            array alone = array_new(t, n == 4 ? 1 : len);
            tg_call d = {.fn = kernels[n], .n = {1, len, 1}, .p = {alone.p, line.p, y.p}};
            d.fn(&d);
            for (int64_t k = 0; k < alone.n; k++)
                CLOSE("company changes the bits", t, get(alone, k), get(out, k), 0);
            array_free(alone);
        }
        if (n == 4) array_free(out);
    }
    array_free(line), array_free(x), array_free(y), array_free(z);
}

static void run(void)
{
    for (int r = 0; r < 50; r++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++) {
            outer = random_size(5), len = random_size(random_below(10) ? 200 : 5000);
            inner = random_below(2) ? 1 : random_size(len > 200 ? 5 : 140);
            array plain = array_random(t, outer * len * inner, 0), special = array_random(t, plain.n, 40);
            array large = array_random(t, plain.n, 0), g = array_random(t, plain.n, 0);
            for (int64_t i = 0; i < large.n; i++) set(large, i, 1000 * get(large, i) - 500);
            array low = array_copy(plain);
            for (int64_t i = 0; i < low.n; i++) if (random_below(3)) set(low, i, -INFINITY);
            const array inputs[] = {plain, special, large, low};
            for (int k = 0; k < 4; k++) {
                forward(t, inputs[k]);
                cross_entropy(t, inputs[k]);
            }
            backward(t, g, plain);
            same_everywhere(t);
            array_free(plain), array_free(special), array_free(large), array_free(low), array_free(g);
        }
}
