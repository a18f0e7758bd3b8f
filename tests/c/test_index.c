/* Taking, putting, counting and sorting against plain loops. */
#include "test.h"

static void rows(tg_dtype t)
{
    const int64_t count = random_size(100), len = random_below(2) ? 1 : random_size(40);
    const int64_t places = len + random_below(50) + 1;
    array source = array_random(t, places, 0), out = array_new(t, count * len), offset = array_new(TG_I64, count);
    array from = array_random(t, count * len, 0), put = array_copy(source), expected_put = array_copy(source);
    array added = array_copy(source), expected_added = array_copy(source);
    for (int64_t r = 0; r < count; r++) set(offset, r, (double)random_below(places - len + 1));
    tg_call c = {.n = {count, len}, .p = {out.p, source.p, offset.p}};
    tg_k->take[t](&c);
    tg_call p = {.n = {count, len}, .p = {put.p, from.p, offset.p}};
    tg_call a = {.n = {count, len}, .p = {added.p, from.p, offset.p}};
    tg_k->put[t](&p);
    tg_k->put_add[t](&a);
    for (int64_t r = 0; r < count; r++)
        for (int64_t j = 0; j < len; j++) {
            const int64_t at = ((int64_t *)offset.p)[r] + j;
            CLOSE("take", t, get(out, r * len + j), get(source, at), 0);
            set(expected_put, at, get(from, r * len + j));
            set(expected_added, at, get(expected_added, at) + get(from, r * len + j));
        }
    CHECK(same_bits(put, expected_put), "put %s", type_name[t]);
    for (int64_t i = 0; i < places; i++) CLOSE("put_add", t, get(added, i), get(expected_added, i), 0);
    const array all[] = {source, out, offset, from, put, expected_put, added, expected_added};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) array_free(all[k]);
}

static void offsets(void)
{
    const int64_t count = random_size(100), size = random_below(20) + 1, stride = random_below(50);
    const int wrong = (int)random_below(2), front_only = (int)random_below(2);
    array out = array_random(TG_I64, count, 0), before = array_copy(out), index = array_new(TG_I64, count);
    int64_t bad = 0, expected_bad = 0;
    for (int64_t r = 0; r < count; r++) set(index, r, (double)(random_below(2 * size) - size));
    if (wrong && count) {
        set(index, random_below(count), (double)size);
        set(index, random_below(count), (double)(-size - 1));
        ((int64_t *)index.p)[random_below(count)] = random_below(2) ? INT64_MIN : INT64_MAX;
    }
    tg_call c = {.n = {count}, .p = {out.p, index.p, &bad}, .i = {size, stride}, .flags = front_only};
    tg_k->offsets(&c);
    for (int64_t r = 0; r < count; r++) {
        const int64_t i = ((int64_t *)index.p)[r];
        const int outside = i < (front_only ? 0 : -size) || i >= size;
        if (outside && !expected_bad) expected_bad = r + 1;
        const int64_t added = outside ? 0 : (i + size) % size * stride;
        CLOSE("offsets", TG_I64, get(out, r), get(before, r) + (double)added, 0);
    }
    CHECK(bad == expected_bad, "bad: %lld, not %lld", (long long)bad, (long long)expected_bad);
    array_free(out), array_free(before), array_free(index);
}

static void batch(void)
{
    enum { SOURCES = 3 };
    const int64_t count = random_size(300), size = random_below(20) + 1, lengths[SOURCES] = {8, random_size(40), 3000};
    int64_t bad = 0, expected_bad = 0, total = 0;
    array index = array_new(TG_I64, count), out[SOURCES], source[SOURCES];
    void *to[SOURCES], *from[SOURCES];
    for (int64_t r = 0; r < count; r++) set(index, r, (double)(random_below(2 * size) - size));
    if (count && random_below(3) == 0) {
        expected_bad = 1 + random_below(count);
        set(index, expected_bad - 1, (double)(random_below(2) ? size : -size - 1));
    }
    for (int k = 0; k < SOURCES; k++) {
        source[k] = array_random(TG_U8, size * lengths[k], 0);
        out[k] = array_new(TG_U8, count * lengths[k]);
        to[k] = out[k].p, from[k] = source[k].p;
        total += lengths[k];
    }
    tg_call c = {.n = {count, SOURCES, 1}, .p = {to, from, (void *)lengths, index.p, &bad}, .i = {size, total}};
    tg_k->batch(&c);
    CHECK(bad == expected_bad, "batch: bad: %lld, not %lld", (long long)bad, (long long)expected_bad);
    for (int k = 0; k < SOURCES; k++) {
        for (int64_t r = 0; r < count && !expected_bad; r++) {
            const int64_t i = (((int64_t *)index.p)[r] + size) % size;
            CHECK(!memcmp((char *)to[k] + r * lengths[k], (char *)from[k] + i * lengths[k], (size_t)lengths[k]),
                  "batch: row %lld of source %d", (long long)r, k);
        }
        array_free(out[k]), array_free(source[k]);
    }
    array_free(index);
}

