/* Optimizers: what holds for every rule. The numbers are compared with the papers' formulas in tests/optim. */
#include "optim.h"
#include "test.h"

#include <fenv.h>
#include <time.h>

#define OPTIM(rule, options, ...) {#rule, #options, 0},
#define OPTIM_MEASURED(rule, options, ...) {#rule, #options, 1},
#define OPTIM_JOINT OPTIM_MEASURED
static const struct { const char *name, *options; int measured; } rules[TG_OPTIM_COUNT] = {
#include "optim.def"
};
#undef OPTIM
#undef OPTIM_MEASURED
#undef OPTIM_JOINT

static const tg_optim_hyper hyper = {.weight_decay = 0.1,
                                     .scale = 0.7,
                                     .max_norm = INFINITY,
                                     .rule = {0.01, 0.9, 0.99, 1e-8, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}};

static int options_of(int rule)
{
    int n = strchr(rules[rule].options, ')')[-1] != '(';
    for (const char *s = rules[rule].options; *s; s++) n += *s == ',';
    return n;
}

enum { PARAM, GRAD, STATE, ARRAYS = STATE + TG_OPTIM_STATES };

typedef float numbers[TG_OPTIM_NUMBERS]; /* the step count first */

static double sums[8 * TG_OPTIM_SUMS]; /* a row's are not read after its step */

static tg_optim_row row_of(array *a, float *number)
{
    tg_optim_row row = {.param = a[PARAM].p, .grad = a[GRAD].p, .numel = a[PARAM].n};
    for (int k = 0; k < TG_OPTIM_STATES; k++) row.state[k] = a[STATE + k].p;
    for (int k = 0; k < TG_OPTIM_NUMBERS; k++) row.number[k] = &number[k];
    row.sums = sums;
    return row;
}

static float *start(float *number, float step)
{
    number[0] = step;
    for (int k = 1; k < TG_OPTIM_NUMBERS; k++) number[k] = 1.f / (float)(k + 1);
    return number;
}

/* A tensor cut into pieces, each in memory of its own, comes out bit for bit as the whole tensor. */
static void pieces(int rule, tg_dtype t, int flags, const tg_optim_hyper *h)
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
        CHECK(number[j][0] == 4, "%s: step %g", rules[rule].name, number[j][0]);
        CHECK(!memcmp(number[j], number[0], sizeof(numbers)), "%s: numbers of piece %d", rules[rule].name, j);
    }
    for (int k = 0; k < ARRAYS; k++) {
        for (int j = 0; j < CUTS; j++) {
            array same = array_new(t, part[j][k].n);
            for (int64_t i = cut[j]; i < cut[j + 1]; i++) set(same, i - cut[j], get(whole[k], i));
            CHECK(same_bits(part[j][k], same), "%s %s flags %d decay %g: array %d, elements %lld to %lld of %lld",
                  rules[rule].name, type_name[t], flags, h->weight_decay, k, (long long)cut[j], (long long)cut[j + 1], (long long)n);
            array_free(same), array_free(part[j][k]);
        }
        array_free(whole[k]);
    }
}

/* Rows without a gradient stay as they are, and each row counts its own steps. */
static void rows_apart(int rule, tg_dtype t, int flags, const tg_optim_hyper *h)
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
        CHECK(number[r][0] == (r == 1 ? 0 : r == 3 ? 8 : 1), "%s: row %d is at step %g", rules[rule].name, r, number[r][0]);
        int still = 1;
        for (int k = 0; k < ARRAYS; k++) still &= same_bits(a[r][k], before[r][k]);
        CHECK(still == (r == 1), "%s: row %d moved or not", rules[rule].name, r);
        CHECK(same_bits(a[r][GRAD], before[r][GRAD]), "%s: the gradient was written", rules[rule].name);
        for (int k = 0; k < ARRAYS; k++) {
            if (r == 2 || r == 4)
                CHECK(same_bits(a[r][k], a[0][k]), "%s: row %d, array %d is not as row 0", rules[rule].name, r, k);
            if (r == 1) CHECK(same_bits(a[r][k], before[r][k]), "%s: array %d without gradient", rules[rule].name, k);
        }
    }
    CHECK(!memcmp(number[1], start(other, 0), sizeof other), "%s: the numbers without gradient", rules[rule].name);
    for (int r = 2; r < ROWS; r += 2)
        CHECK(!memcmp(number[r], number[0], sizeof other), "%s: numbers of row %d", rules[rule].name, r);
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
    tg_call c = {.fn = tg_k->optim[rule][t == TG_F64], .n = {ROWS + 1}, .p = {rows}, .flags = flags, .hyper = &hyper};
    c.fn(&c);
    CHECK(number[ROWS][0] == 3, "%s: a large tensor is at step %g", rules[rule].name, number[ROWS][0]);
    CHECK(!memcmp(number[ROWS], number[0], sizeof(numbers)), "%s: the numbers of a large tensor", rules[rule].name);
    for (int k = 0; k < ARRAYS; k++) {
        CHECK(same_bits(a[k], b[k]), "%s: array %d of a large tensor", rules[rule].name, k);
        array_free(a[k]), array_free(b[k]);
    }
}

