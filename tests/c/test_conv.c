/* Convolution and its two gradients against plain loops: sizes, strides, paddings, dilations, groups; the same bits for any
   number of threads; where a NaN goes. */
#include "test.h"
#include "threads.h"

typedef struct { double value, size; } term; /* of a sum, and the sum of absolute terms */

typedef struct {
    tg_conv s;
    tg_dtype type;
    array x, weight, y; /* y is the output's gradient where an input's is asked for */
    term *dx, *dweight, *dy;
} problem;

static int64_t x_at(const tg_conv *s, int64_t n, int64_t c, int64_t h, int64_t w) { return ((n * s->C + c) * s->H + h) * s->W + w; }
static int64_t y_at(const tg_conv *s, int64_t n, int64_t o, int64_t h, int64_t w) { return ((n * s->O + o) * s->OH + h) * s->OW + w; }
static void add(term *t, double x) { t->value += x, t->size += fabs(x); }

/* Every product of the convolution once, added to all three results. */
static void plain(problem *p)
{
    const tg_conv *s = &p->s;
    const int64_t inputs = s->C / s->groups, outputs = s->O / s->groups;
    for (int64_t n = 0; n < s->N; n++)
        for (int64_t o = 0; o < s->O; o++)
            for (int64_t i = 0; i < s->OH; i++)
                for (int64_t j = 0; j < s->OW; j++)
                    for (int64_t c = 0; c < inputs; c++)
                        for (int64_t a = 0; a < s->KH; a++)
                            for (int64_t b = 0; b < s->KW; b++) {
                                const int64_t h = i * s->SH + a * s->DH - s->PH, w = j * s->SW + b * s->DW - s->PW;
                                if (h < 0 || h >= s->H || w < 0 || w >= s->W) continue;
                                const int64_t x = x_at(s, n, o / outputs * inputs + c, h, w), y = y_at(s, n, o, i, j);
                                const int64_t k = ((o * inputs + c) * s->KH + a) * s->KW + b;
                                add(p->dy + y, get(p->x, x) * get(p->weight, k));
                                add(p->dx + x, get(p->y, y) * get(p->weight, k));
                                add(p->dweight + k, get(p->y, y) * get(p->x, x));
                            }
}

static array launch(problem *p, const tg_kernel *kernels, array a, array b, int64_t n, void *bias)
{
    const int64_t size = element_size[p->type];
    const int weight = kernels == tg_k->conv_weight;
    array out = array_new(p->type, n);
    const int threads = 1 + (int)random_below(3);
    void *room = malloc((size_t)tg_conv_room(&p->s, weight, size, threads));
    const tg_call c = {.p = {out.p, a.p, b.p, bias, room}, .dims = (const int64_t *)&p->s, .flags = threads};
    kernels[p->type == TG_F64](&c);
    free(room);
    return out;
}

static void compare(const char *what, const problem *p, array got, const term *expected, const array *bias)
{
    const tg_conv *s = &p->s;
    for (int64_t i = 0; i < got.n; i++) {
        const double b = bias ? get(*bias, i / (s->OH * s->OW) % s->O) : 0;
        const double unsure = 40 * epsilon(p->type) * (expected[i].size + fabs(b));
        CHECK(near(get(got, i), expected[i].value + b, unsure),
              "%s %s: element %lld is %.9g, not %.9g; N %lld C %lld H %lld W %lld O %lld K %lldx%lld S %lldx%lld P %lldx%lld D "
              "%lldx%lld groups %lld",
              what, type_name[p->type], (long long)i, get(got, i), expected[i].value + b, (long long)s->N, (long long)s->C,
              (long long)s->H, (long long)s->W, (long long)s->O, (long long)s->KH, (long long)s->KW, (long long)s->SH,
              (long long)s->SW, (long long)s->PH, (long long)s->PW, (long long)s->DH, (long long)s->DW,
              (long long)s->groups);
    }
}

static int64_t outputs(int64_t in, int64_t k, int64_t stride, int64_t padding, int64_t dilation)
{
    return (in + 2 * padding - (k - 1) * dilation - 1) / stride + 1;
}

