"""A run that only fails ends."""

import dspy
import pytest
from dspy.lm15 import AuthError

from rlm_dspy import RLM, Budget, RLMOptions
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400
BATCH = "print(len(llm_query_batched([str(n) for n in range(500)])))"


def run(script, sub, max_errors, **kwargs):
    lm = ScriptedLM(script)
    with dspy.context(lm=lm):
        rlm = RLM(sub_lm=sub, options=RLMOptions(max_errors=max_errors), **kwargs)
        return rlm(context=TEXT, query="q"), lm


def planner(source):
    return lambda asked: "guess" if "<findings>" in asked.last else code(source(asked.number))


def test_sub_queries_that_only_fail():
    sub = ScriptedLM([AuthError("no key", status=401)], seconds=0.01)
    budget = Budget(concurrency=4)
    result, _ = run(planner(lambda n: BATCH), sub, 10, budget=budget)
    assert (result.answer, result.run.status, result.run.reason) == ("guess", "partial", "errors")
    assert 10 <= len(sub.asked) < 30


def test_steps_that_only_fail():
    result, lm = run(planner(lambda n: f"1 / 0  # {n}"), ScriptedLM(["fine"]), 3)
    assert (result.answer, result.run.reason) == ("guess", "errors")
    assert len(result.trajectory) <= 4


def test_what_goes_well_between_counts():
    steps = planner(lambda n: f"1 / 0  # {n}" if n % 3 else f"print({n})")
    result, _ = run(steps, ScriptedLM(["fine"]), 3, max_iters=9)
    assert result.run.reason == "steps"
    assert len(result.trajectory) == 9


@pytest.mark.parametrize("max_errors", [None, 1])
def test_what_a_limit_refuses_is_no_error_of_this_kind(max_errors):
    source = "xs = llm_query_batched(['a'] * 50)\nSUBMIT(answer=str(len(xs)))"
    sub = ScriptedLM(["fine"])
    result, _ = run([code(source)], sub, max_errors, budget=Budget(calls=10))
    assert (result.answer, result.run.status) == ("50", "completed")
