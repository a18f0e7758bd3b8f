/* Moved images against plain loops in long double: affine maps of any parameters, crops with every padding, resizing, blurring;
   the same bits as on the baseline; sizes down to one pixel, in blocks of their exact size. */
#include "resample.h"
#include "test.h"

static const tg_dtype types[] = {TG_U8, TG_F32, TG_F64};
static tg_dtype type;

static array pixels(int64_t n)
{
    array x = array_new(type, n);
    for (int64_t i = 0; i < n; i++) set(x, i, type == TG_U8 ? (double)random_below(256) : random_unit());
    return x;
}

static tg_images random_images(int64_t most)
{
    tg_images s = {1 + random_below(3), 1 + random_below(3), 1 + random_below(most), 1 + random_below(most), 0, 0};
    s.out_height = random_below(2) ? s.height : 1 + random_below(most);
    s.out_width = random_below(2) ? s.width : 1 + random_below(most);
    return s;
}

static int64_t inputs(const tg_images *s) { return s->images * s->channels * s->height * s->width; }
static int64_t outputs(const tg_images *s) { return s->images * s->channels * s->out_height * s->out_width; }

static double pixel(array x, const tg_images *s, int64_t plane, int64_t row, int64_t column, array fill)
{
    if (row < 0 || column < 0 || row >= s->height || column >= s->width) return get(fill, plane % s->channels);
    return get(x, (plane * s->height + row) * s->width + column);
}

/* Runs a kernel on this instruction set and on the baseline: the same bits, but that a NaN is a NaN. */
static void both(const char *name, tg_kernel fn, tg_kernel base, tg_call *c, array y)
{
    array other = array_new(y.type, y.n);
    fn(c);
    tg_call again = *c;
    again.p[0] = other.p;
    base(&again);
    for (int64_t i = 0; i < y.n; i++)
        if (isnan(get(y, i)) && isnan(get(other, i))) set(y, i, 0), set(other, i, 0);
    CHECK(same_bits(y, other), "%s %s differs from baseline", name, type_name[y.type]);
    array_free(other);
}

static void affine(void)
{
    tg_warp s = {.size = random_images(random_below(3) ? 40 : 4), .source = random_below(3), .bilinear = random_below(2)};
    const int64_t rows = s.source == TG_GIVEN_ONCE ? 1 : s.size.images;
    for (int k = 0; k < TG_WARP_PARAMETERS; k++) {
        const double most = (double[]){200, 9, 9, 0, 60, 60}[k];
        s.least[k] = k == TG_SCALE ? 0.4 : -most, s.most[k] = k == TG_SCALE ? 2.5 : most;
    }
    s.centre[0] = random_unit() * 9, s.centre[1] = -random_unit() * 9;
    array x = pixels(inputs(&s.size)), y = array_new(type, outputs(&s.size)), fill = pixels(s.size.channels);
    array parameters = array_new(TG_F64, rows * TG_WARP_PARAMETERS);
    const int wild = random_below(8) == 0; /* far out and degenerate: no more than no crash is asked */
    for (int64_t i = 0; i < parameters.n; i++) {
        const int k = (int)(i % TG_WARP_PARAMETERS);
        set(parameters, i, s.least[k] + random_unit() * (s.most[k] - s.least[k]));
        if (wild) set(parameters, i, (double[]){1e30, -1e300, INFINITY, NAN, 0, 1e-300}[random_below(6)]);
        if (!wild && random_below(4) == 0 && k == TG_ANGLE) set(parameters, i, 90 * (double)random_below(5));
    }
    tg_call c = {.p = {y.p, x.p, parameters.p, fill.p}, .hyper = &s, .u = {7, 3}};
    both("warp_affine", tg_k->warp_affine[type], tg_kernels_baseline.warp_affine[type], &c, y);
    const int judged = !wild || s.source == TG_DRAWN;
    for (int64_t i = 0; judged && i < y.n; i++) {
        const int64_t column = i % s.size.out_width, row = i / s.size.out_width % s.size.out_height;
        const int64_t plane = i / s.size.out_width / s.size.out_height, n = plane / s.size.channels;
        tg_steps steps;
        tg_warp_steps(&s, (double *)parameters.p + (s.source == TG_GIVEN_ONCE ? 0 : n * TG_WARP_PARAMETERS), &steps);
        int64_t at[2];
        for (int k = 0; k < 2; k++) at[k] = steps.first[k] + column * steps.column[k] + row * steps.row[k];
        if (!s.bilinear) {
            const int64_t half = (int64_t)1 << 30;
            CLOSE("nearest", type, get(y, i), pixel(x, &s.size, plane, (at[1] + half) >> 31, (at[0] + half) >> 31, fill), 0);
            continue;
        }
        const int64_t l = at[0] >> 31, t = at[1] >> 31;
        const long double fx = (at[0] & 0x7fffffff) * 0x1p-31L, fy = (at[1] & 0x7fffffff) * 0x1p-31L;
        const long double above = (1 - fx) * pixel(x, &s.size, plane, t, l, fill) + fx * pixel(x, &s.size, plane, t, l + 1, fill);
        const long double below = (1 - fx) * pixel(x, &s.size, plane, t + 1, l, fill)
                                  + fx * pixel(x, &s.size, plane, t + 1, l + 1, fill);
        CLOSE("bilinear", type, get(y, i), (1 - fy) * above + fy * below, type == TG_U8 ? 0.5001 : 4 * epsilon(type));
    }
    array_free(x), array_free(y), array_free(fill), array_free(parameters);
}

