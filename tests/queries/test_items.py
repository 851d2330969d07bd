"""Every item is answered exactly once, in order, or said to be missing."""

import asyncio
import random

import dspy
import pytest
from dspy.lm15 import AuthError, ContextLengthError, InvalidRequestError
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import answered, items_of

from rlm_dspy.account import Account
from rlm_dspy.budget import Budget
from rlm_dspy.errors import SubQueryError
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Charged, SubQueryAnswered, SubQueryStarted
from rlm_dspy.missing import Missing
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.items import each
from rlm_dspy.queries.operators import Operators
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.signatures import LeanPredict, SubQuery
from rlm_dspy.testing import ScriptedLM


def operators(lm, *, budget=None, predictor=None, **options):
    """The operators of a run without a planner, and its log."""
    log = EventLog()
    scheduler = Scheduler(Account(budget or Budget()), log, RLMOptions(**options))

    async def effect(perform):
        return log.append(await perform())

    found = Operators(scheduler, log, effect, predictor or LeanPredict(SubQuery), lm, None)
    return found, log


def value_of(text):
    return int(text.split()[-1]) * 7


def spoiled(draw, share):
    """Drops, doubles and renumbers a share of a pack's answers."""

    def spoil(pairs):
        told = []
        for number, value in pairs:
            fate = draw.choice(["drop", "double", "renumber"]) if draw.random() < share else ""
            if fate == "drop":
                continue
            told.append((number + draw.choice([-1, 1, 3]) if fate == "renumber" else number, value))
            if fate == "double":
                told.append((number, draw.choice([value, value + 1])))
        draw.shuffle(told)
        return told

    return spoil


async def test_ten_thousand_items_and_a_model_that_spoils_a_twentieth_of_its_answers():
    draw = random.Random(5)
    spoil = spoiled(draw, 0.05)
    lm = ScriptedLM(lambda asked: answered(asked, value_of, spoil))
    ask, _ = operators(lm)
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(10_000)], int)
    # A renumbered answer that takes the place of a dropped one cannot be told from a right one.
    assert len(answers) == 10_000
    assert all(type(answer) is int for answer in answers)
    wrong = sum(answer != 7 * n for n, answer in enumerate(answers))
    assert wrong <= 10
    assert len(lm.asked) < 1_000


@given(st.integers(0, 2**32), st.floats(0, 0.6), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_no_answer_is_lost_or_doubled(seed, share, count):
    draw = random.Random(seed)
    lm = ScriptedLM(lambda asked: answered(asked, value_of, spoiled(draw, share)))

    async def run():
        ask, _ = operators(lm)
        return await ask.ask_each("Which?", [f"item {n}" for n in range(count)], int, pack=10)

    answers = asyncio.run(run())
    assert len(answers) == count
    assert all(type(answer) is int for answer in answers)


def dropping(*lost):
    """A model that leaves these items out of packs."""

    def script(asked):
        return answered(asked, value_of, lambda pairs: [p for p in pairs if p[1] // 7 not in lost])

    return ScriptedLM(script)


async def test_only_what_is_missing_is_asked_again_and_in_smaller_packs():
    lm = dropping(3, 40, 41, 42, 43)
    ask, log = operators(lm)
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(64)], int)
    assert answers == [7 * n for n in range(64)]
    sizes = [event.items for event in log.of(SubQueryStarted)]
    first = [size for size in sizes if size > 8]
    assert sum(first) == 64
    assert 64 + 5 < sum(sizes) <= 64 + 5 + 5 + 5
    assert max(sizes[len(first) :]) <= 8
    missing = [e.missing for e in log.of(SubQueryAnswered) if e.missing]
    assert sum(map(len, missing[: len(first)])) >= 5


async def test_a_model_that_cannot_do_packs_is_asked_one_by_one_soon():
    def script(asked):
        return "I cannot do that." if items_of(asked) else answered(asked, value_of)

    lm = ScriptedLM(script)
    ask, log = operators(lm)
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(100)], int)
    assert answers == [7 * n for n in range(100)]
    assert {event.items for event in log.of(SubQueryStarted) if event.items < 8} == {1}
    assert len(lm.asked) < 100 + 15


