"""Gradients against finite differences, along random directions."""

import numpy as np

from tinygrad_lessons._core import Tensor, enable_grad, from_numpy, grad, no_grad


class GradcheckError(RuntimeError):
    """A gradient that does not agree with finite differences."""


def as_tuple(x):
    return x if isinstance(x, tuple) else tuple(x) if isinstance(x, list) else (x,)


def gradcheck(fn, inputs, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, seed=0):
    """Whether the gradients of fn at float64 inputs agree with central finite differences.

    For random directions u of the inputs and v of the outputs, v · (fn(x + eps u) - fn(x - eps u)) / 2 eps is
    compared with u · (gradient of v · fn at x). Inputs that require grad are checked. Raises GradcheckError, or
    returns False if raise_exception is off.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([0.3, -1.2], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradcheck(lambda t: (t * t).sum(), (x,))
    True
    """
    inputs = as_tuple(inputs)
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: expects at least one input tensor to require gradient")
    for x in checked:
        if str(x.dtype) != "torch.float64":
            raise ValueError(
                f"gradcheck: inputs must be float64 for finite differences, not {x.dtype}"
            )
    rng = np.random.default_rng(seed)

    def run(*values):
        return [y for y in as_tuple(fn(*values)) if y.is_floating_point()]

    def moved(x, by):
        return from_numpy(np.asarray(x.detach().numpy() + by)) if by is not None else x

    try:
        for _ in range(2):
            outputs = run(*inputs)
            differentiable = [y.requires_grad for y in outputs]
            weights = [from_numpy(np.asarray(rng.standard_normal(y.shape))) for y in outputs]
            found = grad(
                [y for y, d in zip(outputs, differentiable, strict=True) if d],
                checked,
                [w for w, d in zip(weights, differentiable, strict=True) if d],
                allow_unused=True,
            )
            for k, (x, g) in enumerate(zip(checked, found, strict=True)):
                direction = np.asarray(rng.standard_normal(x.shape))
                analytic = 0.0 if g is None else float((g.numpy(force=True) * direction).sum())
                sides = []
                for sign in (1, -1):
                    with no_grad():
                        near = [
                            moved(z, sign * eps * direction if z is x else None) for z in inputs
                        ]
                        sides.append([y.numpy(force=True).copy() for y in run(*near)])
                numeric = sum(
                    float((w.numpy() * (a - b)).sum()) / (2 * eps)
                    for w, a, b in zip(weights, *sides, strict=True)
                )
                if not abs(numeric - analytic) <= atol + rtol * abs(numeric):
                    raise GradcheckError(
                        f"gradcheck: the gradient of input {k} (shape {tuple(x.shape)}) along a random direction is "
                        f"{analytic:.9g}, but finite differences give {numeric:.9g}"
                    )
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(fn, inputs, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, seed=0):
    """Whether the gradients of fn's gradients agree with finite differences; see gradcheck.

    >>> import tinygrad_lessons as tg
    >>> x = tg.tensor([0.3, -1.2], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradgradcheck(lambda t: (t * t * t).sum(), (x,))
    True
    """
    inputs = as_tuple(inputs)
    rng = np.random.default_rng(seed + 1)
    outputs = [y for y in as_tuple(fn(*inputs)) if y.requires_grad]
    seeds = tuple(
        from_numpy(np.asarray(rng.standard_normal(y.shape))).requires_grad_() for y in outputs
    )
    count = len(inputs)

    def gradients(*values):
        values, weights = values[:count], values[count:]
        values = tuple(
            v.detach().requires_grad_()
            if isinstance(v, Tensor) and w.requires_grad and not v.requires_grad
            else v
            for v, w in zip(values, inputs, strict=True)
        )
        with enable_grad():  # the numeric side runs under no_grad, but must differentiate once
            ys = [y for y in as_tuple(fn(*values)) if y.requires_grad]
            wanted = [v for v in values if isinstance(v, Tensor) and v.requires_grad]
            return grad(ys, wanted, weights, create_graph=True, materialize_grads=True)

    return gradcheck(gradients, inputs + seeds, eps, atol, rtol, raise_exception, seed)
