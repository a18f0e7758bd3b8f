"""What all tests share: Hypothesis settings and a clean grad mode."""

import pytest
from hypothesis import settings

import tinygrad_lessons as tg

# The same examples in every run; times vary too much between machines for a deadline.
settings.register_profile("tests", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("tests")


@pytest.fixture(autouse=True)
def grad_mode():
    """A test that fails halfway must not switch gradients off for all that follow."""
    yield
    tg.set_grad_enabled(True)
