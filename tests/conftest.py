"""What all tests share: Hypothesis settings."""

from hypothesis import settings

# The same examples in every run; times vary too much between machines for a deadline.
settings.register_profile("tests", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("tests")
