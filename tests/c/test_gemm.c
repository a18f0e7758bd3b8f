/* Matrix multiplication against three plain loops: shapes, layouts, batches, bias, accumulation, activations, extreme
   values; the same bits on any number of threads. */
#include "test.h"

#include "threads.h"

typedef struct {
    tg_dtype type;
    int64_t M, N, K, batch;
    int a_layout, b_layout, shared_b, bias, add, gap; /* gap: elements between C's rows */
    int activation; /* 0, or 1 + a row of unary.def */
} product;

typedef struct {
    array data;
    int64_t row, col, step; /* strides, step between the batch's matrices */
} matrix;

enum { ROWS, COLUMNS, SPACED, EXPANDED, LAYOUTS }; /* the contiguous ones; neither; one row, repeated */

static matrix matrix_random(tg_dtype type, int64_t rows, int64_t cols, int layout, int64_t batch, int shared)
{
    matrix m = {.row = layout == ROWS      ? cols + random_below(3)
                       : layout == COLUMNS ? 1
                       : layout == SPACED  ? 3 * cols + 1
                                           : 0,
                .col = layout == COLUMNS ? rows + random_below(3) : layout == SPACED ? 3 : 1};
    const int64_t size = rows && cols ? (rows - 1) * m.row + (cols - 1) * m.col + 1 : 0;
    m.step = shared ? 0 : size;
    m.data = array_random(type, shared ? size : size * batch, 0);
    return m;
}

static int64_t at(matrix m, int64_t batch, int64_t row, int64_t col)
{
    return batch * m.step + row * m.row + col * m.col;
}

static void multiply(const product *p, matrix a, matrix b, const void *bias, void *c, void *y)
{
    const int64_t c_row = p->N + p->gap;
    const int64_t dims[] = {p->batch, a.step, b.step, p->M * c_row, a.row, a.col, b.row, b.col, c_row};
    const int threads = tg_gemm_threads(p->batch, p->M, p->N, p->K);
    void *room = aligned_alloc(64, (size_t)threads * TG_GEMM_ROOM);
    const tg_call call = {.n = {p->M, p->N, p->K}, .p = {c, a.data.p, b.data.p, (void *)bias, y, room}, .dims = dims,
                          .flags = p->add ? TG_GEMM_ADD : 0, .i = {p->activation, threads}};
    (p->type == TG_F64 ? tg_gemm_f64 : tg_gemm_f32)(&call);
    free(room);
}

/* Once more, on one to four threads: the bits of c, and those of y where the activation's results go, which are either
   written over c or beside it. */
static void check_again(const product *p, matrix a, matrix b, array bias, array before, array c, array y)
{
    for (int apart = 0; apart < 1 + (p->activation > 0); apart++) {
        const array c2 = array_copy(before), y2 = array_copy(before);
        tg_set_num_threads(1 + (int)random_below(4));
        multiply(p, a, b, p->bias ? bias.p : NULL, c2.p, apart ? y2.p : c2.p);
        CHECK(same_bits(apart ? y2 : c2, y) && (!apart || same_bits(c2, c)),
              "%s %lldx%lldx%lld batch %lld activation %d: other bits on %d threads", type_name[p->type],
              (long long)p->M, (long long)p->N, (long long)p->K, (long long)p->batch, p->activation, tg_num_threads());
        array_free(c2), array_free(y2);
    }
}

/* Within the bound of K + 2 rounded terms in any order; what lies between C's rows untouched. */
static void check(product p)
{
    const matrix a = matrix_random(p.type, p.M, p.K, p.a_layout, p.batch, 0);
    const matrix b = matrix_random(p.type, p.K, p.N, p.b_layout, p.batch, p.shared_b);
    const int64_t c_row = p.N + p.gap, n = p.batch * p.M * c_row;
    const array bias = array_random(p.type, p.N, 0), before = array_random(p.type, n, 0);
    if (!p.add) /* then C must not be read */
        for (int64_t i = 0; i < n; i++)
            if (i % c_row < p.N) set(before, i, NAN);
    const array c = array_copy(before);
    product linear = p;
    linear.activation = 0;
    tg_set_num_threads(1);
    multiply(&linear, a, b, p.bias ? bias.p : NULL, c.p, NULL);
    check_again(&linear, a, b, bias, before, c, c);
    if (p.activation) {
        const array y = array_copy(before);
        tg_kernel activate = tg_k->unary[p.activation - 1][p.type];
        for (int64_t i = 0; i < p.batch * p.M; i++) {
            void *const row[] = {(char *)y.p + i * c_row * element_size[p.type],
                                 (char *)c.p + i * c_row * element_size[p.type]};
            activate(&(tg_call){.n = {p.N}, .p = {row[0], row[1]}});
        }
        check_again(&p, a, b, bias, before, c, y);
        array_free(y);
    }

    int64_t wrong = -1;
    for (int64_t e = 0; e < n && wrong < 0; e++) {
        const int64_t z = e / (p.M * c_row), i = e / c_row % p.M, j = e % c_row;
        long double sum = 0, size = 0;
        if (j < p.N) {
            for (int64_t k = 0; k < p.K; k++) {
                const long double term = (long double)get(a.data, at(a, z, i, k)) * get(b.data, at(b, z, k, j));
                sum += term, size += fabsl(term);
            }
            if (p.bias) sum += get(bias, j), size += fabs(get(bias, j));
        }
        if (p.add || j >= p.N) sum += get(before, e), size += fabs(get(before, e));
        if (!near(get(c, e), sum, j < p.N ? (p.K + 2) * epsilon(p.type) * size : 0)) wrong = e;
    }
    CHECK(wrong < 0, "%s %lldx%lldx%lld batch %lld layouts %d %d shared %d bias %d add %d gap %d: element %lld is %g",
          type_name[p.type], (long long)p.M, (long long)p.N, (long long)p.K, (long long)p.batch, p.a_layout, p.b_layout,
          p.shared_b, p.bias, p.add, p.gap, (long long)wrong, get(c, wrong));
    array_free(a.data), array_free(b.data), array_free(bias), array_free(before), array_free(c);
}

