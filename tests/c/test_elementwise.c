/* Every element-wise kernel of every type: whatever the strides, an element gets the bits that it gets alone. */
#include "test.h"

enum { INPUTS = 4, LAYOUTS = 4 };

static const char *family;

/* Runs fn over n elements of each operand, `step[k]` apart, as one run or as rows of `row`. */
static void launch(tg_kernel fn, int nin, array *operand, const int64_t *step, int64_t n, int64_t row)
{
    int64_t dims[2 * (INPUTS + 2)];
    tg_call c = {.fn = fn, .n = {n}, .dims = dims, .ndim = row ? 2 : 1, .s = {-0.5, 0.5}};
    if (operand[0].type < TG_F32) c.i[0] = 0, c.i[1] = 1;
    dims[0] = row ? n / row : n;
    dims[1] = row;
    for (int k = 0; k <= nin; k++) {
        c.p[k] = operand[k].p;
        if (row) {
            dims[2 + 2 * k] = step[k] * row;
            dims[3 + 2 * k] = step[k];
        } else {
            dims[1 + k] = step[k];
        }
    }
    c.fn(&c);
}

/* type[0] is the output's; integer divisors are never zero, as the op layer sees to. */
static void check(tg_kernel fn, int nin, const tg_dtype *type)
{
    const int64_t n = random_size(600), step[LAYOUTS][INPUTS + 1] = {
        {1, 1, 1, 1, 1}, {1, 0, 1, 1, 0}, {2, 3, 1, 0, 2}, {3, 1, 2, 4, 1}};
    if (!fn || !n) return;
    for (int layout = 0; layout < LAYOUTS; layout++) {
        array wide[INPUTS + 1], one[INPUTS + 1];
        for (int k = 0; k <= nin; k++) {
            wide[k] = array_new(type[k], (n - 1) * step[layout][k] + 1);
            one[k] = array_new(type[k], 1);
            for (int64_t i = 0; i < wide[k].n; i++)
                set(wide[k], i, is_float(type[k]) ? 4 * random_unit() - 2 : (double)(1 + random_below(9)));
        }
        array out = array_copy(wide[0]);
        const int64_t row = layout % 2 && n % 3 == 0 ? 3 : 0;
        launch(fn, nin, wide, step[layout], n, row);
        for (int64_t i = 0; i < n; i++) {
            const int64_t size = element_size[type[0]], place = i * step[layout][0];
            const int64_t alone[INPUTS + 1] = {1, 1, 1, 1, 1};
            for (int k = 1; k <= nin; k++)
                memcpy(one[k].p, (char *)wide[k].p + i * step[layout][k] * element_size[type[k]],
                       (size_t)element_size[type[k]]);
            launch(fn, nin, one, alone, 1, 0);
            CHECK(!memcmp(one[0].p, (char *)wide[0].p + place * size, (size_t)size),
                  "%s, %s to %s: element %lld of %lld in layout %d", family, type_name[type[1]], type_name[type[0]],
                  (long long)i, (long long)n, layout);
        }
        for (int64_t i = 0; i < wide[0].n; i++) /* what lies between the outputs is left alone */
            if (i % step[layout][0])
                CHECK(get(wide[0], i) == get(out, i), "%s: wrote beside its output", family);
        for (int k = 0; k <= nin; k++) array_free(wide[k]), array_free(one[k]);
        array_free(out);
    }
}

static void run(void)
{
#define UNARY(name, ...) #name,
#define UNARY_NUM UNARY
#define UNARY_PAR UNARY
#define PREDICATE UNARY
    static const char *const unary[] = {
#include "unary.def"
    };
#define BINARY(name, ...) #name,
#define BINARY_NUM BINARY
#define BINARY_ANY BINARY
#define BITWISE BINARY
#define COMPARE BINARY
    static const char *const binary[] = {
#include "binary.def"
    };
#include "rows_end.inc"
    for (tg_dtype t = TG_BOOL; t < TG_DTYPES; t++) {
        const int f = t == TG_F64;
        const tg_dtype same[] = {t, t, t, t, t}, truth[] = {TG_BOOL, t, t}, choice[] = {t, TG_BOOL, t, t};
        for (int op = 0; op < TG_UNARY_COUNT; op++) {
            family = unary[op];
            check(tg_k->unary[op][t], 1, op >= TG_UNARY_isnan ? truth : same);
            if (is_float(t)) check(tg_k->unary_backward[op][f], 3, same);
        }
        for (int op = 0; op < TG_BINARY_COUNT; op++) {
            family = binary[op];
            check(tg_k->binary[op][t], 2, op >= TG_BINARY_eq ? truth : same);
            for (int side = 0; side < 2 && is_float(t); side++) check(tg_k->binary_backward[op][side][f], 4, same);
        }
        family = "where";
        check(tg_k->where[t], 3, choice);
        family = "copy";
        for (tg_dtype to = TG_BOOL; to < TG_DTYPES; to++) check(tg_k->copy[to][t], 1, (tg_dtype[]){to, t});
    }
}
