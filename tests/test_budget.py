"""What a budget promises, on the account and end to end."""

import threading

import dspy
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from rlm_dspy import RLM, Budget, BudgetExceeded, ConfigurationError, RLMOptions
from rlm_dspy.account import Account
from rlm_dspy.budget import Usage
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400
ROLES = ["plan", "sub_query", "direct", "extract"]
BATCH = "xs = llm_query_batched([str(i) for i in range(100)])\nprint(sum('ERROR' in x for x in xs))"


@pytest.mark.parametrize("limit", ["dollars", "tokens", "calls", "seconds", "steps"])
@pytest.mark.parametrize("value", [-1, float("nan"), "5", True])
def test_a_wrong_limit_is_named(limit, value):
    with pytest.raises(ConfigurationError, match=rf"Budget\({limit}="):
        Budget(**{limit: value})


@pytest.mark.parametrize("limit", ["depth", "concurrency"])
@pytest.mark.parametrize("value", [0, None])
def test_depth_and_concurrency_are_at_least_one(limit, value):
    with pytest.raises(ConfigurationError, match="at least 1"):
        Budget(**{limit: value})


def test_only_names_are_taken():
    with pytest.raises(TypeError):
        Budget(5)


class AnyOrder(RuleBasedStateMachine):
    """Attempts in any order, none of which uses more than it reserved."""

    open_ones = Bundle("open_ones")
    closed = Bundle("closed")
    budget = Budget(calls=12, tokens=4_000, dollars=0.5, steps=3)

    def __init__(self):
        super().__init__()
        self.account = Account(self.budget)

    @rule(
        target=open_ones,
        role=st.sampled_from(ROLES),
        tokens=st.integers(0, 1_500),
        dollars=st.floats(0, 0.2),
    )
    def reserve(self, role, tokens, dollars):
        asked = {"calls": 1, "tokens": tokens, "dollars": dollars}
        over = [limit for limit in asked if self.account.left(limit, role) < asked[limit]]
        if not over:
            return self.account.reserve(role, tokens=tokens, dollars=dollars)
        before = self.account.spend.calls
        with pytest.raises(BudgetExceeded) as caught:
            self.account.reserve(role, tokens=tokens, dollars=dollars)
        assert caught.value.limit in over
        assert caught.value.asked > caught.value.left
        assert self.account.spend.calls == before
        return None

    @rule(target=closed, held=consumes(open_ones), share=st.floats(0, 1), prompt=st.floats(0, 1))
    def settle(self, held, share, prompt):
        if held is not None:
            used = int(held.tokens * share)
            asked = int(used * prompt)
            self.account.settle(held, Usage(asked, used - asked, dollars=held.dollars * share))
        return held

    @rule(target=closed, held=consumes(open_ones), counts=st.booleans())
    def release(self, held, counts):
        if held is not None:
            self.account.release(held, counts=counts)
        return held

    @rule(held=closed, again=st.sampled_from(["settle", "release", "uncount"]))
    def close_again(self, held, again):
        if held is None:
            return
        before = self.account.spend
        if again == "settle":
            self.account.settle(held, Usage(held.tokens, 0, dollars=held.dollars))
        else:
            self.account.release(held, counts=again == "release")
        after = self.account.spend
        assert (after.calls, after.tokens, after.dollars) == (
            before.calls,
            before.tokens,
            before.dollars,
        )

    @rule()
    def step(self):
        if self.account.spend.steps < 3:
            assert self.account.take_step() == self.account.spend.steps
            return
        with pytest.raises(BudgetExceeded) as caught:
            self.account.take_step()
        assert caught.value.limit == "steps"

    @invariant()
    def nothing_is_exceeded(self):
        spend, slack = self.account.spend, 1e-9
        assert 0 <= spend.calls <= self.budget.calls
        assert 0 <= spend.tokens <= self.budget.tokens
        assert 0 <= spend.dollars <= self.budget.dollars + slack
        assert self.account.left("calls", "extract") >= 0
        assert self.account.left("tokens", "extract") >= 0
        assert self.account.left("dollars", "extract") >= -slack
        assert sum(row["tokens"] for row in spend.by_role.values()) == spend.tokens

    @invariant()
    def others_leave_what_is_held_back(self):
        for limit in ("calls", "tokens", "dollars"):
            held = self.account.held(limit)
            assert held > 0
            whole = self.account.left(limit, "extract")
            assert self.account.left(limit, "plan") == pytest.approx(whole - held)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_the_held_back_part_is_for_extraction_only():
    account = Account(Budget(calls=4, tokens=1_000))
    for _ in range(3):
        account.settle(account.reserve("plan", tokens=250, dollars=0), Usage(200, 50))
    with pytest.raises(BudgetExceeded) as caught:
        account.reserve("plan", tokens=1, dollars=0)
    assert caught.value.limit == "calls"
    assert account.reserve("extract", tokens=250, dollars=0).open
    with pytest.raises(BudgetExceeded):
        account.reserve("extract", tokens=0, dollars=0)


