"""Which key a provider needs, and which servers need none."""

import ipaddress
import os
from urllib.parse import urlsplit

from rlm_dspy.models.router import router

# Providers whose servers run on the user's own machine and take any key.
KEYLESS = frozenset(
    ("local", "ollama", "ollama_chat", "lm_studio", "hosted_vllm", "vllm", "llamafile", "lemonade")
    + ("docker_model_runner", "xinference", "oobabooga", "petals", "triton")
)
# Providers that find credentials in other ways than variables (profiles, instance roles, tokens on
# disk).
OTHER_WAYS = frozenset(
    ("bedrock", "bedrock_converse", "sagemaker", "sagemaker_chat", "vertex_ai", "vertex_ai_beta")
    + ("azure", "azure_ai", "github_copilot", "chatgpt", "watsonx", "databricks", "snowflake")
    + ("oci", "sap", "gigachat")
)


def missing_keys(provider: str, name: str) -> tuple[str, ...]:
    """The variables of which one must be set before this model can be called; often none."""
    if provider in KEYLESS or provider in OTHER_WAYS or _has_key(provider):
        return ()
    missing = router().validate_environment(name)["missing_keys"]
    return tuple(variable for variable in missing if "KEY" in variable or "TOKEN" in variable)


def _has_key(provider: str) -> bool:
    # Providers have several spellings (TOGETHER_API_KEY, TOGETHERAI_API_KEY), of which LiteLLM's
    # check knows one.
    word = provider.split("_")[0].upper()
    if provider == "huggingface" and os.environ.get("HF_TOKEN"):
        return True
    return any(
        value and variable.startswith(word) and variable.endswith(("_API_KEY", "_TOKEN"))
        for variable, value in os.environ.items()
    )


def is_private(url: str | None) -> bool:
    """Whether an address is of this machine or a private network, where no key is needed."""
    try:
        host = urlsplit(url or "").hostname
    except ValueError:  # "[" without "]"
        return False
    if host is None:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name: one without a dot is of the local network (a container, say)
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback
