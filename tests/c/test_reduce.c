/* Reductions and scans against loops in long double. */
#include "test.h"
#include "threads.h"

static int64_t outer, len, inner;
static int64_t where(int64_t o, int64_t k, int64_t j) { return (o * len + k) * inner + j; }

static tg_call call(tg_kernel fn, array out, array x)
{
    return (tg_call){.fn = fn, .n = {outer, len, inner}, .p = {out.p, x.p}};
}

/* The additions on the way of one element: 63 in sequence, then the tree over tiles and lanes. */
static double sum_steps(void) { return 63 + 7 + ceil(log2((double)len / 64 + 1)); }

static void sums(tg_dtype t, array x)
{
    array sum = array_new(t, outer * inner), prod = array_new(t, outer * inner);
    array cumsum = array_new(t, x.n), cumprod = array_new(t, x.n);
    tg_call c[] = {call(tg_k->sum[t], sum, x), call(tg_k->prod[t], prod, x), call(tg_k->cumsum[t], cumsum, x),
                   call(tg_k->cumprod[t], cumprod, x)};
    for (int k = 0; k < 4; k++) c[k].fn(&c[k]);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            long double s = 0, size = 0, p = 1;
            const double unit = is_float(t) ? epsilon(t) / 2 : 0;
            int64_t whole_p = 1;
            int in_range = 1;
            for (int64_t k = 0; k < len; k++) {
                const double v = get(x, where(o, k, j));
                s += v;
                size += fabs(v);
                p *= v;
                whole_p = (int64_t)((uint64_t)whole_p * (uint64_t)(int64_t)(is_float(t) ? 0 : v));
                in_range &= !(fabsl(p) > 1e30) && !(fabsl(p) < 1e-30 && p != 0);
                const double in_sequence = t == TG_F64 ? (double)(k + 1) : 2;
                const int64_t i = where(o, k, j);
                CLOSE("cumsum", t, get(cumsum, i), s, in_sequence * unit * size);
                if (is_float(t) && in_range) CLOSE("cumprod", t, get(cumprod, i), p, in_sequence * unit * fabsl(p));
                if (t == TG_I64) CHECK(((int64_t *)cumprod.p)[i] == whole_p, "cumprod int64");
            }
            const int64_t i = o * inner + j;
            CLOSE("sum", t, get(sum, i), s, sum_steps() * unit * size);
            if (is_float(t) && in_range) CLOSE("prod", t, get(prod, i), p, (double)len * unit * fabsl(p));
            if (t == TG_I64) CHECK(((int64_t *)prod.p)[i] == whole_p, "prod int64");
        }
    array_free(sum), array_free(prod), array_free(cumsum), array_free(cumprod);
}

static void extremes(tg_dtype t, array x)
{
    array greatest = array_new(t, outer * inner), least = array_new(t, outer * inner);
    array at_greatest = array_new(TG_I64, outer * inner), at_least = array_new(TG_I64, outer * inner);
    tg_call c[] = {call(tg_k->amax[t], greatest, x), call(tg_k->amin[t], least, x),
                   call(tg_k->argmax[t], at_greatest, x), call(tg_k->argmin[t], at_least, x)};
    for (int k = 0; k < 4; k++) c[k].fn(&c[k]);
    for (int64_t o = 0; o < outer && len; o++)
        for (int64_t j = 0; j < inner; j++) {
            int64_t hi = 0, lo = 0;
            for (int64_t k = 1; k < len; k++) {
                const double v = get(x, where(o, k, j)), h = get(x, where(o, hi, j)), l = get(x, where(o, lo, j));
                if (h == h && !(v <= h)) hi = k;
                if (l == l && !(v >= l)) lo = k;
            }
            const int64_t i = o * inner + j;
            CLOSE("amax", t, get(greatest, i), get(x, where(o, hi, j)), 0);
            CLOSE("amin", t, get(least, i), get(x, where(o, lo, j)), 0);
            CLOSE("argmax", t, get(at_greatest, i), hi, 0);
            CLOSE("argmin", t, get(at_least, i), lo, 0);
        }
    array_free(greatest), array_free(least), array_free(at_greatest), array_free(at_least);
}

static void any_all(array x)
{
    array any = array_new(TG_BOOL, outer * inner), all = array_new(TG_BOOL, outer * inner);
    tg_call c[] = {call(tg_k->any, any, x), call(tg_k->all, all, x)};
    for (int k = 0; k < 2; k++) c[k].fn(&c[k]);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            int some = 0, every = 1;
            for (int64_t k = 0; k < len; k++) {
                some |= get(x, where(o, k, j)) != 0;
                every &= get(x, where(o, k, j)) != 0;
            }
            CHECK(get(any, o * inner + j) == some, "any");
            CHECK(get(all, o * inner + j) == every, "all");
        }
    array_free(any), array_free(all);
}

