/* Every element-wise kernel of every type: whatever the strides, an element gets the bits that it gets alone. */
#include "test.h"
#include "threads.h"

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

/* Strides of one operand of a block of shape [3]: dense in either order of the last two dimensions, repeated along some,
   or with gaps; returns how many elements it spans. */
static int64_t random_strides(const int64_t *shape, int repeats, int64_t *stride)
{
    const int turned = random_below(3) == 0, gaps = random_below(3) == 0;
    const int order[] = {turned ? 1 : 2, turned ? 2 : 1, 0};
    int64_t next = gaps ? 1 + random_below(2) : 1, span = 1;
    for (int k = 0; k < 3; k++) {
        const int d = order[k];
        stride[d] = repeats && random_below(3) == 0 ? 0 : next;
        if (stride[d]) next *= shape[d] + (gaps ? random_below(3) : 0);
        span += (shape[d] - 1) * stride[d];
    }
    return span;
}

/* Blocks of three dimensions, each operand laid out in its own way. */
static void check_block(tg_kernel fn, int nin, const tg_dtype *type)
{
    if (!fn) return;
    const int64_t shape[] = {1 + random_below(2), 1 + random_below(70), 1 + random_below(random_below(3) ? 70 : 1400)};
    const int64_t n = shape[0] * shape[1] * shape[2];
    int64_t dims[3 * (INPUTS + 2)], *stride = dims + 3;
    array wide[INPUTS + 1], one[INPUTS + 1];
    memcpy(dims, shape, sizeof shape);
    tg_call c = {.fn = fn, .n = {n}, .dims = dims, .ndim = 3, .s = {-0.5, 0.5}};
    for (int k = 0; k <= nin; k++) {
        wide[k] = array_new(type[k], random_strides(shape, k > 0, stride + 3 * k));
        one[k] = array_new(type[k], 1);
        for (int64_t i = 0; i < wide[k].n; i++)
            set(wide[k], i, is_float(type[k]) ? 4 * random_unit() - 2 : (double)(1 + random_below(9)));
        c.p[k] = wide[k].p;
    }
    if (type[0] < TG_F32) c.i[0] = 0, c.i[1] = 1;
    array out = array_copy(wide[0]), touched = array_new(TG_BOOL, out.n);
    memset(touched.p, 0, (size_t)touched.n);
    fn(&c);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at[] = {i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]};
        const int64_t size = element_size[type[0]], alone[INPUTS + 1] = {1, 1, 1, 1, 1};
        int64_t place[INPUTS + 1];
        for (int k = 0; k <= nin; k++) {
            place[k] = at[0] * stride[3 * k] + at[1] * stride[3 * k + 1] + at[2] * stride[3 * k + 2];
            memcpy(one[k].p, (char *)wide[k].p + place[k] * element_size[type[k]], (size_t)element_size[type[k]]);
        }
        set(touched, place[0], 1);
        launch(fn, nin, one, alone, 1, 0);
        CHECK(!memcmp(one[0].p, (char *)wide[0].p + place[0] * size, (size_t)size),
              "%s, %s to %s: element %lld of a block %lld x %lld x %lld", family, type_name[type[1]], type_name[type[0]],
              (long long)i, (long long)shape[0], (long long)shape[1], (long long)shape[2]);
    }
    for (int64_t i = 0; i < out.n; i++)
        if (!get(touched, i)) CHECK(get(wide[0], i) == get(out, i), "%s: wrote beside its block", family);
    for (int k = 0; k <= nin; k++) array_free(wide[k]), array_free(one[k]);
    array_free(out), array_free(touched);
}

