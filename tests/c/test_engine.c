/* Memory of storages: what element-wise kernels rely on when they work in whole blocks. */
#include "engine.h"
#include "test.h"

static void run(void)
{
    /* what the last line of 64 bytes has to spare is zero, whatever was there before */
    for (int64_t bytes = 1; bytes < 3000; bytes += 1 + random_below(9)) {
        tg_storage *s = tg_storage_new(bytes);
        const int64_t whole = (bytes + 63) / 64 * 64;
        CHECK(s && s->data == (char *)s + TG_HEADER, "the data follows the header");
        int64_t other = 0;
        for (int64_t i = bytes; i < whole; i++) other += s->data[i] != 0;
        CHECK(other == 0, "%lld bytes: %lld to spare are not zero", (long long)bytes, (long long)other);
        memset(s->data, 0xa5, (size_t)whole);
        tg_storage_release(s);
    }
    /* nobody else's memory can lie where that of a storage's own would, right behind the header */
    const int64_t before = tg_memory.in_use;
    double data;
    tg_storage *s = tg_storage_borrow(&data, sizeof data, NULL, NULL);
    CHECK(tg_memory.in_use - before > TG_HEADER, "a block of %lld bytes", (long long)(tg_memory.in_use - before));
    tg_storage_release(s);
    CHECK(tg_memory.in_use == before, "a block was kept");
}
