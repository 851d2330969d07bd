"""Demos that are left out are told of, once for each set."""

import logging
import uuid

import dspy
import pytest

from rlm_dspy import RLM
from rlm_dspy.adapters import ReplAdapter
from rlm_dspy.demos import MAX_DEMO_CHARS
from rlm_dspy.signatures import LeanPredict
from rlm_dspy.testing import ScriptedLM, code


def warned(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "rlm_dspy.demos"]


def asked_with(predict, *demos, times=2):
    predict.demos = list(demos)
    with dspy.context(lm=ScriptedLM(["Ulm"] * times), adapter=ReplAdapter()):
        for _ in range(times):
            predict(context="c", query="q")


def test_one_that_is_too_long_is_told_of_once(caplog):
    predict, own = LeanPredict("context, query -> answer"), uuid.uuid4().hex
    long = dspy.Example(context=own * 200, query="q", answer="a")
    asked_with(predict, dspy.Example(context="c", query="q", answer="a"), long)
    (said,) = warned(caplog)
    assert said.startswith("1 of the 2 demos of context, query -> answer are left out")
    assert f"demo 2: its context has 6,400 characters, and {MAX_DEMO_CHARS:,} are the most" in said
    asked_with(predict, dspy.Example(long, query=f"another {own}"))
    assert len(warned(caplog)) == 2


def test_a_step_of_the_planner_without_an_input_is_told_of(caplog):
    rlm = RLM()
    rlm.plan.demos = [dspy.Example(reasoning=uuid.uuid4().hex, code="SUBMIT(answer='a')")]
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='Ulm')")])):
        rlm(context="The city is Ulm. " * 100, query="Which city?")
    (said,) = warned(caplog)
    assert "demo 1: none of the inputs rules, variables, output, history is in it" in said


@pytest.mark.parametrize(
    "demo", [{"question": "of another", "response": "b" * 9_000}, {"query": "q"}]
)
def test_one_that_is_for_another_predictor_is_not_told_of(caplog, demo):
    caplog.set_level(logging.DEBUG)
    asked_with(LeanPredict("context, query -> answer"), dspy.Example(**demo))
    assert not warned(caplog)