static void crops(void)
{
    tg_crop s = {.size = random_images(20), .source = random_below(3), .padding = random_below(4), .flips = {0.5, 0.5}};
    const int64_t rows = s.source == TG_GIVEN_ONCE ? 1 : s.size.images;
    s.least[0] = s.least[1] = -9, s.most[0] = s.most[1] = 9;
    array x = pixels(inputs(&s.size)), y = array_new(type, outputs(&s.size)), fill = pixels(s.size.channels);
    array parameters = array_new(TG_I64, rows * TG_CROP_PARAMETERS);
    for (int64_t i = 0; i < parameters.n; i++) set(parameters, i, (double)(i % 4 < 2 ? random_below(40) - 20 : random_below(2)));
    const int far = s.padding <= TG_PAD_EDGE && random_below(8) == 0; /* as far out as a place may lie */
    for (int64_t i = 0; far && i < parameters.n; i++)
        if (i % 4 < 2) set(parameters, i, random_below(2) ? INT32_MAX : -(double)INT32_MAX);
    tg_call c = {.p = {y.p, x.p, parameters.p, fill.p}, .hyper = &s, .u = {7, 3}};
    both("crop", tg_k->crop[type], tg_kernels_baseline.crop[type], &c, y);
    for (int64_t i = 0; i < y.n; i++) {
        const int64_t plane = i / s.size.out_width / s.size.out_height, n = plane / s.size.channels;
        const int64_t *p = (int64_t *)parameters.p + (s.source == TG_GIVEN_ONCE ? 0 : n * TG_CROP_PARAMETERS);
        int64_t at[2] = {i / s.size.out_width % s.size.out_height, i % s.size.out_width};
        const int64_t sizes[2] = {s.size.height, s.size.width}, outs[2] = {s.size.out_height, s.size.out_width};
        for (int k = 0; k < 2; k++) {
            int64_t j = p[k] + (p[2 + k] ? outs[k] - 1 - at[k] : at[k]);
            while (s.padding != TG_PAD_CONSTANT && (j < 0 || j >= sizes[k])) { /* bounce until inside */
                const int64_t end = j < 0 ? 0 : sizes[k] - 1;
                if (s.padding == TG_PAD_EDGE || sizes[k] == 1) j = end;
                else if (s.padding == TG_PAD_REFLECT) j = 2 * end - j;
                else j = 2 * end - j + (j < 0 ? -1 : 1);
            }
            at[k] = j;
        }
        CLOSE("crop", type, get(y, i), pixel(x, &s.size, plane, at[0], at[1], fill), 0);
    }
    array_free(x), array_free(y), array_free(fill), array_free(parameters);
}

