"""The one way to a model: retries, limits in flight, errors, what is recorded."""

import dspy
import pytest
from dspy.lm15 import (
    AuthError,
    ContextLengthError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
)
from dspy.utils.exceptions import AdapterParseError, LMError

from rlm_dspy import RLM, Budget, ConfigurationError, ProviderError, RLMOptions
from rlm_dspy.events import Charged
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400


def limited(retry_after=0.0):
    return RateLimitError("slow down", status=429, retry_after=retry_after)


def run(planner, sub=None, **kwargs):
    with dspy.context(lm=planner):
        return RLM(sub_lm=sub, **kwargs)(context=TEXT, query="q")


def charged(result, role=None):
    return [e for e in result.run.events if isinstance(e, Charged) and role in (None, e.role)]


SUBMIT = code("SUBMIT(answer='a')")
ASK = code(
    "try:\n    SUBMIT(answer=llm_query('x'))\nexcept Exception as e:\n    SUBMIT(answer=str(e))"
)


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_the_users_number_of_retries(failures):
    sub = ScriptedLM([limited()] * failures + ["fine"], num_retries=2)
    result = run(ScriptedLM([ASK]), sub)
    attempts = min(failures + 1, 3)
    assert len(sub.asked) == attempts
    assert [event.error for event in charged(result, "sub_query")] == (
        ["LMRateLimitError"] * min(failures, 3) + [""] * (failures < 3)
    )
    assert result.run.spend.calls == attempts + 1
    assert (result.answer == "fine") is (failures < 3)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (limited(), True),
        (ServerError("broken", status=500, retry_after=0.0), True),
        (AuthError("no key", status=401), False),
        (InvalidRequestError("bad", status=400), False),
        (ContextLengthError("too long", status=400), False),
        (ValueError("a bug of the engine"), False),
    ],
)
def test_only_what_dspy_calls_retryable_is_retried(error, retried):
    sub = ScriptedLM([error, "fine"], num_retries=3)
    result = run(ScriptedLM([ASK]), sub)
    assert (result.answer == "fine") is retried
    assert len(sub.asked) == 1 + retried


def test_retries_are_within_the_budget():
    sub = ScriptedLM([limited()], num_retries=50)
    result = run(ScriptedLM([ASK]), sub, budget=Budget(calls=10))
    assert len(sub.asked) == 10 - 1 - 2
    assert "limit of 10 calls" in result.answer


def test_a_provider_that_is_down_is_raised_from_the_planner():
    lm = ScriptedLM([ServerError("down for good", status=503, retry_after=0.0)], num_retries=1)
    with pytest.raises(ProviderError, match="down for good") as caught:
        run(lm)
    error = caught.value
    assert isinstance(error, LMError)
    assert (error.status, error.model) == (503, "scripted")
    assert error.run.status == "failed"
    assert [event.error for event in error.run.events if isinstance(event, Charged)] == [
        "LMServerError"
    ] * 2
    assert len(lm.asked) == 2


def test_a_provider_that_goes_down_later_gives_the_trajectory():
    lm = ScriptedLM([code("print('found')"), AuthError("key revoked", status=401)])
    with pytest.raises(ProviderError, match="key revoked") as caught:
        run(lm)
    assert "found" in caught.value.run.trajectory[0]["output"]


def test_a_sub_model_that_is_down_is_the_codes_to_see():
    sub = ScriptedLM([AuthError("no key", status=401)])
    result = run(ScriptedLM([code("llm_query('x')"), SUBMIT]), sub)
    assert result.answer == "a"
    assert "no key" in result.trajectory[0]["output"]


def test_extraction_without_a_provider_is_an_empty_partial_answer():
    lm = ScriptedLM(["prose", AuthError("no key", status=401)])
    result = run(lm, max_iters=1)
    assert (result.answer, result.run.status) == (None, "partial")


@pytest.mark.parametrize("most", [1, 3, 32])
def test_concurrency_is_the_budgets(most):
    sub = ScriptedLM(["fine"], seconds=0.02)
    batch = code("llm_query_batched([str(i) for i in range(40)])")
    run(ScriptedLM([batch, SUBMIT]), sub, budget=Budget(concurrency=most))
    assert sub.script.most_in_flight == most
    assert len(sub.asked) == 40


GIBBERISH = "no idea, {]"


