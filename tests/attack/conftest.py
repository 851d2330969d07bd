"""What attacks leave behind is collected while tests that expect its complaints still run."""

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def _leftovers():
    yield
    gc.collect()