/* Of element k of n, how much output i of `out` takes: a triangle around its middle, in all 1. */
static long double share(int64_t filter, int64_t n, int64_t out, int64_t i, int64_t k)
{
    const long double scale = (long double)n / out, wide = filter == TG_RESIZE_ANTIALIAS && scale > 1 ? scale : 1;
    if (filter == TG_RESIZE_NEAREST) return k * out <= i * n && i * n < (k + 1) * out;
    long double total = 0, own = 0;
    for (int64_t j = 0; j < n; j++) {
        const long double w = fmaxl(0, 1 - fabsl((j + 0.5L - (i + 0.5L) * scale) / wide));
        total += w;
        if (j == k) own = w;
    }
    return own / total;
}

static void resizes(void)
{
    tg_resize s = {.size = random_images(14), .source = random_below(3), .filter = random_below(3), .scale = {0.1, 1},
                   .ratio = {0.5, 2}};
    const int64_t rows = s.source == TG_GIVEN_ONCE ? 1 : s.size.images;
    array x = pixels(inputs(&s.size)), y = array_new(type, outputs(&s.size)), boxes = array_new(TG_I64, rows * 4);
    for (int64_t n = 0; n < rows; n++) {
        int64_t *b = (int64_t *)boxes.p + 4 * n;
        b[2] = 1 + random_below(s.size.height), b[3] = 1 + random_below(s.size.width);
        b[0] = random_below(s.size.height - b[2] + 1), b[1] = random_below(s.size.width - b[3] + 1);
    }
    array room = array_new(type == TG_F64 ? TG_F64 : TG_F32, s.size.images * s.size.channels * s.size.out_height * s.size.width);
    tg_call c = {.p = {y.p, x.p, boxes.p, NULL, room.p}, .hyper = &s, .u = {7, 3}};
    both("resize", tg_k->resize[type], tg_kernels_baseline.resize[type], &c, y);
    for (int64_t i = 0; i < y.n; i++) {
        const int64_t plane = i / s.size.out_width / s.size.out_height, n = plane / s.size.channels;
        const int64_t *b = (int64_t *)boxes.p + (s.source == TG_GIVEN_ONCE ? 0 : 4 * n);
        CHECK(b[0] >= 0 && b[1] >= 0 && b[2] > 0 && b[3] > 0 && b[0] + b[2] <= s.size.height && b[1] + b[3] <= s.size.width, "box");
        long double expected = 0;
        for (int64_t r = 0; r < b[2]; r++)
            for (int64_t q = 0; q < b[3]; q++)
                expected += share(s.filter, b[2], s.size.out_height, i / s.size.out_width % s.size.out_height, r)
                            * share(s.filter, b[3], s.size.out_width, i % s.size.out_width, q)
                            * get(x, (plane * s.size.height + b[0] + r) * s.size.width + b[1] + q);
        CLOSE("resize", type, get(y, i), expected, type == TG_U8 ? 0.5001 : 30 * epsilon(type));
    }
    array_free(x), array_free(y), array_free(boxes), array_free(room);
}

