/* How a convolution is cut: the same for every float type and instruction set. Everything follows from sizes alone, and an
   element's sum runs over the same products in the same order wherever it stands. */
#include "conv.h"
#include "threads.h"

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t floor_mod(int64_t a, int64_t b) { return (a % b + b) % b; }

/* Into few blocks, and those alike. */
static int64_t even(int64_t n, int64_t most) { return ceil_div(n, ceil_div(n, most)); }

/* How many rows lie from the first of some taps to the last. */
static int64_t span(const tg_conv_axis *a, int64_t taps)
{
    return (taps - 1) * (a->offset_step < 0 ? -a->offset_step : a->offset_step) + 1;
}

static int shares_rows(const tg_conv_axis *h, int64_t rows, int64_t taps)
{
    return h->step == 1 && rows - 1 + span(h, taps) <= rows * taps;
}

static void cut(tg_conv_plan *p, int64_t room, int64_t most)
{
    const int64_t planes = p->C * p->w.taps;
    p->k = planes * p->h.taps;
    p->taps = even(p->h.taps, TG_CONV_K);
    p->planes = even(planes, max(1, TG_CONV_K / p->taps));
    const int64_t own = room / (p->planes * p->taps); /* outputs for which there is room if no rows are shared */
    const int64_t shared = room / (p->planes * p->w.out) - span(&p->h, p->taps) + 1;
    p->cols = min(p->w.out, min(own, most));
    p->rows = 1;
    if (p->cols == p->w.out) {
        p->rows = max(1, own / p->cols);
        if (shared > p->rows && shares_rows(&p->h, shared, p->taps))
            p->rows = shared;
        p->rows = even(p->h.out, max(1, min(p->rows, most / p->cols)));
    } else {
        p->cols = even(p->w.out, p->cols);
    }
    p->row_blocks = ceil_div(p->h.out, p->rows);
    p->col_blocks = ceil_div(p->w.out, p->cols);
}

static tg_conv_axis output_axis(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t padding, int64_t dilation)
{
    return (tg_conv_axis){.out = out, .first = 0, .stride = 1, .source = in, .step = stride, .offset = -padding,
                          .offset_step = dilation, .taps = k, .tap = 0, .tap_step = 1};
}

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

/* Input h = first + i stride meets output (h + padding - t dilation) / stride, where that is whole. */
static tg_conv_axis input_axis(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t padding, int64_t dilation,
                               int64_t first)
{
    tg_conv_axis a = {.out = first < in ? (in - 1 - first) / stride + 1 : 0, .first = first, .stride = stride,
                      .source = out, .step = 1};
    while (a.tap < k && a.tap < stride && floor_mod(first + padding - a.tap * dilation, stride)) a.tap++;
    if (a.tap >= k || a.tap >= stride)
        return a;
    a.tap_step = stride / common_divisor(stride, dilation);
    a.taps = (k - 1 - a.tap) / a.tap_step + 1;
    a.offset = (first + padding - a.tap * dilation) / stride;
    a.offset_step = -(a.tap_step * dilation / stride);
    return a;
}

static void plan_output(tg_conv_plan *p, const tg_conv *s)
{
    const int64_t taps = s->KH * s->KW;
    *p = (tg_conv_plan){.h = output_axis(s->H, s->OH, s->KH, s->SH, s->PH, s->DH),
                        .w = output_axis(s->W, s->OW, s->KW, s->SW, s->PW, s->DW),
                        .M = s->O / s->groups, .C = s->C / s->groups, .w_m = s->C / s->groups * taps, .w_c = taps,
                        .kernel_w = s->KW};
}

void tg_conv_plan_output(tg_conv_plan *p, const tg_conv *s, int64_t size)
{
    plan_output(p, s);
    cut(p, TG_CONV_UNFOLDED / size, INT64_MAX);
}

void tg_conv_plan_input(tg_conv_plan *p, const tg_conv *s, int64_t size, int64_t row, int64_t col)
{
    const int64_t taps = s->KH * s->KW;
    *p = (tg_conv_plan){.h = input_axis(s->H, s->OH, s->KH, s->SH, s->PH, s->DH, row),
                        .w = input_axis(s->W, s->OW, s->KW, s->SW, s->PW, s->DW, col),
                        .M = s->C / s->groups, .C = s->O / s->groups, .w_m = taps, .w_c = s->C / s->groups * taps,
                        .kernel_w = s->KW};
    if (p->h.out && p->w.out && p->h.taps && p->w.taps)
        cut(p, TG_CONV_UNFOLDED / size, INT64_MAX);
}

