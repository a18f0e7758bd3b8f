"""All the random streams that training may draw from, as one state."""

import random
from contextlib import contextmanager

import numpy as np

import tinygrad_lessons as tg


def get_rng_states():
    """Where the default generator, Python's `random` and NumPy's global generator stand.

    `tg.save` saves it.

    Example:
        >>> import random
        >>> from tinygrad_lessons.train import get_rng_states, set_rng_states
        >>> states = get_rng_states()
        >>> drawn = random.random()
        >>> set_rng_states(states)
        >>> random.random() == drawn
        True
    """
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()
    return {
        "default": tg.get_rng_state(),
        "python": (version, tg.tensor(words), gauss),
        "numpy": (name, tg.tensor(keys.astype(np.int64)), *rest),
    }


def set_rng_states(states):
    """Put all of them where `get_rng_states` found them."""
    tg.set_rng_state(states["default"])
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


@contextmanager
def kept_rng_states():
    """A block after which all streams stand where they did before."""
    states = get_rng_states()
    try:
        yield
    finally:
        set_rng_states(states)
