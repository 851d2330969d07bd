"""Runs as they happen: `RLM.stream`, and `dspy.streamify`, on the loop of who reads."""

import asyncio
import contextlib
import json
import threading
import uuid

import dspy
import pytest
from chat_server import ChatServer
from dspy.streaming import StatusMessage, StatusMessageProvider, StreamListener, StreamResponse

from rlm_dspy import RLM, ConfigurationError, ProviderError, RLMOptions
from rlm_dspy.testing import ScriptedEngine, ScriptedLM, code

GIVEN = {"context": "The vault opens with tulip. " * 20, "query": "What opens the vault?"}
SUBMIT = code("SUBMIT(answer='tulip')")
SECONDS = 20
BOTH = pytest.mark.parametrize("is_async", [False, True])


async def read(stream):
    async with asyncio.timeout(SECONDS):
        return [item async for item in stream]


async def test_every_event_and_then_the_result():
    with dspy.context(lm=ScriptedLM([code("print(len(context))"), SUBMIT])):
        *events, result = await read(RLM().stream(**GIVEN))
    assert result.answer == "tulip"
    assert tuple(events) == tuple(result.run.events)
    assert [events[0].kind, events[-1].kind] == ["run_started", "run_ended"]


async def test_the_settings_are_those_of_the_call():
    with dspy.context(lm=ScriptedLM([SUBMIT])):
        stream = RLM().stream(**GIVEN)
    assert (await read(stream))[-1].answer == "tulip"


async def test_an_event_is_read_while_the_run_goes_on():
    seen = threading.Event()

    def wait_for_the_reader() -> bool:
        """Waits."""
        return seen.wait(SECONDS)

    rlm = RLM(tools=[wait_for_the_reader])
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=str(wait_for_the_reader()))")])):
        async with asyncio.timeout(SECONDS):
            async for item in rlm.stream(**GIVEN):
                if getattr(item, "kind", "") == "planned":
                    seen.set()
    assert item.answer == "True"


async def test_a_slow_reader_does_not_hold_up_the_run():
    submitted = threading.Event()

    def submitting() -> bool:
        """Says that the run came this far."""
        submitted.set()
        return True

    script = [code(f"print({n})") for n in range(15)] + [
        code("submitting()\nSUBMIT(answer='tulip')")
    ]
    found = []
    with dspy.context(lm=ScriptedLM(script)):
        async for item in RLM(tools=[submitting]).stream(**GIVEN):
            if not found:
                assert await asyncio.to_thread(submitted.wait, SECONDS)
            found.append(item)
    assert tuple(found[:-1]) == tuple(found[-1].run.events)


async def test_leaving_the_loop_cancels_the_run():
    waiting, ended = threading.Event(), threading.Event()

    async def wait_for_ever() -> None:
        """Waits."""
        waiting.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    with dspy.context(lm=ScriptedLM([code("wait_for_ever()")])):
        async with contextlib.aclosing(RLM(tools=[wait_for_ever]).stream(**GIVEN)) as stream:
            async for item in stream:
                if item.kind == "planned":
                    assert await asyncio.to_thread(waiting.wait, SECONDS)
                    break
    assert ended.is_set()


async def test_errors_are_raised_in_the_loop():
    with dspy.context(lm=ScriptedLM([ValueError("down")], num_retries=0)):
        with pytest.raises(ProviderError, match="down"):
            await read(RLM().stream(**GIVEN))
        with pytest.raises(ConfigurationError, match="query"):
            await read(RLM().stream(context="a"))


class Provider(StatusMessageProvider):
    def module_start_status_message(self, instance, inputs):
        return f"start {type(instance).__name__}"

    def module_end_status_message(self, outputs):
        return "end"


@pytest.fixture
def served():
    servers = []

    def start(replies, **options):
        left = iter(replies)
        servers.append(ChatServer(lambda body: next(left), **options))
        name = f"openai/{uuid.uuid4().hex}"
        return dspy.LM(name, api_base=servers[-1].url, api_key="none", cache=False, num_retries=0)

    yield start
    for server in servers:
        server.close()


def said(items, field):
    """What a field's stream said, the streams of one field joined."""
    chunks = [item for item in items if isinstance(item, StreamResponse)]
    return "".join(chunk.chunk for chunk in chunks if chunk.signature_field_name == field)


@BOTH
async def test_streamify_hears_the_plan_and_the_sub_queries(served, is_async):
    first = code("print(ask('Which flower?', context[:60]))", "Look first.\nThen ask.")
    lm = served([first, "It is the tulip.", SUBMIT])
    rlm = RLM()
    listeners = [
        StreamListener("reasoning", rlm.plan, "plan"),
        StreamListener("code", rlm.plan, "plan", allow_reuse=True),
        StreamListener("response", rlm.sub_query, "sub_query"),
    ]
    program = dspy.streamify(rlm, Provider(), listeners, is_async_program=is_async)
    with dspy.context(lm=lm):
        items = await read(program(**GIVEN))
    assert said(items, "reasoning") == "Look first.\nThen ask."
    asked, submitted = "print(ask('Which flower?', context[:60]))", "SUBMIT(answer='tulip')"
    assert said(items, "code") == asked + submitted
    assert said(items, "response") == "It is the tulip."
    messages = [item.message for item in items if isinstance(item, StatusMessage)]
    assert messages == ["start RLM", *["start LeanPredict", "end"] * 3, "end"]
    assert items[-1].answer == "tulip"
    spend = items[-1].run.spend
    assert (spend.calls, spend.tokens) == (3, 300)


