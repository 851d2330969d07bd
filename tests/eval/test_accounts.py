"""Every call of a metered model is counted, bounded and, after a kill, not paid again."""

import asyncio
import contextlib
import copy
import time
import uuid

import dspy
import pytest
from dspy.lm15 import BillingError, ContextLengthError
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.accounts import Account
from eval.journal import Journal
from eval.meter import metered
from eval.purse import Prices, Purse
from rlm_dspy import RLM, BudgetExceeded, ConfigurationError, resolve_lm
from rlm_dspy.testing import ScriptedLM, code

PRICES = Prices({"scripted": (10.0, 20.0)})
STEPS = [
    code("print(len(context))"),
    code("answers = ask_each('Which?', list(context[:8]))\nSUBMIT(answer=str(len(answers)))"),
]
TEXT = "abcdefgh" * 500


def planned(asked):
    if "Functions, already defined:" not in asked.system:
        return "yes"
    return STEPS[sum(role == "assistant" for role, _ in asked.turns)]


def ran(account, script=planned, **options):
    lm = ScriptedLM(script, **options)
    with dspy.context(lm=metered(lm, account)):
        return lm, RLM()(context=TEXT, query="Which?")


def test_it_counts_what_a_run_counts():
    account = Account(Purse(None, PRICES))
    lm, result = ran(account)
    spend, bill = result.run.spend, account.bill
    assert result.answer == "8"
    assert bill.calls == spend.calls == len(lm.asked) == 10
    assert (bill.prompt_tokens, bill.completion_tokens) == (
        spend.prompt_tokens,
        spend.completion_tokens,
    )
    assert bill.dollars == pytest.approx(account.purse.spent)
    assert bill.dollars == pytest.approx(
        (bill.prompt_tokens * 10 + bill.completion_tokens * 20) / 1e6
    )
    assert bill.estimated_calls == 0


def test_a_run_with_a_limit_is_the_same_run():
    """Waiting for reservations refuses nothing that the money allows."""
    account = Account(Purse(0.2, PRICES))
    _, result = ran(account)
    assert (result.answer, account.bill.calls, account.refused) == ("8", 10, "")


def test_sync_async_copies_and_deep_copies_charge_the_same_account():
    account = Account(Purse())
    lm = metered(ScriptedLM(["yes"]), account)
    lm("Hello")
    asyncio.run(lm.acall("Hello"))
    lm.copy(rollout_id=1, temperature=1.0)("Hello")
    program = dspy.Predict("question -> answer")
    program.lm = lm.copy()
    copy.deepcopy(account)
    with pytest.raises(Exception, match="answer"):  # the reply is no field: two calls, all counted
        program(question="Hello")
    assert account.bill.calls == 5
    assert isinstance(lm, ScriptedLM)


def test_what_dspys_cache_answers_is_free():
    account = Account(Purse(None, PRICES))
    lm = metered(ScriptedLM(["yes"], cache=True, model=f"scripted-{uuid.uuid4()}"), account)
    lm("Hello")
    bill = account.bill
    assert lm("Hello") == ["yes"]
    assert (account.bill, len(lm.asked)) == (bill, 1)


def test_the_cache_answers_runs_as_well():
    account = Account(Purse())
    options = {"cache": True, "model": f"scripted-{uuid.uuid4()}"}
    ran(account, **options)
    bill = account.bill
    lm, result = ran(account, **options)
    assert (account.bill, lm.asked, result.run.spend.calls) == (bill, [], 0)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 0.05), st.integers(1, 200), st.booleans())
def test_dollars_are_never_exceeded(limit, length, at_once):
    purse = Purse(limit, PRICES)
    lm = metered(ScriptedLM(["x" * length], max_tokens=50), Account(purse))

    async def many():
        await asyncio.gather(*(lm.acall(f"Hello {n}") for n in range(12)), return_exceptions=True)

    if at_once:
        asyncio.run(many())
    else:
        for number in range(12):
            with contextlib.suppress(BudgetExceeded):
                lm(f"Hello {number}")
    assert purse.spent <= limit


def test_a_reply_without_a_limit_gets_one_where_dollars_are_limited():
    lm = metered(ScriptedLM(["x" * 100_000]), Account(Purse(1.0, PRICES)))
    assert len(lm("Hello")[0]) < 4 * 4_096
    lm = metered(ScriptedLM(["x" * 100_000]), Account(Purse()))
    assert len(lm("Hello")[0]) == 100_000


def test_an_unknown_price_is_refused_before_any_call():
    with pytest.raises(ConfigurationError, match="price of 'unpriced/model' is unknown"):
        metered(ScriptedLM(["yes"], model="unpriced/model"), Account(Purse(1.0)))


@pytest.mark.parametrize(
    ("error", "estimated"),
    [
        (ContextLengthError("too long"), 0),
        (BillingError("no money"), 0),
        (ConnectionRefusedError("nobody there"), 0),
        (RuntimeError("cut off"), 1),
    ],
)
def test_a_failed_call_costs_nothing_where_it_was_refused_and_else_its_worst_case(error, estimated):
    account = Account(Purse(1.0, PRICES))
    lm = metered(ScriptedLM([error], num_retries=0, max_tokens=100), account)
    with pytest.raises(Exception, match=str(error)):
        lm("Hello")
    assert account.bill.estimated_calls == account.bill.calls == estimated
    assert (account.purse.spent > 0) == bool(estimated)
    assert len(account.troubles) == 1


