"""What every test starts from: no model, no key, no proxy, empty cache folders."""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# Not the user's own cache: a test would be answered by an earlier run of it. dspy reads this while
# it is imported.
os.environ["DSPY_CACHEDIR"] = _CACHE = tempfile.mkdtemp(prefix="rlm-tests-")
# Nor the user's own runs.
os.environ["RLM_STORE"] = os.path.join(_CACHE, "runs.sqlite")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

import dspy  # noqa: E402 - the variables above are read while it is imported

_VARIABLES = ("RLM_MODEL", "RLM_SUB_MODEL")
_ENDINGS = ("_API_KEY", "_TOKEN", "_API_BASE", "_BASE_URL", "_proxy", "_PROXY")


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name in _VARIABLES or name.endswith(_ENDINGS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    with dspy.context(lm=None, adapter=None):
        yield
