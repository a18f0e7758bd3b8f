# What of nn.Module is compiled: its call.

@cython.auto_pickle(False)
cdef class Forward:
    """The base of nn.Module: calling it is calling its forward(), with no Python frame in between."""

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs:
            return self.forward(args[0])
        return self.forward(*args, **kwargs)