tg_conv_block tg_conv_block_at(const tg_conv_plan *p, int64_t i)
{
    tg_conv_block b = {.row = i / p->col_blocks * p->rows, .col = i % p->col_blocks * p->cols};
    b.rows = min(p->rows, p->h.out - b.row);
    b.cols = min(p->cols, p->w.out - b.col);
    return b;
}

int tg_conv_next_part(const tg_conv_plan *p, const tg_conv_block *b, tg_conv_part *t)
{
    const int64_t planes = p->C * p->w.taps;
    t->first += t->planes * t->taps;
    t->plane += t->planes;
    if (t->planes && t->plane == planes) {
        t->plane = 0;
        t->tap += t->taps;
        if (t->tap == p->h.taps)
            return 0;
    }
    t->planes = min(p->planes, planes - t->plane);
    t->taps = min(p->taps, p->h.taps - t->tap);
    t->shared = shares_rows(&p->h, b->rows, t->taps);
    t->source_row = b->row * p->h.step + p->h.offset + t->tap * p->h.offset_step;
    if (t->shared) {
        t->plane_rows = b->rows - 1 + span(&p->h, t->taps);
        t->tap_rows = p->h.offset_step;
        if (t->tap_rows < 0)
            t->source_row += (t->taps - 1) * t->tap_rows;
    } else {
        t->plane_rows = b->rows * t->taps;
        t->tap_rows = b->rows;
    }
    return 1;
}

static int64_t lanes_up(int64_t n, int64_t size) { return ceil_div(n * size, 64) * 64 / size; }

/* For each output channel, its products and the bias: a number each, or a vector. */
static int64_t one_sum(const tg_conv *s, const tg_conv_plan *p, int64_t size)
{
    return s->groups * (p->dots ? p->M * 64 : lanes_up(p->M, size) * size) * (s->C / s->groups * s->KH * s->KW + 1);
}

void tg_conv_plan_weight(tg_conv_plan *p, const tg_conv *s, int64_t size)
{
    plan_output(p, s);
    p->dots = p->M <= TG_CONV_FEW_CHANNELS || p->C * p->h.taps * p->w.taps <= TG_CONV_FEW_PRODUCTS;
    p->dots = p->dots && one_sum(s, p, size) <= TG_CONV_PARTIAL / TG_CONV_PARTS;
    cut(p, TG_CONV_UNFOLDED / size, p->dots ? TG_CONV_DOTS : TG_CONV_TURNED / size / TG_CONV_CHANNELS);
}

int64_t tg_conv_weight_parts(const tg_conv *s, const tg_conv_plan *p, int64_t size)
{
    const int64_t blocks = s->N * p->row_blocks * p->col_blocks;
    return max(1, min(min(blocks, TG_CONV_PARTS), TG_CONV_PARTIAL / one_sum(s, p, size)));
}

int tg_conv_threads(const tg_conv *s)
{
    const double work = (double)s->N * (double)s->O * (double)(s->OH * s->OW) * (double)(s->C / s->groups * s->KH * s->KW);
    return (int)max(1, (int64_t)(work / TG_CONV_GRAIN < tg_num_threads() ? work / TG_CONV_GRAIN : tg_num_threads()));
}

int64_t tg_conv_desk(int weight_gradient)
{
    return TG_CONV_UNFOLDED + (weight_gradient ? TG_CONV_TURNED : TG_CONV_RESTS) + 2 * TG_CONV_SLACK;
}

int64_t tg_conv_room(const tg_conv *s, int weight_gradient, int64_t size, int threads)
{
    const int64_t room = threads * tg_conv_desk(weight_gradient);
    if (!weight_gradient)
        return room + s->O * (s->C / s->groups) * s->KH * s->KW * size;
    tg_conv_plan p;
    tg_conv_plan_weight(&p, s, size);
    return room + tg_conv_weight_parts(s, &p, size) * one_sum(s, &p, size);
}