static void nonzero(void)
{
    array mask = array_random(TG_BOOL, random_size(2000), 0);
    int64_t count = -1, expected = 0;
    tg_call c = {.n = {mask.n}, .p = {&count, mask.p}};
    tg_k->nonzero_count(&c);
    for (int64_t i = 0; i < mask.n; i++) expected += get(mask, i) != 0;
    CHECK(count == expected, "nonzero_count: %lld, not %lld", (long long)count, (long long)expected);
    array place = array_new(TG_I64, expected);
    tg_call d = {.n = {mask.n}, .p = {place.p, mask.p}};
    tg_k->nonzero(&d);
    for (int64_t i = 0, k = 0; i < mask.n; i++)
        if (get(mask, i) != 0) CHECK(((int64_t *)place.p)[k++] == i, "nonzero");
    array_free(mask), array_free(place);
}

/* Sorted, a permutation, and stable: together they leave one answer. */
static int in_order(double a, double b, int descending)
{
    if (a != a || b != b) return descending ? a != a : b != b;
    return descending ? a >= b : a <= b;
}
static void sort(tg_dtype t)
{
    const int64_t outer = random_size(4), len = random_size(random_below(20) ? 100 : random_below(5) ? 20000 : 200000);
    const int64_t inner = random_below(2) ? 1 : random_size(len > 100 ? 2 : 9), size = element_size[t];
    const int descending = (int)random_below(2);
    array x = array_random(t, outer * len * inner, random_below(2) ? 10 : 0), y = array_new(t, x.n);
    array place = array_new(TG_I64, x.n), seen = array_new(TG_U8, len);
    const int64_t lines = outer * inner, pieces = lines < TG_SORT_PIECES ? lines : TG_SORT_PIECES;
    void *scratch = malloc((size_t)(pieces * 2 * len * (size == 8 ? 16 : 8)));
    tg_call c = {.n = {outer, len, inner}, .p = {y.p, x.p, place.p, scratch}, .flags = descending};
    tg_k->sort[t](&c);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            memset(seen.p, 0, (size_t)len);
            for (int64_t k = 0; k < len; k++) {
                const int64_t i = (o * len + k) * inner + j, from = ((int64_t *)place.p)[i];
                if (from < 0 || from >= len) {
                    CHECK(0, "sort %s: index %lld", type_name[t], (long long)from);
                    continue;
                }
                CHECK(!((uint8_t *)seen.p)[from]++, "sort %s: an index twice", type_name[t]);
                const char *value = (char *)y.p + i * size;
                const char *source = (char *)x.p + ((o * len + from) * inner + j) * size;
                CHECK(!memcmp(value, source, (size_t)size), "sort %s: value and index differ", type_name[t]);
                if (k == 0) continue;
                const double a = get(y, i - inner), b = get(y, i);
                CHECK(in_order(a, b, descending), "sort %s: %g before %g", type_name[t], a, b);
                if (in_order(b, a, descending))
                    CHECK(((int64_t *)place.p)[i - inner] < from, "sort %s: not stable", type_name[t]);
            }
        }
    free(scratch);
    array_free(x), array_free(y), array_free(place), array_free(seen);
}

static void run(void)
{
    for (int r = 0; r < 200; r++) {
        offsets();
        nonzero();
        batch();
        for (tg_dtype t = 0; t < TG_DTYPES; t++) {
            rows(t);
            sort(t);
        }
    }
}
