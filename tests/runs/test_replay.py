"""A recorded run, replayed, is the same run: bit for bit, without a model."""

import logging
import math

import dspy
import pytest
from scenarios import result_of, scenarios

from rlm_dspy import RLM
from rlm_dspy.errors import ReplayMismatch, RLMError
from rlm_dspy.events import Executed
from rlm_dspy.rebuilding import replayed
from rlm_dspy.rerunning import load
from rlm_dspy.testing import ScriptedLM, code

SCENARIOS = scenarios()


def again(stored):
    try:
        return replayed(stored)
    except RLMError as error:
        if error.run is None:
            raise
        return error


FAST = {"chance", "each_forgetful", "nested", "tools", "stopped_in_batch", "timeout", "citation"}


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in SCENARIOS]
)
def test_a_replay_is_the_same_run(name, tmp_path):
    outcome = SCENARIOS[name].run()
    stored = load(outcome.run.id)
    stored.save(tmp_path / "run.json.gz")
    replay = again(load(tmp_path / "run.json.gz"))
    assert result_of(replay) == result_of(outcome)


KEY = 'sk-very-"secret"-1234567890'


def size(name: str) -> int:
    return len(name)


def test_a_run_whose_inputs_held_a_key_replays_once_they_are_given_again(monkeypatch):
    monkeypatch.setenv("OTHER_API_KEY", KEY)
    inputs = {"context": f"The key is {KEY} here. " * 300, "query": f"Where is {KEY}?"}
    steps = [
        "print(context[:60], size(context[11:40]))",
        "print(ask(query, context[:90]))",
        "SUBMIT(answer=context[11:40])",
    ]
    sub = ScriptedLM(["fine"], model="sub")
    with dspy.context(lm=ScriptedLM([code(step) for step in steps])):
        rlm = RLM(sub_lm=sub, tools=[size])
        result = rlm(**inputs)
    assert KEY in result.answer
    with pytest.raises(ReplayMismatch, match="'context'.*holds a key.*give it again"):
        rlm.replay(result.run.id)
    with pytest.raises(ReplayMismatch, match="'query'.*holds a key.*give it again"):
        rlm.replay(result.run.id, context=inputs["context"])
    replay = rlm.replay(result.run.id, **inputs)
    assert replay.answer == result.answer
    printed = [event.output for event in replay.run.events if isinstance(event, Executed)]
    assert KEY in printed[0]
    with pytest.raises(ReplayMismatch):
        rlm.replay(result.run.id, context=inputs["context"], query="Where is [secret]?")


def test_an_answer_that_lacks_its_key_is_said(monkeypatch, caplog):
    monkeypatch.setenv("OTHER_API_KEY", KEY)
    with dspy.context(lm=ScriptedLM([code(f"SUBMIT(answer={KEY!r})")])):
        result = RLM()(context="The grass grows. " * 300, query="Which key?")
    assert result.answer == KEY
    with caplog.at_level(logging.WARNING, "rlm_dspy"):
        assert replayed(result.run.id).answer == "[secret]"
    assert f"{result.run.id} held a key, which is not recorded" in caplog.text


def test_what_is_no_number_is_none_again():
    signature = "context, query -> answer: float"
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=float('nan'))")])):
        result = RLM(signature)(context="The grass grows. " * 300, query="How much?")
    assert math.isnan(result.answer)
    assert math.isnan(replayed(result.run.id).answer)
