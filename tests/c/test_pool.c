/* Pooling against plain loops: kernels, strides, paddings, dilations, adaptive windows, places, special values. */
#include "pool.h"
#include "test.h"
#include "threads.h"

#include <sys/mman.h>

static tg_pooling s;
static tg_dtype type;

static int inside(const tg_pool_axis *a, int64_t o, int64_t i) /* does output o read element i? */
{
    if (!a->kernel)
        return i >= o * a->size / a->out && i * a->out < (o + 1) * a->size;
    const int64_t k = i - (o * a->stride - a->padding);
    return k >= 0 && k % a->dilation == 0 && k / a->dilation < a->kernel;
}

static int64_t counted(const tg_pool_axis *a, int64_t o) /* elements and padding in the window */
{
    int64_t n = 0;
    const int64_t pad = s.include_padding ? a->padding : 0;
    for (int64_t i = -pad; i < a->size + pad; i++) n += inside(a, o, i);
    return n;
}

static tg_pool_axis random_axis(int64_t most)
{
    for (;;) {
        tg_pool_axis a = {.size = 1 + random_below(random_below(4) ? 12 : most), .kernel = 1 + random_below(4),
                          .stride = 1 + random_below(4), .dilation = 1 + random_below(2)};
        a.padding = random_below(a.kernel / 2 + 1);
        const int64_t room = a.size + 2 * a.padding - (a.kernel - 1) * a.dilation - 1;
        if (room < 0) continue;
        a.out = room / a.stride + 1;
        if (random_below(2) && a.out * a.stride < a.size + a.padding) a.out++; /* ceil_mode */
        if (random_below(5) == 0) a = (tg_pool_axis){.size = a.size, .out = 1 + random_below(a.size + 3), .dilation = 1};
        int full = 1; /* a window that reads nothing is refused before */
        for (int64_t o = 0; o < a.out; o++) {
            int reads = 0;
            for (int64_t i = 0; i < a.size; i++) reads |= inside(&a, o, i);
            full &= reads;
        }
        if (full) return a;
    }
}

static void call(tg_kernel *kernels, array to, array from, void *places, int indices)
{
    const tg_call c = {.p = {to.p, from.p, places}, .dims = (const int64_t *)&s, .flags = indices};
    kernels[type == TG_F64](&c);
}

static void check_max(int indices)
{
    const int64_t size = s.h.size * s.w.size, out = s.h.out * s.w.out;
    array x = array_random(type, s.planes * size, 9), y = array_new(type, s.planes * out), g = array_random(type, y.n, 0);
    array dx = array_new(type, x.n), taken = array_new(type, y.n), places = array_new(indices ? TG_I64 : TG_U8, y.n);
    double *expected = calloc((size_t)x.n, sizeof *expected), *sizes = calloc((size_t)x.n, sizeof *sizes);
    call((tg_kernel *)tg_k->max_pool, y, x, places.p, indices);
    call((tg_kernel *)tg_k->max_pool_put, dx, g, places.p, indices);
    call((tg_kernel *)tg_k->max_pool_take, taken, x, places.p, indices);
    for (int64_t o = 0; o < y.n; o++) {
        int64_t at = -1;
        for (int64_t i = 0; i < size; i++)
            if (inside(&s.h, o / s.w.out % s.h.out, i / s.w.size) && inside(&s.w, o % s.w.out, i % s.w.size)) {
                const double v = get(x, o / out * size + i), best = at < 0 ? 0 : get(x, o / out * size + at);
                if (at < 0 || v > best || isnan(v)) at = i;
            }
        CLOSE("maximum", type, get(y, o), get(x, o / out * size + at), 0);
        CLOSE("taken", type, get(taken, o), get(y, o), 0);
        if (indices) CLOSE("index", type, get(places, o), at, 0);
        expected[o / out * size + at] += get(g, o);
        sizes[o / out * size + at] += fabs(get(g, o));
    }
    for (int64_t i = 0; i < x.n; i++) CLOSE("gradient of maximum", type, get(dx, i), expected[i], 20 * epsilon(type) * sizes[i]);
    array_free(x), array_free(y), array_free(g), array_free(dx), array_free(taken), array_free(places);
    free(expected), free(sizes);
}