@pytest.mark.parametrize("adapter", [None, dspy.ChatAdapter(), dspy.JSONAdapter()])
@pytest.mark.parametrize("route", ["rlm", "direct"])
def test_a_reply_that_cannot_be_parsed_never_escapes(adapter, route):
    with dspy.context(lm=ScriptedLM([GIBBERISH]), adapter=adapter):
        rlm = RLM(
            "context -> n: int, tags: list[int]", max_iters=2, options=RLMOptions(route=route)
        )
        try:
            result = rlm(context=TEXT)
        except AdapterParseError:
            pytest.fail("AdapterParseError escaped")
    assert result.run.status in ("partial", "failed")
    assert (result.n, result.tags) == (None, None)


@pytest.mark.parametrize("adapter", [None, dspy.ChatAdapter(), dspy.JSONAdapter()])
def test_a_plain_text_sub_model_needs_one_call(adapter):
    sub = ScriptedLM(["just text"])
    with dspy.context(adapter=adapter):
        lm = ScriptedLM(
            [
                "[[ ## code ## ]]\nSUBMIT(answer=llm_query('x'))\n\n[[ ## completed ## ]]"
                if not isinstance(adapter, dspy.JSONAdapter)
                else '{"reasoning": "", "code": "SUBMIT(answer=llm_query(\'x\'))"}'
            ]
        )
        result = run(lm, sub)
    assert result.answer == "just text"
    assert len(sub.asked) == 1


@pytest.mark.parametrize("route", ["rlm", "direct"])
def test_an_adapter_with_an_lm_of_its_own_is_refused_before_anything_is_asked(route):
    lm, own = ScriptedLM([SUBMIT]), ScriptedLM(["a"], model="own")
    with (
        dspy.context(adapter=dspy.TwoStepAdapter(own)),
        pytest.raises(ConfigurationError, match=r"TwoStepAdapter .*'own'.*ChatAdapter"),
    ):
        run(lm, options=RLMOptions(route=route))
    assert (lm.asked, own.asked) == ([], [])


def test_the_configured_lm_is_used_and_a_predictors_own_wins():
    own = ScriptedLM([SUBMIT], model="own")
    other = ScriptedLM(["never"])
    rlm = RLM()
    rlm.plan.lm = own
    with dspy.context(lm=other):
        result = rlm(context=TEXT, query="q")
    assert (len(own.asked), len(other.asked)) == (1, 0)
    assert result.run.models["main"] == "own"


@pytest.mark.parametrize("lm", ["openai/gpt-4o-mini", 5])
def test_an_lm_that_is_none_is_refused(lm):
    with dspy.context(lm=lm), pytest.raises((ConfigurationError, ValueError), match="LM|lm"):
        RLM()(context=TEXT, query="q")


def test_a_predictor_that_is_only_called():
    class Plain:
        def __call__(self, **inputs):
            return dspy.Prediction(reasoning="r", code="SUBMIT(answer='plain')")

    rlm = RLM()
    rlm.generate_action = Plain()
    with dspy.context(lm=ScriptedLM(["never"])):
        assert rlm(context=TEXT, query="q").answer == "plain"


def test_history_of_sub_queries_is_bounded():
    sub = ScriptedLM(["fine"])
    batch = code("llm_query_batched([str(i) for i in range(40)])")
    run(ScriptedLM([batch, SUBMIT]), sub, options=RLMOptions(inherit_history=5))
    assert len(sub.asked) == 40
    assert len(sub.history) == 5


def test_truncated_tokens_are_asked_for_only_where_they_are_limited():
    lm = ScriptedLM([SUBMIT])
    run(lm)
    assert "max_tokens" not in lm.history[0]["kwargs"]
    lm = ScriptedLM([SUBMIT], max_tokens=333)
    run(lm, budget=Budget(tokens=50_000))
    assert lm.history[0]["kwargs"]["max_tokens"] == 333


@pytest.mark.parametrize("budget", [Budget(tokens=20_000), Budget(tokens=20_000, concurrency=4)])
def test_reservations_in_flight_are_waited_for(budget):
    # 100 worst cases are five times the limit, what is really used is a third of it.
    sub = ScriptedLM(["so " * 40], seconds=0.005)
    batch = "xs = llm_query_batched([str(i) for i in range(100)])\nSUBMIT(answer=str(set(xs)))"
    result = run(ScriptedLM([code(batch)]), sub, budget=budget)
    assert len(sub.asked) == 100
    assert result.answer == str({("so " * 40).strip()})
    assert result.run.spend.tokens < 20_000