/* The sums that come first, of a tensor that is cut into pieces for threads. */
static void measured(tg_dtype t)
{
    enum { N = 2 * TG_OPTIM_GRAIN + 1234 };
    array a[ARRAYS];
    numbers number;
    double exact[2] = {0};
    for (int k = 0; k < ARRAYS; k++) a[k] = array_random(t, N, 0);
    for (int64_t i = 0; i < N; i++) {
        const double g = get(a[GRAD], i) * (t == TG_F32 ? (double)(float)hyper.scale : hyper.scale);
        exact[0] += get(a[PARAM], i) * get(a[PARAM], i), exact[1] += g * g;
    }
    const array before = array_copy(a[PARAM]);
    tg_optim_row row = row_of(a, start(number, 3));
    tg_optim_hyper h = hyper;
    h.rule[4] = h.weight_decay = 0;
    for (int k = 0; k < 2; k++) {
        tg_call c = {.fn = k ? tg_k->optim_squares[t == TG_F64] : tg_k->optim[TG_OPTIM_lars][t == TG_F64],
                     .n = {1},
                     .p = {&row},
                     .flags = TG_OPTIM_OPTION,
                     .hyper = &h};
        c.fn(&c);
        const double scale2 = k ? h.scale * h.scale : 1, sum = row.sums[k ? 0 : 1] * scale2;
        CHECK(fabs(sum / exact[1] - 1) < 1e-5 * (t == TG_F32) + 1e-12, "%s: squares of the gradient: %.17g, exactly %.17g",
              type_name[t], sum, exact[1]);
        if (!k) CHECK(fabs(row.sums[0] / exact[0] - 1) < 1e-6, "%s: squares of the parameter", type_name[t]);
    }
    const double rate = h.rule[0] * h.rule[2] * sqrt(exact[0]) / (sqrt(exact[1]) + h.rule[3]);
    for (int64_t i = 0; i < N; i += 997) {
        const double wanted = get(before, i) - rate * h.scale * get(a[GRAD], i);
        CHECK(fabs(get(a[PARAM], i) - wanted) < 1e-5, "lars, element %lld: %g, not %g", (long long)i,
              get(a[PARAM], i), wanted);
    }
    for (int k = 0; k < ARRAYS; k++) array_free(a[k]);
    array_free(before);
}

