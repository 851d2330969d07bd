"""The planner's signature is known by its mark, not by names of fields."""

import copy

import cloudpickle
import dspy
import pytest

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.planner_mark import is_plan
from rlm_dspy.signatures import LeanPredict, PlanStep
from rlm_dspy.testing import ScriptedLM, code


def loaded(signature):
    predict = LeanPredict(PlanStep)
    predict.load_state(LeanPredict(signature).dump_state())
    return predict.signature


@pytest.mark.parametrize(
    "made",
    [
        lambda plan: plan.with_instructions("Rhyme."),
        lambda plan: plan.append_instructions("Rhyme."),
        lambda plan: plan.with_updated_fields("rules", desc="the rules").with_updated_fields(
            "code"
        ),
        lambda plan: plan.append("hint_", dspy.InputField()).delete("history"),
        lambda plan: copy.deepcopy(LeanPredict(plan)).signature,
        lambda plan: cloudpickle.loads(cloudpickle.dumps(plan)),
        loaded,
    ],
)
def test_what_dspy_makes_of_the_planners_signature_is_still_the_planners(made):
    assert is_plan(made(PlanStep.with_instructions("Plan.")))


def test_a_signature_of_the_same_names_is_another():
    assert not is_plan(dspy.Signature("rules, variables, output, history -> reasoning, code"))


def test_a_direct_answer_to_rules_and_code_is_shown_all_inputs():
    lm = ScriptedLM(["def f(): return 1"])
    with dspy.context(lm=lm):
        rlm = RLM("rules, spec -> code", options=RLMOptions(route="direct"))
        assert rlm(rules="R-17", spec="S-23").code == "def f(): return 1"
    assert "R-17" in lm.asked[0].last
    assert "S-23" in lm.asked[0].last


def test_code_in_the_repl_may_ask_for_code_by_rules():
    source = "SUBMIT(answer=dspy.Predict('rules, spec -> code')(rules='R-17', spec='S-23').code)"
    sub = ScriptedLM(["def f(): return 1"])
    with dspy.context(lm=ScriptedLM([code(source)])):
        result = RLM(sub_lm=sub)(context="Rain. " * 300, query="q")
    assert result.answer == "def f(): return 1"
    assert "S-23" in sub.asked[0].last
