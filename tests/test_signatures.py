"""The predictors' signatures: each module's own, and free of clashes with the user's fields."""

import dspy
import pytest

from rlm_dspy import RLM, ConfigurationError, RLMOptions
from rlm_dspy.adapters import ReplAdapter
from rlm_dspy.signatures import LeanPredict, SubQuery, extract_inputs
from rlm_dspy.testing import ScriptedLM, code

TEXT = "Rain fell on the harbour. " * 100
BRIEFLY = SubQuery.instructions


class Found(dspy.Signature):
    """Look it up."""

    context: str = dspy.InputField()
    answer: str = dspy.OutputField()


@pytest.mark.parametrize("role", ["plan", "sub_query", "extract", "direct"])
def test_instructions_changed_in_place_change_no_other_module(role):
    before, tuned = RLM(Found), RLM(Found)
    said = getattr(before, role).signature.instructions
    getattr(tuned, role).signature.instructions = "Rhyme."
    for other in (before, RLM(Found)):
        assert getattr(other, role).signature.instructions == said
    assert (Found.instructions, SubQuery.instructions) == ("Look it up.", BRIEFLY)


def test_instructions_changed_in_place_are_asked_with():
    rlm, source = RLM(), "SUBMIT(answer=str(ask('Does it rain?', context[:40], returns=bool)))"
    lm = ScriptedLM(lambda asked: code(source) if "SUBMIT(" in asked.system else "yes")
    with dspy.context(lm=lm):
        rlm(context=TEXT, query="q")
        rlm.sub_query.signature.instructions = "Weigh it."
        rlm(context=TEXT, query="q")
    assert lm.asked[-1].system.startswith("Weigh it.")
    predict = LeanPredict("question -> answer")
    with dspy.context(lm=lm, adapter=ReplAdapter()):
        for said in ("Rhyme.", "Sing."):
            predict.signature.instructions = said
            predict(question="q")
            assert said in lm.asked[-1].system


@pytest.mark.parametrize("outputs", ["findings", "variables", "findings, variables, run_findings"])
def test_the_extraction_is_shown_what_was_found_beside_outputs_of_its_names(outputs):
    lm = ScriptedLM(lambda asked: code("print('seen')") if "SUBMIT(" in asked.text else '{"a": 1}')
    rlm = RLM(f"context, query -> {outputs}", max_iters=1)
    with dspy.context(lm=lm):
        rlm(context=TEXT, query="Which ship?")
    assert "Output:\nseen" in lm.asked[-1].last
    assert "Which ship?" in lm.asked[-1].last
    fields = rlm.extract.signature.input_fields
    assert tuple(fields) == extract_inputs(rlm.signature)
    assert not set(fields) & set(rlm.signature.output_fields)


def test_the_extractions_inputs_have_plain_names_elsewhere():
    assert extract_inputs(RLM().signature) == ("variables", "findings")


@pytest.mark.parametrize("name", ["role", "predictor", "shown", "inputs", "rules", "task"])
def test_a_direct_input_may_have_the_name_of_an_argument_of_ours(name):
    lm = ScriptedLM(["blue"])
    with dspy.context(lm=lm):
        rlm = RLM(f"{name}, text -> x", options=RLMOptions(route="direct"))
        assert rlm(**{name: "given", "text": "t"}).x == "blue"
    assert "given" in lm.asked[0].last


@pytest.mark.parametrize("name", ["lm", "config", "demos"])
def test_what_dspy_takes_for_an_argument_is_no_direct_input(name):
    signature = f"{name}, text -> x"
    with pytest.raises(ConfigurationError, match=rf"arguments of the names \['{name}'\]"):
        RLM(signature, options=RLMOptions(route="direct"))
    lm = ScriptedLM([code(f"SUBMIT(x={name})")])
    with dspy.context(lm=lm):  # it is a variable of the REPL then
        result = RLM(signature, options=RLMOptions(route="auto"))(**{name: "given", "text": "t"})
    assert (result.x, result.run.planned_by) == ("given", "model")


@pytest.mark.parametrize("name", ["self", "instance"])
def test_what_no_module_can_be_called_with_is_no_input(name):
    with pytest.raises(ConfigurationError, match="conflict with arguments of a module's call"):
        RLM(f"{name}, text -> x")
