"""What makes the spans of a run: the seam between its events and a tracing system."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rlm_dspy.events import Charged

Kind = Literal["run", "step", "sub_query", "attempt", "tool"]

# LiteLLM's prefix of a model's name, where the conventions call the provider otherwise.
PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


@dataclass
class Close:
    """How a span ends.

    Args:
        attributes: What is known at its end only.
        texts: What stands in it, by what it is; empty unless texts were asked for.
        error: The class name of the error that ended it; empty where it went well.
        reason: The error's message; empty unless texts were asked for.
        at: When it ends, nanoseconds since 1970.
    """

    attributes: Mapping[str, Any]
    texts: Mapping[str, Any]
    error: str
    reason: str
    at: int


class Tracer(Protocol):
    """What makes spans of a run."""

    def open(
        self, kind: Kind, name: str, parent: Any, attributes: Mapping[str, Any], at: int
    ) -> Any:
        """Starts a span, at nanoseconds since 1970; the parent of the first one is None."""
        ...

    def close(self, span: Any, end: Close) -> None:
        """Ends a span."""
        ...

    def charge(self, attributes: Mapping[str, Any], event: Charged) -> None:
        """Measures an attempt at a model that was made now."""
        ...


def model_attributes(name: str) -> dict[str, Any]:
    """A model as the conventions name it; LiteLLM's names begin with the provider."""
    prefix, _, rest = name.partition("/")
    provider = PROVIDERS.get(prefix, prefix) if rest else "_OTHER"
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": rest or name}


def as_text(value: Any) -> str:
    """A text of a span, as tracers take it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