async def test_tokens_come_while_the_model_still_writes(served):
    seen = threading.Event()
    lm = served([SUBMIT], before=lambda number: number != 6 or seen.wait(SECONDS))
    rlm = RLM()
    program = dspy.streamify(rlm, stream_listeners=[StreamListener("code", rlm.plan, "plan")])
    with dspy.context(lm=lm):
        async with asyncio.timeout(SECONDS):
            async for item in program(**GIVEN):
                if isinstance(item, StreamResponse):
                    seen.set()
    assert item.answer == "tulip"


async def test_streamify_hears_a_direct_answer(served):
    rlm = RLM(options=RLMOptions(route="direct"))
    program = dspy.streamify(rlm, stream_listeners=[StreamListener("answer", rlm.direct, "direct")])
    with dspy.context(lm=served(["With a tulip, of course."])):
        items = await read(program(**GIVEN))
    assert said(items, "answer") == items[-1].answer == "With a tulip, of course."


@BOTH
async def test_a_full_stream_does_not_hang(is_async):
    submitted = threading.Event()

    def submitting() -> bool:
        """Says that the run came this far."""
        submitted.set()
        return True

    script = [code(f"print({n})") for n in range(15)]
    script.append(code("submitting()\nSUBMIT(answer='tulip')"))
    program = dspy.streamify(RLM(tools=[submitting]), Provider(), is_async_program=is_async)
    items = []
    with dspy.context(lm=ScriptedLM(script)):
        async with asyncio.timeout(SECONDS):
            async for item in program(**GIVEN):
                items.append(item)
                if len(items) == 1:
                    assert await asyncio.to_thread(submitted.wait, SECONDS)
                elif len(items) in (18, 19, 20):  # dspy's stream holds the last 16 now
                    await asyncio.sleep(0.1)
    messages = [item.message for item in items if isinstance(item, StatusMessage)]
    assert messages.count("end") == 1 + 16
    assert items[-1].answer == "tulip"


async def test_tools_say_what_they_do():
    def look(place: str) -> str:
        """Looks."""
        return "tulip"

    program = dspy.streamify(RLM(tools=[look]))
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=look('here'))")])):
        items = await read(program(**GIVEN))
    messages = [item.message for item in items if isinstance(item, StatusMessage)]
    assert messages[0] == "Calling tool look..."
    assert len(messages) == 2


async def test_a_reader_that_leaves_ends_the_run():
    waiting, ended = threading.Event(), threading.Event()

    async def wait_for_ever() -> None:
        """Waits."""
        waiting.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    # Of a blocking program dspy's thread may outlive this loop, and wait for it for ever.
    program = dspy.streamify(RLM(tools=[wait_for_ever]), Provider(), is_async_program=True)
    with dspy.context(lm=ScriptedLM([code("wait_for_ever()")])):
        reader = asyncio.create_task(read(program(**GIVEN)))
        assert await asyncio.to_thread(waiting.wait, SECONDS)
        reader.cancel()
        await asyncio.wait({reader})
    assert await asyncio.to_thread(ended.wait, SECONDS)


class Blocks(dspy.Module):
    """Blocks the loop that its own stream is read on."""

    def __init__(self):
        super().__init__()
        self.rlm = RLM()

    async def aforward(self, **inputs):
        return self.rlm(**inputs)


@pytest.mark.slow
async def test_a_run_that_blocks_its_reader_streams_nothing():
    with dspy.context(lm=ScriptedLM([SUBMIT])):
        items = await read(dspy.streamify(Blocks(), is_async_program=True)(**GIVEN))
    assert items[-1].answer == "tulip"


async def test_an_engine_without_an_asynchronous_side_still_answers():
    lm = dspy.LM("blocking", engine=ScriptedEngine([SUBMIT]), cache=False)
    with dspy.context(lm=lm):
        items = await read(dspy.streamify(RLM())(**GIVEN))
    assert items[-1].answer == "tulip"


async def test_a_service_can_send_the_result_as_json():
    with dspy.context(lm=ScriptedLM([SUBMIT])):
        sent = await read(dspy.streaming.streaming_response(dspy.streamify(RLM())(**GIVEN)))
    assert sent[-1] == "data: [DONE]\n\n"
    said = json.loads(sent[-2].removeprefix("data: "))["prediction"]
    assert said["answer"] == "tulip"
    assert said["run"]["status"] == "completed"
    assert said["run"]["spend"]["calls"] == 1
    assert "tulip. The vault" not in sent[-2], "the prompts are in it"
