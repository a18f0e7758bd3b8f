# What benches and tests ask of the engine: which kernels start, and what this machine can do at most.

def launched(function):
    """Calls function() and says for every place of the kernel table, in its order: None where there is no kernel, else
    whether function() started it."""
    global started
    cdef void **place = <void **>tg_k
    cdef size_t n = sizeof(tg_kernels) // sizeof(void *), i
    started = set()
    try:
        function()
        seen = started
    finally:
        started = None
    # Products start in gemm.c, which takes its tiles from the table.
    for entry, tiles in ((<size_t>&tg_gemm_f32, <size_t>tg_k.gemm[0]), (<size_t>&tg_gemm_f64, <size_t>tg_k.gemm[1])):
        if entry in seen:
            seen.remove(entry)
            seen.add(tiles)
    places = [<size_t>place[i] for i in range(n)]
    if not seen <= set(places):
        raise RuntimeError("launched: a kernel started that is not in the table: observe.pxi must say which place it serves")
    return [None if p == 0 else p in seen for p in places]

def limit_fma(int64_t rounds):
    """Multiply-adds in registers alone, that often; returns how many operations they were."""
    cdef float total = 0
    cdef int64_t operations = 0
    cdef tg_call c
    c.fn = tg_k.limit_fma
    c.n = [rounds, 1, 1]
    c.s = [0.5, 1.0]  # 0.5 x + 1 stays near 2
    c.p[0] = &total
    c.p[1] = &operations
    launch(&c)
    return operations

def limit_stream(RowMethods x, int64_t rounds, bint update):
    """Reads the floats of x, or reads and writes them, that often."""
    if x.v.meta.dtype != TG_F32 or not x.v.meta.flags & TG_CONTIGUOUS or <size_t>x.v.data % 64:
        raise ValueError("limit_stream: expected a whole contiguous tensor of float32, not a view")
    cdef float total = 0
    cdef tg_call c
    c.fn = tg_k.limit_update if update else tg_k.limit_read
    c.n = [x.v.meta.numel, rounds, 1]
    c.p[0] = &total
    c.p[1] = x.v.data
    launch(&c)
    if update:
        bump(x.v)