/* A sparse gradient moves its rows as a dense one moves a tensor of these rows alone, and no others. */
static void sparse(int rule, tg_dtype t, int64_t count, int64_t length)
{
    array whole[ARRAYS], some[ARRAYS];
    numbers number[2];
    int64_t *const index = malloc((size_t)count * sizeof *index);
    for (int64_t r = 0; r < count; r++) index[r] = 2 * r + random_below(2);
    for (int k = 0; k < ARRAYS; k++) {
        whole[k] = array_random(t, (k == GRAD ? count : 2 * count) * length, 0);
        if (k >= STATE)
            for (int64_t i = 0; i < whole[k].n; i++) set(whole[k], i, fabs(get(whole[k], i)));
        some[k] = array_new(t, count * length);
        for (int64_t i = 0; i < some[k].n; i++)
            set(some[k], i, get(whole[k], k == GRAD ? i : index[i / length] * length + i % length));
    }
    array before[ARRAYS];
    for (int k = 0; k < ARRAYS; k++) before[k] = array_copy(whole[k]);
    tg_optim_row rows[2] = {row_of(whole, start(number[0], 3)), row_of(some, start(number[1], 3))};
    rows[0].rows = 2 * count, rows[0].sparse = index, rows[0].count = count;
    rows[1].rows = count;
    tg_optim_hyper h = hyper;
    h.weight_decay = 0, h.l1 = 0.1, h.group_lasso = 0.2, h.max_norm = 2;
    tg_call c = {.fn = tg_k->optim[rule][t == TG_F64], .n = {2}, .p = {rows}, .hyper = &h};
    c.fn(&c);
    CHECK(number[0][0] == 4 && number[1][0] == 4, "%s: steps of a sparse gradient", rules[rule].name);
    for (int k = 0; k < ARRAYS; k++) {
        int same = 1;
        for (int64_t i = 0; i < whole[k].n && k != GRAD; i++) {
            const int64_t r = i / length / 2;
            const array from = index[r] == i / length ? some[k] : before[k];
            same &= get(whole[k], i) == get(from, index[r] == i / length ? r * length + i % length : i);
        }
        CHECK(same, "%s %s: array %d after a sparse gradient, %lld rows of %lld", rules[rule].name, type_name[t], k,
              (long long)count, (long long)length);
    }
    CHECK(!same_bits(whole[PARAM], before[PARAM]), "%s: a sparse gradient moved nothing", rules[rule].name);
    tg_call squares = {.fn = tg_k->optim_squares[t == TG_F64], .n = {2}, .p = {rows}, .hyper = &h};
    double room[2][8 * TG_OPTIM_SUMS];
    rows[0].sums = room[0], rows[1].sums = room[1];
    squares.fn(&squares);
    CHECK(room[0][0] == room[1][0] && room[0][0] > 0, "%s: squares of a sparse gradient", rules[rule].name);
    for (int k = 0; k < ARRAYS; k++) array_free(whole[k]), array_free(some[k]), array_free(before[k]);
    free(index);
}

/* The GROUP of Prodigy, against the formula: what two tensors with a gradient add up to sets the estimate. */
static void joint(tg_dtype t)
{
    enum { LR, BETA1, BETA2, EPS, DECAY, DECOUPLED, CORRECTED, SAFE, D0, COEF, D, N = TG_OPTIM_GRAIN + 321 };
    array a[3][ARRAYS];
    numbers number[3];
    tg_optim_row rows[3];
    static double room[3][4 * TG_OPTIM_SUMS];
    tg_optim_hyper h = {.scale = 1, .max_norm = INFINITY};
    const double rule[] = {[LR] = 1, [BETA1] = 0.9, [BETA2] = 0.81, [EPS] = 1e-8, [D0] = 0.25, [COEF] = 3, [D] = 0.5, [11] = 0};
    memcpy(h.rule, rule, sizeof rule);
    double numerator = 0, denominator = 0;
    for (int r = 0; r < 3; r++) {
        double sum = 0;
        for (int k = 0; k < ARRAYS; k++) a[r][k] = array_random(t, r ? 50 : N, 0);
        rows[r] = row_of(a[r], start(number[r], 3));
        rows[r].sums = room[r];
        if (r == 1) rows[r].grad = NULL;
        for (int64_t i = 0; i < a[r][GRAD].n && r != 1; i++) {
            const double g = get(a[r][GRAD], i), s = 0.9 * get(a[r][STATE + 2], i) + 0.5 / 0.25 * 0.5 * g;
            sum += g * (get(a[r][STATE + 3], i) - get(a[r][PARAM], i)), denominator += fabs(s);
        }
        if (r != 1) numerator += 0.9 * number[r][1] + 0.5 / 0.25 * 0.5 * sum;
    }
    tg_call c = {.fn = tg_k->optim[TG_OPTIM_prodigy][t == TG_F64], .n = {3}, .p = {rows}, .hyper = &h};
    c.fn(&c);
    CHECK(fabs(h.total[0] - numerator) < 1e-5 * denominator, "%s: %.9g, not %.9g", type_name[t], h.total[0], numerator);
    CHECK(fabs(h.total[1] / denominator - 1) < 1e-5, "%s: %.9g, not %.9g", type_name[t], h.total[1], denominator);
    c.flags = TG_OPTIM_JOIN;
    h.total[0] = 6, h.total[1] = 9;
    c.fn(&c);
    CHECK(h.rule[D] == 2, "prodigy: d is %g, not 2", h.rule[D]);
    h.total[0] = 3;
    c.fn(&c);
    CHECK(h.rule[D] == 2, "prodigy: d fell to %g", h.rule[D]);
    CHECK(!memcmp(h.rule, rule, sizeof(double[D])), "prodigy: other numbers of the group changed");
    for (int r = 0; r < 3; r++)
        for (int k = 0; k < ARRAYS; k++) array_free(a[r][k]);
}