/* Large work, contiguous and turned: the same bits on any number of threads. */
static void threads(void)
{
    const int64_t side = 700, n = side * side, dims[] = {side, side, side, 1, 1, side, side, 1};
    const tg_kernel unary[] = {tg_k->unary[TG_UNARY_exp][TG_F32], tg_k->unary[TG_UNARY_sin][TG_F32],
                               tg_k->unary[TG_UNARY_neg][TG_F32], tg_k->copy[TG_F64][TG_F32]};
    const tg_kernel binary[] = {tg_k->binary[TG_BINARY_add][TG_F32], tg_k->binary[TG_BINARY_fmod][TG_F32],
                                tg_k->binary[TG_BINARY_lt][TG_F32]};
    array a = array_random(TG_F32, n, 40), b = array_random(TG_F32, n, 40);
    for (int k = 0; k < 7; k++)
        for (int layout = 0; layout < 2; layout++) {
            array first = array_new(TG_F64, n), out = array_new(TG_F64, n);
            for (int t = 0; t < 4; t++) {
                static const int number[] = {1, 2, 3, 5};
                tg_call c = {.fn = k < 4 ? unary[k] : binary[k - 4], .n = {n}, .p = {(t ? out : first).p, a.p, b.p},
                             .dims = dims, .ndim = layout ? 2 : 0};
                tg_set_num_threads(number[t]);
                c.fn(&c);
                if (t) CHECK(same_bits(first, out), "kernel %d, layout %d: other bits on %d threads", k, layout, number[t]);
            }
            array_free(first), array_free(out);
        }
    tg_set_num_threads(1);
    array_free(a), array_free(b);
}

/* Operands with room for whole blocks: the bits that the kernel gives without the room, and not a byte beyond. */
static void check_in_blocks(tg_kernel fn, int nin, const tg_dtype *type)
{
    const int64_t n = 1 + random_size(600), room = (n + TG_BLOCK - 1) / TG_BLOCK * TG_BLOCK;
    if (!fn) return;
    array wide[INPUTS + 1], exact[INPUTS + 1];
    tg_call c = {.fn = fn, .n = {n}, .s = {-0.5, 0.5}}, tight = c;
    for (int k = 0; k <= nin; k++) {
        wide[k] = array_random(type[k], room, 0);
        exact[k] = array_new(type[k], n);
        for (int64_t i = 0; k && type[0] < TG_F32 && i < n; i++) set(wide[k], i, (double)(1 + random_below(9)));
        memcpy(exact[k].p, wide[k].p, (size_t)(n * element_size[type[k]]));
        c.p[k] = wide[k].p;
        tight.p[k] = exact[k].p;
    }
    if (type[0] < TG_F32) c.i[0] = tight.i[0] = 0, c.i[1] = tight.i[1] = 1;
    c.flags = 1;
    fn(&c);
    fn(&tight);
    CHECK(same_bits(exact[0], wide[0]), "%s, %s to %s: %lld elements in whole blocks", family, type_name[type[1]],
          type_name[type[0]], (long long)n);
    for (int k = 0; k <= nin; k++) array_free(wide[k]), array_free(exact[k]);
}

static void check_all(tg_kernel fn, int nin, const tg_dtype *type)
{
    check(fn, nin, type);
    check_block(fn, nin, type);
    check_in_blocks(fn, nin, type);
}

static void run(void)
{
#define UNARY(name, ...) #name,
#define UNARY_NUM UNARY
#define UNARY_PAR UNARY
#define UNARY_HARD UNARY
#define UNARY_FLOAT_PAR UNARY
#define PREDICATE UNARY
    static const char *const unary[] = {
#include "unary.def"
    };
#define BINARY(name, ...) #name,
#define BINARY_NUM BINARY
#define BINARY_ANY BINARY
#define BINARY_HARD BINARY
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
            check_all(tg_k->unary[op][t], 1, op >= TG_UNARY_isnan ? truth : same);
            if (is_float(t)) check_all(tg_k->unary_backward[op][f], 3, same);
        }
        for (int op = 0; op < TG_BINARY_COUNT; op++) {
            family = binary[op];
            check_all(tg_k->binary[op][t], 2, op >= TG_BINARY_eq ? truth : same);
            for (int side = 0; side < 2 && is_float(t); side++) check_all(tg_k->binary_backward[op][side][f], 4, same);
        }
        family = "where";
        check_all(tg_k->where[t], 3, choice);
        family = "copy";
        for (tg_dtype to = TG_BOOL; to < TG_DTYPES; to++) check_all(tg_k->copy[to][t], 1, (tg_dtype[]){to, t});
    }
    threads();
}
