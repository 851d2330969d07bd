"""What every test starts from: no model, no key, an empty cache folder."""

import os

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy

_VARIABLES = ("RLM_MODEL", "RLM_SUB_MODEL", "LLM_API_KEY", "LLM_BASE_URL", "OPENAI_API_KEY")


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    with dspy.context(lm=None, adapter=None):
        yield
