"""What every test starts from: no model, no key, an empty cache folder."""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# Not the user's own cache: a test would be answered by an earlier run of it. dspy reads this while
# it is imported.
os.environ["DSPY_CACHEDIR"] = _CACHE = tempfile.mkdtemp(prefix="rlm-tests-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

import dspy  # noqa: E402 - the variables above are read while it is imported

_VARIABLES = ("RLM_MODEL", "RLM_SUB_MODEL", "LLM_API_KEY", "LLM_BASE_URL", "OPENAI_API_KEY")


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    with dspy.context(lm=None, adapter=None):
        yield
