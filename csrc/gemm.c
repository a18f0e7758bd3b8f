/* C = A B: blocking, the same for every float type and instruction set. The work in registers is in gemm_tile.inc.

   The record: p = {C, A, B, bias or NULL, TG_GEMM_SCRATCH bytes}, n = {M, N, K}, flags = 1 to add to C, and
   dims = {batch, batch strides of A, B, C, row and column stride of A, of B, row stride of C}.
   A and B may have any strides but negative ones; C's and bias's columns are contiguous.

   Blocks are chosen so that each is read again from the cache it fits in: a panel of B (k rows, as wide as a tile) from
   L1, a block of A (BLOCK_M x BLOCK_K) from L2, a block of B (BLOCK_K x BLOCK_N) from L2 or L3. Packing puts a panel's
   elements into the order in which tiles read them; small operands are read where they lie.

   K is cut by its own size alone and summed in order, so an element's bits depend on nothing but its row of A, its
   column of B and the instruction set.                                                                              */
#include "gemm.h"

const tg_gemm_tiles *tg_gemm_f32_tiles, *tg_gemm_f64_tiles;

enum {
    BLOCK_K = 256,
    BLOCK_M_BYTES = 144 * 4,      /* of a column of a block of A */
    BLOCK_N_BYTES = 512 * 4,      /* of a row of a block of B */
    IN_PLACE_A_BYTES = 128 << 10, /* the largest A that is read where it lies */
    IN_PLACE_B_BYTES = 32 << 10,
};

_Static_assert(BLOCK_K * (BLOCK_M_BYTES + BLOCK_N_BYTES) <= TG_GEMM_SCRATCH, "both packed blocks fit the scratch");

typedef struct {
    const char *data;
    int64_t row, col; /* strides */
} operand;

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* One matrix product. `size` is that of an element. */
static void gemm(const tg_gemm_tiles *tiles, int64_t size, int64_t M, int64_t N, int64_t K, operand A, operand B,
                 char *C, int64_t c_row, const char *bias, int add, char *scratch)
{
    char *const packed_b = scratch, *const packed_a = scratch + BLOCK_K * BLOCK_N_BYTES;
    const int dots = M == 1 && B.row == 1 && B.col != 1 && N >= tiles->main.cols;
    const tg_gemm_shape *shape = &tiles->main;
    if (N <= tiles->narrow.cols)
        shape = &tiles->narrow;
    else if (M <= tiles->thin.rows && N > tiles->main.cols && !dots)
        shape = &tiles->thin;
    const int pack_a = N > 4 * shape->cols && M * K * size > IN_PLACE_A_BYTES;
    const int pack_b = B.col != 1 || (M > 4 * shape->rows && K * N * size > IN_PLACE_B_BYTES);
    const int64_t block_n = BLOCK_N_BYTES / size / shape->cols * shape->cols;
    const int64_t m_blocks = ceil_div(M, BLOCK_M_BYTES / size), k_blocks = K ? ceil_div(K, BLOCK_K) : 1;

    for (int64_t n0 = 0; n0 < N; n0 += block_n)
        for (int64_t kb = 0; kb < k_blocks; kb++) {
            const int64_t k0 = K * kb / k_blocks, k1 = K * (kb + 1) / k_blocks, k = k1 - k0;
            const int64_t n1 = min(n0 + block_n, N);
            const char *block_bias = kb == k_blocks - 1 ? bias : NULL;
            tg_gemm_step s = {.k = k, .c_row = c_row, .add = add || kb > 0};

            for (int64_t mb = 0; mb < m_blocks; mb++) {
                const int64_t m0 = M * mb / m_blocks, m1 = M * (mb + 1) / m_blocks;
                const int64_t heights = ceil_div(m1 - m0, shape->rows); /* tiles differ by one row at most */
                const int low = (int)((m1 - m0) / heights), higher = (int)((m1 - m0) % heights);

                for (int64_t j = n0; j < n1; j += shape->cols) {
                    s.cols = (int)min(shape->cols, n1 - j);
                    const tg_gemm_shape *panel = s.cols <= tiles->narrow.cols ? &tiles->narrow : shape;
                    const int dot = dots && s.cols == shape->cols, copy_b = !dot && (pack_b || s.cols < panel->cols);
                    const char *b = B.data + (k0 * B.row + j * B.col) * size;
                    if (copy_b) {
                        char *to = packed_b + (j - n0) * k * size;
                        if (mb == 0)
                            tiles->pack(to, panel->cols, s.cols, k, b, B.col, B.row);
                        b = to;
                    }
                    s.b_step = copy_b ? panel->cols : dot ? B.col : B.row;

                    for (int64_t t = 0, i = m0; t < heights; t++) {
                        const int rows = low + (t < higher);
                        const char *a = A.data + (i * A.row + k0 * A.col) * size;
                        if (pack_a) {
                            char *to = packed_a + (i - m0) * k * size;
                            if (j == n0)
                                tiles->pack(to, rows, rows, k, a, A.row, A.col);
                            a = to;
                        }
                        s.a_row = pack_a ? 1 : A.row, s.a_col = pack_a ? rows : A.col;
                        tg_gemm_tile *tile = dot ? tiles->dot : panel->tile[rows - 1];
                        tile(&s, a, b, block_bias ? block_bias + j * size : NULL, C + (i * c_row + j) * size);
                        i += rows;
                    }
                }
            }
        }
}

static void batch(const tg_call *call, const tg_gemm_tiles *tiles, int64_t size)
{
    const int64_t M = call->n[0], N = call->n[1], K = call->n[2], *d = call->dims;
    const int add = call->flags & 1;
    operand A = {call->p[1], d[4], d[5]}, B = {call->p[2], d[6], d[7]};
    char *C = call->p[0];
    const char *bias = call->p[3];
    const int column = N == 1 && M > 1 && d[8] == 1 && !bias; /* C lies as its transpose, and rows are faster */
    for (int64_t i = M && N ? d[0] : 0; i > 0; i--, A.data += d[1] * size, B.data += d[2] * size, C += d[3] * size)
        if (column)
            gemm(tiles, size, 1, M, K, (operand){B.data, B.col, B.row}, (operand){A.data, A.col, A.row}, C, M,
                 NULL, add, call->p[4]);
        else
            gemm(tiles, size, M, N, K, A, B, C, d[8], bias, add, call->p[4]);
}

void tg_gemm_f32(const tg_call *call) { batch(call, tg_gemm_f32_tiles, sizeof(float)); }
void tg_gemm_f64(const tg_call *call) { batch(call, tg_gemm_f64_tiles, sizeof(double)); }
