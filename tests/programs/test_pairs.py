"""`Pairs`: all twenty queries, by recipe and planned."""

import dspy
import pytest

from eval import tasks
from eval.metrics import METRICS
from eval.oracle import oracle_lm
from programs import Pairs
from rlm_dspy.testing import ScriptedLM

EXAMPLES = tasks.load("oolong_pairs", n=20, lengths=[2_048], generated=True)


def test_every_query_is_answered_right_by_the_recipe():
    lm = oracle_lm(EXAMPLES)
    with dspy.context(lm=lm):
        results = [Pairs()(**example.inputs()) for example in EXAMPLES]
    scores = [METRICS["oolong_pairs"](*pair) for pair in zip(EXAMPLES, results, strict=True)]
    assert scores == [1.0] * 20
    assert {result.run.planned_by for result in results} == {"recipe"}


@pytest.mark.parametrize("example", EXAMPLES[::6], ids=lambda example: example.id)
def test_queries_are_answered_right_by_a_plan(example):
    with dspy.context(lm=oracle_lm([example])):
        result = Pairs(planned=True)(**example.inputs())
    assert METRICS["oolong_pairs"](example, result) == 1.0
    assert result.run.planned_by == "model"


def test_another_question_is_refused_in_words():
    lm = ScriptedLM(["animal"])
    with dspy.context(lm=lm):
        result = Pairs()(context=EXAMPLES[0].context, question="Which users like each other?")
    assert result.run.status == "partial"
    assert "neither of the two kinds" in result.run.reason
