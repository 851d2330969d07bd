"""A run is its events: frozen, in order, and enough to read the run from."""

import datetime
import json

import dspy
import pytest
from pydantic import ValidationError

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.account import Account
from rlm_dspy.budget import Budget
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import (
    Answered,
    Charged,
    Event,
    Executed,
    Extracted,
    Planned,
    RunEnded,
    RunStarted,
    Submitted,
    SubQueryAnswered,
    SubQueryStarted,
    as_json,
)
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400


def run(steps, *, sub=None, listeners=(), **kwargs):
    with dspy.context(lm=ScriptedLM(steps)):
        rlm = RLM(sub_lm=sub or ScriptedLM(["fine"], model="sub"), **kwargs)
        return rlm.start(listeners=listeners, context=TEXT, query="q").result()


def kinds(result):
    return [event.kind for event in result.run.events]


def test_a_run_in_order():
    result = run([code("print(ask('q', 't'))", "why"), code("SUBMIT(answer='a')")])
    assert kinds(result) == [
        *("run_started", "charged", "planned"),
        *("sub_query_started", "charged", "sub_query_answered", "executed"),
        *("charged", "planned", "executed", "submitted", "run_ended"),
    ]
    assert [event.step for event in result.run.events] == [0] + [1] * 6 + [2] * 5
    times = [event.at for event in result.run.events]
    assert times == sorted(times)
    assert times[0] >= 0


def test_what_they_hold():
    result = run([code("print(ask('which?', 'text'))", "why"), code("SUBMIT(answer='a')")])
    of = {type(event): event for event in reversed(result.run.events)}
    start = of[RunStarted]
    assert (start.model, start.sub_model, start.planned_by) == ("scripted", "sub", "model")
    assert start.inputs == {"context": "Context", "query": "str"}
    assert (of[Planned].reasoning, of[Planned].code) == ("why", "print(ask('which?', 'text'))")
    assert (of[SubQueryStarted].operator, of[SubQueryStarted].question) == ("ask", "which?")
    assert of[SubQueryStarted].characters == len("which?") + len("text")
    assert of[SubQueryAnswered].value == "fine"
    assert of[Executed].output.strip() == "fine"
    assert of[Submitted].outputs == {"answer": "a"}
    assert of[RunEnded].spend["calls"] == 3


def test_the_trajectory_and_the_spend_can_be_read_from_them():
    result = run([code("1 / 0"), code("print(llm_query('x'))"), code("SUBMIT(answer='a')")])
    events = result.run.events
    planned = [e for e in events if isinstance(e, Planned)]
    executed = [e for e in events if isinstance(e, Executed)]
    assert [step["code"] for step in result.trajectory] == [e.code for e in planned]
    assert [e.outcome for e in executed] == ["error", "ok", "submit"]
    for step, event in zip(result.trajectory[:2], executed, strict=False):
        assert step["output"] == event.output
    charged = [e for e in events if isinstance(e, Charged)]
    spend = result.run.spend
    assert sum(e.prompt_tokens + e.completion_tokens for e in charged) == spend.tokens
    assert len(charged) == spend.calls
    assert len(planned) == spend.steps


def test_a_wrong_submission_and_an_extraction():
    result = run([code("SUBMIT(answer=None)"), "guess"], max_iters=1)
    of = {type(event): event for event in result.run.events}
    assert not of[Submitted].accepted
    assert "None" in of[Submitted].error
    assert of[Extracted].outputs == {"answer": "guess"}
    assert of[Extracted].reason == of[RunEnded].reason == "steps"
    assert of[RunEnded].status == "partial"


def test_a_direct_answer():
    with dspy.context(lm=ScriptedLM(["fine"])):
        result = RLM(options=RLMOptions(route="direct"))(context="c", query="q")
    assert kinds(result) == ["run_started", "charged", "answered", "run_ended"]
    assert next(e for e in result.run.events if isinstance(e, Answered)).outputs == {
        "answer": "fine"
    }


