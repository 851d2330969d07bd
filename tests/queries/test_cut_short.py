"""A batch that is cut in its middle: the best partial answer, soon, and an exact account."""

import time

import dspy
import pytest

from rlm_dspy import RLM, Budget, RLMOptions
from rlm_dspy.events import Charged
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400
BATCH = "xs = llm_query_batched([f'item {n}' for n in range(400)])\nprint(sorted(xs)[-9:])"
PRICES = {"plan": (1.0, 1.0), "sub": (1.0, 1.0)}


def planner(asked):
    if "<findings>" not in asked.last:
        return code(BATCH)
    return "some were found" if "found 9" in asked.last else "none were found"


def sub_model():
    """Answers the first eight at once, and none of the others for half a minute."""

    def script(asked):
        return f"found 9{asked.number}"

    lm = ScriptedLM(script, model="sub", max_tokens=50)
    begin = lm.script._begin

    def slow_after_eight(request):
        asked = begin(request)
        lm.script.seconds = 0.0 if asked.number < 8 else 30.0
        return asked

    lm.script._begin = slow_after_eight
    return lm


@pytest.mark.parametrize("how", ["interrupted", pytest.param("seconds", marks=pytest.mark.slow)])
def test_what_takes_too_long(how):
    sub = sub_model()
    budget = Budget(seconds=12 if how == "seconds" else None, concurrency=8, tokens=100_000)
    began = time.monotonic()
    with dspy.context(lm=ScriptedLM(planner, model="plan")):
        handle = RLM(sub_lm=sub, budget=budget).start(context=TEXT, query="q")
        while len(sub.asked) < 16 and not handle.done():
            time.sleep(0.01)
        if how == "interrupted":
            handle.stop()
        result = handle.result()
    assert time.monotonic() - began < 20
    assert (result.answer, result.run.status) == ("some were found", "partial")
    assert result.run.reason == how
    charged = [e for e in result.run.events if isinstance(e, Charged) and e.role == "sub_query"]
    assert len(charged) == len(sub.asked) == 16
    broken_off = [event for event in charged if event.error]
    assert len(broken_off) == 8
    # What was broken off may have been billed in full.
    assert all(event.estimated and event.completion_tokens == 50 for event in broken_off)
    spend = result.run.spend
    assert spend.calls == 16 + 2
    assert spend.sub_tokens == sum(e.prompt_tokens + e.completion_tokens for e in charged)


def test_a_limit_of_dollars():
    sub = ScriptedLM(lambda asked: f"found {asked.number}", model="sub", max_tokens=50)
    lm = ScriptedLM(planner, model="plan", max_tokens=100)
    limit = 0.012
    with dspy.context(lm=lm):
        rlm = RLM(
            sub_lm=sub,
            budget=Budget(dollars=limit, concurrency=8),
            options=RLMOptions(prices=PRICES, inherit_history=10_000),
        )
        result = rlm(context=TEXT, query="q")
    run = result.run
    assert (result.answer, run.status, run.reason) == ("some were found", "partial", "dollars")
    assert 8 < len(sub.asked) < 400
    used = [entry["usage"] for one in (lm, sub) for entry in one.history]
    cost = sum(row["prompt_tokens"] + row["completion_tokens"] for row in used) / 1e6
    assert run.spend.dollars == pytest.approx(cost)
    assert cost <= limit
