"""Modules and adapters that know blocking calls alone take the place of the run's own."""

import json
import threading
import uuid

import dspy
import pytest

from rlm_dspy import RLM, Budget, ProviderError
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The ship is the Grey Heron. " * 300
ASK = code("SUBMIT(answer=llm_query('Which ship?'))")


def planned(asked):
    return ASK if "SUBMIT(" in asked.system else "the Grey Heron"


class Blocking(dspy.Module):
    """Has `forward` alone."""

    def __init__(self, predictor):
        super().__init__()
        self.inner = predictor
        self.seen = []

    def forward(self, **inputs):
        self.seen.append((dspy.settings.lm.model, threading.current_thread().name))
        return self.inner(**inputs)


def answered(rlm, lm):
    with dspy.context(lm=lm):
        return rlm(context=TEXT, query="Which ship?")


@pytest.mark.parametrize("name", ["plan", "generate_action", "sub_query"])
def test_a_module_with_forward_alone_runs_in_a_thread(name):
    rlm, lm = RLM(), ScriptedLM(planned)
    module = Blocking(getattr(rlm, name))
    setattr(rlm, name, module)
    result = answered(rlm, lm)
    assert (result.answer, result.run.status) == ("the Grey Heron", "completed")
    assert [model for model, _ in module.seen] == ["scripted"]
    assert "rlm-loop" not in {thread for _, thread in module.seen}
    assert result.run.spend.calls == len(lm.asked) == 2


@pytest.mark.parametrize("wrap", [Blocking, lambda predictor: dspy.BestOfN(predictor, 1, one, 1)])
def test_it_may_be_asked_for_a_type(wrap):
    def script(asked):
        if "SUBMIT(" in asked.system:
            return code("SUBMIT(answer=str(1 + ask('How many?', 'text', returns=int)))")
        return "41"

    rlm = RLM()
    rlm.sub_query = wrap(rlm.sub_query)
    assert answered(rlm, ScriptedLM(script)).answer == "42"


def one(args, prediction):
    return 1.0


def none(args, prediction):
    return 0.0


@pytest.mark.parametrize("name", ["plan", "sub_query"])
def test_best_of_n_makes_attempts_that_differ(name):
    rlm, lm = RLM(), ScriptedLM(planned, cache=True, model=f"scripted-{uuid.uuid4()}")
    setattr(rlm, name, dspy.BestOfN(getattr(rlm, name), 3, none, 1.0))
    result = answered(rlm, lm)
    assert result.answer == "the Grey Heron"
    assert result.run.spend.calls == len(lm.asked) == 4
    asked = [each for each in lm.asked if ("SUBMIT(" in each.system) == (name == "plan")]
    assert len(asked) == 3


def test_the_budget_limits_its_attempts():
    rlm, lm = RLM(budget=Budget(calls=3)), ScriptedLM(planned)
    rlm.plan = dspy.BestOfN(rlm.plan, 9, none, 1.0, fail_count=99)
    result = answered(rlm, lm)
    assert (result.run.status, result.run.reason) == ("partial", "calls")
    assert len(lm.asked) <= 3


def test_one_that_gives_nothing_does_not_answer():
    class Nothing(dspy.Module):
        def forward(self, **inputs):
            return None

    rlm = RLM()
    rlm.plan = Nothing()
    with pytest.raises(ProviderError, match="Nothing gave no prediction"):
        answered(rlm, ScriptedLM(planned))


def test_an_lm_that_was_set_on_it_is_asked_and_metered():
    rlm, lm = RLM(), ScriptedLM(planned, model="set")
    rlm.plan, rlm.sub_query = Blocking(rlm.plan), Blocking(rlm.sub_query)
    rlm.set_lm(lm)
    result = rlm(context=TEXT, query="Which ship?")
    assert result.answer == "the Grey Heron"
    assert result.run.models == {"main": "set", "sub": "set"}
    assert result.run.spend.calls == len(lm.asked) == 2


class ByCall(dspy.ChatAdapter):
    """Overrides `__call__` alone."""

    threads: list[str] = []

    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        self.threads.append(threading.current_thread().name)
        signature = signature.with_instructions(f"{signature.instructions} HOUSE STYLE")
        return super().__call__(lm, lm_kwargs, signature, demos, inputs)


class Both(ByCall):
    async def acall(self, lm, lm_kwargs, signature, demos, inputs):
        return await super().acall(lm, lm_kwargs, signature, demos, inputs)


def marked(asked):
    return (
        "[[ ## reasoning ## ]]\n.\n\n[[ ## code ## ]]\nSUBMIT(answer='a')\n\n[[ ## completed ## ]]"
    )


@pytest.mark.parametrize("adapter", [ByCall(), Both()])
def test_an_adapter_is_asked_by_the_newer_of_its_two_sides(adapter):
    lm = ScriptedLM(marked)
    ByCall.threads.clear()
    with dspy.context(adapter=adapter):
        result = answered(RLM(), lm)
    assert result.answer == "a"
    assert result.run.spend.calls == 1
    assert ("HOUSE STYLE" in lm.asked[0].text) is (type(adapter) is ByCall)
    assert len(ByCall.threads) == (type(adapter) is ByCall)
    assert "rlm-loop" not in ByCall.threads


def test_the_advice_of_refine_reaches_the_planner():
    def script(asked):
        if "advice" in asked.system:
            advice = json.dumps({"plan": "LOOK AT THE END"})
            return f"[[ ## discussion ## ]]\n.\n\n[[ ## advice ## ]]\n{advice}"
        return marked(asked)

    lm = ScriptedLM(script)
    with dspy.context(lm=lm):
        dspy.Refine(RLM(), 2, none, 1.0)(context=TEXT, query="Which ship?")
    first, _, second = [asked.text for asked in lm.asked]
    assert "LOOK AT THE END" not in first
    assert "LOOK AT THE END" in second
