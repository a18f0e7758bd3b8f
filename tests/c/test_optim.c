/* Optimizers: what holds for every rule. The numbers are compared with the papers' formulas in tests/optim. */
#include "optim.h"
#include "test.h"

#include <fenv.h>
#include <time.h>

#define OPTIM(rule, options, ...) {#rule, #options},
static const char *const rules[TG_OPTIM_COUNT][2] = {
#include "optim.def"
};
#undef OPTIM

static const double hyper[] = {0.1, 0.01, 0.9, 0.99, 1e-8, 0.5, 0.5, 0.5};

static int options_of(int rule)
{
    int n = strchr(rules[rule][1], ')')[-1] != '(';
    for (const char *s = rules[rule][1]; *s; s++) n += *s == ',';
    return n;
}

enum { PARAM, GRAD, STATE, ARRAYS = STATE + TG_OPTIM_STATES };

typedef float numbers[TG_OPTIM_NUMBERS]; /* the step count first */

static tg_optim_row row_of(array *a, float *number)
{
    tg_optim_row row = {.param = a[PARAM].p, .grad = a[GRAD].p, .numel = a[PARAM].n};
    for (int k = 0; k < TG_OPTIM_STATES; k++) row.state[k] = a[STATE + k].p;
    for (int k = 0; k < TG_OPTIM_NUMBERS; k++) row.number[k] = &number[k];
    return row;
}

static float *start(float *number, float step)
{
    number[0] = step;
    for (int k = 1; k < TG_OPTIM_NUMBERS; k++) number[k] = 1.f / (float)(k + 1);
    return number;
}

/* A tensor cut into pieces, each in memory of its own, comes out bit for bit as the whole tensor. */
static void pieces(int rule, tg_dtype t, int flags, const double *h)
{
    const int64_t n = random_size(300);
    enum { CUTS = 4 };
    array whole[ARRAYS], part[CUTS][ARRAYS];
    numbers number[CUTS + 1];
    tg_optim_row rows[CUTS + 1];
    int64_t cut[CUTS + 1] = {0, random_below(n + 1), random_below(n + 1), random_below(n + 1), n};
    for (int i = 1; i < CUTS; i++)
        for (int j = i; j > 1 && cut[j - 1] > cut[j]; j--) {
            const int64_t later = cut[j - 1];
            cut[j - 1] = cut[j], cut[j] = later;
        }
    for (int k = 0; k < ARRAYS; k++) {
        whole[k] = array_random(t, n, 0);
        if (k >= STATE)
            for (int64_t i = 0; i < n; i++) set(whole[k], i, fabs(get(whole[k], i)));
        for (int j = 0; j < CUTS; j++) {
            part[j][k] = array_new(t, cut[j + 1] - cut[j]);
            for (int64_t i = cut[j]; i < cut[j + 1]; i++) set(part[j][k], i - cut[j], get(whole[k], i));
        }
    }
    for (int j = 0; j < CUTS; j++) rows[j] = row_of(part[j], start(number[j], 3));
    rows[CUTS] = row_of(whole, start(number[CUTS], 3));
    tg_call c = {.fn = tg_k->optim[rule][t == TG_F64], .n = {CUTS + 1}, .p = {rows}, .flags = flags, .hyper = h};
    c.fn(&c);
    for (int j = 0; j <= CUTS; j++) {
        CHECK(number[j][0] == 4, "%s: step %g", rules[rule][0], number[j][0]);
        CHECK(!memcmp(number[j], number[0], sizeof(numbers)), "%s: numbers of piece %d", rules[rule][0], j);
    }
    for (int k = 0; k < ARRAYS; k++) {
        for (int j = 0; j < CUTS; j++) {
            array same = array_new(t, part[j][k].n);
            for (int64_t i = cut[j]; i < cut[j + 1]; i++) set(same, i - cut[j], get(whole[k], i));
            CHECK(same_bits(part[j][k], same), "%s %s flags %d decay %g: array %d, elements %lld to %lld of %lld",
                  rules[rule][0], type_name[t], flags, h[0], k, (long long)cut[j], (long long)cut[j + 1], (long long)n);
            array_free(same), array_free(part[j][k]);
        }
        array_free(whole[k]);
    }
}

/* Rows without a gradient stay as they are, and each row counts its own steps. */
static void rows_apart(int rule, tg_dtype t, int flags, const double *h)
{
    enum { ROWS = 5 };
    array a[ROWS][ARRAYS], before[ROWS][ARRAYS];
    numbers number[ROWS], other;
    tg_optim_row rows[ROWS];
    for (int r = 0; r < ROWS; r++) {
        for (int k = 0; k < ARRAYS; k++) {
            a[r][k] = r ? array_copy(a[0][k]) : array_new(t, 5);
            for (int64_t i = 0; i < 5 && !r; i++) set(a[r][k], i, 0.5 + random_unit());
            before[r][k] = array_copy(a[r][k]);
        }
        rows[r] = row_of(a[r], start(number[r], r == 3 ? 7 : 0));
        if (r == 1) rows[r].grad = NULL;
    }
    tg_call c = {.fn = tg_k->optim[rule][t == TG_F64], .n = {ROWS}, .p = {rows}, .flags = flags, .hyper = h};
    c.fn(&c);
    for (int r = 0; r < ROWS; r++) {
        CHECK(number[r][0] == (r == 1 ? 0 : r == 3 ? 8 : 1), "%s: row %d is at step %g", rules[rule][0], r, number[r][0]);
        int still = 1;
        for (int k = 0; k < ARRAYS; k++) still &= same_bits(a[r][k], before[r][k]);
        CHECK(still == (r == 1), "%s: row %d moved or not", rules[rule][0], r);
        CHECK(same_bits(a[r][GRAD], before[r][GRAD]), "%s: the gradient was written", rules[rule][0]);
        for (int k = 0; k < ARRAYS; k++) {
            if (r == 2 || r == 4)
                CHECK(same_bits(a[r][k], a[0][k]), "%s: row %d, array %d is not as row 0", rules[rule][0], r, k);
            if (r == 1) CHECK(same_bits(a[r][k], before[r][k]), "%s: array %d without gradient", rules[rule][0], k);
        }
    }
    CHECK(!memcmp(number[1], start(other, 0), sizeof other), "%s: the numbers without gradient", rules[rule][0]);
    for (int r = 2; r < ROWS; r += 2)
        CHECK(!memcmp(number[r], number[0], sizeof other), "%s: numbers of row %d", rules[rule][0], r);
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < ARRAYS; k++) array_free(a[r][k]), array_free(before[r][k]);
}

