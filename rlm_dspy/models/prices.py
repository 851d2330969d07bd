"""What a model's tokens cost, and how many tokens a prompt is, found without the network.

Promised: a price or a count is either known or None, never guessed; a call costs no less than what
LiteLLM says of the same usage; `local/` and the servers of the user's own machine cost nothing. Not
promised: discounts, service tiers, fees per request, tools hosted by the provider, and, but in the
worst case, what is put into the provider's cache.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.names import provider_of
from rlm_dspy.models.router import router

# Servers of the user's own machine. Not `hosted_vllm`: such a server may be somebody's paid
# service.
FREE = frozenset(
    {"local", "ollama", "ollama_chat", "lm_studio", "llamafile", "docker_model_runner"}
)
_RATES = (
    "input_cost_per_token",
    "output_cost_per_token",
    "output_cost_per_reasoning_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)
_ABOVE = re.compile(rf"(?:{'|'.join(_RATES)})_above_((\d+)(k?))_tokens")
# Whose prompts of exactly so many tokens are among those above.
_AT_THRESHOLD = frozenset({"xai"})


@dataclass(frozen=True)
class Price:
    """What one token costs, in dollars.

    Args:
        prompt: A token of the prompt.
        completion: A token of the answer, reasoning included.
        cached: A token of the prompt that the provider had in its cache.
        written: A token of the prompt that the provider puts into its cache.
        above: What holds for prompts of more than `threshold` tokens, where that differs; it may
            have one above it again.
        threshold: See `above`.
    """

    prompt: float
    completion: float
    cached: float
    written: float
    above: "Price | None" = None
    threshold: int = 0

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Dollars for one call; `cached_tokens` of its prompt came from the provider's cache."""
        if self.above is not None and prompt_tokens > self.threshold:
            return self.above.cost(prompt_tokens, completion_tokens, cached_tokens)
        fresh = prompt_tokens - cached_tokens
        return (
            fresh * self.prompt + cached_tokens * self.cached + completion_tokens * self.completion
        )

    def most(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars for one call at worst: no token from the cache, every token written to it."""
        if self.above is not None and prompt_tokens > self.threshold:
            return self.above.most(prompt_tokens, completion_tokens)
        return prompt_tokens * max(self.prompt, self.written) + completion_tokens * self.completion

    def in_batch(self, entry: Mapping[str, Any]) -> "Price":
        """The same in a provider's batch: what the list says, else half.

        Args:
            entry: What LiteLLM's list says about the model.
        """
        prompt = entry.get("input_cost_per_token_batches") or self.prompt / 2
        completion = entry.get("output_cost_per_token_batches") or self.completion / 2
        above = self.above.in_batch({}) if self.above else None
        # No word on a prompt cache: what may not be cheaper there is not counted as cheaper.
        return Price(prompt, completion, prompt, prompt, above, self.threshold)


def price_of(model: str) -> Price | None:
    """The price of a model's tokens, from LiteLLM's list.

    Args:
        model: A LiteLLM model name, or "local/…".

    Returns:
        None where the list has no price for this model at this provider, or says it in a form that
        is not known here.
    """
    price = _price(model_entry(model))
    if price is not None:
        return price
    try:
        free = provider_of(model) in FREE
    except ConfigurationError:
        return None
    return Price(0.0, 0.0, 0.0, 0.0) if free else None


def model_entry(model: str) -> dict[str, Any]:
    """What LiteLLM's list says about this model at this provider, or nothing."""
    listed = router().model_cost
    if model in listed:
        return listed[model]
    provider, slash, rest = model.partition("/")
    entry = listed.get(rest, {}) if slash else {}
    # Another provider's price for a model of the same name would be a guess.
    return entry if entry.get("litellm_provider") == provider else {}


def _price(entry: Mapping[str, Any]) -> Price | None:
    try:
        tiers = list(_by_range(entry) if entry.get("tiered_pricing") else _by_suffix(entry))
        if any(_is_cheaper(above, below) for (_, below), (_, above) in pairwise(tiers)):
            return None  # the worst case of a prompt would not be that of the longest one
    except (KeyError, TypeError, ValueError):
        return None
    (threshold, price), *below = reversed(tiers)
    for start, rates in below:
        price = replace(rates, above=price, threshold=threshold)
        threshold = start
    return price


def _by_suffix(entry: Mapping[str, Any]) -> Iterator[tuple[int, Price]]:
    """Tiers as `…_above_200k_tokens`: each with the prompt above which it holds."""
    said = _said(entry)
    yield 0, _rates(said)
    found = (match for key in entry if (match := _ABOVE.fullmatch(key)))
    starts = {int(match[2]) * (1000 if match[3] else 1): match[1] for match in found}
    at_threshold = entry.get("litellm_provider") in _AT_THRESHOLD
    for start, label in sorted(starts.items()):
        said |= _said(entry, f"_above_{label}_tokens")
        yield start - at_threshold, _rates(said)


def _by_range(entry: Mapping[str, Any]) -> Iterator[tuple[int, Price]]:
    """Tiers as a list, each with its `range` of prompts."""
    reached = 0
    for tier in sorted(entry["tiered_pricing"], key=lambda tier: tier["range"]):
        start, end = map(int, tier["range"])
        if start != reached:
            raise ValueError(f"no price from {reached} to {start} tokens")
        outputs = {name: rate for name, rate in _said(entry).items() if name.startswith("output")}
        yield start, _rates(outputs | _said(tier))
        reached = end


def _said(entry: Mapping[str, Any], suffix: str = "") -> dict[str, float]:
    """The rates that a part of the list has."""
    found = ((name, entry.get(name + suffix)) for name in _RATES)
    return {name: float(rate) for name, rate in found if rate is not None}


def _rates(said: Mapping[str, float]) -> Price:
    if min(said.values(), default=0.0) < 0:
        raise ValueError("a price below zero")
    prompt, completion = said["input_cost_per_token"], said["output_cost_per_token"]
    return Price(
        prompt=prompt,
        completion=max(completion, said.get("output_cost_per_reasoning_token", 0.0)),
        cached=said.get("cache_read_input_token_cost", prompt),
        written=said.get("cache_creation_input_token_cost", prompt),
    )


def _is_cheaper(price: Price, other: Price) -> bool:
    return price.most(1, 0) < other.most(1, 0) or price.most(0, 1) < other.most(0, 1)


def count_tokens(model: str, messages: list[dict[str, Any]]) -> int | None:
    """How many tokens these chat messages are as a prompt of this model.

    Returns:
        Exact for `local/` once the model is loaded; by OpenAI's tokenizer and its counting rule for
        OpenAI's models; None where this machine has no tokenizer of the model (count UTF-8 bytes
        then: no tokenizer makes more).
    """
    if model.startswith("local/"):
        return _count_local(model, messages)
    if not has_openai_tokenizer(model):
        return None
    return router().token_counter(model=model, messages=messages)


def _count_local(model: str, messages: list[dict[str, Any]]) -> int | None:
    from rlm_dspy.models.engine import loaded_engine
    from rlm_dspy.models.weights import find

    engine = loaded_engine(find(model))
    return engine.count(messages) if engine is not None else None


def has_openai_tokenizer(model: str) -> bool:
    """Whether a model is one of OpenAI's whose tokenizer is on this machine."""
    import tiktoken

    provider, slash, rest = model.partition("/")
    if slash and provider != "openai":
        return False
    try:
        tiktoken.encoding_name_for_model(rest if slash else model)
    except KeyError:
        return False
    router()  # points tiktoken to the vocabularies that LiteLLM carries
    return True
