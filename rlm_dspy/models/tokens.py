"""How many tokens a text is for a model, by its own tokenizer, without the network."""

from typing import Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.assembly import Stopped
from rlm_dspy.models.prices import has_openai_tokenizer


def tokens_in(lm: Any, text: str) -> int | None:
    """The tokens of a text.

    Args:
        lm: The model; an embedded one is loaded, unless it is.
        text: The text, without a prompt around it.

    Returns:
        None where this machine has no tokenizer of the model.
    """
    model = getattr(lm, "model", None)
    if not isinstance(model, str):
        return None
    if model.startswith("local/"):
        return _by_engine(model, getattr(lm, "kwargs", {}).get("n_ctx"), text)
    if not has_openai_tokenizer(model):
        return None
    from rlm_dspy.models.router import router

    return router().token_counter(model=model, text=text)


def _by_engine(model: str, slot_tokens: int | None, text: str) -> int | None:
    from rlm_dspy.models.engine import engine_for
    from rlm_dspy.models.llama import SLOT_TOKENS
    from rlm_dspy.models.weights import find

    try:
        return engine_for(find(model), slot_tokens or SLOT_TOKENS).start().tokens(text)
    except (ConfigurationError, Stopped):  # said by the first call of the model
        return None
