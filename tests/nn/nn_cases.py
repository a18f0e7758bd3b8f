"""Random shapes and options of convolutions and pooling that fit."""


def convolution(rng, dims):
    """The shapes of input and weight, and the options."""
    groups = int(rng.choice([1, 1, 2, 4]))
    depthwise = rng.random() < 0.2
    channels = groups * (1 if depthwise else int(rng.integers(1, 5)))
    outputs = groups * int(rng.integers(1, 7))
    kernel = [int(k) for k in rng.integers(1, 5, dims)]
    dilation = [int(d) for d in rng.integers(1, 4, dims)]
    stride = [int(s) for s in rng.integers(1, 4, dims)]
    padding = [int(p) for p in rng.integers(0, 4, dims)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [
        max(r - 2 * p, 1) + int(rng.integers(0, 12)) for r, p in zip(reach, padding, strict=True)
    ]
    kind = rng.random()
    if kind < 0.15:
        padding, stride = "same", [1] * dims
    elif kind < 0.3:
        padding, size = "valid", [r + int(rng.integers(0, 5)) for r in reach]
    options = {"stride": tuple(stride), "dilation": tuple(dilation), "groups": groups}
    options["padding"] = padding if isinstance(padding, str) else tuple(padding)
    batch = [int(rng.choice([0, 1, 1, 2, 3]))] if rng.random() < 0.9 else []
    return [*batch, channels, *size], [outputs, channels // groups, *kernel], options


def pooling(rng, dims, dilated):
    """The shape of the input, and the options."""
    kernel = tuple(int(k) for k in rng.integers(1, 5, dims))
    options = {
        "kernel_size": kernel,
        "stride": None if rng.random() < 0.3 else tuple(int(s) for s in rng.integers(1, 4, dims)),
        "padding": tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel),
        "ceil_mode": bool(rng.random() < 0.5),
    }
    dilation = tuple(int(d) for d in rng.integers(1, 3, dims)) if dilated else (1,) * dims
    if dilated:
        options["dilation"] = dilation
    size = [
        (k - 1) * d + 1 + int(rng.integers(0, 12)) for k, d in zip(kernel, dilation, strict=True)
    ]
    batch = [int(rng.integers(0, 4))] if rng.random() < 0.8 else []
    return [*batch, int(rng.integers(1, 4)), *size], options
