"""Models: names, the embedded engine, weights, prices. Nothing heavy loads before it is used."""

from importlib import import_module
from typing import Any

_HOMES = {
    "resolve_lm": "names",
    "provider_of": "names",
    "sub_models": "several",
    "supports_stop": "capabilities",
    "constraint_for": "capabilities",
    "prompt_limit": "capabilities",
    "Price": "prices",
    "price_of": "prices",
    "count_tokens": "prices",
    "Weights": "weights",
    "KNOWN": "weights",
    "find": "weights",
    "available": "weights",
    "pull": "weights",
    "models_dir": "weights",
    "close_engines": "engine",
    "Embedder": "embedding",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