static problem problem_new(tg_dtype type, tg_conv s)
{
    problem p = {.s = s, .type = type};
    const int64_t nx = s.N * s.C * s.H * s.W, nw = s.O * (s.C / s.groups) * s.KH * s.KW, ny = s.N * s.O * s.OH * s.OW;
    p.x = array_random(type, nx, 0), p.weight = array_random(type, nw, 0), p.y = array_random(type, ny, 0);
    p.dx = calloc((size_t)nx, sizeof(term)), p.dweight = calloc((size_t)nw, sizeof(term));
    p.dy = calloc((size_t)ny, sizeof(term));
    return p;
}

static void problem_free(problem p)
{
    array_free(p.x), array_free(p.weight), array_free(p.y);
    free(p.dx), free(p.dweight), free(p.dy);
}

static void check(tg_dtype type, tg_conv s)
{
    problem p = problem_new(type, s);
    const array bias = array_random(type, s.O, 0), dbias = array_new(type, s.O);
    plain(&p);
    array y[2], dx[2], dweight[2];
    for (int i = 0; i < 2; i++) {
        tg_set_num_threads(i ? 3 : 1);
        y[i] = launch(&p, tg_k->conv, p.x, p.weight, p.y.n, s.KH & 1 ? bias.p : NULL);
        dx[i] = launch(&p, tg_k->conv_input, p.y, p.weight, p.x.n, NULL);
        dweight[i] = launch(&p, tg_k->conv_weight, p.y, p.x, p.weight.n, s.KW & 1 ? dbias.p : NULL);
    }
    for (int64_t o = 0; o < s.O && s.KW & 1; o++) {
        term sum = {0, 0};
        for (int64_t i = 0; i < s.N * s.OH * s.OW; i++)
            add(&sum, get(p.y, (i / (s.OH * s.OW) * s.O + o) * s.OH * s.OW + i % (s.OH * s.OW)));
        CLOSE("bias gradient", type, get(dbias, o), sum.value, 40 * epsilon(type) * sum.size);
    }
    compare("output", &p, y[0], p.dy, s.KH & 1 ? &bias : NULL);
    compare("input gradient", &p, dx[0], p.dx, NULL);
    compare("weight gradient", &p, dweight[0], p.dweight, NULL);
    CHECK(same_bits(y[0], y[1]) && same_bits(dx[0], dx[1]) && same_bits(dweight[0], dweight[1]),
          "%s: other bits with more threads", type_name[type]);
    for (int i = 0; i < 2; i++) array_free(y[i]), array_free(dx[i]), array_free(dweight[i]);
    array_free(bias), array_free(dbias);
    problem_free(p);
}

/* An activation is taken along: next to the output, or over it. */
static void check_activation(tg_dtype type, tg_conv s)
{
    problem p = problem_new(type, s);
    const array y = launch(&p, tg_k->conv, p.x, p.weight, p.y.n, NULL), out = array_new(type, y.n);
    array activated = array_new(type, y.n);
    for (int over = 0; over < 2; over++) {
        void *room = malloc((size_t)tg_conv_room(&s, 0, element_size[type], 1));
        const tg_call c = {.p = {out.p, p.x.p, p.weight.p, NULL, room, over ? out.p : activated.p},
                           .dims = (const int64_t *)&s, .flags = 1, .i = {1 + TG_UNARY_relu}};
        tg_k->conv[type == TG_F64](&c);
        free(room);
        CHECK(over || same_bits(out, y), "%s: other bits with an activation", type_name[type]);
        for (int64_t i = 0; i < y.n; i++) {
            const double want = get(y, i) > 0 ? get(y, i) : 0;
            CLOSE("activation", type, get(over ? out : activated, i), want, 0);
        }
    }
    array_free(y), array_free(out), array_free(activated);
    problem_free(p);
}