/* The same elements in every layout, and row by row: the same bits, but for a row times contiguous columns. */
static void check_bits(tg_dtype type, int64_t M, int64_t N, int64_t K)
{
    const product p = {.type = type, .M = M, .N = N, .K = K, .batch = 1};
    const matrix a = matrix_random(type, M, K, ROWS, 1, 0), b = matrix_random(type, K, N, ROWS, 1, 0);
    const array expected = array_new(type, M * N), c = array_new(type, M * N);
    multiply(&p, a, b, NULL, expected.p, NULL);
    for (int layout = 0; layout < EXPANDED * EXPANDED; layout++) {
        const matrix x = matrix_random(type, M, K, layout / EXPANDED, 1, 0);
        const matrix y = matrix_random(type, K, N, layout % EXPANDED, 1, 0);
        for (int64_t i = 0; i < M; i++)
            for (int64_t k = 0; k < K; k++) set(x.data, at(x, 0, i, k), get(a.data, at(a, 0, i, k)));
        for (int64_t k = 0; k < K; k++)
            for (int64_t j = 0; j < N; j++) set(y.data, at(y, 0, k, j), get(b.data, at(b, 0, k, j)));
        multiply(&p, x, y, NULL, c.p, NULL);
        CHECK(same_bits(c, expected), "%s %lldx%lldx%lld: other bits in layouts %d %d", type_name[type], (long long)M,
              (long long)N, (long long)K, layout / EXPANDED, layout % EXPANDED);
        array_free(x.data), array_free(y.data);
    }
    for (int64_t i = 0; i < M; i++) {
        const product one = {.type = type, .M = 1, .N = N, .K = K, .batch = 1};
        matrix row = a;
        row.data.p = (char *)a.data.p + at(a, 0, i, 0) * element_size[type];
        multiply(&one, row, b, NULL, (char *)c.p + i * N * element_size[type], NULL);
    }
    CHECK(same_bits(c, expected), "%s %lldx%lldx%lld: other bits row by row", type_name[type], (long long)M,
          (long long)N, (long long)K);
    array_free(a.data), array_free(b.data), array_free(expected), array_free(c);
}

/* A row times contiguous columns: the same bits for all at once and one by one, for a row with gaps, and transposed. */
static void check_dots(tg_dtype type, int64_t N, int64_t K)
{
    const product all = {.type = type, .M = 1, .N = N, .K = K, .batch = 1};
    const product one = {.type = type, .M = 1, .N = 1, .K = K, .batch = 1};
    const product column = {.type = type, .M = N, .N = 1, .K = K, .batch = 1};
    const matrix a = matrix_random(type, 1, K, ROWS, 1, 0), b = matrix_random(type, K, N, COLUMNS, 1, 0);
    const matrix spaced = matrix_random(type, 1, K, SPACED, 1, 0);
    const array expected = array_new(type, N), c = array_new(type, N);
    for (int64_t k = 0; k < K; k++) set(spaced.data, at(spaced, 0, 0, k), get(a.data, k));
    multiply(&all, a, b, NULL, expected.p, NULL);
    multiply(&all, spaced, b, NULL, c.p, NULL);
    CHECK(same_bits(c, expected), "%s: a row with gaps has other bits", type_name[type]);
    const matrix b_t = {b.data, b.col, b.row, 0}, a_t = {a.data, a.col, a.row, 0};
    multiply(&column, b_t, a_t, NULL, c.p, NULL);
    CHECK(same_bits(c, expected), "%s: a matrix times a column has other bits", type_name[type]);
    for (int64_t j = 0; j < N; j++) {
        matrix single = b;
        single.data.p = (char *)b.data.p + at(b, 0, 0, j) * element_size[type];
        multiply(&one, a, single, NULL, (char *)c.p + j * element_size[type], NULL);
    }
    CHECK(same_bits(c, expected), "%s: a column by itself has other bits", type_name[type]);
    array_free(a.data), array_free(b.data), array_free(spaced.data), array_free(expected), array_free(c);
}

