"""What an LM takes in a request: stop sequences, a constrained reply, how long a prompt.

Promised: a feature is reported only where LiteLLM or the embedded engine says so; unknown is no.
"""

import re
import sys
from typing import TYPE_CHECKING, Any, Literal

from rlm_dspy.models.prices import model_entry

if TYPE_CHECKING:
    import dspy

# OpenAI's API refuses `stop` for these ("not supported with latest reasoning models"); LiteLLM's
# list has gaps here.
_REASONING = re.compile(r"^(o[1-9]|gpt-5)(?!.*-chat)")


# The parameters of an LM that a record keeps: none of them is a key or an address.
KEPT = ("temperature", "top_p", "seed", "n", "max_tokens", "max_completion_tokens", "rollout_id")


def supports_stop(lm: "dspy.BaseLM") -> bool:
    """Whether `stop=[…]` may be sent to this LM."""
    if (recorded := getattr(lm, "recorded_stop", None)) is not None:
        return recorded
    name = lm.model.rsplit("/", 1)[-1].lower()
    if is_local(lm):
        return True
    return "stop" in _hint(lm, "supported_params", ()) and not _REASONING.match(name)


def constraint_for(lm: "dspy.BaseLM") -> Literal["grammar", "json_schema"] | None:
    """How this LM's reply can be constrained.

    Returns:
        "grammar": pass `extra_body={"grammar": GBNF}`; "json_schema": pass
        `response_format=`; None: not at all.
    """
    if hasattr(lm, "recorded_stop"):  # the stand-in of a replay
        return getattr(lm, "recorded_constraint", None)
    if is_local(lm):
        return "grammar"
    return "json_schema" if _hint(lm, "supports_response_schema", False) else None


def is_local(lm: "dspy.BaseLM") -> bool:
    """Whether this LM is an embedded model."""
    return isinstance(getattr(lm, "model", None), str) and lm.model.startswith("local/")


def prompt_limit(model: str) -> int | None:
    """The window of a model in tokens, as far as it limits the prompt.

    Returns:
        For `local/` prompt and answer together; for other models what LiteLLM's list says; None
        where it says nothing.
    """
    if model.startswith("local/"):
        from rlm_dspy.models.engine import loaded_engine
        from rlm_dspy.models.llama import SLOT_TOKENS
        from rlm_dspy.models.weights import find

        engine = loaded_engine(find(model))
        return engine.n_ctx if engine is not None else SLOT_TOKENS
    limit = model_entry(model).get("max_input_tokens")
    return int(limit) if limit else None


def known_window(lm: Any) -> int | None:
    """`prompt_limit` of an LM, where it costs nothing to look up (LiteLLM's import is slow)."""
    if hasattr(lm, "recorded_stop"):
        return lm.window
    model = getattr(lm, "model", None)
    if not isinstance(model, str) or not (is_local(lm) or "litellm" in sys.modules):
        return None
    return prompt_limit(model)


def features(lm: Any) -> dict[str, Any]:
    """What a record keeps of an LM: what its prompts depend on, and no key or address."""
    kwargs = getattr(lm, "kwargs", None) or {}
    return {
        "model": str(getattr(lm, "model", "")),
        "model_type": getattr(lm, "model_type", None),
        "kwargs": {name: kwargs[name] for name in KEPT if kwargs.get(name) is not None},
        "cache": bool(getattr(lm, "cache", False)),
        "window": known_window(lm),
        "stop": hasattr(lm, "model") and supports_stop(lm),
        "constraint": constraint_for(lm) if hasattr(lm, "model") else None,
    }


def _hint(lm: Any, name: str, default: Any) -> Any:
    try:
        return getattr(lm, name, default)
    except Exception:  # noqa: BLE001 - a foreign LM's hint that fails is a hint not given
        return default