/* A NaN in the input reaches the outputs that read it, and no other. */
static void check_nan(tg_dtype type, tg_conv s)
{
    problem p = problem_new(type, s);
    const int64_t n = random_below(s.N), c = random_below(s.C), h = random_below(s.H), w = random_below(s.W);
    set(p.x, x_at(&s, n, c, h, w), NAN);
    plain(&p);
    const array y = launch(&p, tg_k->conv, p.x, p.weight, p.y.n, NULL);
    const array dweight = launch(&p, tg_k->conv_weight, p.y, p.x, p.weight.n, NULL);
    for (int64_t i = 0; i < y.n; i++)
        CHECK(isnan(get(y, i)) == isnan(p.dy[i].value), "%s: output %lld is %g", type_name[type], (long long)i, get(y, i));
    for (int64_t i = 0; i < dweight.n; i++)
        CHECK(isnan(get(dweight, i)) == isnan(p.dweight[i].value), "%s: weight gradient %lld is %g", type_name[type],
              (long long)i, get(dweight, i));
    array_free(y), array_free(dweight);
    problem_free(p);
}

static tg_conv shape(int64_t N, int64_t groups, int64_t C, int64_t O, int64_t H, int64_t W, int64_t KH, int64_t KW,
                     int64_t S, int64_t P, int64_t D)
{
    return (tg_conv){.N = N, .C = C * groups, .H = H, .W = W, .O = O * groups, .OH = outputs(H, KH, S, P, D),
                     .OW = outputs(W, KW, S, P, D), .KH = KH, .KW = KW, .SH = S, .SW = S, .PH = P, .PW = P, .DH = D,
                     .DW = D, .groups = groups};
}

static tg_conv random_shape(void)
{
    for (;;) {
        tg_conv s = {.N = 1 + random_below(3), .groups = random_below(3) ? 1 : 1 + random_below(4), .H = 1 + random_below(20),
                     .W = 1 + random_below(40), .KH = 1 + random_below(5), .KW = 1 + random_below(5),
                     .SH = 1 + random_below(3), .SW = 1 + random_below(3), .PH = random_below(4), .PW = random_below(4),
                     .DH = 1 + random_below(3), .DW = 1 + random_below(3)};
        s.C = s.groups * (1 + random_below(6)), s.O = s.groups * (1 + random_below(random_below(4) ? 8 : 40));
        s.OH = outputs(s.H, s.KH, s.SH, s.PH, s.DH) + random_below(2); /* uneven padding, as for 'same' */
        s.OW = outputs(s.W, s.KW, s.SW, s.PW, s.DW) - random_below(2);
        if (s.H + 2 * s.PH > (s.KH - 1) * s.DH && s.W + 2 * s.PW > (s.KW - 1) * s.DW && s.OH > 0 && s.OW > 0)
            return s;
    }
}

static void run(void)
{
    const tg_conv cases[] = {
        shape(9, 1, 1, 32, 28, 28, 3, 3, 1, 1, 1),   shape(2, 1, 32, 64, 14, 14, 3, 3, 1, 1, 1),
        shape(3, 1, 6, 16, 14, 14, 5, 5, 1, 0, 1),   shape(2, 1, 3, 40, 16, 16, 7, 7, 2, 3, 1),
        shape(2, 24, 1, 1, 9, 9, 3, 3, 1, 1, 1),     shape(2, 1, 140, 150, 3, 3, 1, 1, 1, 0, 1),
        shape(1, 1, 2, 2, 1, 3000, 1, 500, 1, 0, 1), shape(1, 1, 1, 2, 500, 40, 450, 2, 1, 0, 1),
        shape(1, 1, 2, 2, 100, 100, 3, 3, 1, 30, 30), shape(1, 1, 1, 1, 3, 5, 2, 2, 7, 3, 1),
        shape(1, 1, 9, 3, 120, 150, 3, 3, 1, 1, 1),  shape(19, 1, 50, 30, 7, 7, 3, 3, 1, 1, 1),
        shape(11, 2, 2, 1, 5, 9, 3, 3, 2, 1, 1),
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++)
        check(TG_F32 + (i & 1), cases[i]), check(TG_F64 - (i & 1), cases[i]);
    for (int i = 0; i < 400; i++) check(TG_F32 + (i & 1), random_shape());
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) check_activation(TG_F64 - (i & 1), cases[i]);
    for (int i = 0; i < 60; i++) check_activation(TG_F32 + (i & 1), random_shape());
    for (int i = 0; i < 60; i++) check_nan(TG_F32 + (i & 1), random_shape());
}
