"""A model's name, or an LM object, becomes the LM that dspy calls.

Promised: any name that LiteLLM knows works; `LLM_API_KEY` and `LLM_BASE_URL` are given to models of
`RLM_MODEL`'s provider and to no other; what is wrong with a name or a key is said before any call,
without the network; an LM object comes back as it is. Not promised: that the model exists at its
provider; only a call can tell.

    "openai/gpt-5", "ollama/qwen3", "hosted_vllm/Qwen/Qwen3-8B"   a provider's model
    "gpt-5"                                                       a model LiteLLM knows
    "local", "local/qwen2.5-coder-0.5b", "local/FILE.gguf"        the embedded model
    "openai/gpt-5,anthropic/claude-sonnet-4-5"                    the second where the first fails
"""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.keys import is_private, missing_keys
from rlm_dspy.models.router import router
from rlm_dspy.settings import settings

if TYPE_CHECKING:
    import dspy

Role = Literal["main", "sub"]

PLACEHOLDER_KEY = "no-key-needed"
EXAMPLES = '"openai/gpt-5-mini", "anthropic/claude-sonnet-4-5", "ollama/qwen3" or "local"'


def resolve_lm(name: Any = None, *, role: Role = "main", **options: Any) -> "dspy.BaseLM":
    """The LM behind a name.

    Args:
        name: A LiteLLM model name, "local" or "local/…", an LM object (returned as it is), or None
            for what the environment names: `RLM_MODEL`, and for the role "sub" first
            `RLM_SUB_MODEL`. Several in a list, or in a text with commas: each stands in where the
            one before does not answer.
        role: What the model is for; it decides only what None means.
        **options: Given to `dspy.LM`: `temperature`, `max_tokens`, `cache`, `api_key`, `api_base`
            and so on; for `local/` also `n_ctx`, the window in tokens. Who gives an `api_base` gets
            neither `LLM_API_KEY` nor `LLM_BASE_URL`.

    Returns:
        An LM object that takes no connection and no weights before its first call. Constrained
        decoding: pass `extra_body={"grammar": GBNF}` in a call where `constraint_for` says
        "grammar", and `response_format=` where it says "json_schema"; `stop=[…]` where
        `supports_stop` says so.

    Raises:
        ConfigurationError: No model is named, the provider is unknown, its key is missing, or an
            embedded model's weights are not on this machine.

    Example:
        >>> resolve_lm("openai/gpt-4o", api_key="…").model
        'openai/gpt-4o'
    """
    if isinstance(name, (list, tuple)):
        return _fallbacks(name, role, options)
    if name is not None and not isinstance(name, str):
        return _checked_object(name)
    name = name or _from_environment(role)
    if len(several := names_in(name)) > 1:
        return _fallbacks(several, role, options)
    if name == "local" or name.startswith("local/"):
        return _local_lm(name, options)
    return _remote_lm(name, options)


def names_in(text: str) -> list[str]:
    """The names in a text with commas: "openai/gpt-5,local" names two models.

    Raises:
        ConfigurationError: There is nothing before or behind a comma.
    """
    if "," not in text or os.path.exists(text.removeprefix("local/")):
        return [text]
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ConfigurationError(f"{text!r} has a comma without a model beside it.", model=text)
    return names


def _fallbacks(names: Sequence[Any], role: Role, options: dict[str, Any]) -> "dspy.BaseLM":
    from rlm_dspy.models.fallbacks import Fallbacks

    if not names:
        raise ConfigurationError("An empty list names no model: give one at least.", model=names)
    if access := sorted({"api_key", "api_base", "base_url"} & set(options)):
        raise ConfigurationError(
            f"{' and '.join(access)} would go to every one of {len(names)} models: give LM objects "
            "with their own, such as [dspy.LM(…), dspy.LM(…)].",
            model=names,
        )
    lms = [resolve_lm(name, role=role, **options) for name in names]
    return lms[0] if len(lms) == 1 else Fallbacks(lms)


def provider_of(name: str) -> str:
    """The LiteLLM provider of a model's name, such as "openai" of "gpt-4o"; offline.

    Raises:
        ConfigurationError: The name has no provider that LiteLLM knows.
    """
    prefix, slash, rest = name.partition("/")
    if name == "local" or (slash and rest and prefix in _providers()):
        return prefix  # not asked of get_llm_provider, which logs in to some providers
    if slash and not rest:
        raise ConfigurationError(f"{name!r} names a provider but no model.", model=name)
    try:
        return router().get_llm_provider(name)[1]
    except router().BadRequestError as error:
        raise _unknown(name, prefix if slash else "") from error


