"""What all tests share: Hypothesis settings, a clean grad mode, errors compared with PyTorch's, a browser."""

import os

import browser
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


@pytest.fixture
def assert_same_error():
    """Check that a call of the library given raises an error of torch's type with ours."""

    def check(call):
        with pytest.raises(Exception) as theirs:  # noqa: B017, PT011
            call(pytest.importorskip("torch"))
        with pytest.raises(theirs.type) as ours:
            call(tg)
        assert ours.type is theirs.type

    return check


@pytest.fixture(scope="session")
def chromium():
    """A running browser; without one, tests are skipped, but in CI they fail."""
    program = browser.find()
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(browser.REMEDY)
    with browser.Browser(program) as running:
        yield running


@pytest.fixture
def open_page(chromium):
    """Open files in the browser; in the end none may have complained or asked for anything."""
    pages = []

    def open_one(path, **options):
        pages.append(chromium.open(path, **options))
        return pages[-1]

    yield open_one
    for page in pages:
        assert page.complaints() == []
        assert page.requests() == []
        page.close()