static void blurs(void)
{
    tg_blur s = {.size = random_images(70), .source = random_below(3), .sigma = {0.3, 3}};
    s.size.out_height = s.size.height, s.size.out_width = s.size.width;
    s.taps[0] = 1 + 2 * random_below((s.size.height + 1) / 2), s.taps[1] = 1 + 2 * random_below((s.size.width + 1) / 2);
    for (int k = 0; k < 2; k++) s.taps[k] = s.taps[k] > 9 ? 9 : s.taps[k];
    const int64_t rows = s.source == TG_GIVEN_ONCE ? 1 : s.size.images, taps = s.taps[0] + s.taps[1];
    array x = pixels(inputs(&s.size)), y = array_new(type, x.n), sigmas = array_new(TG_F64, 2 * rows);
    array weights = array_new(TG_F64, s.size.images * taps), room = array_new(type == TG_F64 ? TG_F64 : TG_F32, x.n);
    for (int64_t i = 0; i < sigmas.n; i++) set(sigmas, i, 0.3 + random_unit());
    tg_call c = {.p = {y.p, x.p, sigmas.p, weights.p, room.p}, .hyper = &s, .u = {7, 3}};
    both("blur", tg_k->blur[type], tg_kernels_baseline.blur[type], &c, y);
    for (int64_t i = 0; i < y.n; i += 7) {
        const int64_t column = i % s.size.width, row = i / s.size.width % s.size.height, plane = i / s.size.width / s.size.height;
        const double *sigma = (double *)sigmas.p + (s.source == TG_GIVEN_ONCE ? 0 : 2 * (plane / s.size.channels));
        long double sum = 0, total = 0;
        for (int64_t r = -(s.taps[0] / 2); r <= s.taps[0] / 2; r++)
            for (int64_t q = -(s.taps[1] / 2); q <= s.taps[1] / 2; q++) {
                const long double u = r / sigma[0], v = q / sigma[1], w = expl(-(u * u + v * v) / 2);
                int64_t at[2] = {llabs(row + r), llabs(column + q)};
                if (at[0] >= s.size.height) at[0] = 2 * (s.size.height - 1) - at[0];
                if (at[1] >= s.size.width) at[1] = 2 * (s.size.width - 1) - at[1];
                sum += w * get(x, (plane * s.size.height + at[0]) * s.size.width + at[1]);
                total += w;
            }
        CLOSE("blur", type, get(y, i), sum / total, type == TG_U8 ? 0.5001 : 30 * epsilon(type));
    }
    array_free(x), array_free(y), array_free(sigmas), array_free(weights), array_free(room);
}

/* Whatever the factors and the colours, NaN among them: within bounds, and the same on every instruction set. */
static void jitters(void)
{
    tg_jitter s = {.size = random_images(12), .source = random_below(3), .on = {1, random_below(2), 1, random_below(2)},
                   .least = {0, 0, 0, -0.5}, .most = {2, 2, 2, 0.5}};
    s.size.channels = random_below(2) ? 3 : 1, s.size.out_height = s.size.height, s.size.out_width = s.size.width;
    const int64_t rows = s.source == TG_GIVEN_ONCE ? 1 : s.size.images;
    array x = random_below(4) ? pixels(inputs(&s.size)) : array_random(type, inputs(&s.size), 9), y = array_new(type, x.n);
    array parameters = array_new(TG_F64, rows * TG_JITTER_PARAMETERS);
    for (int64_t i = 0; i < parameters.n; i++) set(parameters, i, i % 8 < 4 ? (double)((i + 1) % 4) : i % 8 == 7 ? 0.2 : 1.5);
    tg_call c = {.p = {y.p, x.p, parameters.p}, .hyper = &s, .u = {7, 3}};
    both("jitter", tg_k->jitter[type], tg_kernels_baseline.jitter[type], &c, y);
    for (int64_t i = 0; s.source == TG_DRAWN && i < parameters.n; i += 8) {
        int seen[TG_COLOURS] = {0};
        for (int k = 0; k < TG_COLOURS; k++)
            if (get(parameters, i + k) >= 0) seen[(int)get(parameters, i + k)]++;
        for (int k = 0; k < TG_COLOURS; k++) CHECK(seen[k] == (s.on[k] != 0), "each colour once, if at all");
    }
    array_free(x), array_free(y), array_free(parameters);
}

static void run(void)
{
    for (int k = 0; k < 300; k++) {
        type = types[k % 3];
        affine(), crops(), blurs(), jitters();
        if (k % 3 == 0 || k < 60) resizes();
    }
}
