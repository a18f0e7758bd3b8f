/* Which instruction set runs. Compiled without target flags: this must run on any machine. */
#include "table.h"

#include <string.h>

const tg_kernels *tg_k = &tg_kernels_baseline;

int tg_isa_available(const char *isa)
{
    if (!strcmp(isa, "baseline"))
        return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(isa, "avx2"))
        return avx2;
    if (!strcmp(isa, "avx512"))
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return 0;
}

int tg_dispatch_init(const char *isa)
{
    static const tg_kernels *const tables[] = {
#if defined(__x86_64__)
        &tg_kernels_avx512,
        &tg_kernels_avx2,
#endif
        &tg_kernels_baseline,
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if ((!isa || !*isa || !strcmp(isa, tables[i]->isa)) && tg_isa_available(tables[i]->isa)) {
            tg_k = tables[i];
            return 0;
        }
    return -1;
}