/* What comes after the step, against the formulas: a plain step of size zero, then shrinking and shortening. */
static void regularised(tg_dtype t)
{
    enum { LONG = TG_OPTIM_GRAIN + 17, ROWS = 3 };
    array a[ARRAYS];
    numbers number;
    for (int k = 0; k < ARRAYS; k++) a[k] = array_random(t, ROWS * LONG, 0);
    for (int64_t i = 0; i < ROWS * LONG; i++) set(a[GRAD], i, 0);
    const array before = array_copy(a[PARAM]);
    tg_optim_row row = row_of(a, start(number, 3));
    row.rows = ROWS;
    tg_optim_hyper h = {.scale = 1, .l1 = 3, .l2 = 2, .group_lasso = 0.5, .max_norm = 150, .rule = {0.1}};
    tg_call c = {.fn = tg_k->optim[TG_OPTIM_sgd][t == TG_F64], .n = {1}, .p = {&row}, .hyper = &h};
    c.fn(&c);
    for (int r = 0; r < ROWS; r++) {
        double squares = 0;
        for (int64_t i = 0; i < LONG; i++) {
            const double p = get(before, r * LONG + i), q = fabs(p) > 0.3 ? (p - copysign(0.3, p)) / 1.2 : 0;
            squares += q * q;
        }
        const double norm = sqrt(squares), less = fmin(norm - 0.05 * sqrt(LONG), 150);
        for (int64_t i = 0; i < LONG; i += 113) {
            const double p = get(before, r * LONG + i), q = fabs(p) > 0.3 ? (p - copysign(0.3, p)) / 1.2 : 0;
            const double is = get(a[PARAM], r * LONG + i);
            CHECK(fabs(is - q * less / norm) < 1e-5, "row %d, element %lld: %g, not %g", r, (long long)i, is,
                  q * less / norm);
        }
    }
    for (int k = 0; k < ARRAYS; k++) array_free(a[k]);
    array_free(before);
}

/* Denormal moments become zeros, at no cost, and denormals are as before once the kernel has returned. */
static double seconds_with(double moment)
{
    enum { N = 4096 };
    static const tg_optim_hyper plain = {.scale = 1, .max_norm = INFINITY, .rule = {0.01, 0.9, 0.99, 1e-8}};
    array a[ARRAYS];
    numbers number;
    double best = 1;
    for (int k = 0; k < ARRAYS; k++) {
        a[k] = array_new(TG_F32, N);
        for (int64_t i = 0; i < N; i++) set(a[k], i, k == GRAD ? 0 : k == PARAM ? 1 : moment);
    }
    tg_optim_row row = row_of(a, start(number, 5));
    tg_call c = {.fn = tg_k->optim[TG_OPTIM_adam][0], .n = {1}, .p = {&row}, .hyper = &plain};
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
    measured(TG_F32), measured(TG_F64);
    regularised(TG_F32), regularised(TG_F64);
    joint(TG_F32), joint(TG_F64);
    for (int rule = 0; rule < TG_OPTIM_COUNT; rule++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++)
            if (!rules[rule].measured) sparse(rule, t, 7, 5), sparse(rule, t, 100, 1), sparse(rule, t, 300, 700);
    for (int rule = 0; rule < TG_OPTIM_COUNT; rule++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++)
            for (int flags = 0; flags < TG_OPTIM_OPTION << options_of(rule); flags += 3)
                if (!rules[rule].measured && !(flags & (TG_OPTIM_MEASURE | TG_OPTIM_JOIN))) large(rule, t, flags);
    for (int rule = 0; rule < TG_OPTIM_COUNT; rule++)
        for (tg_dtype t = TG_F32; t <= TG_F64; t++)
            for (int flags = 0; flags < TG_OPTIM_OPTION << options_of(rule); flags++)
                for (int decay = 0; decay < 2; decay++) {
                    tg_optim_hyper h = hyper;
                    h.weight_decay *= decay;
                    if (flags & (TG_OPTIM_MEASURE | TG_OPTIM_JOIN)) continue; /* no step */
                    for (int again = 0; again < 5 && !rules[rule].measured; again++) pieces(rule, t, flags, &h);
                    rows_apart(rule, t, flags, &h);
                }
}
