/* C = A B: blocking and threads, the same for every float type and instruction set. The work in registers is in
   gemm_tile.inc.

   The record: p = {C, A, B, bias or NULL, Y, room}, n = {M, N, K}, flags = TG_GEMM_ADD to add to C, and
   dims = {batch, batch strides of A, B, C, row and column stride of A, of B, row stride of C}.
   A and B may have any strides but negative ones; C's and bias's columns are contiguous.
   i[0] is 0, or 1 + a row of unary.def, an activation: Y, which is laid out as C or is C itself, gets its result for
   every block of C while that is in cache. At room, each of i[1] threads has TG_GEMM_ROOM bytes.

   Blocks are chosen so that each is read again from the cache it fits in: a panel of B (k rows, as wide as a tile) from
   L1, a block of A (BLOCK_M x BLOCK_K) from L2, a block of B (BLOCK_K x BLOCK_N) from L2 or L3. Packing puts a panel's
   elements into the order in which tiles read them; small operands are read where they lie.

   K is cut by its own size alone and summed in order, so an element's bits depend on nothing but its row of A, its
   column of B and the instruction set. The exception are few rows times contiguous columns, see dots(). C is cut as
   threads need it.                                                                                                   */
#include "table.h"
#include "threads.h"

enum { /* sizes are in elements of 4 bytes; for those of 8, half of it */
    BLOCK_K = 256, /* of either type */
    BLOCK_M = 144,
    BLOCK_N = 512,          /* whole panels of any width */
    IN_PLACE_A = 128 << 10, /* bytes of the largest A that is read where it lies */
    IN_PLACE_B = 256 << 10,
    DOTS_M = 8,             /* rows that dots() takes, */
    DOTS_K = 4096,          /* and how much of each it copies at once */
    PIECE = 1 << 21,        /* multiply-adds worth a thread: less costs more to move between cores */
};

_Static_assert(4 * BLOCK_K * (BLOCK_M + BLOCK_N) + TG_GEMM_SLACK <= TG_GEMM_ROOM, "both packed blocks find room");
_Static_assert(4 * DOTS_M * DOTS_K + TG_GEMM_SLACK <= TG_GEMM_ROOM, "and so do rows");

typedef struct {
    const char *data;
    int64_t row, col; /* strides */
} operand;

typedef struct {
    const tg_gemm_tiles *tiles;
    int64_t size; /* of an element */
    int64_t M, N, K;
    operand A, B;
    char *C;
    int64_t c_row;
    const char *bias; /* a row, or NULL */
    const char *column_bias; /* one element, or NULL */
    int add;
    tg_kernel activation; /* or NULL */
    char *Y;
    int along_k; /* dots() does it; decided before C is cut, as it decides the bits */
    char *room;
} product;

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return a <= b ? 1 : (a - 1) / b + 1; } /* of a > 0 */
static int64_t cut(int64_t n, int64_t parts, int64_t i) { return parts == 1 ? n * i : n * i / parts; }

/* What is done to an element after its sum: rows m0 to m1 of columns n0 to n1. */
static void finish(const product *p, int64_t m0, int64_t m1, int64_t n0, int64_t n1)
{
    const int64_t at = (m0 * p->c_row + n0) * p->size;
    char *const c = p->C + at;
    const int64_t dims[] = {m1 - m0, n1 - n0, p->c_row, 1, p->c_row, 1, 0, 0};
    tg_call call = {.n = {dims[0] * dims[1]}, .p = {c, c, (void *)p->column_bias}, .dims = dims, .ndim = 2};
    if (p->column_bias)
        tg_k->binary[TG_BINARY_add][p->size == sizeof(double) ? TG_F64 : TG_F32](&call);
    if (dims[1] == p->c_row)
        call.ndim = 0;
    if (p->activation) {
        call.p[0] = p->Y + at;
        p->activation(&call);
    }
}

