"""One request as a provider's batch carries it, and its reply as if it had been asked alone.

A request joins a batch only where nothing of it would be lost: a plain chat request to OpenAI's
protocol, with parameters that are that protocol's own.
"""

import json
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.clients.backend_selection import CLIENT_KEYS
from dspy.clients.base_lm import BaseLM
from dspy.clients.call_result import CallResult
from dspy.clients.execution import PreparedCall, _store, finalize, prepare
from dspy.utils.callback import with_callbacks

from rlm_dspy.models.router import router
from rlm_dspy.models.tally import CallUsage, Tally

# The provider whose batch protocol this is; through LiteLLM, any server that speaks it.
PROVIDER = "openai"
# The dspy engines that a batch may stand in for; "lm15" is who wants no LiteLLM.
_ENGINES = ("auto", "litellm")
# Parameters of a chat request that go into its body as they are.
_BODY = {
    *("messages", "temperature", "top_p", "seed", "n", "stop", "max_tokens"),
    *("max_completion_tokens", "presence_penalty", "frequency_penalty", "logit_bias", "user"),
    *("response_format", "tools", "tool_choice", "parallel_tool_calls", "logprobs"),
    *("top_logprobs", "reasoning_effort", "verbosity"),
}
# Client settings that LiteLLM's files and batches take.
_CLIENT = {"api_key", "api_base", "base_url", "organization", "timeout", "extra_headers"}
# What no provider is sent.
_OURS = {"model", "rollout_id", "cache"}


@dataclass(frozen=True)
class BatchRequest:
    """A request that may join a batch.

    Args:
        lm: The LM's twin that asks.
        body: The body of the chat request, as JSON.
        client: The client settings for LiteLLM.
        call: The call as dspy prepared it.
        remembered: Whether the call enters dspy's history.
    """

    lm: Any
    body: str
    client: dict[str, Any]
    call: PreparedCall
    remembered: bool

    async def accept(self, reply: dict[str, Any], tally: Tally) -> list[Any]:
        """Takes the reply's body through dspy's cache, history, usage and callbacks.

        Args:
            reply: The body of a chat completion.
            tally: Where its usage is noted.

        Returns:
            What the LM would have returned.
        """
        raw = router().ModelResponse(**reply)
        call = self.call

        @with_callbacks
        async def acall(lm: Any, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
            result = CallResult.legacy(lm, raw, kwargs=call.legacy)
            _store(lm, call, result, True)
            return finalize(lm, call, result)

        with CallUsage(remembered=self.remembered).tracking(tally):
            return await acall(self.lm, call.prompt, messages=call.messages, **call.kwargs)


def batch_request(
    twin: BaseLM, prompt: Any, messages: Any, kwargs: dict[str, Any], *, remembered: bool
) -> BatchRequest | None:
    """A request for a batch; None where it cannot join one.

    Args:
        twin: The LM's twin that asks; the LM has no `acall` of its own.
        prompt: The prompt, where there are no messages.
        messages: The chat messages.
        kwargs: The request's own parameters.
        remembered: Whether the call enters dspy's history.
    """
    if not isinstance(twin, dspy.LM) or twin.model_type != "chat":
        return None
    # A provider that the user declared to dspy has an address and a key of its own.
    if twin._engine_spec not in _ENGINES or twin._providers:
        return None
    try:
        call = prepare(twin, prompt, messages, kwargs, asynchronous=True)
        model, provider, *_ = router().get_llm_provider(twin.model)
    except Exception:  # noqa: BLE001 - what is wrong with a request is said by the call itself
        return None
    given = {name: value for name, value in call.legacy.items() if value is not None}
    known = given.keys() <= _BODY | _CLIENT | _OURS
    if provider != PROVIDER or not call.managed or call.request is not None or not known:
        return None
    body = {name: value for name, value in given.items() if name in _BODY}
    client = {name: value for name, value in given.items() if name in CLIENT_KEYS}
    if "base_url" in client:
        client.setdefault("api_base", client.pop("base_url"))
    try:
        text = json.dumps({"model": model, **body})
    except (TypeError, ValueError):  # a response format that is a class, for one
        return None
    return BatchRequest(twin, text, client, call, remembered)
