"""Run folders for the tests of reports."""

import folders
import pytest


@pytest.fixture
def run_folder(tmp_path):
    """A finished run in a folder with a hostile name."""
    return folders.fill(tmp_path / "run <b> & 'one'")
