"""`Needle`: what the question names is found, whatever the haystack."""

import dspy
import pytest

from eval import tasks
from eval.metrics import METRICS
from eval.oracle import oracle_lm
from programs import Needle
from rlm_dspy.testing import ScriptedLM

EXAMPLES = tasks.load("niah", n=8, lengths=[2_048])


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.group)
def test_every_kind_of_needle_is_found(example, planned):
    with dspy.context(lm=oracle_lm([example])):
        result = Needle(planned=planned)(**example.inputs())
    assert METRICS["ruler"](example, result) == 1.0
    assert result.run.planned_by == ("model" if planned else "recipe")


def test_each_value_is_asked_for_by_its_own_name():
    example = next(example for example in EXAMPLES if example.group == "multiquery")
    lm = ScriptedLM(["nothing"])
    with dspy.context(lm=lm):
        Needle()(**example.inputs())
    asked = [request.last for request in lm.asked]
    assert len(asked) == 4
    assert all("mentioned in the provided text? Answer with the value only." in q for q in asked)
    assert all(", and " not in question for question in asked)


TEXT = "Rain fell.\n" * 300 + "The key of A-7 is red. It hangs high.\n" + "Rain fell.\n" * 300


def test_an_answer_that_its_sentence_does_not_say_gives_way_to_the_sentence():
    with dspy.context(lm=ScriptedLM(["blue"])):
        assert Needle()(context=TEXT, question="Which is A-7?").answer == "The key of A-7 is red."


def test_a_longer_name_is_another_name():
    text = TEXT + "The key of A-77 is green.\n"
    lm = ScriptedLM(["red"])
    with dspy.context(lm=lm):
        assert Needle()(context=text, question="Which is the key of A-7?").answer == "red"
    assert len(lm.asked) == 1


def test_a_question_that_names_nothing_is_searched_for():
    lm = ScriptedLM(lambda asked: "high" if "hangs" in asked.last else "nothing")
    with dspy.context(lm=lm):
        result = Needle()(context=TEXT, question="What hangs where?")
    assert result.answer == "high"
    assert result.run.status == "completed"
