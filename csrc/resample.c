/* Parameters of moved images. They are worked out here, once and for all instruction sets: fused multiply-adds, which
   round otherwise, could move a coordinate to the next pixel. */
#include "resample.h"

#include <math.h>

static double unit(uint32_t word) { return word * 0x1p-32; }
static double between(double least, double most, uint32_t word) { return least + unit(word) * (most - least); }

/* An integer from least to most. */
static int64_t among(int64_t least, int64_t most, uint32_t word)
{
    return least + (int64_t)(((uint64_t)(most - least + 1) * word) >> 32);
}

static double within(double x, double most) { return x > most ? most : x > -most ? x : -most; } /* NaN: -most */

void tg_warp_draw(const void *warp, const uint32_t *words, void *row)
{
    const tg_warp *s = warp;
    double *parameters = row;
    for (int k = 0; k < TG_WARP_PARAMETERS; k++) parameters[k] = between(s->least[k], s->most[k], words[k]);
    parameters[TG_SHIFT_X] = rint(parameters[TG_SHIFT_X]);
    parameters[TG_SHIFT_Y] = rint(parameters[TG_SHIFT_Y]);
}

/* An output is the input moved by shift + centre + rotation(angle) shear(x, y) scale (p - centre), around the middle; here is
   its inverse, as it says where a pixel comes from. With an upside-down y the rotation is clockwise. What is cut off are
   steps larger than any image and shifts out of it. */
void tg_warp_steps(const tg_warp *s, const double *parameters, tg_steps *steps)
{
    const double degree = 0.017453292519943295, turn = parameters[TG_ANGLE] * degree;
    const double sx = parameters[TG_SHEAR_X] * degree, sy = parameters[TG_SHEAR_Y] * degree;
    const double scale = parameters[TG_SCALE] * cos(sy), sine = sin(turn - sy), cosine = cos(turn - sy), slope = tan(sx);
    const double m[2][2] = {{(cos(sy) * cos(turn) - sine * slope) / scale, (cosine * slope + sin(turn) * cos(sy)) / scale},
                            {-sine / scale, cosine / scale}};
    const tg_images *size = &s->size;
    const double middle[2] = {((double)size->width - 1) / 2, ((double)size->height - 1) / 2};
    const double x = ((double)size->out_width - 1) / 2, y = ((double)size->out_height - 1) / 2; /* the output's */
    for (int k = 0; k < 2; k++) {
        const double column = within(m[k][0], TG_WARP_SIDE), row = within(m[k][1], TG_WARP_SIDE);
        const double first = middle[k] + s->centre[k] - column * (x + s->centre[0] + parameters[TG_SHIFT_X])
                             - row * (y + s->centre[1] + parameters[TG_SHIFT_Y]);
        steps->column[k] = llrint(column * 0x1p31);
        steps->row[k] = llrint(row * 0x1p31);
        steps->first[k] = llrint(within(first, 0x1p29) * 0x1p31);
    }
}

void tg_crop_draw(const void *crop, const uint32_t *words, void *row)
{
    const tg_crop *s = crop;
    int64_t *parameters = row;
    for (int k = 0; k < 2; k++) {
        parameters[TG_CROP_TOP + k] = among(s->least[k], s->most[k], words[k]);
        parameters[TG_CROP_FLIP_Y + k] = unit(words[2 + k]) < s->flips[k];
    }
}

/* A share of the area and a ratio, until that box lies inside; after ten tries the largest of the nearest ratio, in the middle. */
void tg_box_draw(const void *resize, const uint32_t *words, void *row)
{
    const tg_resize *s = resize;
    int64_t *box = row;
    const int64_t height = s->size.height, width = s->size.width;
    const double least = log(s->ratio[0]), most = log(s->ratio[1]);
    for (int k = 0; k < TG_BOX_TRIES; k++) {
        const double area = (double)height * (double)width * between(s->scale[0], s->scale[1], words[2 * k]);
        const double ratio = exp(between(least, most, words[2 * k + 1]));
        const double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));
        if (w >= 1 && w <= (double)width && h >= 1 && h <= (double)height) {
            box[TG_BOX_HEIGHT] = (int64_t)h;
            box[TG_BOX_WIDTH] = (int64_t)w;
            box[TG_BOX_TOP] = among(0, height - box[TG_BOX_HEIGHT], words[2 * TG_BOX_TRIES]);
            box[TG_BOX_LEFT] = among(0, width - box[TG_BOX_WIDTH], words[2 * TG_BOX_TRIES + 1]);
            return;
        }
    }
    const double whole = (double)width / (double)height;
    double h = (double)height, w = (double)width;
    if (whole < s->ratio[0]) h = rint(w / s->ratio[0]);
    else if (whole > s->ratio[1]) w = rint(h * s->ratio[1]);
    box[TG_BOX_HEIGHT] = h < 1 ? 1 : (int64_t)h;
    box[TG_BOX_WIDTH] = w < 1 ? 1 : (int64_t)w;
    box[TG_BOX_TOP] = (height - box[TG_BOX_HEIGHT]) / 2;
    box[TG_BOX_LEFT] = (width - box[TG_BOX_WIDTH]) / 2;
}

/* A triangle around the output's middle, as wide as a pixel, or against aliasing as an output if that is wider. */
tg_taps tg_taps_at(int64_t filter, int64_t n, int64_t out, int64_t i)
{
    const double scale = (double)n / (double)out;
    tg_taps t = {.width = filter == TG_RESIZE_ANTIALIAS && scale > 1 ? scale : 1, .total = 0};
    if (filter == TG_RESIZE_NEAREST) {
        t.begin = i * n / out; /* whole numbers: rounding would miss a pixel's own edge */
        t.end = t.begin + 1;
        t.centre = (double)t.begin + 0.5;
    } else {
        t.centre = ((double)i + 0.5) * scale;
        const double begin = floor(t.centre - t.width + 0.5), end = floor(t.centre + t.width + 0.5);
        t.begin = begin > 0 ? (int64_t)begin : 0;
        t.end = end < (double)n ? (int64_t)end : n;
    }
    for (int64_t k = t.begin; k < t.end; k++) t.total += tg_tap(&t, k);
    return t;
}

void tg_blur_draw(const void *blur, const uint32_t *words, void *row)
{
    const tg_blur *s = blur;
    double *sigma = row;
    sigma[0] = sigma[1] = between(s->sigma[0], s->sigma[1], words[0]);
}

void tg_blur_weights(const tg_blur *s, const double *sigma, double *weights)
{
    for (int axis = 0; axis < 2; axis++) {
        const int64_t taps = s->taps[axis];
        double total = 0;
        for (int64_t k = 0; k < taps; k++) {
            const double x = (double)(k - taps / 2) / sigma[axis];
            weights[k] = exp(-0.5 * x * x);
            total += weights[k];
        }
        for (int64_t k = 0; k < taps; k++) weights[k] /= total;
        weights += taps;
    }
}

void tg_jitter_draw(const void *jitter, const uint32_t *words, void *row)
{
    const tg_jitter *s = jitter;
    double *order = row, *factor = order + TG_COLOURS;
    for (int k = 0; k < TG_COLOURS; k++) { /* Fisher and Yates */
        const int64_t place = among(0, k, words[k]);
        order[k] = order[place];
        order[place] = s->on[k] ? k : -1;
        factor[k] = between(s->least[k], s->most[k], words[TG_COLOURS + k]);
    }
}