/* Few rows times contiguous columns: the sums run along k, in the order of gemm_dots(). */
static void dots(const product *p)
{
    const int64_t most = DOTS_K * 4 / p->size;
    tg_gemm_step s = {.b_step = p->B.col, .c_row = p->c_row, .rows = (int)p->M, .cols = p->N, .add = p->add};
    for (int64_t k0 = 0; k0 == 0 || k0 < p->K; k0 += most, s.add = 1) {
        const char *a = p->A.data + k0 * p->A.col * p->size;
        s.k = min(most, p->K - k0);
        s.a_row = p->A.row;
        if (p->A.col != 1) {
            for (int64_t i = 0; i < p->M; i++)
                p->tiles->pack(p->room + i * s.k * p->size, 1, 1, s.k, a + i * p->A.row * p->size, 0, p->A.col);
            a = p->room, s.a_row = s.k;
        }
        p->tiles->dots(&s, a, p->B.data + k0 * p->size, k0 + most < p->K ? NULL : p->bias, p->C);
    }
    finish(p, 0, p->M, 0, p->N);
}

static void multiply(const product *p)
{
    const tg_gemm_tiles *tiles = p->tiles;
    const int64_t size = p->size, M = p->M, N = p->N, K = p->K;
    const operand A = p->A, B = p->B;
    if (p->along_k) {
        dots(p);
        return;
    }
    const tg_gemm_shape *shape = &tiles->main;
    if (N <= tiles->narrow.cols)
        shape = &tiles->narrow;
    else if (M <= tiles->thin.rows && N > tiles->main.cols)
        shape = &tiles->thin;
    const int pack_a = N > 4 * shape->cols && M * K * size > IN_PLACE_A;
    const int pack_b = B.col != 1 || (M > 4 * shape->rows && K * N * size > IN_PLACE_B);
    const int64_t block_m = BLOCK_M * 4 / size, block_n = BLOCK_N * 4 / size;
    const int64_t m_blocks = ceil_div(M, block_m), k_blocks = K ? ceil_div(K, BLOCK_K) : 1;
    char *const packed_b = p->room, *const packed_a = p->room + BLOCK_K * BLOCK_N * 4;

    for (int64_t n0 = 0; n0 < N; n0 += block_n)
        for (int64_t kb = 0; kb < k_blocks; kb++) {
            const int64_t k0 = cut(K, k_blocks, kb), k = cut(K, k_blocks, kb + 1) - k0;
            const int64_t n1 = min(n0 + block_n, N);
            const int last = kb == k_blocks - 1;
            tg_gemm_step s = {.k = k, .c_row = p->c_row, .add = p->add || kb > 0};

            for (int64_t mb = 0; mb < m_blocks; mb++) {
                const int64_t m0 = cut(M, m_blocks, mb), m1 = cut(M, m_blocks, mb + 1);
                const int m = (int)(m1 - m0), heights = (int)ceil_div(m, shape->rows);
                const int low = m / heights, higher = m % heights; /* tiles differ by one row at most */

                for (int64_t j = n0; j < n1; j += shape->cols) {
                    s.cols = min(shape->cols, n1 - j);
                    const tg_gemm_shape *panel = s.cols <= tiles->narrow.cols ? &tiles->narrow : shape;
                    const int copy_b = pack_b || s.cols < panel->cols;
                    const char *b = B.data + (k0 * B.row + j * B.col) * size;
                    if (copy_b) {
                        char *to = packed_b + (m_blocks > 1 ? (j - n0) * k * size : 0); /* later blocks of A, if any */
                        if (mb == 0)
                            tiles->pack(to, panel->cols, s.cols, k, b, B.col, B.row);
                        b = to;
                    }
                    s.b_step = copy_b ? panel->cols : B.row;

                    for (int64_t t = 0, i = m0; t < heights; t++, i += s.rows) {
                        s.rows = low + (t < higher);
                        const char *a = A.data + (i * A.row + k0 * A.col) * size;
                        if (pack_a) {
                            char *to = packed_a + (i - m0) * k * size;
                            if (j == n0)
                                tiles->pack(to, s.rows, s.rows, k, a, A.row, A.col);
                            a = to;
                        }
                        s.a_row = pack_a ? 1 : A.row, s.a_col = pack_a ? s.rows : A.col;
                        panel->tile[s.rows - 1](&s, a, b, p->bias && last ? p->bias + j * size : NULL,
                                                p->C + (i * p->c_row + j) * size);
                    }
                }
                if (last)
                    finish(p, m0, m1, n0, n1);
            }
        }
}

/* What threads know of a call: a product per matrix of the batch, each cut into a grid of pieces. */
typedef struct {
    product first;
    int64_t a_step, b_step, c_step; /* in bytes, from one matrix to the next */
    int64_t m_cuts, n_cuts;
} grid;

