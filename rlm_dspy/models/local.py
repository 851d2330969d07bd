"""The embedded model as a LiteLLM provider: `local/NAME` works wherever a LiteLLM name does.

Promised: sync, async and streamed completions in this process; the async side never blocks its
loop, and cancelling it ends the generation; what the engine can do arrives there whatever LiteLLM
makes of it: temperature (default 0), max_tokens (default 512), stop, seed, grammar (GBNF; as
`grammar=` or in `extra_body=`), response_format, logprobs, top_k and the other samplers of
llama.cpp; the reply names the file that answered and counts the tokens taken from its cache. Not
promised: images, audio; the same bits whatever else runs (a batch's shape changes its rounding).

This module imports LiteLLM; `rlm_dspy.models.router` imports it while it sets LiteLLM up.
"""

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any

import litellm
from litellm.types.utils import (
    ChoiceLogprobs,
    Choices,
    GenericStreamingChunk,
    Message,
    ModelResponse,
    PromptTokensDetailsWrapper,
    Usage,
)

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.assembly import Job, Reply, Stopped
from rlm_dspy.models.engine import DEFAULT_MAX_TOKENS, Engine, engine_for
from rlm_dspy.models.llama import SLOT_TOKENS
from rlm_dspy.models.weights import find

PROVIDER = "local"
# LiteLLM's own, not the engine's.
_NOT_SENT = frozenset(
    {"max_retries", "extra_body", "extra_headers", "stream", "stream_options", "n_ctx", "user"}
)


