"""Where a NaN or an infinity came from."""

import tinygrad_lessons as tg


def _count(tensor):
    return (~tensor.isfinite()).sum().item() if tensor.is_floating_point() else 0


def _share(tensor):
    return f"{_count(tensor)} of {tensor.numel()} elements"


def non_finite_gradient(model):
    """The first parameter whose gradient holds a NaN or an infinity, in words; None if none does.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons.train import non_finite_gradient
    >>> model = tg.nn.Linear(2, 1)
    >>> model.weight.grad = tg.tensor([[1.0, float("nan")]])
    >>> non_finite_gradient(model)
    "the gradient of 'weight' is not finite (1 of 2 elements)"
    """
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient is not None:
            gradient = gradient.to_dense() if gradient.is_sparse else gradient
            if _count(gradient):
                return f"the gradient of {name!r} is not finite ({_share(gradient)})"
    return None


def non_finite_value(model, input):
    """The first thing that holds a NaN or an infinity, in words; None if none does.

    Looked at are the input, the parameters, and, in one more forward pass without graph, what each
    layer gives, in the order of computation.

    >>> import tinygrad_lessons as tg
    >>> from tinygrad_lessons import nn
    >>> from tinygrad_lessons.train import non_finite_value
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Flatten())
    >>> _ = nn.init.constant_(model[0].weight, 3e38)
    >>> non_finite_value(model, tg.ones(1, 2))
    "the output of layer '0' (Linear) is not finite (2 of 2 elements)"
    """
    if isinstance(input, tg.Tensor) and _count(input):
        return f"the input is not finite ({_share(input)})"
    for name, tensor in model.named_parameters():
        if _count(tensor):
            return f"the weight {name!r} is not finite ({_share(tensor)})"
    found, handles = [], []

    def hook(name):
        def look(module, args, output):
            if isinstance(output, tg.Tensor) and _count(output):
                what = f"layer {name!r}" if name else "the model"
                found.append(
                    f"the output of {what} ({type(module).__name__}) is not finite ({_share(output)})"
                )

        return look

    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_hook(hook(name)))
        with tg.no_grad():
            model(input)
            for buffer, before in buffers:
                buffer.copy_(before)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
