"""Sub-models: one, several that stand in for each other, several by name."""

import copy

import dspy
import pytest
from dspy.lm15 import AuthError, ServerError

from rlm_dspy import RLM, Budget, ConfigurationError, RLMOptions
from rlm_dspy.events import Charged
from rlm_dspy.models.several import SubModels, sub_models
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400


def run(source, sub_lm, **kwargs):
    planner = ScriptedLM([code(source), code("SUBMIT(answer='given up')")])
    with dspy.context(lm=planner):
        return RLM(sub_lm=sub_lm, **kwargs)(context=TEXT, query="q"), planner


def broken(**kwargs):
    return ScriptedLM([AuthError("no key", status=401)], model="broken", **kwargs)


def test_code_chooses_by_name():
    fast, careful = ScriptedLM(["fast"], model="f"), ScriptedLM(["careful"], model="c")
    source = (
        "SUBMIT(answer=str([ask('q', 't'), ask('q', 't', model='careful'), "
        "ask_each('q', ['t'], model='careful'), llm_query('q', model='careful'), "
        "llm_query_batched(['q'], model='fast'), combine('q', ['a', 'b'], model='careful')]))"
    )
    result, planner = run(source, {"fast": fast, "careful": (careful, "for what is hard")})
    assert result.answer == ("['fast', 'careful', ['careful'], 'careful', ['fast'], 'careful']")
    assert "'fast', 'careful' (for what is hard)" in planner.asked[0].system
    assert result.run.models["sub"] == "f, c"


def test_keep_asks_the_one_that_is_named():
    yes, no = ScriptedLM(["yes"]), ScriptedLM(["no"])
    source = "SUBMIT(answer=str([keep('q', ['a']), keep('q', ['a'], model='no')]))"
    result, _ = run(source, {"yes": yes, "no": no})
    assert result.answer == "[['a'], []]"


@pytest.mark.parametrize("sub", [ScriptedLM(["fine"]), {"fast": ScriptedLM(["fine"])}])
def test_a_name_that_is_none_is_told(sub):
    result, planner = run("ask('q', 't', model='slow')", sub)
    assert "there is no model 'slow': leave model= out" in result.trajectory[0]["output"]
    assert "model=" not in planner.asked[0].system
    two = {"fast": ScriptedLM(["fine"]), "careful": ScriptedLM(["fine"])}
    result, _ = run("ask('q', 't', model='slow')", two)
    assert "there is no model 'slow': 'fast', 'careful'" in result.trajectory[0]["output"]


def test_the_next_one_stands_in_and_every_attempt_counts():
    first = ScriptedLM(
        [ServerError("down", status=500, retry_after=0.0)], model="first", num_retries=2
    )
    last = ScriptedLM(["fine"], model="last")
    result, _ = run("SUBMIT(answer=ask('q', 't'))", [first, broken(), last])
    assert result.answer == "fine"
    charged = [e for e in result.run.events if isinstance(e, Charged) and e.role == "sub_query"]
    assert [event.model for event in charged] == ["first"] * 3 + ["broken", "last"]
    assert result.run.spend.calls == 6


def test_where_all_fail_the_last_ones_error_is_told():
    result, _ = run("ask('q', 't')", [ScriptedLM([ValueError("a")]), broken()])
    assert "no key" in result.trajectory[0]["output"]


def test_the_calls_of_all_are_within_one_budget():
    lms = [broken(), ScriptedLM(["fine"], model="last")]
    source = "SUBMIT(answer=str(sum('ERROR' in x for x in llm_query_batched(['a'] * 20))))"
    result, _ = run(source, lms, budget=Budget(calls=11, concurrency=1))
    assert sum(len(lm.asked) for lm in lms) == 11 - 1 - 2
    assert result.answer == "16"


def test_each_ones_price_must_be_known():
    priced, unknown = "openai/gpt-4o-mini", ScriptedLM(["fine"], model="unknown")
    given = {
        "a": ScriptedLM(["fine"], model=priced),
        "b": [ScriptedLM([""], model=priced), unknown],
    }
    planner = ScriptedLM([code("SUBMIT(answer='a')")], model=priced)
    with dspy.context(lm=planner):
        with pytest.raises(ConfigurationError, match="price of 'unknown'"):
            RLM(sub_lm=given, budget=Budget(dollars=1))(context=TEXT, query="q")
        options = RLMOptions(prices={"unknown": (1, 2)})
        rlm = RLM(sub_lm=given, budget=Budget(dollars=1), options=options)
        assert rlm(context=TEXT, query="q").answer == "a"


def test_copies_of_a_module_share_them():
    rlm = RLM(sub_lm={"a": ScriptedLM(["fine"]), "b": ScriptedLM(["fine"])})
    assert copy.deepcopy(rlm).sub_lm is rlm.sub_lm
    assert isinstance(rlm.sub_lm, SubModels)


def test_one_alone_stays_what_it_is():
    lm = ScriptedLM(["fine"])
    assert sub_models(lm) is lm
    assert sub_models(None) is None
    assert list(sub_models([lm])) == [lm]


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        {"fast": []},
        {"not a name": ScriptedLM(["fine"])},
        {5: ScriptedLM(["fine"])},
        {"fast": (ScriptedLM(["fine"]), ScriptedLM(["fine"]))},
        {"fast": 5},
        [5],
        5,
    ],
)
def test_what_is_no_model_is_refused(given):
    with pytest.raises(ConfigurationError):
        RLM(sub_lm=given)