class LocalProvider(litellm.CustomLLM):
    """The handler that LiteLLM calls for `local/…`; the arguments are LiteLLM's."""

    def completion(self, model: str, messages: list, *_: Any, **given: Any) -> ModelResponse:
        """Answer one chat completion request, waiting for it."""
        job = _job(messages, given)
        try:
            engine = _submit(job, model, given)
            reply = _checked(_wait(job, model, given.get("timeout")), model)
        finally:
            job.cancel()
        return _response(given["model_response"], reply, engine)

    async def acompletion(self, model: str, messages: list, *_: Any, **given: Any) -> ModelResponse:
        """Answer one chat completion request; cancelling it ends the generation."""
        job = _job(messages, given)
        try:
            # Off the loop, since the first request loads the weights.
            engine = await asyncio.to_thread(_submit, job, model, given)
            reply = _checked(await _await(job, model, given.get("timeout")), model)
        finally:
            job.cancel()
        return _response(given["model_response"], reply, engine)

    def streaming(
        self, model: str, messages: list, *_: Any, **given: Any
    ) -> Iterator[GenericStreamingChunk]:
        """Answer one request piece by piece."""
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        job = _job(messages, given, pieces.put)
        job.reply.add_done_callback(lambda _: pieces.put(None))
        try:
            _submit(job, model, given)
            while (piece := pieces.get()) is not None:
                yield _chunk(piece)
            yield _last_chunk(_checked(_wait(job, model, None), model))
        finally:
            job.cancel()

    async def astreaming(  # ty: ignore[incompatible-method-override] - iterated, never awaited
        self, model: str, messages: list, *_: Any, **given: Any
    ) -> AsyncIterator[GenericStreamingChunk]:
        """Answer one request piece by piece, without blocking the loop."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        put = partial(_put, asyncio.get_running_loop(), pieces)
        job = _job(messages, given, put)
        job.reply.add_done_callback(lambda _: put(None))
        try:
            await asyncio.to_thread(_submit, job, model, given)
            while (piece := await pieces.get()) is not None:
                yield _chunk(piece)
            yield _last_chunk(_checked(await _await(job, model, None), model))
        finally:
            job.cancel()


def _put(loop: asyncio.AbstractEventLoop, pieces: asyncio.Queue, piece: str | None) -> None:
    # On the engine's thread. A loop that has closed has nobody who waits for the piece.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(pieces.put_nowait, piece)


def _job(messages: list, given: dict[str, Any], on_text: Any = None) -> Job:
    return Job(_request(messages, given.get("optional_params") or {}), on_text)


def _submit(job: Job, model: str, given: dict[str, Any]) -> Engine:
    slot_tokens = (given.get("optional_params") or {}).get("n_ctx") or SLOT_TOKENS
    try:
        engine = engine_for(find(model), slot_tokens)
        engine.submit(job)
    except ConfigurationError as error:
        raise litellm.NotFoundError(str(error), model=model, llm_provider=PROVIDER) from error
    return engine


def _request(messages: list, options: dict[str, Any]) -> dict[str, Any]:
    merged = {**options, **(options.get("extra_body") or {})}
    request = {
        key: value for key, value in merged.items() if value is not None and key not in _NOT_SENT
    }
    request.setdefault("temperature", 0)
    request.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    request.setdefault("cache_prompt", True)
    form = request.get("response_format")
    if isinstance(form, type):
        schema = {"name": form.__name__, "schema": form.model_json_schema()}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {**request, "messages": messages}


def _seconds(timeout: Any) -> float | None:
    if timeout is None or isinstance(timeout, int | float):
        return timeout
    return timeout.read  # an httpx.Timeout


def _wait(job: Job, model: str, timeout: Any) -> Reply:
    try:
        return job.reply.result(_seconds(timeout))
    except (TimeoutError, Stopped, CancelledError) as error:
        raise _ended(error, model, timeout) from error


async def _await(job: Job, model: str, timeout: Any) -> Reply:
    try:
        async with asyncio.timeout(_seconds(timeout)):
            return await asyncio.wrap_future(job.reply)
    except (TimeoutError, Stopped) as error:
        raise _ended(error, model, timeout) from error


def _ended(error: BaseException, model: str, timeout: Any) -> Exception:
    if isinstance(error, TimeoutError):
        message = f"{PROVIDER}/{model} did not answer within {_seconds(timeout)} seconds"
        return litellm.Timeout(message, model=model, llm_provider=PROVIDER)
    return litellm.APIConnectionError(str(error) or "cancelled", model=model, llm_provider=PROVIDER)


def _checked(reply: Reply, model: str) -> Reply:
    error = reply.get("error")
    if error is None:
        return reply
    message = f"{PROVIDER}/{model}: {error.get('message', error)}"
    if error.get("type") == "exceed_context_size_error":
        raise litellm.ContextWindowExceededError(message, model=model, llm_provider=PROVIDER)
    if 400 <= error.get("code", 500) < 500:
        raise litellm.BadRequestError(message, model=model, llm_provider=PROVIDER)
    raise litellm.InternalServerError(message, model=model, llm_provider=PROVIDER)


def _usage(reply: Reply) -> Usage:
    usage = reply.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Usage(
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
        total_tokens=usage.get("total_tokens", 0),
        prompt_tokens_details=PromptTokensDetailsWrapper(cached_tokens=cached),
    )


def _response(response: ModelResponse, reply: Reply, engine: Engine) -> ModelResponse:
    response.choices = [_choice(choice) for choice in reply["choices"]]
    response.model = engine.path.name
    response.usage = _usage(reply)  # ty: ignore[missing-attribute] - as LiteLLM itself does
    return response


def _choice(choice: dict[str, Any]) -> Choices:
    logprobs = choice.get("logprobs")
    return Choices(
        index=choice["index"],
        finish_reason=choice["finish_reason"],
        message=Message(**choice["message"]),
        logprobs=ChoiceLogprobs(**logprobs) if logprobs else None,
    )


def _chunk(text: str) -> GenericStreamingChunk:
    return GenericStreamingChunk(
        text=text, is_finished=False, finish_reason="", usage=None, index=0, tool_use=None
    )


def _last_chunk(reply: Reply) -> GenericStreamingChunk:
    usage = _usage(reply)
    finish = reply["choices"][0]["finish_reason"]
    return GenericStreamingChunk(
        text="",
        is_finished=True,
        finish_reason=finish,
        usage=usage.model_dump(),  # ty: ignore[invalid-argument-type] - a superset of the keys
        index=0,
        tool_use=None,
    )