static void check_average(void)
{
    const int64_t size = s.h.size * s.w.size, out = s.h.out * s.w.out;
    array x = array_random(type, s.planes * size, 0), y = array_new(type, s.planes * out), g = array_random(type, y.n, 0);
    array dx = array_new(type, x.n);
    double *expected = calloc((size_t)x.n, sizeof *expected), *sizes = calloc((size_t)x.n, sizeof *sizes);
    call((tg_kernel *)tg_k->avg_pool, y, x, NULL, 0);
    call((tg_kernel *)tg_k->avg_pool_backward, dx, g, NULL, 0);
    for (int64_t o = 0; o < y.n; o++) {
        double sum = 0, absolute = 0;
        const int64_t r = o / s.w.out % s.h.out, q = o % s.w.out;
        const double divisor = s.divisor ? (double)s.divisor : (double)(counted(&s.h, r) * counted(&s.w, q));
        for (int64_t i = 0; i < size; i++)
            if (inside(&s.h, r, i / s.w.size) && inside(&s.w, q, i % s.w.size)) {
                sum += get(x, o / out * size + i), absolute += fabs(get(x, o / out * size + i));
                expected[o / out * size + i] += get(g, o) / divisor;
                sizes[o / out * size + i] += fabs(get(g, o) / divisor);
            }
        CLOSE("average", type, get(y, o), sum / divisor, 30 * epsilon(type) * absolute / divisor);
    }
    for (int64_t i = 0; i < x.n; i++) CLOSE("gradient of average", type, get(dx, i), expected[i], 30 * epsilon(type) * sizes[i]);
    array_free(x), array_free(y), array_free(g), array_free(dx);
    free(expected), free(sizes);
}

/* Places further apart than 31 bits count, in a plane of which only the pages that windows read are ever there. */
static void check_far_places(void)
{
    const int64_t dilation = (1 << 30) + 8, n = 2 * dilation + 40;
    float *x = mmap(NULL, (size_t)n * sizeof *x, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(x != MAP_FAILED, "no address space for the test");
    type = TG_F32;
    s = (tg_pooling){.planes = 1, .h = {1, 1, 1, 1, 0, 1}, .w = {n, 40, 3, 1, 0, dilation}};
    array y = array_new(type, 40), places = array_new(TG_I64, 40), plane = {type, n, x};
    for (int64_t j = 0; j < 40; j++) x[j + 2 * dilation] = 1 + (float)j;
    call((tg_kernel *)tg_k->max_pool, y, plane, places.p, 1);
    for (int64_t j = 0; j < 40; j++) {
        CLOSE("far maximum", type, get(y, j), 1 + j, 0);
        CLOSE("far index", type, ((int64_t *)places.p)[j], j + 2 * dilation, 0);
    }
    array_free(y), array_free(places);
    munmap(x, (size_t)n * sizeof *x);
}

static void run(void)
{
    check_far_places();
    tg_set_num_threads(2);
    for (int n = 0; n < 400; n++) {
        type = TG_F32 + (n & 1);
        s = (tg_pooling){.planes = 1 + random_below(3), .h = random_axis(12), .w = random_axis(150)};
        if (n % 5 == 0) /* a window in each dimension, side by side */
            s.h = (tg_pool_axis){1 + random_below(9), 1, 2, 2, 0, 1}, s.h.out = s.h.size / 2,
            s.w = (tg_pool_axis){2 + random_below(40), 1, 2, 2, 0, 1}, s.w.out = s.w.size / 2;
        if (!s.h.out) continue;
        check_max(n & 2);
        s.h.dilation = s.w.dilation = 1;
        s.include_padding = random_below(2), s.divisor = random_below(3) ? 0 : 7;
        check_average();
    }
    s = (tg_pooling){.planes = 130, .h = {30, 14, 3, 2, 0, 1}, .w = {34, 17, 3, 2, 1, 1}}; /* several pieces */
    check_max(0), check_max(1), check_average();
    s = (tg_pooling){.planes = 2, .h = {40, 2, 20, 20, 0, 1}, .w = {40, 1, 20, 20, 0, 1}}; /* no bytes for so large a window */
    check_max(1);
}