def _providers() -> set[str]:
    return {"local", *(str(getattr(entry, "value", entry)) for entry in router().provider_list)}


def _checked_object(value: Any) -> Any:
    import dspy

    if isinstance(value, dspy.BaseLM):
        if str(value.model).startswith("local/"):
            _declare_free(value.model)  # dspy made it, as when it loads a program
        return value
    raise ConfigurationError(
        f"A model is a name such as {EXAMPLES}, or an LM object such as dspy.LM(…); this is a "
        f"{type(value).__name__}.",
        model=value,
    )


def _from_environment(role: Role) -> str:
    current = settings()
    name = (current.rlm_sub_model if role == "sub" else None) or current.rlm_model
    if not name:
        raise ConfigurationError(
            f"No model is named: set RLM_MODEL, or give a name such as {EXAMPLES}.", model=None
        )
    return name


def _local_lm(name: str, options: dict[str, Any]) -> "dspy.BaseLM":
    import dspy

    from rlm_dspy.models.engine import DEFAULT_MAX_TOKENS
    from rlm_dspy.models.weights import canonical

    name = canonical(name)
    _declare_free(name)
    merged: dict[str, Any] = {"temperature": 0.0, "max_tokens": DEFAULT_MAX_TOKENS, **options}
    return dspy.LM(name, engine="litellm", **merged)


def _declare_free(name: str) -> None:
    entry = {
        "litellm_provider": "local",
        "mode": "chat",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
        "cache_creation_input_token_cost": 0.0,
        "cache_read_input_token_cost": 0.0,
        "supports_response_schema": True,
    }
    if name not in router().model_cost:
        router().register_model({name: entry})


def _remote_lm(name: str, options: dict[str, Any]) -> "dspy.BaseLM":
    import dspy

    provider = provider_of(name)
    base = options.get("api_base") or options.get("base_url")
    if base is None:
        options = {**_from_settings(provider), **options}
        base = options.get("api_base") or _base_in_environment(provider)
    if not options.get("api_key") and (variables := missing_keys(provider, name)):
        if not is_private(base):
            raise ConfigurationError(
                _no_key(name, provider, variables), model=name, variables=variables
            )
        options["api_key"] = PLACEHOLDER_KEY
    return dspy.LM(name, engine="litellm", **options)


def _from_settings(provider: str) -> dict[str, Any]:
    current = settings()
    found: dict[str, Any] = {}
    if not _is_main_provider(provider):
        return found
    if current.llm_api_key is not None:
        found["api_key"] = current.llm_api_key.get_secret_value()
    if current.llm_base_url is not None:
        found["api_base"] = current.llm_base_url
    return found


def _is_main_provider(provider: str) -> bool:
    named = settings().rlm_model
    try:
        return bool(named) and provider_of(names_in(named)[0]) == provider
    except ConfigurationError:  # said when RLM_MODEL itself is used
        return False


def _base_in_environment(provider: str) -> str | None:
    prefix = provider.upper()
    return os.environ.get(f"{prefix}_API_BASE") or os.environ.get(f"{prefix}_BASE_URL")


def _no_key(name: str, provider: str, variables: tuple[str, ...]) -> str:
    current = settings()
    message = f"There is no key for {name!r}: set {' or '.join(variables)}"
    if _is_main_provider(provider):
        message += " or LLM_API_KEY"
    elif current.llm_api_key is not None:
        message += (
            " (LLM_API_KEY is set, but goes to the provider of RLM_MODEL only, and that is "
            f"{current.rlm_model!r})"
        )
    return message + "."


def _unknown(name: str, prefix: str) -> ConfigurationError:
    if not prefix:
        message = f"{name!r} names no provider: write PROVIDER/{name}, such as {EXAMPLES}"
    else:
        message = f"{prefix!r} in {name!r} is no provider that LiteLLM knows"
        if close := get_close_matches(prefix, _providers(), n=2):
            message += f" (did you mean {' or '.join(f'{found}/' for found in close)}?)"
    server = f"RLM_MODEL=openai/{name} with its address in LLM_BASE_URL"
    return ConfigurationError(
        f"{message}. A server that speaks the OpenAI protocol: {server}.", model=name
    )
