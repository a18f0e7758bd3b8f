/* The pool: the calling thread and workers, which are started by the first work that is worth more than one thread.

   A piece of work stands in `job`. The caller opens it and moves `epoch` on; workers see that, enter, and take pieces
   until none is left; the caller takes pieces too, closes the job, and waits until nobody is inside. A worker that comes
   late finds the job closed, or finds the next one. Idle workers spin for some microseconds, then sleep. */
#define _GNU_SOURCE
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 2000, YIELD_AFTER = 1 << 14 };

static struct {
    tg_piece *body;
    void *context;
    int64_t n, grain;
    int helpers; /* workers that may enter */
} job;
static _Atomic int64_t next_item;
static atomic_int open, inside, busy, sleeping;
static atomic_uint epoch;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int wanted; /* threads asked for; 0: not yet known */
static int started; /* workers there are */

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_pieces(void)
{
    const int64_t n = job.n, grain = job.grain;
    for (int64_t i; (i = atomic_fetch_add(&next_item, grain)) < n;)
        job.body(job.context, i, n - i < grain ? n : i + grain);
}

static void await_epoch_after(unsigned seen)
{
    for (int i = 0; i < SPINS; i++, pause_briefly())
        if (atomic_load(&epoch) != seen)
            return;
    pthread_mutex_lock(&mutex);
    atomic_fetch_add(&sleeping, 1);
    while (atomic_load(&epoch) == seen)
        pthread_cond_wait(&wake, &mutex);
    atomic_fetch_sub(&sleeping, 1);
    pthread_mutex_unlock(&mutex);
}

static void *worker(void *number)
{
    const int me = (int)(intptr_t)number;
    for (unsigned seen = 0;;) {
        await_epoch_after(seen);
        seen = atomic_load(&epoch);
        atomic_fetch_add(&inside, 1);
        if (atomic_load(&open) && me < job.helpers)
            take_pieces();
        atomic_fetch_sub(&inside, 1);
    }
    return NULL;
}

/* A forked child has this thread only: the workers are gone, and must be started again. */
static void forget_workers(void)
{
    started = 0;
    atomic_store(&open, 0);
    atomic_store(&inside, 0);
    atomic_store(&busy, 0);
    atomic_store(&sleeping, 0);
    atomic_store(&epoch, 0);
    pthread_mutex_init(&mutex, NULL);
    pthread_cond_init(&wake, NULL);
}

/* Workers leave Python's signals to Python's own threads. If the system has no more threads to give, fewer must do. */
static void start_workers(int count)
{
    static int forks_watched;
    if (!forks_watched)
        forks_watched = pthread_atfork(NULL, NULL, forget_workers) == 0;
    if (!forks_watched)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t detached;
    if (pthread_attr_init(&detached) == 0) {
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        for (pthread_t id; started < count; started++)
            if (pthread_create(&id, &detached, worker, (void *)(intptr_t)started))
                break;
        pthread_attr_destroy(&detached);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int tg_num_threads(void)
{
    if (wanted)
        return wanted;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    static const char *const variables[] = {"TGL_NUM_THREADS", "OMP_NUM_THREADS"};
    for (int i = 0; i < 2; i++) {
        const char *text = getenv(variables[i]);
        const long said = text ? strtol(text, NULL, 10) : 0;
        if (said > 0) {
            n = said;
            break;
        }
    }
    tg_set_num_threads(n > TG_MAX_THREADS ? TG_MAX_THREADS : (int)n);
    return wanted;
}

void tg_set_num_threads(int n) { wanted = n < 1 ? 1 : n > TG_MAX_THREADS ? TG_MAX_THREADS : n; }

void tg_parallel(int64_t n, int64_t grain, tg_piece *body, void *context)
{
    const int64_t pieces = n > 0 ? (n - 1) / grain + 1 : 0;
    if (pieces < 2 || tg_num_threads() < 2 || atomic_exchange(&busy, 1)) {
        for (int64_t i = 0; i < n; i += grain)
            body(context, i, n - i < grain ? n : i + grain);
        return;
    }
    const int helpers = (int)(pieces < wanted ? pieces : wanted) - 1;
    if (started < helpers)
        start_workers(helpers);
    job.body = body;
    job.context = context;
    job.n = n;
    job.grain = grain;
    job.helpers = helpers;
    atomic_store(&next_item, 0);
    atomic_store(&open, 1);
    atomic_fetch_add(&epoch, 1);
    if (atomic_load(&sleeping)) {
        pthread_mutex_lock(&mutex);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&mutex);
    }
    take_pieces();
    atomic_store(&open, 0);
    for (int i = 0; atomic_load(&inside); i++) {
        pause_briefly();
        if (i >= YIELD_AFTER)
            sched_yield();
    }
    atomic_store(&busy, 0);
}

typedef struct {
    tg_numbered_piece *body;
    void *context;
    int64_t n, grain;
    _Atomic int64_t next;
} numbered;

static void take_numbered(void *context, int64_t thread, int64_t end)
{
    numbered *w = context;
    for (; thread < end; thread++)
        for (int64_t i; (i = atomic_fetch_add(&w->next, w->grain)) < w->n;)
            w->body(w->context, (int)thread, i, w->n - i < w->grain ? w->n : i + w->grain);
}

void tg_parallel_numbered(int threads, int64_t n, int64_t grain, tg_numbered_piece *body, void *context)
{
    numbered w = {.body = body, .context = context, .n = n, .grain = grain};
    tg_parallel(threads, 1, take_numbered, &w);
}
