"""How long the user's tools may take."""

import asyncio
import threading
import time

import dspy
import pytest

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400
CODE = """
try:
    said = slow(2)
except Exception as error:
    said = str(error)
SUBMIT(answer=said)
"""


def run(tool, seconds, source=CODE):
    with dspy.context(lm=ScriptedLM([code(source)])):
        rlm = RLM(tools=[tool], options=RLMOptions(tool_seconds=seconds))
        return rlm(context=TEXT, query="q").answer


def blocking(released):
    def slow(n: int) -> str:
        released.wait(5)
        return f"done {n}"

    return slow


async def _slow(n: int) -> str:
    await asyncio.sleep(5)
    return f"done {n}"


@pytest.mark.parametrize("seconds", [0.2, {"slow": 0.2}])
@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_one_that_takes_too_long_is_an_error_to_see(kind, seconds):
    released = threading.Event()
    tool = blocking(released) if kind == "blocking" else dspy.Tool(_slow, name="slow")
    began = time.monotonic()
    try:
        assert run(tool, seconds) == "slow took longer than 0.2 seconds"
        assert time.monotonic() - began < 4
    finally:
        released.set()


@pytest.mark.parametrize("seconds", [None, 30, {"other": 0.001}])
def test_one_that_is_in_time_answers(seconds):
    released = threading.Event()
    released.set()
    assert run(blocking(released), seconds) == "done 2"


def test_its_own_time_out_is_its_own():
    def slow(n: int) -> str:
        raise TimeoutError("the tool's own")

    assert run(slow, 30) == "the tool's own"


def test_it_sees_the_callers_settings():
    def slow(n: int) -> str:
        return dspy.settings.lm.model

    assert run(slow, 30) == "scripted"


@pytest.mark.parametrize("seconds", [None, 30])
def test_one_that_finds_nothing_is_an_error_to_see(seconds):
    def slow(n: int) -> str:
        return next(word for word in ["a", "b"] if word == "z")

    assert run(slow, seconds) == "StopIteration: an iterator had no next item"


def many(*names: int, **more: int) -> str:
    return f"{names} {more}"


def mixed(first: str, /, second: str = "-", *rest: str) -> str:
    return f"{first} {second} {rest}"


async def awaited(*names: int) -> str:
    return str(names)


@pytest.mark.parametrize(
    ("tool", "call", "said"),
    [
        (many, "many(1, 2, k=3)", "(1, 2) {'k': 3}"),
        (many, "many()", "() {}"),
        (mixed, "mixed('a')", "a - ()"),
        (mixed, "mixed('a', second='b')", "a b ()"),
        (mixed, "mixed('a', 'b', 'c', 'd')", "a b ('c', 'd')"),
        (awaited, "awaited(1, 2)", "(1, 2)"),
    ],
)
def test_a_tool_may_take_arguments_by_position_alone(tool, call, said):
    assert run(tool, None, f"SUBMIT(answer={call})") == said
