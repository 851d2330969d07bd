"""LiteLLM, loaded once and set up: quiet, offline, and knowing the provider `local/`.

Promised: `router()` is the only way by which this library loads LiteLLM; it fetches no price list,
sends no telemetry and prints nothing.
"""

import logging
import os
import warnings
from functools import cache
from typing import Any

# What pydantic says about LiteLLM's own types, some of which are built only by the first call.
_READ_ONLY = r"Items? .* using the `ReadOnly` qualifier"
# LiteLLM makes a provider's coroutine on another thread: a call that is cancelled meanwhile leaves
# it behind, which has done nothing yet.
_LEFT = r"coroutine '(?!Router)\w+\.a(sync_)?completion(_function)?' was never awaited"
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")


@cache
def router() -> Any:
    """The `litellm` module.

    Its import takes 3 to 6 seconds of CPU time, so nothing calls this before a model is really
    named.
    """
    warnings.filterwarnings("ignore", _READ_ONLY, UserWarning)
    warnings.filterwarnings("ignore", _LEFT, RuntimeWarning)
    import litellm

    from rlm_dspy.models.local import PROVIDER, LocalProvider

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    if not os.environ.get("LITELLM_LOG"):  # what fails is raised; what is logged besides is chatter
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if all(entry["provider"] != PROVIDER for entry in litellm.custom_provider_map):
        litellm.custom_provider_map.append(
            {"provider": PROVIDER, "custom_handler": LocalProvider()}
        )
        litellm.utils.custom_llm_setup()
    return litellm
