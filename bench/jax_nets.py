"""Training steps in JAX: the same nets, by layers that are functions of their parameters.

A layer has `init(key, shape)`, which gives parameters, state and the shape of its result for an input
without its batch, and `apply(parameters, state, x, key)`, which gives the result and the new state.
"""

from functools import partial
from math import prod
from types import SimpleNamespace

from .nets import LR

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # Adam, as PyTorch has them


def layers(jax):
    """The names of PyTorch's `nn` that the nets of `nets.py` use."""
    jnp = jax.numpy

    class Layer:
        def init(self, key, shape):
            return {}, {}, shape

    class Linear(Layer):
        def __init__(self, inputs, outputs):
            self.shape = inputs, outputs

        def init(self, key, shape):
            bound = self.shape[0] ** -0.5
            w = jax.random.uniform(key, self.shape, minval=-bound, maxval=bound)
            return {"w": w, "b": jnp.zeros(self.shape[1])}, {}, self.shape[1:]

        def apply(self, parameters, state, x, key):
            return x @ parameters["w"] + parameters["b"], state

    class Conv2d(Layer):
        def __init__(self, inputs, outputs, kernel, padding=0):
            self.shape, self.padding = (outputs, inputs, kernel, kernel), padding

        def init(self, key, shape):
            bound = prod(self.shape[1:]) ** -0.5
            w = jax.random.uniform(key, self.shape, minval=-bound, maxval=bound)
            size = [n + 2 * self.padding - self.shape[2] + 1 for n in shape[1:]]
            return {"w": w, "b": jnp.zeros((self.shape[0], 1, 1))}, {}, (self.shape[0], *size)

        def apply(self, parameters, state, x, key):
            padding = [(self.padding, self.padding)] * 2
            y = jax.lax.conv_general_dilated(x, parameters["w"], (1, 1), padding)
            return y + parameters["b"], state

    class ReLU(Layer):
        def apply(self, parameters, state, x, key):
            return jax.nn.relu(x), state

    class Flatten(Layer):
        def init(self, key, shape):
            return {}, {}, (prod(shape),)

        def apply(self, parameters, state, x, key):
            return x.reshape(len(x), -1), state

    class MaxPool2d(Layer):
        def __init__(self, kernel):
            self.kernel = kernel

        def init(self, key, shape):
            return {}, {}, (shape[0], *(n // self.kernel for n in shape[1:]))

        def apply(self, parameters, state, x, key):
            window = (1, 1, self.kernel, self.kernel)
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID"), state

    class Dropout(Layer):
        def __init__(self, p):
            self.keep = 1 - p

        def apply(self, parameters, state, x, key):
            return jnp.where(jax.random.bernoulli(key, self.keep, x.shape), x / self.keep, 0), state

    class BatchNorm(Layer):
        def __init__(self, features, momentum=0.1):
            self.features, self.momentum = features, momentum

        def init(self, key, shape):
            size = (self.features, *(1 for _ in shape[1:]))
            ones, zeros = jnp.ones(size), jnp.zeros(size)
            return {"w": ones, "b": zeros}, {"mean": zeros + 0, "var": ones + 0}, shape

        def apply(self, parameters, state, x, key):
            axes = (0, *range(2, x.ndim))
            mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
            y = (x - mean) * jax.lax.rsqrt(var + 1e-5) * parameters["w"] + parameters["b"]
            now = {"mean": mean[0], "var": var[0]}
            return y, {k: state[k] + self.momentum * (now[k] - state[k]) for k in now}

    names = {layer.__name__: layer for layer in (Linear, Conv2d, ReLU, Flatten, MaxPool2d, Dropout)}
    return SimpleNamespace(
        **names, BatchNorm1d=BatchNorm, BatchNorm2d=BatchNorm, Sequential=lambda *each: each
    )


def training_step(jax, net, x, y):
    """A function that trains the net for one step with Adam, compiled, its buffers donated."""
    jnp, tree_map = jax.numpy, jax.tree_util.tree_map
    model = net.build(layers(jax))
    x, y = jnp.asarray(x), jnp.asarray(y)
    key, shape = jax.random.PRNGKey(0), net.x[1:]
    parameters, state = [], []
    for i, layer in enumerate(model):
        each, kept, shape = layer.init(jax.random.fold_in(key, i), shape)
        parameters.append(each)
        state.append(kept)

    def loss(parameters, state, x, y, key):
        states = []
        for i, (layer, each, kept) in enumerate(zip(model, parameters, state, strict=True)):
            x, kept = layer.apply(each, kept, x, jax.random.fold_in(key, i))
            states.append(kept)
        return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean(), states

    @partial(jax.jit, donate_argnums=0)
    def update(now, x, y):
        parameters, first, second, count, state = now
        drawn = jax.random.fold_in(key, count)
        gradients, state = jax.grad(loss, has_aux=True)(parameters, state, x, y, drawn)
        count = count + 1
        first = tree_map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
        second = tree_map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
        rate, unbias = LR / (1 - BETA1**count), 1 / jnp.sqrt(1 - BETA2**count)
        parameters = tree_map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) * unbias + EPS), parameters, first, second
        )
        return parameters, first, second, count, state

    def zeros():
        return tree_map(jnp.zeros_like, parameters)

    now = parameters, zeros(), zeros(), jnp.zeros((), int), state

    def step():
        nonlocal now
        now = update(now, x, y)
        jax.block_until_ready(now)

    return step
