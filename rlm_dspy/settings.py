"""What the environment says: the few variables that the whole library reads.

Promised: every reading is fresh (`settings()` looks at the environment when it is called, so that a
test or a notebook can change it), an empty variable counts as unset, and a key is a `SecretStr`
whose repr shows no letter of it. Not promised: reading the providers' own variables
(`OPENAI_API_KEY` and the like); LiteLLM knows those.

pydantic-settings takes 0.3 s to import, so the first call imports it and not this module.
"""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pydantic import SecretStr

    class Settings(Protocol):
        """The variables, by the name of the attribute in capitals."""

        rlm_model: str | None
        rlm_sub_model: str | None
        llm_api_key: SecretStr | None
        llm_base_url: str | None
        rlm_models_dir: Path | None
        rlm_cache_dir: Path | None
        rlm_requests_per_minute: int | None
        rlm_tokens_per_minute: int | None


@cache
def _settings_class() -> Any:
    from pydantic import SecretStr
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

        rlm_model: str | None = None
        rlm_sub_model: str | None = None
        llm_api_key: SecretStr | None = None
        llm_base_url: str | None = None
        rlm_models_dir: Path | None = None
        rlm_cache_dir: Path | None = None
        rlm_requests_per_minute: int | None = None
        rlm_tokens_per_minute: int | None = None

    return Settings


def settings() -> "Settings":
    """The settings as the environment has them now.

    Returns:
        An object with `rlm_model` (the model that plans, as LiteLLM names it, or "local"),
        `rlm_sub_model` (the one for sub-queries; None means the same), `llm_api_key` (a
        `SecretStr`) and `llm_base_url` (both for the provider of `rlm_model` alone),
        `rlm_models_dir` (where weights lie), `rlm_cache_dir` (what may be deleted) and
        `rlm_requests_per_minute` and `rlm_tokens_per_minute` (for each model). Each is None where
        its variable (the same name in capitals) is unset or empty.
    """
    return _settings_class()()


def cache_dir() -> Path:
    """The folder for what may be deleted: `RLM_CACHE_DIR`, else one in the user's cache folder."""
    chosen = settings().rlm_cache_dir
    if chosen is not None:
        return chosen.expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rlm-dspy"