@pytest.mark.parametrize("calls", range(1, 12))
def test_some_call_is_always_left_for_extraction(calls):
    account = Account(Budget(calls=calls))
    while account.left("calls", "plan") >= 1:
        account.reserve("plan", tokens=0, dollars=0)
    assert account.left("calls", "extract") >= 1


def test_cache_hits_are_free_and_counted():
    account = Account(Budget(calls=2))
    for _ in range(5):
        account.release(account.reserve("plan", tokens=5, dollars=0), counts=False)
    assert (account.spend.calls, account.spend.cache_hits) == (0, 5)


def test_no_limits_refuse_nothing():
    account = Account(Budget())
    for _ in range(100):
        account.reserve("plan", tokens=10**9, dollars=1e9)
    assert account.left("tokens", "plan") == float("inf")
    assert account.seconds_left("plan") == float("inf")


def test_time_that_is_up_refuses_whatever_is_asked():
    account = Account(Budget(seconds=0))
    with pytest.raises(BudgetExceeded) as caught:
        account.reserve("extract", tokens=0, dollars=0)
    assert caught.value.limit == "seconds"


def test_many_threads_never_exceed_it():
    account, refused = Account(Budget(calls=101, tokens=5_000)), []

    def work():
        for _ in range(50):
            try:
                held = account.reserve("sub_query", tokens=60, dollars=0)
            except BudgetExceeded:
                refused.append(1)
            else:
                account.settle(held, Usage(30, 10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spend = account.spend
    assert spend.calls + len(refused) == 400
    assert spend.tokens == 40 * spend.calls
    assert 0 < spend.tokens <= 3_750
    assert account.left("tokens", "extract") == 5_000 - spend.tokens


def test_spend_as_plain_data():
    account = Account(Budget())
    held = account.reserve("sub_query", tokens=10, dollars=1)
    account.settle(held, Usage(6, 4, cached_tokens=2, dollars=0.12345678, estimated=True))
    spend = account.spend.as_dict()
    assert spend["sub_tokens"] == 10
    assert spend["cached_tokens"] == 2
    assert spend["dollars"] == 0.123457
    assert spend["estimated_calls"] == 1
    assert spend["by_role"]["sub_query"] == {
        **{"calls": 1, "tokens": 10, "prompt_tokens": 6, "completion_tokens": 4},
        **{"reasoning_tokens": 0, "cached_tokens": 2, "dollars": 0.12345678, "cache_hits": 0},
    }
    assert spend["by_depth"] == {"0": spend["by_role"]["sub_query"]}


# From here on end to end, counted where the models answer.


def run(script, budget, *, sub=None, model="scripted", sub_model="sub", seconds=0.0, **kwargs):
    lm = ScriptedLM(script, model=model)
    sub_lm = ScriptedLM(sub or ["fine"], model=sub_model, seconds=seconds)
    with dspy.context(lm=lm):
        options = RLMOptions(inherit_history=10_000)
        rlm = RLM(sub_lm=sub_lm, budget=budget, options=options, **kwargs)
        result = rlm(context=TEXT, query="q")
    return result, lm, sub_lm


def steps(*sources):
    """A planner that writes these, then something else at each step, and extracts "guess"."""

    def script(asked):
        if "<findings>" in asked.last:
            return "guess"
        return code(
            sources[asked.number] if asked.number < len(sources) else f"print({asked.number})"
        )

    return script


def reported(*lms):
    """The tokens that the models themselves reported."""
    used = [entry["usage"] for lm in lms for entry in lm.history]
    return sum(usage["prompt_tokens"] + usage["completion_tokens"] for usage in used)


@pytest.mark.parametrize("calls", [1, 2, 5, 20, 60])
def test_calls_are_exact_under_a_concurrent_batch(calls):
    result, lm, sub = run([code(BATCH)] * 3 + ["the end"], Budget(calls=calls), seconds=0.01)
    assert len(lm.asked) + len(sub.asked) == result.run.spend.calls <= calls
    assert result.run.status == "partial"
    assert result.run.reason == "calls"
    assert result.answer is not None


def test_what_is_left_of_the_calls_is_used():
    _, _, sub = run([code(BATCH), code("SUBMIT(answer='a')")], Budget(calls=60), seconds=0.01)
    assert len(sub.asked) == 60 - 1 - 2


@pytest.mark.parametrize("tokens", [500, 2_000, 10_000, 40_000])
def test_tokens_are_never_exceeded(tokens):
    script = [code(BATCH)] * 30 + ["the end"]
    result, lm, sub = run(script, Budget(tokens=tokens), sub=["so " * 200], seconds=0.005)
    assert result.run.status == "partial"
    assert result.run.spend.tokens == reported(lm, sub) <= tokens
    assert result.run.spend.estimated_calls == 0


def test_replies_are_kept_to_what_was_reserved():
    _, lm, _ = run([code("SUBMIT(answer='a')")], Budget(tokens=10_000))
    assert lm.history[0]["kwargs"]["max_tokens"] == 1_024


def test_dollars_are_never_exceeded():
    from rlm_dspy.models.prices import price_of

    name, limit = "openai/gpt-4o-mini", 0.002
    price = price_of(name)
    script = [code(BATCH)] * 30 + ["the end"]
    result, lm, sub = run(
        script, Budget(dollars=limit), model=name, sub_model=name, sub=["so " * 200]
    )
    used = [entry["usage"] for one in (lm, sub) for entry in one.history]
    cost = sum(price.cost(row["prompt_tokens"], row["completion_tokens"]) for row in used)
    assert result.run.status == "partial"
    assert result.run.reason == "dollars"
    assert 0 < result.run.spend.dollars <= limit
    assert result.run.spend.dollars == pytest.approx(cost)


@pytest.mark.parametrize("model", ["scripted", "openai/never-heard-of"])
def test_an_unknown_price_refuses_a_dollar_limit(model):
    with pytest.raises(ConfigurationError, match="price of .* is unknown"):
        run([code("SUBMIT(answer='a')")], Budget(dollars=1), model=model)


def test_a_sub_models_unknown_price_is_said_before_anything_is_spent():
    lm = ScriptedLM([code("SUBMIT(answer='a')")], model="openai/gpt-4o-mini")
    with dspy.context(lm=lm), pytest.raises(ConfigurationError, match="price of 'sub'") as caught:
        RLM(sub_lm=ScriptedLM(["fine"], model="sub"), budget=Budget(dollars=1))(
            context=TEXT, query="q"
        )
    assert not lm.asked
    assert caught.value.run.status == "failed"


def test_a_price_that_is_given_wins():
    prices = {"scripted": (1.0, 10.0), "openai/gpt-4o-mini": (2.0, 20.0)}
    lm = ScriptedLM([code("SUBMIT(answer=ask('q', 't'))")])
    sub = ScriptedLM(["fine"], model="openai/gpt-4o-mini")
    with dspy.context(lm=lm):
        rlm = RLM(sub_lm=sub, budget=Budget(dollars=1), options=RLMOptions(prices=prices))
        spend = rlm(context=TEXT, query="q").run.spend
    for one, role, (prompt, reply) in ((lm, "plan", (1, 10)), (sub, "sub_query", (2, 20))):
        (usage,) = [entry["usage"] for entry in one.history]
        cost = (usage["prompt_tokens"] * prompt + usage["completion_tokens"] * reply) / 1e6
        assert spend.by_role[role]["dollars"] == pytest.approx(cost)


def test_seconds_end_in_a_partial_answer():
    def script(asked):
        return "best guess" if "<findings>" in asked.last else code("xs = llm_query('slow')")

    result, _, sub = run(script, Budget(seconds=2), seconds=30)
    assert (result.answer, result.run.status, result.run.reason) == (
        "best guess",
        "partial",
        "seconds",
    )
    assert result.run.spend.seconds < 2 + 1
    assert len(sub.asked) == 1


def test_seconds_end_a_slow_planner():
    with dspy.context(lm=ScriptedLM(["x"], seconds=30)):
        result = RLM(budget=Budget(seconds=1))(context=TEXT, query="q")
    assert (result.answer, result.run.status, result.run.reason) == (None, "partial", "seconds")
    assert result.run.spend.seconds < 2


def test_steps():
    result, lm, _ = run(steps(), Budget(steps=4))
    assert (result.answer, result.run.status, result.run.reason) == ("guess", "partial", "steps")
    assert result.run.spend.steps == len(result.trajectory) == 4
    assert len(lm.asked) == 5


@pytest.mark.parametrize(
    "budget",
    [
        Budget(calls=0),
        Budget(tokens=0),
        Budget(tokens=60),
        Budget(steps=0),
        Budget(seconds=0),
        Budget(calls=1),
        Budget(calls=1, tokens=100),
    ],
)
def test_a_budget_for_nothing_is_a_partial_answer(budget):
    result, lm, sub = run([code("SUBMIT(answer='a')"), "guess"], budget)
    assert result.run.status == "partial"
    assert result.run.reason in ("calls", "tokens", "steps", "seconds")
    assert len(lm.asked) <= (0 if budget.calls == 0 else 1)
    assert not sub.asked


def test_a_direct_answer_needs_no_more_than_one_call():
    options = RLMOptions(route="direct")
    with dspy.context(lm=ScriptedLM(["direct answer"])):
        result = RLM(budget=Budget(calls=1), options=options)(context="short", query="q")
    assert (result.answer, result.run.status) == ("direct answer", "completed")


def test_exhaustion_keeps_what_was_found():
    def script(asked):
        if "<findings>" in asked.last:
            return "tulip" if "the password is tulip" in asked.last else "nothing"
        return code(f"print({asked.number}, 'the password is ' + 'tulip')")

    result, _, _ = run(script, Budget(calls=9))
    assert (result.answer, result.run.status, result.run.reason) == ("tulip", "partial", "calls")
    assert result.final_reasoning


def test_answers_of_an_unfinished_step_are_kept():
    def script(asked):
        if "<findings>" in asked.last:
            return "tulip" if "from a sub-query: tulip" in asked.last else "nothing"
        return code("a = llm_query('one')\nb = llm_query('two')\nc = llm_query('three')")

    lm, sub = ScriptedLM(script), ScriptedLM(lambda a: "from a sub-query: tulip", seconds=0.7)
    with dspy.context(lm=lm):
        result = RLM(sub_lm=sub, budget=Budget(seconds=2))(context=TEXT, query="q")
    assert (result.answer, result.run.status) == ("tulip", "partial")


def test_a_tree_of_tools_keeps_its_own_budgets():
    def inner(text: str) -> str:
        with dspy.context(lm=ScriptedLM([code("print(1)"), "inner guess"])):
            return RLM(budget=Budget(steps=1))(context=text, query="q").answer

    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=inner('text'))")])):
        result = RLM(tools=[inner], budget=Budget(calls=5))(context=TEXT, query="q")
    assert (result.answer, result.run.status) == ("inner guess", "completed")
