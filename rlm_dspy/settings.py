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
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rlm_dspy.errors import ConfigurationError

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
        rlm_texts_mb: float
        rlm_requests_per_minute: int | None
        rlm_tokens_per_minute: int | None
        rlm_local_only: bool
        rlm_confirm_dollars: float
        rlm_monthly_dollars: float | None
        rlm_store: Path | None
        rlm_record: Literal["full", "metadata", "off"] | None
        rlm_store_days: float
        rlm_store_mb: float
        rlm_recipes_dir: Path | None


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
        rlm_texts_mb: float = 10_000.0
        rlm_requests_per_minute: int | None = None
        rlm_tokens_per_minute: int | None = None
        rlm_local_only: bool = False
        rlm_confirm_dollars: float = 1.0
        rlm_monthly_dollars: float | None = None
        rlm_store: Path | None = None
        rlm_record: Literal["full", "metadata", "off"] | None = None
        rlm_store_days: float = 90.0
        rlm_store_mb: float = 4_096.0
        rlm_recipes_dir: Path | None = None

    return Settings


def settings() -> "Settings":
    """The settings as the environment has them now.

    Returns:
        An object with `rlm_model` (the model that plans, as LiteLLM names it, or "local"),
        `rlm_sub_model` (the one for sub-queries; None means the same), `llm_api_key` (a
        `SecretStr`) and `llm_base_url` (both for the provider of `rlm_model` alone),
        `rlm_models_dir` (where weights lie), `rlm_cache_dir` (what may be deleted),
        `rlm_texts_mb` (the room that the texts of files may take there),
        `rlm_requests_per_minute` and `rlm_tokens_per_minute` (for each model), `rlm_local_only`
        (whether models must be on this machine), `rlm_confirm_dollars` (from which worst case on
        `rlm ask` asks before a large job), `rlm_monthly_dollars` (the most that all runs of a
        calendar month may cost), `rlm_store` (the file of recorded runs),
        `rlm_record` (what of a run is recorded), `rlm_store_days` and `rlm_store_mb` (the age and
        the size from which the oldest runs are forgotten), and `rlm_recipes_dir` (the folder of
        saved recipes). Each is None, or has its default, where its variable (the same name in
        capitals) is unset or empty.

    Raises:
        ConfigurationError: A variable has a value that it cannot have.
    """
    from pydantic import ValidationError

    try:
        return _settings_class()()
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: Any) -> ConfigurationError:
    """The first variable that is wrong, in words."""
    wrong = error.errors(include_url=False)[0]
    name, value, rule = str(wrong["loc"][0]).upper(), wrong["input"], wrong["msg"]
    return ConfigurationError(
        f"{name}={value!r} cannot be used: {rule[:1].lower()}{rule[1:]}. Correct it, or unset it.",
        name=name,
        value=value,
    )


def store_path() -> str:
    """The file of recorded runs: `RLM_STORE`, else one in the user's data folder."""
    chosen = settings().rlm_store
    if chosen is not None:
        return str(chosen.expanduser()) if str(chosen) != ":memory:" else ":memory:"
    return str(data_dir() / "runs.sqlite")


def data_dir() -> Path:
    """The folder for what is to stay: recorded runs and saved recipes."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "rlm-dspy"


def recipes_dir() -> Path:
    """The folder of saved recipes: `RLM_RECIPES_DIR`, else one in the user's data folder."""
    chosen = settings().rlm_recipes_dir
    return chosen.expanduser() if chosen is not None else data_dir() / "recipes"


def record_mode() -> str:
    """What of a run is recorded: `RLM_RECORD`, else "full".

    Raises:
        ConfigurationError: It says something else.
    """
    return settings().rlm_record or "full"


def cache_dir() -> Path:
    """The folder for what may be deleted: `RLM_CACHE_DIR`, else one in the user's cache folder."""
    chosen = settings().rlm_cache_dir
    if chosen is not None:
        return chosen.expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rlm-dspy"
