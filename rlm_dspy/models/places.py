"""Where a model is: on this machine, or not known to be.

Promised: only what is certain counts as on this machine: an embedded model, a server at a loopback
address, a provider whose server LiteLLM looks for there, and an LM of the user's own that says so
by an attribute `on_this_machine = True`. Not promised: that such a server hands nothing on.
"""

import ipaddress
import os
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.capabilities import is_local
from rlm_dspy.models.names import provider_of
from rlm_dspy.models.several import each_lm
from rlm_dspy.settings import settings

# Providers that LiteLLM asks at a loopback address where nobody names another.
_HERE_BY_DEFAULT = frozenset(
    {"ollama", "ollama_chat", "llamafile", "lemonade", "docker_model_runner"}
)
# How Ollama names the models that its server has answered elsewhere ("gpt-oss:120b-cloud").
_CLOUD = ("-cloud", ":cloud")


def only_local(asked: bool) -> bool:
    """Whether models must be on this machine: it was asked for, or `RLM_LOCAL_ONLY` says so."""
    return asked or settings().rlm_local_only


def refuse_elsewhere(lms: Iterable[Any]) -> None:
    """Refuses models that are not on this machine.

    Args:
        lms: LMs, sub-models, or None for one that is not known yet.

    Raises:
        ConfigurationError: One is not known to be.
    """
    for lm in (each for given in lms for each in each_lm(given) if each is not None):
        if reason := elsewhere(lm):
            raise ConfigurationError(
                f"{lm.model!r} is not on this machine ({reason}), and only such models may be "
                "asked (local_only, --local-only or RLM_LOCAL_ONLY): take 'local', or a server at "
                "a loopback address.",
                model=lm.model,
            )


def elsewhere(lm: Any) -> str:
    """Why a model is not known to be on this machine; empty where it is."""
    if is_local(lm) or getattr(lm, "on_this_machine", False) is True:
        return ""
    provider = provider_name(lm)
    if provider.startswith("ollama") and str(lm.model).endswith(_CLOUD):
        return "Ollama has its cloud answer for it"
    bases = _bases(lm, provider)
    if not bases:
        here = provider in _HERE_BY_DEFAULT
        return "" if here else f"no address of its own: it is asked at {provider!r}"
    return next(filter(None, map(far_host, bases)), "")


def provider_name(lm: Any) -> str:
    """The LiteLLM provider of an LM; the LM's own name where LiteLLM knows none."""
    name = str(getattr(lm, "model", type(lm).__name__))
    try:
        return provider_of(name)
    except ConfigurationError:
        return name


def _bases(lm: Any, provider: str) -> list[str]:
    given = getattr(lm, "kwargs", None) or {}
    bases = [given.get("api_base"), given.get("base_url")]
    if not any(bases):
        word = provider.upper()
        bases = [os.environ.get(f"{word}_API_BASE"), os.environ.get(f"{word}_BASE_URL")]
    litellm = sys.modules.get("litellm")
    return [str(base) for base in (*bases, getattr(litellm, "api_base", None)) if base]


def far_host(base: str) -> str:
    """What keeps a URL from being one of this machine; empty where it is one."""
    try:
        parts = urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        return "its address is no URL"
    if not is_loopback(host):
        return f"its server is {host or base!r}"
    if getproxies().get(parts.scheme) and not proxy_bypass(host):
        return f"requests to {host} go through a proxy: name {host} in NO_PROXY"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host's name or address always means this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