/* What threads get as pieces comes out as the whole: the tensor in rows of a thousand elements, bit for bit. */
static void large(int rule, tg_dtype t, int flags)
{
    enum { N = 150001, ROW = 1000, ROWS = (N - 1) / ROW + 1 };
    array a[ARRAYS], b[ARRAYS];
    numbers number[ROWS + 1];
    tg_optim_row rows[ROWS + 1];
    for (int k = 0; k < ARRAYS; k++) {
        a[k] = array_new(t, N);
        for (int64_t i = 0; i < N; i++) set(a[k], i, 0.5 + random_unit());
        b[k] = array_copy(a[k]);
    }
    for (int r = 0; r <= ROWS; r++) {
        rows[r] = row_of(r < ROWS ? a : b, start(number[r], 2));
        if (r == ROWS) break;
        const int64_t bytes = (int64_t)r * ROW * element_size[t];
        rows[r].param = (char *)rows[r].param + bytes;
        rows[r].grad = (const char *)rows[r].grad + bytes;
        for (int k = 0; k < TG_OPTIM_STATES; k++) rows[r].state[k] = (char *)rows[r].state[k] + bytes;
        rows[r].numel = r < ROWS - 1 ? ROW : N - (int64_t)r * ROW;
    }
    tg_call c = {.fn = tg_k->optim[rule][t == TG_F64], .n = {ROWS + 1}, .p = {rows}, .flags = flags, .hyper = hyper};
    c.fn(&c);
    CHECK(number[ROWS][0] == 3, "%s: a large tensor is at step %g", rules[rule][0], number[ROWS][0]);
    CHECK(!memcmp(number[ROWS], number[0], sizeof(numbers)), "%s: the numbers of a large tensor", rules[rule][0]);
    for (int k = 0; k < ARRAYS; k++) {
        CHECK(same_bits(a[k], b[k]), "%s: array %d of a large tensor", rules[rule][0], k);
        array_free(a[k]), array_free(b[k]);
    }
}

/* Denormal moments become zeros, at no cost, and denormals are as before once the kernel has returned. */
static double seconds_with(double moment)
{
    enum { N = 4096 };
    static const double plain[] = {0, 0.01, 0.9, 0.99, 1e-8};
    array a[ARRAYS];
    numbers number;
    double best = 1;
    for (int k = 0; k < ARRAYS; k++) {
        a[k] = array_new(TG_F32, N);
        for (int64_t i = 0; i < N; i++) set(a[k], i, k == GRAD ? 0 : k == PARAM ? 1 : moment);
    }
    tg_optim_row row = row_of(a, start(number, 5));
    tg_call c = {.fn = tg_k->optim[TG_OPTIM_adam][0], .n = {1}, .p = {&row}, .hyper = plain};
    for (int again = 0; again < 50; again++) {
        for (int k = STATE; k < ARRAYS; k++)
            for (int64_t i = 0; i < N; i++) set(a[k], i, moment);
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        c.fn(&c);
        clock_gettime(CLOCK_MONOTONIC, &end);
        const double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
        best = seconds < best ? seconds : best;
    }
    CHECK((get(a[STATE], 0) == 0) == (moment < 1e-37), "a moment of %g becomes %g", moment, get(a[STATE], 0));
    for (int k = 0; k < ARRAYS; k++) array_free(a[k]);
    return best;
}
static void denormals(void)
{
    volatile float tiny = 1e-40f, two = 2;
    fesetround(FE_TOWARDZERO);
    const double normal = seconds_with(1e-3), denormal = seconds_with(1e-40);
    CHECK(tiny * two > 0 && tiny > 0, "denormals count as zeros after the kernel");
    CHECK(fegetround() == FE_TOWARDZERO, "the state of the float unit is not what it was");
    fesetround(FE_TONEAREST);
    CHECK(denormal < 1.6 * normal, "denormal moments: %g s, others: %g s", denormal, normal);
}

static void run(void)
{
    denormals();
    for (int rule = 0; rule < TG_OPTIM_COUNT; rule++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++)
            for (int flags = 0; flags < TG_OPTIM_OPTION << options_of(rule); flags += 3) large(rule, t, flags);
    for (int rule = 0; rule < TG_OPTIM_COUNT; rule++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++)
            for (int flags = 0; flags < TG_OPTIM_OPTION << options_of(rule); flags++)
                for (int decay = 0; decay < 2; decay++) {
                    double h[8];
                    memcpy(h, hyper, sizeof h);
                    h[0] *= decay;
                    for (int again = 0; again < 5; again++) pieces(rule, t, flags, h);
                    rows_apart(rule, t, flags, h);
                }
}