static void var(tg_dtype t, array x, double correction)
{
    array out = array_new(t, outer * inner), mean = array_new(t, outer * inner);
    tg_call c = call(tg_k->var[t == TG_F64], out, x);
    c.s[0] = correction;
    c.p[2] = mean.p;
    c.fn(&c);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            long double m = 0, size = 0, v = 0;
            for (int64_t k = 0; k < len; k++) m += get(x, where(o, k, j)), size += fabs(get(x, where(o, k, j)));
            m /= len;
            for (int64_t k = 0; k < len; k++) v += powl(get(x, where(o, k, j)) - m, 2);
            v /= fmax(0, (double)len - correction);
            const double unsure = (sum_steps() + 4) * epsilon(t);
            CLOSE("mean", t, get(mean, o * inner + j), m, unsure * size / len);
            CLOSE("var", t, get(out, o * inner + j), v, unsure * v + powl(unsure * m, 2));
        }
    array_free(out), array_free(mean);
}

/* The same line everywhere gives the same bits everywhere, and on every instruction set where nothing is fused. */
static void same_everywhere(tg_dtype t)
{
    outer = random_below(4) + 1, len = random_size(400), inner = random_size(150);
    array line = array_random(t, len, 0), x = array_new(t, outer * len * inner), out = array_new(t, outer * inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < len; k++)
            for (int64_t j = 0; j < inner; j++) set(x, where(o, k, j), get(line, k));
    const tg_kernel kernels[] = {tg_k->sum[t], tg_k->var[t == TG_F64], tg_kernels_baseline.sum[t]};
    array first = array_new(t, 3);
    for (int n = 0; n < 3; n++) {
        tg_call c = call(kernels[n], out, x);
        c.fn(&c);
        for (int64_t i = 0; i < out.n; i++) {
            if (i == 0) set(first, n, get(out, 0));
            CHECK(near(get(out, i), get(first, n), 0), "place changes the bits of kernel %d", n);
        }
    }
    if (out.n) CHECK(near(get(first, 0), get(first, 2), 0), "sum differs from baseline");
    array_free(line), array_free(x), array_free(out), array_free(first);
}

/* 0.1 twenty million times: in sequence float32 would be off by percents. */
static void long_sum(void)
{
    outer = 1, len = 20000001, inner = 1;
    array x = array_new(TG_F32, len), out = array_new(TG_F32, 2);
    for (int64_t i = 0; i < len; i++) set(x, i, 0.1);
    tg_call c = call(tg_k->sum[TG_F32], out, x);
    c.fn(&c);
    CLOSE("long row", TG_F32, get(out, 0), len * (double)0.1f, sum_steps() * epsilon(TG_F32) / 2 * len * 0.1);
    inner = 2, len /= 2;
    c = call(tg_k->sum[TG_F32], out, x);
    c.fn(&c);
    CLOSE("long column", TG_F32, get(out, 1), len * (double)0.1f, sum_steps() * epsilon(TG_F32) / 2 * len * 0.1);
    array_free(x), array_free(out);
}

/* Large enough for several threads: the same bits on any number of them, and sums as on the baseline. */
static void threads(tg_dtype t, int64_t o, int64_t k, int64_t j)
{
    outer = o, len = k, inner = j;
    array x = array_random(t, outer * len * inner, 0), out = array_new(t, x.n), first = array_new(t, x.n);
    const tg_kernel kernels[] = {tg_k->sum[t], tg_kernels_baseline.sum[t], tg_k->amax[t], tg_k->cumsum[t],
                                 tg_k->var[t == TG_F64], tg_k->argmax[t]};
    for (int n = 0; n < (t == TG_F64 ? 6 : 5); n++)  /* argmax gives int64, as large as float64 */
        for (int m = 0; m < 4; m++) {
            static const int number[] = {1, 2, 3, 5};
            tg_call c = call(kernels[n], m || n == 1 ? out : first, x);
            tg_set_num_threads(number[m]);
            c.fn(&c);
            const size_t bytes = (size_t)((n == 3 ? x.n : outer * inner) * element_size[t]);
            CHECK((!m && n != 1) || !memcmp(out.p, first.p, bytes), "kernel %d: other bits on %d threads", n, number[m]);
        }
    tg_set_num_threads(1);
    array_free(x), array_free(out), array_free(first);
}

static void run(void)
{
    for (int r = 0; r < 150; r++)
        for (tg_dtype t = 0; t < TG_DTYPES; t++) {
            outer = random_size(5), len = random_size(random_below(10) ? 300 : 9000);
            inner = random_below(2) ? 1 : random_size(len > 300 ? 5 : 150);
            array plain = array_random(t, outer * len * inner, 0), special = array_random(t, outer * len * inner, 40);
            extremes(t, plain);
            extremes(t, special);
            if (is_float(t) || t == TG_I64) sums(t, plain);
            if (is_float(t)) var(t, plain, (double)random_below(3));
            if (is_float(t)) same_everywhere(t);
            if (t == TG_BOOL) any_all(plain);
            array_free(plain), array_free(special);
        }
    long_sum();
    for (tg_dtype t = TG_F32; t <= TG_F64; t++) {
        threads(t, 1, 300000 + random_below(5000), 1);
        threads(t, 1 << (6 + t), 700, 1);
        threads(t, 3, 400, 200 + random_below(100));
    }
}