async def test_few_items_and_long_items_are_asked_alone():
    lm = ScriptedLM(lambda asked: answered(asked, lambda text: len(text)))
    ask, _ = operators(lm)
    await ask.ask_each("Length?", [f"item {n}" for n in range(10)], int)
    assert len(lm.asked) == 10
    texts = [f"{n} " + "x" * 1_000 for n in range(30)] + [f"short {n}" for n in range(30)]
    assert await ask.ask_each("Length?", texts, int) == [len(text) for text in texts]
    alone = [asked for asked in lm.asked[10:] if not items_of(asked)]
    assert len(alone) == 30


async def test_equal_items_are_asked_once_where_answers_may_be_shared():
    def ask_both(cache):
        lm = ScriptedLM(lambda asked: answered(asked, len), cache=cache, model=f"m{cache}")
        return lm, operators(lm)[0]

    items = ["aa", "b", "aa", "ccc"] * 20
    shared, ask = ask_both(True)
    assert await ask.ask_each("Length?", items, int) == [2, 1, 2, 3] * 20
    assert sum(max(len(items_of(asked)), 1) for asked in shared.asked) == 3
    single, ask = ask_both(False)
    assert await ask.ask_each("Length?", items, int) == [2, 1, 2, 3] * 20
    assert sum(max(len(items_of(asked)), 1) for asked in single.asked) == 80


async def test_what_is_malformed_is_asked_again_at_last_with_what_was_wrong():
    def script(asked):
        if items_of(asked):
            return answered(asked, lambda text: "many" if text == "item 7" else value_of(text))
        if "Answered before: 'many'" in asked.last:
            return "49"
        return "many"

    lm = ScriptedLM(script)
    ask, _ = operators(lm)
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(20)], int)
    assert answers == [7 * n for n in range(20)]


async def test_an_item_that_stays_malformed_is_missing_alone():
    def script(asked):
        return answered(asked, lambda text: "many" if "item 7" in text else value_of(text))

    ask, _ = operators(ScriptedLM(script))
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(20)], int)
    assert [n for n, a in enumerate(answers) if isinstance(a, Missing)] == [7]
    assert answers[7].reason == "the model's answer is not of type int"


@pytest.mark.parametrize(
    "error",
    [
        ContextLengthError("too long", status=400),
        InvalidRequestError("content filtered", status=400),
    ],
)
async def test_a_refused_pack_is_divided_until_the_one_is_found(error):
    def script(asked):
        return error if "item 13\n" in f"{asked.last}\n" else answered(asked, value_of)

    ask, _ = operators(ScriptedLM(script))
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(40)], int)
    assert [n for n, a in enumerate(answers) if isinstance(a, Missing)] == [13]


async def test_a_provider_that_fails_costs_its_items_and_no_more():
    def script(asked):
        return (
            AuthError("no key", status=401)
            if "item 13\n" in asked.last
            else answered(asked, value_of)
        )

    lm = ScriptedLM(script)
    ask, log = operators(lm)
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(200)], int)
    lost = [n for n, a in enumerate(answers) if isinstance(a, Missing)]
    assert 13 in lost
    assert len(lost) <= 32
    assert "no key" in answers[13].reason
    assert sum(event.error != "" for event in log.of(Charged)) == 1


async def test_nothing_answered_is_an_error():
    ask, _ = operators(ScriptedLM([AuthError("no key", status=401)]))
    with pytest.raises(SubQueryError, match="no key"):
        await ask.ask_each("Which?", [f"item {n}" for n in range(40)], int)


