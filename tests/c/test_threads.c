/* The pool: every piece once, whatever the number of threads; from several threads at once; inside a piece; after fork. */
#include "test.h"

#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 1000 };

typedef struct {
    atomic_int seen[ITEMS];
    int64_t n, grain;
    int nested;
    atomic_int wrong;
} work;

static void visit(void *context, int64_t begin, int64_t end)
{
    work *w = context;
    if (begin % w->grain || end != (begin + w->grain < w->n ? begin + w->grain : w->n))
        w->wrong = 1;
    for (int64_t i = begin; i < end; i++)
        w->seen[i]++;
    if (w->nested) {
        static _Thread_local work inner;
        memset(&inner, 0, sizeof inner);
        inner.n = 100, inner.grain = 7;
        tg_parallel(inner.n, inner.grain, visit, &inner);
        for (int64_t i = 0; i < inner.n; i++)
            w->wrong |= inner.seen[i] != 1;
        w->wrong |= inner.wrong;
    }
}

static int visits_each_once(int64_t n, int64_t grain, int nested)
{
    work *w = calloc(1, sizeof *w);
    w->n = n, w->grain = grain, w->nested = nested;
    tg_parallel(n, grain, visit, w);
    int wrong = w->wrong;
    for (int64_t i = 0; i < ITEMS; i++)
        wrong |= w->seen[i] != (i < n);
    free(w);
    return !wrong;
}

typedef struct {
    work pieces;
    int threads;
    atomic_int taken[16]; /* numbers in use */
} numbered_work;

static void visit_numbered(void *context, int thread, int64_t begin, int64_t end)
{
    numbered_work *w = context;
    if (thread < 0 || thread >= w->threads || w->taken[thread]++)
        w->pieces.wrong = 1;
    visit(&w->pieces, begin, end);
    w->taken[thread]--;
}

static int visits_each_once_by_number(int threads, int64_t n, int64_t grain)
{
    numbered_work *w = calloc(1, sizeof *w);
    w->threads = threads, w->pieces.n = n, w->pieces.grain = grain, w->pieces.nested = n % 7 == 0;
    tg_parallel_numbered(threads, n, grain, visit_numbered, w);
    int wrong = w->pieces.wrong;
    for (int64_t i = 0; i < ITEMS; i++)
        wrong |= w->pieces.seen[i] != (i < n);
    free(w);
    return !wrong;
}

static void *hammer(void *failures)
{
    for (int i = 0; i < 500; i++)
        if (!visits_each_once(i % ITEMS, 1 + i % 17, i % 5 == 0)
            || !visits_each_once_by_number(1 + i % 16, i % ITEMS, 1 + i % 7))
            ++*(atomic_int *)failures;
    return NULL;
}

static int exit_code_of_child(void)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(visits_each_once(ITEMS, 3, 1) ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void run(void)
{
    static const int counts[] = {1, 2, 3, 8, 2, 1, 5};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        tg_set_num_threads(counts[c]);
        CHECK(tg_num_threads() == counts[c], "asked for %d threads, got %d", counts[c], tg_num_threads());
        for (int64_t n = 0; n <= ITEMS; n += 1 + n / 5)
            for (int64_t grain = 1; grain <= 2 * ITEMS; grain *= 3)
                CHECK(visits_each_once(n, grain, n % 3 == 0), "%ld by %ld was not cut into pieces, each once", (long)n,
                      (long)grain);
        atomic_int failures = 0;
        pthread_t callers[4];
        for (int i = 0; i < 4; i++)
            pthread_create(&callers[i], NULL, hammer, &failures);
        for (int i = 0; i < 4; i++)
            pthread_join(callers[i], NULL);
        CHECK(!failures, "%d failures with several callers", (int)failures);
        CHECK(!exit_code_of_child(), "a forked child failed");
    }
}