class Silent(ScriptedLM):
    """A provider that answers without any choice."""

    def __call__(self, *args, **kwargs):
        super().__call__(*args, **kwargs)
        return []


def test_an_answer_without_a_choice_is_a_trouble_and_is_paid(tmp_path):
    journal = Journal(tmp_path / "calls.jsonl")
    account = Account(Purse(None, PRICES), journal=journal)
    with pytest.raises(dspy.LMError, match="scripted answered without a choice"):
        metered(Silent(["yes"]), account)("Hello")
    assert (account.bill.calls, len(account.troubles)) == (1, 1)
    again = Account(Purse(None, PRICES), journal=Journal(tmp_path / "calls.jsonl"))
    assert metered(ScriptedLM(["yes"]), again)("Hello") == ["yes"]


def test_a_trouble_that_is_over_is_forgotten():
    account = Account(Purse())
    lm = metered(ScriptedLM([RuntimeError("cut off"), "yes"], num_retries=0), account)
    with pytest.raises(Exception, match="cut off"):
        lm("Hello")
    assert account.troubles
    assert lm("Hello") == ["yes"]
    assert not account.troubles


def test_nothing_starts_after_the_time():
    account = Account(Purse(), until=time.monotonic() - 1)
    with pytest.raises(BudgetExceeded, match="time is over"):
        metered(ScriptedLM(["yes"]), account)("Hello")
    assert (account.refused, account.bill.calls) == ("seconds", 0)


async def test_a_closed_account_counts_what_is_under_way_at_its_worst(tmp_path):
    journal = Journal(tmp_path / "calls.jsonl")
    account = Account(Purse(None, PRICES), journal=journal)
    lm = metered(ScriptedLM(["yes"], seconds=0.2, max_tokens=100), account)
    call = asyncio.ensure_future(lm.acall("Hello"))
    await asyncio.sleep(0.05)
    bill = account.close()
    assert (bill.calls, bill.estimated_calls) == (1, 1)
    await call
    assert Journal(tmp_path / "calls.jsonl").bill.dollars == pytest.approx(bill.dollars)
    with pytest.raises(BudgetExceeded):
        await lm.acall("Hello")


def test_models_that_stand_in_for_others_are_metered_each(tmp_path):
    journal = Journal(tmp_path / "calls.jsonl")
    account = Account(Purse(None, PRICES), journal=journal)
    broken = ScriptedLM([RuntimeError("out of order")] * 9, num_retries=0)
    lm = resolve_lm([broken, ScriptedLM(planned)])
    with dspy.context(lm=metered(lm, account)):
        result = RLM()(context=TEXT, query="Which?")
    assert result.answer == "8"
    assert account.bill.calls == result.run.spend.calls
    assert account.bill.dollars > 0
    lm = resolve_lm([ScriptedLM(["yes"]), ScriptedLM(["yes"], model="unpriced/model")])
    with pytest.raises(ConfigurationError, match="price of 'unpriced/model'"):
        metered(lm, Account(Purse(1.0, PRICES)))


def test_a_call_that_retried_is_charged_whatever_it_ended_in():
    account = Account(Purse(None, PRICES))
    lm = metered(ScriptedLM([ConnectionRefusedError("down")] * 9, num_retries=2), account)
    lm.retry_delay = 0
    with pytest.raises(dspy.LMError):
        lm("Hello")
    assert account.bill.estimated_calls == 1


def test_a_call_that_is_cancelled_is_charged():
    account = Account(Purse(None, PRICES))
    lm = metered(ScriptedLM(["yes"], seconds=5, max_tokens=100), account)

    async def cancelled():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lm.acall("Hello"), 0.05)

    asyncio.run(cancelled())
    assert account.bill.estimated_calls == 1
    assert account.bill.dollars > 0  # without a limit too


def test_a_run_begun_again_is_answered_from_its_journal(tmp_path):
    def account():
        return Account(Purse(None, PRICES), journal=Journal(tmp_path / "one.jsonl"))

    first = account()
    lm, result = ran(first)
    again = account()
    other, same = ran(again)
    assert (len(lm.asked), len(other.asked)) == (10, 0)
    assert same.trajectory == result.trajectory
    assert again.bill == first.bill
    assert again.purse.spent == 0.0  # paid before


def test_a_run_that_broke_off_is_answered_as_far_as_it_came(tmp_path):
    def account():
        return Account(Purse(None, PRICES), journal=Journal(tmp_path / "one.jsonl"))

    def breaking(asked):
        return RuntimeError("killed") if asked.number >= 4 else planned(asked)

    ran(account(), breaking, num_retries=0)
    lm, result = ran(account())
    assert result.answer == "8"
    assert len(lm.asked) == 6
