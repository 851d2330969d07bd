"""A question that stops before each step."""

import dspy
import pytest

from rlm_dspy import RLM, ConfigurationError, ProviderError
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows.\n" * 300 + "The code of locker B-17 is 5309.\n"
STEPS = [
    code("found = 1\nprint(found)", "look"),
    code("print(found)"),
    code("SUBMIT(answer=found)"),
]


@pytest.fixture
def rlm():
    return RLM("context, query -> answer: int")


@pytest.fixture
def session(rlm):
    with rlm.session(context=TEXT) as opened:
        yield opened


def test_look_edit_run_go_on(rlm, session):
    lm = ScriptedLM(STEPS)
    with dspy.context(lm=lm):
        paused = session.step("Which?")
        assert (paused.number, paused.reasoning, paused.code) == (
            1,
            "look",
            "found = 1\nprint(found)",
        )
        assert session.vars() == {}
        paused.code = "found = 5309\nprint('edited', found)"
        assert paused.run().strip() == "edited 5309"
        assert paused.number == 2
        assert paused.vars()["found"] == "int = 5309"
        result = paused.go_on()
    assert result.answer == 5309
    assert paused.done
    assert "found = 5309" in lm.asked[1].turns[1][1]  # the planner is shown what ran
    planned = [event for event in result.run.events if event.kind == "planned"]
    assert planned[0].said == "found = 1\nprint(found)"
    assert planned[1].said is None
    assert rlm.replay(result.run.id).answer == 5309
    with rlm.session(resume=session.id) as opened:
        assert opened.vars()["found"] == "int = 5309"


def test_a_step_at_a_time_to_the_end(session):
    with dspy.context(lm=ScriptedLM(STEPS)):
        paused = session.step("Which?")
        outputs = []
        while not paused.done:
            outputs.append(paused.run().strip())
    assert [output.split("\n")[0] for output in outputs] == ["1", "1", "FINAL: {'answer': 1}"]
    assert paused.go_on().answer == 1
    with pytest.raises(ConfigurationError, match="has ended"):
        paused.run()


def test_stopped_it_gives_its_best_answer(session):
    with dspy.context(lm=ScriptedLM([*STEPS[:1], "7"])):
        paused = session.step("Which?")
        paused.run()
        result = paused.stop()
    assert (result.run.status, result.answer) == ("partial", 7)


def test_an_error_is_raised_at_the_end(session):
    with dspy.context(lm=ScriptedLM([STEPS[0], RuntimeError("down")])):
        paused = session.step("Which?")
        paused.run()
        assert paused.done
        with pytest.raises(ProviderError, match="down"):
            paused.go_on()
    assert session.vars() == {}