/* One NaN or infinity in A meets zeros in B: its whole row is NaN, every other row 0. */
static void check_extreme(tg_dtype type, double extreme)
{
    const product p = {
        .type = type, .M = 1 + random_below(40), .N = 1 + random_below(40), .K = 1 + random_below(300), .batch = 1};
    const matrix a = matrix_random(type, p.M, p.K, random_below(2), 1, 0);
    const matrix b = matrix_random(type, p.K, p.N, random_below(2), 1, 0);
    const array c = array_new(type, p.M * p.N);
    const int64_t row = random_below(p.M);
    set(a.data, at(a, 0, row, random_below(p.K)), extreme);
    for (int64_t i = 0; i < b.data.n; i++) set(b.data, i, 0);
    multiply(&p, a, b, NULL, c.p, NULL);
    for (int64_t i = 0; i < c.n; i++) {
        const double expected = i / p.N == row ? NAN : 0;
        CHECK(near(get(c, i), expected, 0), "%s: a row with %g gives %g, not %g", type_name[type], extreme, get(c, i),
              expected);
    }
    array_free(a.data), array_free(b.data), array_free(c);
}

static int random_activation(void)
{
    static const int rows[] = {0, 0, 1 + TG_UNARY_relu, 1 + TG_UNARY_gelu, 1 + TG_UNARY_gelu_tanh};
    return rows[random_below(5)];
}

static void run(void)
{
    /* blocks cut along each dimension, products with a vector, layers of small nets */
    static const int64_t sizes[][3] = {{300, 90, 130}, {30, 1100, 40}, {129, 20, 520}, {1, 700, 300}, {2, 65, 513},
                                       {200, 1, 257},  {1, 8, 40},     {1, 24, 40},    {257, 7, 100}, {32, 128, 64},
                                       {32, 10, 128},  {64, 128, 32},  {5, 9, 0}};
    for (int n = 0; n < (int)(sizeof sizes / sizeof *sizes) * 32; n++) {
        const int64_t *size = sizes[n / 32];
        check((product){.type = TG_F32 + (n & 1), .M = size[0], .N = size[1], .K = size[2], .batch = 1, .gap = n & 1,
                        .add = n >> 1 & 1, .bias = n >> 2 & 1, .a_layout = n >> 3 & 1, .b_layout = n >> 4 & 1});
    }
    for (int n = 0; n < 2000; n++)
        check((product){.type = TG_F32 + random_below(2), .M = random_size(60), .N = random_size(80),
                        .K = random_size(60), .batch = random_below(4), .a_layout = random_below(LAYOUTS),
                        .b_layout = random_below(LAYOUTS), .shared_b = random_below(2), .bias = random_below(2),
                        .add = random_below(2), .gap = random_below(5), .activation = random_activation()});
    for (int n = 0; n < 8; n++) /* few rows, and rows that are few only once they are cut for threads */
        check((product){.type = TG_F32 + (n & 1), .M = n & 2 ? 16 : 7, .N = n & 2 ? 16 : 300, .K = 5000, .batch = 1,
                        .a_layout = n & 4 ? SPACED : ROWS, .b_layout = COLUMNS, .bias = 1,
                        .activation = 1 + TG_UNARY_relu});
    for (int n = 0; n < 20; n++) /* worth several threads */
        check((product){.type = TG_F32 + (n & 1), .M = 1 + random_below(300), .N = 1 + random_below(300),
                        .K = 1 + random_below(100), .batch = 1 + random_below(4), .a_layout = random_below(LAYOUTS),
                        .b_layout = random_below(LAYOUTS), .shared_b = random_below(2), .bias = random_below(2),
                        .add = random_below(2), .gap = random_below(2), .activation = random_activation()});
    for (tg_dtype t = TG_F32; t <= TG_F64; t++) {
        check((product){.type = t, .M = 150, .N = 530, .K = 260, .batch = 1, .bias = 1, .add = t == TG_F32});
        check_bits(t, 45, 77, 33), check_bits(t, 230, 90, 600), check_bits(t, 2, 100, 40), check_dots(t, 100, 5000);
        for (int n = 0; n < 10; n++) check_extreme(t, NAN), check_extreme(t, INFINITY);
    }
}