def test_listeners_hear_each_as_it_happens():
    heard = []
    result = run([code("SUBMIT(answer='a')")], listeners=(heard.append,))
    assert tuple(heard) == result.run.events


def test_they_are_frozen_and_checked():
    event = Executed(output="o")
    with pytest.raises(ValidationError, match="frozen"):
        event.output = "other"
    with pytest.raises(ValidationError):
        Executed(output="o", outcome="unknown")


def test_they_survive_json():
    result = run([code("print(ask('q', 't'))"), code("SUBMIT(answer='a')")])
    for event in result.run.events:
        assert type(event).model_validate_json(event.model_dump_json()) == event


def test_the_log():
    seen = []
    log = EventLog((seen.append,))
    first = log.append(Planned(reasoning="r", code="c"))
    log.step = 3
    second = log.append(Executed(output="o"))
    third = log.append(Executed(output="p", step=1))
    assert (first.step, second.step, third.step) == (0, 3, 1)
    assert list(log) == seen == [first, second, third]
    assert log.of(Executed) == [second, third]
    assert len(log) == 3
    assert len(log.id) == 12
    assert EventLog().id != log.id


def test_each_kind_has_a_name_of_its_own():
    names = [cls.model_fields["kind"].default for cls in Event.__subclasses__()]
    assert len(set(names)) == len(names)
    assert "" not in names


def test_the_spend_in_the_last_event_is_the_runs():
    result = run([code("SUBMIT(answer='a')")])
    last = result.run.events[-1].spend
    assert {**last, "seconds": 0} == {**result.run.spend.as_dict(), "seconds": 0}
    assert set(last) == set(Account(Budget()).spend.as_dict())


def test_a_charge_names_the_sub_query_that_it_was_for():
    asked = "print(ask_each('q', ['a' * 3000, 'b' * 3000], pack=1), ask('r', 't'))"
    sub = ScriptedLM(lambda asked: "short" if "bbb" in asked.text else "a longer answer")
    result = run([code(asked), code("SUBMIT(answer='a')")], sub=sub)
    charged = [e for e in result.run.events if isinstance(e, Charged)]
    assert [(e.role, e.query) for e in charged if e.role == "plan"] == [("plan", 0)] * 2
    tokens = {e.query: e.completion_tokens for e in charged if e.role == "sub_query"}
    assert set(tokens) == {1, 2, 3}
    assert tokens[2] < tokens[1] == tokens[3]


def test_the_start_names_the_limits_that_are_set():
    result = run([code("SUBMIT(answer='a')")], budget=Budget(calls=9, dollars=None, depth=2))
    assert result.run.events[0].limits == {"calls": 9, "depth": 2, "concurrency": 32}


def test_a_sub_run_names_the_sub_query_that_it_answers():
    def script(asked):
        if "an inner question" in asked.text:
            return code("print(ask('deep', 'text'))\nSUBMIT(answer='in')")
        if asked.number:
            return code("SUBMIT(answer='out')")
        return code(
            "print(ask('first', 'text'))\n"
            "print(rlm_query_batched(['an inner question'] * 2, [context[:3000]] * 2))"
        )

    result = run(script, budget=Budget(depth=2))
    starts = [e for e in result.run.events if isinstance(e, RunStarted)]
    assert [(e.run, e.query, bool(e.limits)) for e in starts] == [
        *(("", 0, True), ("1", 2, False), ("2", 3, False)),
    ]
    inner = [e for e in result.run.events if isinstance(e, Charged) and e.run]
    assert sorted((e.run, e.role, e.query) for e in inner) == [
        *(("1", "plan", 0), ("1", "sub_query", 1), ("2", "plan", 0), ("2", "sub_query", 1)),
    ]


def test_keys_that_json_has_not_are_texts():
    outputs = {"a": {frozenset({1}): "\ud800", datetime.date(2024, 1, 2): 3}}
    told = json.loads(as_json(Submitted(accepted=True, outputs=outputs)))
    assert told["outputs"] == {"a": {"frozenset({1})": "\ud800", "2024-01-02": 3}}
