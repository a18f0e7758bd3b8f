/* Moving, turning and scaling images [channels][height][width], each by parameters of its own: what a call record's
   hyper points to, and how parameters are drawn and read, which is the same on every instruction set. */
#ifndef TG_RESAMPLE_H
#define TG_RESAMPLE_H

#include <stdint.h>

typedef struct { int64_t images, channels, height, width, out_height, out_width; } tg_images;

/* Where parameters come from. What draws a row of them gets the words of the image's blocks. */
enum { TG_GIVEN_ONCE, TG_GIVEN_EACH, TG_DRAWN };

/* ---- affine maps ---- */

enum { TG_ANGLE, TG_SHIFT_X, TG_SHIFT_Y, TG_SCALE, TG_SHEAR_X, TG_SHEAR_Y, TG_WARP_PARAMETERS };
enum {
    TG_WARP_BLOCKS = 2,          /* of random words for an image */
    TG_WARP_SIDE = 1 << 14,      /* pixels along a side at most, so that coordinates fit */
    TG_WARP_POINT = 31,          /* bits behind the point of a coordinate */
};

typedef struct {
    tg_images size;
    int64_t source, bilinear;
    double centre[2];            /* x, y that stay in place, from the middle of the input */
    double least[TG_WARP_PARAMETERS], most[TG_WARP_PARAMETERS];
} tg_warp;

/* Coordinates (x, y) in the input: of the output's first pixel, and by how much those of the next column and row differ. */
typedef struct { int64_t first[2], column[2], row[2]; } tg_steps;

void tg_warp_draw(const void *warp, const uint32_t *words, void *row);
void tg_warp_steps(const tg_warp *s, const double *parameters, tg_steps *steps);

/* ---- crops, with padding and mirroring ---- */

enum { TG_CROP_TOP, TG_CROP_LEFT, TG_CROP_FLIP_Y, TG_CROP_FLIP_X, TG_CROP_PARAMETERS };
enum { TG_PAD_CONSTANT, TG_PAD_EDGE, TG_PAD_REFLECT, TG_PAD_SYMMETRIC };
enum { TG_CROP_BLOCKS = 1 };

typedef struct {
    tg_images size;
    int64_t source, padding;     /* padding: what lies outside */
    int64_t least[2], most[2];   /* of top and left */
    double flips[2];             /* probabilities, vertical and horizontal */
} tg_crop;

void tg_crop_draw(const void *crop, const uint32_t *words, void *row);

/* Where in 0 to n - 1 the element i of a padded line comes from; -1: from nowhere. */
static inline int64_t tg_padded(int64_t padding, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return i;
    if (padding == TG_PAD_CONSTANT) return -1;
    if (padding == TG_PAD_EDGE || n == 1) return i < 0 ? 0 : n - 1;
    const int64_t period = padding == TG_PAD_REFLECT ? 2 * (n - 1) : 2 * n;
    const int64_t k = (i % period + period) % period;
    return k < n ? k : padding == TG_PAD_REFLECT ? period - k : period - 1 - k;
}

/* ---- resizing ---- */

enum { TG_BOX_TOP, TG_BOX_LEFT, TG_BOX_HEIGHT, TG_BOX_WIDTH, TG_BOX_PARAMETERS };
enum { TG_RESIZE_NEAREST, TG_RESIZE_BILINEAR, TG_RESIZE_ANTIALIAS };
enum { TG_BOX_TRIES = 10, TG_BOX_BLOCKS = 6 };

typedef struct {
    tg_images size;
    int64_t source, filter;
    double scale[2], ratio[2];   /* of a drawn box: its share of the area, width by height */
} tg_resize;

void tg_box_draw(const void *resize, const uint32_t *words, void *row);

/* The elements [begin, end) of n that output `i` of `out` reads, and what their weights, which tg_tap() gives, sum up to. */
typedef struct { int64_t begin, end; double centre, width, total; } tg_taps;

static inline double tg_tap(const tg_taps *t, int64_t k)
{
    const double d = ((double)k + 0.5 - t->centre) / t->width;
    const double w = 1 - (d < 0 ? -d : d);
    return w > 0 ? w : 0;
}

tg_taps tg_taps_at(int64_t filter, int64_t n, int64_t out, int64_t i);

/* ---- blurring ---- */

enum { TG_BLUR_BLOCKS = 1 };

typedef struct {
    tg_images size;
    int64_t source, taps[2];     /* odd numbers, along y and x */
    double sigma[2];             /* least and most of a drawn one, the same along both */
} tg_blur;

void tg_blur_draw(const void *blur, const uint32_t *words, void *row);
void tg_blur_weights(const tg_blur *s, const double *sigma, double *weights);

/* ---- colours ---- */

enum { TG_BRIGHTNESS, TG_CONTRAST, TG_SATURATION, TG_HUE, TG_COLOURS };
enum { TG_JITTER_PARAMETERS = 2 * TG_COLOURS, TG_JITTER_BLOCKS = 2 };

typedef struct {
    tg_images size;
    int64_t source, on[TG_COLOURS];
    double least[TG_COLOURS], most[TG_COLOURS];
} tg_jitter;

/* Which is done first, second, third, fourth (-1: none), then the factors. */
void tg_jitter_draw(const void *jitter, const uint32_t *words, void *row);

#endif