async def test_a_limit_in_the_middle_leaves_what_was_answered():
    lm = ScriptedLM(lambda asked: answered(asked, value_of), seconds=0.001)
    ask, log = operators(lm, budget=Budget(calls=20, concurrency=4))
    answers = await ask.ask_each("Which?", [f"item {n}" for n in range(500)], int, pack=1)
    lost = [a for a in answers if isinstance(a, Missing)]
    assert [a for a in answers if a or a == 0] == [7 * n for n in range(18)]
    assert len(lost) == 500 - 18
    assert all("limit of 20 calls" in missing.reason for missing in lost)
    assert len(log.of(SubQueryStarted)) < 40  # what is refused once is not asked again


async def test_the_first_packs_are_the_same_whatever_failed_before():
    items = [f"item {n}" for n in range(200)]
    first, second = dropping(), dropping(*range(0, 200, 9))
    for lm in (first, second):
        ask, _ = operators(lm)
        await ask.ask_each("Which?", items, int)
    texts = [asked.text for asked in first.asked]
    # They are asked all at once, so that which comes first differs from run to run.
    assert sorted(asked.text for asked in second.asked[: len(texts)]) == sorted(texts)


async def test_where_answers_cross_as_json_missing_is_none():
    ask, _ = operators(ScriptedLM(lambda asked: answered(asked, value_of)))
    each_item = ask.functions(plain=True)["ask_each"]
    assert await each_item("Which?", ["item 1", None], "int") == [7, None]
    assert await ask.functions()["ask_each"]("Which?", [None]) == [Missing("the item is None")]


async def test_an_optimized_prompt_applies_to_packs():
    predictor = LeanPredict(SubQuery.with_instructions("Be terse."))
    predictor.demos = [dspy.Example(question="1 + 1?", text="sums", response="2")]
    lm = ScriptedLM(lambda asked: answered(asked, value_of))
    ask, _ = operators(lm, predictor=predictor)
    await ask.ask_each("Which?", [f"item {n}" for n in range(40)], int)
    assert all(asked.system.startswith("Be terse. ") for asked in lm.asked)
    assert all(asked.turns[1] == ("assistant", "2") for asked in lm.asked)


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter()])
async def test_packs_under_another_adapter(adapter):
    def script(asked):
        numbers = {}
        for line in asked.last.splitlines():
            number, colon, text = line.partition(": item ")
            if colon and number.isdigit():
                numbers[int(number)] = int(text) * 7
        said = "\n".join(f"{n}: {v}" for n, v in numbers.items())
        if isinstance(adapter, dspy.JSONAdapter):
            return '{"response": "' + said.replace("\n", "\\n") + '"}'
        return f"[[ ## response ## ]]\n{said}\n\n[[ ## completed ## ]]"

    lm = ScriptedLM(script)
    with dspy.context(adapter=adapter):
        ask, _ = operators(lm)
        answers = await ask.ask_each("Which?", [f"item {n}" for n in range(40)], int)
    assert answers == [7 * n for n in range(40)]
    assert len(lm.asked) < 6


async def test_cancelling_stops_all_of_it():
    lm = ScriptedLM(lambda asked: answered(asked, value_of), seconds=0.05)
    ask, _ = operators(lm, budget=Budget(concurrency=4))
    items = [f"item {n}" for n in range(400)]
    task = asyncio.ensure_future(ask.ask_each("Which?", items, int, pack=1))
    while len(lm.asked) < 4:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(lm.asked) == 4
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_jobs_run_side_by_side_up_to_a_width_and_stop_at_an_error():
    running, most, done = 0, 0, []

    async def job(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if number == 25:
            raise ValueError("broken")
        done.append(number)

    await each([lambda n=n: job(n) for n in range(20)], 6)
    assert (len(done), most) == (20, 6)
    with pytest.raises(ValueError, match="broken"):
        await each([lambda n=n: job(n) for n in range(20, 200)], 6)
    assert len(done) < 40
    await each([], 6)
