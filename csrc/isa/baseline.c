/* What every machine runs: 16-byte vectors, which are SSE2 on x86-64 and NEON on ARM64. */
#include "headers.h"
#define TG_ISA baseline
#define TG_VBYTES 16
#include "../kernels.inc"
