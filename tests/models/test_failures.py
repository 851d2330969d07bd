"""Which failed attempts may have been billed, tried against a server that fails in every way."""

import asyncio
import contextlib
import json

import dspy
import pytest
from dspy.lm15 import AuthError, RateLimitError, ServerError
from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMProviderError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnsupportedModelError,
)

from rlm_dspy.models.failures import may_have_cost
from rlm_dspy.models.router import router
from rlm_dspy.testing import ScriptedLM

GOOD = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        ],
    }
)
REFUSED = '{"error": {"message": "refused", "type": "x", "code": null}}'


class Failing:
    """A server that fails as the prompt says."""

    async def __aenter__(self):
        self._handlers = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await asyncio.gather(*self._handlers)

    async def _serve(self, reader, writer):
        self._handlers.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            how = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
            await self._fail(how, reader, writer)
            writer.close()
            await writer.wait_closed()

    async def _fail(self, how, reader, writer):
        if how == "stall":
            await reader.read()  # until who asked has gone
        if how in ("stall", "cut"):
            return
        status, body = (f"{how} X", REFUSED) if how.isdigit() else ("200 OK", GOOD)
        if how == "garbage":
            body = '{"id": 1, '
        said = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        said += f"Content-Type: application/json\r\n\r\n{body}"
        writer.write(said[: len(said) - (len(body) // 2 if how == "half" else 0)].encode())
        await writer.drain()


@pytest.mark.parametrize("engine", ["litellm", "lm15"])
@pytest.mark.parametrize(
    ("how", "costs"),
    [
        *((status, False) for status in ("400", "401", "404", "413", "429", "500", "503")),
        *((how, True) for how in ("cut", "half", "garbage", "stall")),
        ("unreachable", False),
    ],
)
async def test_a_server_that_fails(engine, how, costs):
    router()
    async with Failing() as server:
        port = 1 if how == "unreachable" else server.port
        lm = dspy.LM(
            "openai/gpt-4o-mini",
            engine=engine,
            api_base=f"http://127.0.0.1:{port}/v1",
            api_key="x",
            cache=False,
            num_retries=0,
            timeout=1,
        )
        with pytest.raises(LMError) as caught:
            await lm.acall(how)
        await lm.aclose()
    assert may_have_cost(caught.value) is costs


@pytest.mark.parametrize(
    ("error", "costs"),
    [
        (RateLimitError("slow down", status=429), False),
        (ServerError("broken", status=500), False),
        (AuthError("no key", status=401), False),
        (ValueError("a bug of the engine"), True),
    ],
)
async def test_an_engine_of_the_users(error, costs):
    with pytest.raises(LMError) as caught:
        await ScriptedLM([error], num_retries=0).acall("hello")
    assert may_have_cost(caught.value) is costs


@pytest.mark.parametrize(
    ("error", "costs"),
    [
        (LMRateLimitError("slow down", retry_after=1.0), False),
        (LMAuthError("no key"), False),
        (LMBillingError("no credit"), False),
        (LMInvalidRequestError("no such parameter"), False),
        (LMUnsupportedModelError("no such model"), False),
        (ContextWindowExceededError(message="too long"), False),
        (LMTimeoutError("too slow"), True),
        (LMServerError("broken"), True),
        (LMTransportError("cut off"), True),
        (LMProviderError("something"), True),
    ],
)
def test_without_a_status_the_class_says_what_was_refused(error, costs):
    assert error.status is None
    assert may_have_cost(error) is costs


@pytest.mark.parametrize("error", [asyncio.CancelledError(), TimeoutError()])
def test_what_was_broken_off_may_have_cost(error):
    assert may_have_cost(error)


def test_what_was_never_sent_has_not():
    assert not may_have_cost(LMConfigurationError("no key"))
