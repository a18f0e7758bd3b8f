# What can be asked of the engine and set: its configuration, threads, memory.

def show_config():
    """Which kernels run, and which this machine could run."""
    names = [n for n in ("baseline", "avx2", "avx512") if tg_isa_available(n.encode())]
    return f"instruction set: {tg_k.isa.decode()} (available: {', '.join(names)}; TGL_ISA chooses one)"

def isa():
    """Name of the instruction set whose kernels run."""
    return tg_k.isa.decode()

def get_num_threads():
    """How many threads a kernel may use: what set_num_threads() said, else TGL_NUM_THREADS or OMP_NUM_THREADS in the
    environment, else one per core that this process may run on."""
    return tg_num_threads()

def set_num_threads(n):
    """Lets each kernel use up to n threads, this one included. Results have the same bits whatever n is.

    Threads are started by the first kernel with enough work for two. Raises RuntimeError unless n is between 1 and 256,
    TypeError unless it is an integer.

    >>> import tinygrad_lessons as tg
    >>> before = tg.get_num_threads()
    >>> tg.set_num_threads(1)
    >>> tg.get_num_threads()
    1
    >>> tg.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads: expected an integer, but got {type(n).__name__}")
    if not 1 <= n <= TG_MAX_THREADS:
        raise RuntimeError(f"set_num_threads: expected a number between 1 and {TG_MAX_THREADS}, but got {n}")
    tg_set_num_threads(n)

def memory_stats():
    """What tensors and the tape occupy, as a dict by the names of torch.cuda.memory_stats.

    - `allocated_bytes.all.current`, `.peak`: bytes in use now, and the most there were at once.
    - `reserved_bytes.all.current`, `.peak`: the same with the freed blocks that wait for reuse.
    - `allocation.all.current`, `.allocated`, `.freed`: blocks in use now, handed out ever, and given back.
    - `num_alloc_retries`: how often blocks went back to the system because it ran short; `num_ooms`: how often that did
      not help, and MemoryError was raised.

    Blocks are counted as handed out: rounded up to the next of the allocator's sizes, with 64 bytes of header for a
    tensor's memory. Memory that NumPy owns (from_numpy) is not counted.

    >>> import tinygrad_lessons as tg
    >>> before = tg.memory_stats()["allocated_bytes.all.current"]
    >>> x = tg.zeros(1000, 1000)
    >>> tg.memory_stats()["allocated_bytes.all.current"] - before >= 4_000_000
    True
    """
    return {
        "allocated_bytes.all.current": tg_memory.in_use,
        "allocated_bytes.all.peak": tg_memory.peak,
        "reserved_bytes.all.current": tg_memory.reserved,
        "reserved_bytes.all.peak": tg_memory.reserved_peak,
        "allocation.all.current": tg_memory.served - tg_memory.freed,
        "allocation.all.allocated": tg_memory.served,
        "allocation.all.freed": tg_memory.freed,
        "num_alloc_retries": tg_memory.retries,
        "num_ooms": tg_memory.failures,
    }

def reset_peak_memory_stats():
    """Starts the peaks of memory_stats() anew, from what is in use now.

    >>> import tinygrad_lessons as tg
    >>> tg.reset_peak_memory_stats()
    >>> stats = tg.memory_stats()
    >>> stats["allocated_bytes.all.peak"] == stats["allocated_bytes.all.current"]
    True
    """
    tg_memory.peak = tg_memory.in_use
    tg_memory.reserved_peak = tg_memory.reserved

def empty_cache():
    """Gives the freed blocks that wait for reuse back to the system.

    The allocator does so itself when the system runs short; calling it helps others on the machine, not this program.

    >>> import tinygrad_lessons as tg
    >>> tg.empty_cache()
    >>> stats = tg.memory_stats()
    >>> stats["reserved_bytes.all.current"] == stats["allocated_bytes.all.current"]
    True
    """
    tg_trim()
