"""A fork takes from a run what it asked as well, and pays for what is new."""

import re
from collections import Counter

import dspy
import pytest

from rlm_dspy import RLM, Budget, RLMOptions
from rlm_dspy.errors import StoreError
from rlm_dspy.events import Charged
from rlm_dspy.rerunning import load
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300
ASK = "xs = [ask('Which?', line) for line in context.splitlines()[:3]]\nprint(xs)"


def planner(asked):
    if len(asked.turns) == 1:
        return code(ASK)
    return code("SUBMIT(answer=' '.join(xs))")


class Program:
    def __init__(self, plan=planner, model="planner"):
        self.paid = Counter()

        def counted(script, name):
            def reply(asked):
                self.paid[name] += 1
                return script(asked)

            return reply

        self.lm = ScriptedLM(counted(plan, "plan"), model=model)
        self.rlm = RLM(sub_lm=ScriptedLM(counted(self.answer, "sub"), model="sub"))

    @staticmethod
    def answer(asked):
        return re.search(r"line \d", asked.last)[0]

    def run(self, **inputs):
        with dspy.context(lm=self.lm):
            return self.rlm(**inputs)

    def fork(self, run_id, **given):
        with dspy.context(lm=self.lm):
            return self.rlm.fork(run_id, **given)


LINES = "\n".join(f"line {number} {TEXT}" for number in range(3))


@pytest.fixture(scope="module")
def first():
    return Program().run(context=LINES, query="q")


def test_the_same_again_costs_nothing(first):
    program = Program()
    forked = program.fork(first.run.id)
    assert forked.answer == first.answer
    assert not program.paid
    assert forked.run.id != first.run.id
    assert (forked.run.spend.calls, forked.run.spend.cache_hits) == (0, first.run.spend.calls)
    assert forked.run.spend.tokens == 0
    assert load(forked.run.id).row.parent == first.run.id


def test_from_a_step_on_the_planner_is_asked_anew(first):
    def otherwise(asked):
        return code("SUBMIT(answer='otherwise ' + xs[0])")

    program = Program(otherwise)
    forked = program.fork(first.run.id, at=2)
    assert forked.answer == "otherwise line 0"
    assert program.paid == {"plan": 1}


def test_its_limits_are_for_what_it_asks_itself(first):
    program = Program(lambda asked: code("SUBMIT(answer='otherwise ' + xs[0])"))
    most = first.run.spend.calls
    program.rlm.budget = Budget(calls=most, tokens=first.run.spend.tokens)
    forked = program.fork(first.run.id, at=2)
    assert (forked.answer, forked.run.status) == ("otherwise line 0", "completed")
    paid = [e for e in forked.run.events if isinstance(e, Charged) and not e.cache_hit]
    assert (forked.run.spend.calls, len(paid)) == (1, 1)
    assert forked.run.spend.tokens == sum(e.prompt_tokens + e.completion_tokens for e in paid)
    replay = program.rlm.replay(forked.run.id)
    assert replay.run.spend.by_role == forked.run.spend.by_role


def test_another_planner_pays_for_the_plan_and_not_for_the_same_sub_queries(first):
    program = Program(model="another")
    forked = program.fork(first.run.id)
    assert forked.answer == first.answer
    assert program.paid == {"plan": 2}


def test_another_context_pays_for_what_changed_in_it(first):
    program = Program()
    changed = LINES.replace("line 1", "line 7", 1)
    forked = program.fork(first.run.id, context=changed)
    assert forked.answer == "line 0 line 7 line 2"
    assert program.paid["sub"] == 1


def test_a_fork_can_be_replayed_by_itself(first):
    program = Program()
    forked = program.fork(first.run.id, at=2)
    replay = program.rlm.replay(forked.run.id)
    assert replay.run.events == forked.run.events
    charged = [e for e in forked.run.events if isinstance(e, Charged)]
    assert [e.cache_hit for e in charged] == [True] * 4 + [False]


def test_a_run_without_texts_cannot_be_forked():
    program = Program()
    program.rlm.options = RLMOptions(record="metadata")
    result = program.run(context=LINES, query="q")
    with pytest.raises(StoreError, match="without its texts"):
        program.fork(result.run.id)