static void multiply_pieces(void *context, int thread, int64_t begin, int64_t end)
{
    const grid *g = context;
    product p = g->first;
    p.room += thread * TG_GEMM_ROOM;
    for (int64_t i = begin; i < end; i++) {
        int64_t matrix = i, m0 = 0, n0 = 0;
        if (g->m_cuts * g->n_cuts > 1) {
            const int64_t width = p.tiles->main.cols, panels = ceil_div(g->first.N, width);
            const int64_t n = i % g->n_cuts, m = i / g->n_cuts % g->m_cuts;
            matrix = i / g->n_cuts / g->m_cuts;
            m0 = cut(g->first.M, g->m_cuts, m), p.M = cut(g->first.M, g->m_cuts, m + 1) - m0;
            n0 = cut(panels, g->n_cuts, n) * width;
            p.N = min(g->first.N, cut(panels, g->n_cuts, n + 1) * width) - n0;
        }
        p.A.data = g->first.A.data + matrix * g->a_step + m0 * p.A.row * p.size;
        p.B.data = g->first.B.data + matrix * g->b_step + n0 * p.B.col * p.size;
        p.C = g->first.C + matrix * g->c_step + (m0 * p.c_row + n0) * p.size;
        p.Y = g->first.Y + (p.C - g->first.C);
        p.bias = g->first.bias ? g->first.bias + n0 * p.size : NULL;
        if (p.M && p.N)
            multiply(&p);
    }
}

int tg_gemm_threads(int64_t batch, int64_t M, int64_t N, int64_t K)
{
    const int64_t worth = (int64_t)((double)batch * (double)M * (double)N * (double)K / PIECE);
    return worth < 2 ? 1 : (int)min(worth, tg_num_threads());
}

static void gemm(const tg_call *call, int type)
{
    const int64_t M = call->n[0], N = call->n[1], K = call->n[2], batch = call->dims[0], *d = call->dims;
    const int64_t size = type == TG_F64 ? sizeof(double) : sizeof(float), threads = call->i[1];
    if (M == 0 || N == 0)
        return;
    const tg_kernel activation = call->i[0] ? tg_k->unary[call->i[0] - 1][type] : NULL;
    grid g = {.first = {.tiles = tg_k->gemm[type == TG_F64], .size = size, .M = M, .N = N, .K = K,
                        .A = {call->p[1], d[4], d[5]}, .B = {call->p[2], d[6], d[7]}, .C = call->p[0], .c_row = d[8],
                        .bias = call->p[3], .add = call->flags & TG_GEMM_ADD, .activation = activation,
                        .Y = activation ? call->p[4] : call->p[0], .room = call->p[5]},
              .a_step = d[1] * size, .b_step = d[2] * size, .c_step = d[3] * size, .m_cuts = 1, .n_cuts = 1};
    product *const p = &g.first;
    if (N == 1 && M > 1 && d[8] == 1) { /* C lies as its transpose, and rows are faster */
        const operand A = p->A;
        p->A = (operand){p->B.data, p->B.col, p->B.row}, g.a_step = d[2] * size;
        p->B = (operand){A.data, A.col, A.row}, g.b_step = d[1] * size;
        p->M = 1, p->N = p->c_row = M;
        p->column_bias = p->bias, p->bias = NULL;
    }
    p->along_k = p->B.row == 1 && (p->M == 1 ? p->B.col != 1 || p->N == 1
                                             : M <= DOTS_M && 32 * M <= K && N >= DOTS_M);
    if (threads == 1) {
        multiply_pieces(&g, 0, 0, batch);
        return;
    }
    /* a part for each thread; for each prime factor of their number, the longer side is cut */
    for (int64_t parts = ceil_div(threads, batch), factor = 2; parts > 1; factor++)
        for (; parts % factor == 0; parts /= factor)
            *(p->M / g.m_cuts >= p->N / g.n_cuts ? &g.m_cuts : &g.n_cuts) *= factor;
    const int64_t pieces = batch * g.m_cuts * g.n_cuts;
    tg_parallel_numbered((int)threads, pieces, ceil_div(pieces, 8 * threads), multiply_pieces, &g);
}

void tg_gemm_f32(const tg_call *call) { gemm(call, TG_F32); }
void tg_gemm_f64(const tg_call *call) { gemm(call, TG_F64); }
