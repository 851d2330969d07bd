"""Asynchronous tools run where their caller awaits the run."""

import asyncio

import dspy
import pytest

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.loop import callers_loop
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400
ASKED = code("SUBMIT(answer=str(tool()))")


def rlm(tool, **kwargs):
    return RLM(tools=[dspy.Tool(tool, name="tool")], **kwargs)


async def answer(tool, said=ASKED, **kwargs):
    with dspy.context(lm=ScriptedLM([said])):
        result = await asyncio.wait_for(
            rlm(tool, **kwargs).acall(context=TEXT, query="q"), timeout=30
        )
    return result.answer


async def test_they_may_use_what_belongs_to_the_callers_loop():
    here, asked = asyncio.get_running_loop(), asyncio.Queue()

    async def serve():
        reply = await asked.get()
        reply.set_result("served")

    async def tool() -> str:
        """Waits for somebody on the caller's loop."""
        assert asyncio.get_running_loop() is here
        reply = here.create_future()
        await asked.put(reply)
        return f"{await reply} by {dspy.settings.lm.model}"

    serving = asyncio.create_task(serve())
    assert await answer(tool) == "served by scripted"
    await serving


async def test_they_may_when_the_run_is_streamed():
    here = asyncio.get_running_loop()

    async def tool() -> bool:
        return asyncio.get_running_loop() is here

    with dspy.context(lm=ScriptedLM([ASKED])):
        async for item in rlm(tool).stream(context=TEXT, query="q"):
            last = item
    assert last.answer == "True"


def test_without_a_loop_they_run_on_that_of_the_run():
    async def tool() -> bool:
        return callers_loop() is None

    with dspy.context(lm=ScriptedLM([ASKED])):
        assert rlm(tool)(context=TEXT, query="q").answer == "True"


async def test_a_run_that_is_cancelled_cancels_them():
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def tool():
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    run = asyncio.create_task(answer(tool))
    await asyncio.wait_for(started.wait(), 30)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await asyncio.wait_for(cancelled.wait(), 30)


async def test_their_time_is_limited():
    async def tool():
        await asyncio.sleep(60)

    said = code("try:\n    tool()\nexcept Exception as error:\n    SUBMIT(answer=str(error))")
    options = RLMOptions(tool_seconds=0.1)
    assert await answer(tool, said, options=options) == "tool took longer than 0.1 seconds"


async def test_an_exit_is_raised_where_the_run_is_awaited():
    async def tool():
        raise SystemExit(4)

    with dspy.context(lm=ScriptedLM([ASKED])):
        awaited = rlm(tool).acall(context=TEXT, query="q")
        with pytest.raises(SystemExit) as raised:  # not out of the loop, as from a task
            async with asyncio.timeout(30):
                await awaited
    assert raised.value.code == 4
