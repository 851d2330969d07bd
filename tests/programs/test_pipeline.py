"""`RLM`s between a router and a verifier, and as a tool of an agent."""

import dspy
import pytest

from programs.pipeline import Pipeline, reading_tool
from rlm_dspy import Context
from rlm_dspy.testing import ScriptedLM, code

TEXT = "Rain fell.\n" * 300 + "The code of locker B-17 is 5309.\n" + "Rain fell.\n" * 300
QUESTION = "What is the code of locker B-17?"


def field(name, value):
    return f"[[ ## {name} ## ]]\n{value}\n\n[[ ## completed ## ]]"


def speaking(kind, supported, planned="SUBMIT(answer='planned')"):
    def reply(asked):
        if "`kind`" in asked.system:
            return field("kind", kind)
        if "`supported`" in asked.system:
            return field("supported", supported)
        if "Functions, already defined:" in asked.system:
            return code(planned)
        return "5309"

    return ScriptedLM(reply)


@pytest.mark.parametrize(
    ("kind", "supported", "answer", "planned_by"),
    [
        ("look up", True, "5309", "recipe"),
        ("look up", False, "planned", "model"),
        ("other", True, "planned", "model"),
        ("other", False, "planned", "model"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_the_router_chooses_and_the_verifier_has_its_say(
    kind, supported, answer, planned_by, is_async
):
    lm, pipeline, given = speaking(kind, supported), Pipeline(), {"question": QUESTION}
    with dspy.context(lm=lm):
        if is_async:
            result = await pipeline.acall(context=TEXT, **given)
        else:
            result = pipeline(context=TEXT, **given)
    assert (result.answer, result.run.planned_by) == (answer, planned_by)
    assert (result.kind, result.supported) == (kind, supported)


def test_the_verifier_sees_what_was_found_and_not_the_text():
    lm = speaking("look up", True)
    with dspy.context(lm=lm):
        Pipeline()(context=TEXT, question=QUESTION)
    (verified,) = [asked for asked in lm.asked if "`supported`" in asked.system]
    assert "The code of locker B-17 is 5309." in verified.last
    assert "Rain fell.\nRain fell." not in verified.last


def test_counting_goes_to_the_program_that_counts():
    lines = "".join(
        f"Date: Mar 01, 2024 || User: 7 || Instance: {n} || Label: {label}\n"
        for n, label in enumerate(["plant", "animal", "plant"])
    )
    question = "how many data points should be classified as label 'plant'?"
    with dspy.context(lm=speaking("count", True)):
        assert Pipeline()(context=lines, question=question).answer == "Answer: 2"


def test_every_prompt_is_a_predictor_that_is_tuned_and_saved():
    names = {name.partition(".")[0] for name, _ in Pipeline().named_predictors()}
    assert names == {"choose", "look_up", "count", "other", "verify"}


def test_an_agent_reads_through_the_tool():
    step = (
        "[[ ## next_thought ## ]]\nread\n\n[[ ## next_tool_name ## ]]\nread\n\n"
        '[[ ## next_tool_args ## ]]\n{"document": "%s", "question": "' + QUESTION + '"}\n\n'
        "[[ ## completed ## ]]"
    )
    end = (
        "[[ ## next_thought ## ]]\ndone\n\n[[ ## next_tool_name ## ]]\nfinish\n\n"
        "[[ ## next_tool_args ## ]]\n{}\n\n[[ ## completed ## ]]"
    )

    def reply(asked):
        if "`next_tool_name`" not in asked.system and "`answer`" not in asked.system:
            return "5309"
        if "`answer`" in asked.system and "`next_tool_name`" not in asked.system:
            return "[[ ## reasoning ## ]]\nread\n\n" + field("answer", "5309")
        if "observation_0" not in asked.text:
            return step % "rain.txt"
        return step % "lockers.txt" if "observation_1" not in asked.text else end

    library = {"lockers.txt": Context.from_text(TEXT)}
    lm = ScriptedLM(reply)
    with dspy.context(lm=lm):
        result = dspy.ReAct("question -> answer", tools=[reading_tool(library)])(question=QUESTION)
    assert result.answer == "5309"
    observed = list(result.trajectory.values())
    assert "There is no document 'rain.txt'; there are lockers.txt." in observed
    assert "5309" in observed
    assert not any("Rain fell.\nRain fell." in asked.text for asked in lm.asked)
