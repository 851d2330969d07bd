"""Attempts over time: waits, retries, deadlines, what is shared, and what is charged."""

import asyncio
import math

import dspy
import pytest
from dspy.lm15 import AuthError, RateLimitError, ServerError, TransportError
from dspy.lm15 import TimeoutError as ModelTimeout
from virtual import now, virtual

from rlm_dspy.account import Account
from rlm_dspy.budget import Budget
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Charged
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.attempts import lane_key
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.queries.traffic import traffic
from rlm_dspy.signatures import LeanPredict, SubQuery
from rlm_dspy.testing import ScriptedLM

PREDICTOR = LeanPredict(SubQuery)


class Run:
    """A scheduler with its account and log."""

    def __init__(self, budget=None, **options):
        self.account = Account(budget or Budget())
        self.log = EventLog()
        self.scheduler = Scheduler(self.account, self.log, RLMOptions(**options))

    async def ask(self, lm, question="q", role="sub_query"):
        found = await self.scheduler.call(PREDICTOR, role, lm, question=question, text=None)
        return found.response

    async def ask_all(self, lm, count, **kwargs):
        return await asyncio.gather(*(self.ask(lm, f"q{n}", **kwargs) for n in range(count)))

    @property
    def charged(self):
        return self.log.of(Charged)


def at_times(script, **kwargs):
    """A scripted model, and the times at which it was asked."""
    times = []

    def said(asked):
        times.append(now())
        return script(asked)

    return ScriptedLM(said, **kwargs), times


def limited(retry_after=None):
    return RateLimitError("slow down", status=429, retry_after=retry_after)


@virtual
async def test_retry_after_is_obeyed_by_all():
    lm, times = at_times(lambda a: limited(30.0) if a.number == 3 else "fine", seconds=1)
    run = Run(Budget(concurrency=4))
    assert await run.ask_all(lm, 12) == ["fine"] * 12
    began = [at - min(times) for at in times]
    assert set(began[:4]) == {0}
    # The other three slots may be given away in the very instant of the refusal, before it is read.
    assert {at for at in began[4:] if at < 30} <= {1}
    assert sum(at >= 30 for at in began) >= 6


@virtual
async def test_a_retry_after_that_is_too_long_is_an_error_at_once():
    lm, _ = at_times(lambda a: limited(3_600.0), num_retries=5)
    with pytest.raises(ProviderError, match="slow down"):
        await Run().ask(lm)
    assert len(lm.asked) == 1


@virtual
async def test_rate_limits_lower_what_is_in_flight_and_successes_raise_it():
    def takes_eight_at_once(asked):
        return limited() if lm.script._in_flight > 8 else "fine"

    lm = ScriptedLM(takes_eight_at_once, seconds=1, num_retries=9)
    run = Run(Budget(concurrency=64))
    assert await run.ask_all(lm, 400) == ["fine"] * 400
    refused = sum(event.error != "" for event in run.charged)
    assert refused < 200
    lane = traffic().lane(lane_key(lm))
    assert lane.most < 20
    for _ in range(2_000):
        lane.succeed({}, now())
    assert lane.most == math.inf


@virtual
async def test_back_offs_grow_and_are_spread():
    lm, times = at_times(lambda a: ServerError("broken", status=500), num_retries=4)
    with pytest.raises(ProviderError):
        await Run().ask(lm)
    waits = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert all(0.75 * 2**n <= wait <= 1.25 * 2**n for n, wait in enumerate(waits))
    assert len(waits) == 4


@virtual
async def test_while_one_waits_to_try_again_others_go_on():
    lm, times = at_times(
        lambda a: ServerError("b", status=500, retry_after=20.0) if a.number == 0 else "fine",
        seconds=1,
    )
    run = Run(Budget(concurrency=1))
    began = now()
    assert await run.ask_all(lm, 10) == ["fine"] * 10
    assert sorted(times)[9] - began == 10


@virtual
async def test_requests_a_minute():
    lm, times = at_times(lambda a: "fine")
    run = Run(requests_per_minute=20)
    await run.ask_all(lm, 50)
    began = min(times)
    assert [sum(60 * n <= at - began < 60 * (n + 1) for at in times) for n in range(3)] == [
        20,
        20,
        10,
    ]


@virtual
async def test_tokens_a_minute():
    lm, times = at_times(lambda a: "so " * 100, seconds=1, max_tokens=100)
    run = Run(tokens_per_minute=1_000)
    await run.ask_all(lm, 30)
    used = run.account.spend.tokens
    assert used > 2_000
    for at in times:
        within = sum(at - 60 < when <= at for when in times)
        assert within * used / 30 <= 1_000


@virtual
async def test_the_environment_may_say_it_for_all_runs(monkeypatch):
    monkeypatch.setenv("RLM_REQUESTS_PER_MINUTE", "5")
    lm, times = at_times(lambda a: "fine")
    await asyncio.gather(Run().ask_all(lm, 5), Run().ask_all(lm, 5))
    assert max(times) - min(times) == 60


@virtual
async def test_a_models_concurrency_is_that_of_all_runs():
    lm = ScriptedLM(["fine"], seconds=1)
    runs = [Run(model_concurrency=3) for _ in range(4)]
    await asyncio.gather(*(run.ask_all(lm, 5) for run in runs))
    assert lm.script.most_in_flight == 3


@virtual
async def test_sub_runs_share_the_limit_and_take_turns():
    lm, order = ScriptedLM(["fine"], seconds=1), []
    run = Run(Budget(concurrency=2))
    account = run.account.child()
    child = run.scheduler.child(account, run.log)

    async def ask(scheduler, name):
        await scheduler.call(PREDICTOR, "sub_query", lm, question=name, text=None)
        order.append(name)

    jobs = [ask(run.scheduler, f"run {n}") for n in range(40)]
    jobs += [ask(child, f"sub {n}") for n in range(10)]
    await asyncio.gather(*jobs)
    assert lm.script.most_in_flight == 2
    assert sum(name.startswith("sub") for name in order[:22]) == 10
    assert run.account.spend.by_depth[1]["calls"] == 10


# --- deadlines and cancellation ---


async def test_the_deadline_ends_what_waits_and_what_runs():
    lm = ScriptedLM(["fine"], seconds=30)
    run = Run(Budget(seconds=0.4, concurrency=2))
    started = asyncio.get_running_loop().time()
    answers = await asyncio.gather(
        *(run.ask(lm, f"q{n}") for n in range(10)), return_exceptions=True
    )
    assert asyncio.get_running_loop().time() - started < 2
    assert {type(answer) for answer in answers} == {BudgetExceeded}
    assert {answer.limit for answer in answers} == {"seconds"}
    assert len(lm.asked) == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_cancelling_ends_the_request_itself():
    lm = ScriptedLM(["fine"], seconds=1_000)
    run = Run()
    asked = asyncio.ensure_future(run.ask_all(lm, 5))
    while len(lm.asked) < 5:
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert lm.script._in_flight == 0
    assert now() < 1_500
    assert traffic().lane(lane_key(lm)).running == 0


# --- what is charged ---


@virtual
async def test_a_cancelled_attempt_is_charged_what_it_reserved():
    lm = ScriptedLM(["fine"], seconds=1_000, max_tokens=50)
    run = Run(Budget(tokens=50_000))
    asked = asyncio.ensure_future(run.ask(lm))
    while not lm.asked:
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    (event,) = run.charged
    spend = run.account.spend
    assert (event.error, event.estimated, event.completion_tokens) == ("CancelledError", True, 50)
    assert spend.tokens == event.prompt_tokens + 50 > 50
    assert (spend.calls, spend.estimated_calls) == (1, 1)


@pytest.mark.parametrize("limits", [{}, {"tokens": 50_000}])
@pytest.mark.parametrize(
    ("error", "costs"),
    [
        (limited(0.0), False),
        (ServerError("broken", status=500), False),
        (AuthError("no key", status=401), False),
        (ModelTimeout("too slow"), True),
        (TransportError("cut off"), True),
        (ValueError("a bug of the engine"), True),
    ],
)
async def test_what_a_failed_attempt_costs(error, costs, limits):
    lm = ScriptedLM([error], num_retries=0, max_tokens=50)
    run = Run(Budget(**limits))
    with pytest.raises(ProviderError):
        await run.ask(lm)
    (event,) = run.charged
    spend = run.account.spend
    assert (spend.tokens > 50) is event.estimated is costs
    assert spend.calls == 1
    assert spend.by_role["sub_query"]["calls"] == 1


async def test_reasoning_and_cached_tokens_are_counted():
    from dspy.lm15 import Message, Response, Usage

    class Engine:
        async def complete(self, request):
            usage = Usage(
                input_tokens=100,
                output_tokens=60,
                total_tokens=160,
                cache_read_tokens=30,
                reasoning_tokens=40,
            )
            message = Message.assistant("fine")
            return Response(id=None, model="m", message=message, finish_reason="stop", usage=usage)

    class Blocking:
        def complete(self, request):
            raise AssertionError("the asynchronous side is there")

    lm = dspy.LM("m", engine=Blocking(), async_engine=Engine(), cache=False)
    run = Run()
    assert await run.ask(lm) == "fine"
    spend, (event,) = run.account.spend, run.charged
    assert (spend.prompt_tokens, spend.completion_tokens) == (100, 60)
    assert (spend.reasoning_tokens, spend.cached_tokens) == (40, 30)
    assert (event.reasoning_tokens, event.cached_tokens) == (40, 30)
    assert spend.by_role["sub_query"]["reasoning_tokens"] == 40


# --- the cache ---


@pytest.fixture
def fresh_cache(tmp_path):
    before = dspy.cache
    dspy.configure_cache(disk_cache_dir=str(tmp_path / "dspy"))
    yield dspy.cache
    dspy.cache = before


@pytest.mark.usefixtures("fresh_cache")
async def test_identical_requests_in_flight_are_paid_once():
    lm = ScriptedLM(["fine"], seconds=0.05, cache=True)
    one, two = Run(), Run()
    asked = [run.ask(lm) for run in (one, two) for _ in range(5)]
    assert await asyncio.gather(*asked) == ["fine"] * 10
    assert len(lm.asked) == 1
    for run, calls in ((one, 1), (two, 0)):
        spend = run.account.spend
        assert (spend.calls, spend.cache_hits) == (calls, 5 - calls)
        assert [event.cache_hit for event in run.charged].count(True) == 5 - calls


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("kwargs", [{"cache": False}, {"cache": True, "failing": True}])
async def test_what_may_not_be_cached_is_not_shared(kwargs):
    failing = kwargs.pop("failing", False)

    def script(asked):
        return AuthError("no key", status=401) if failing else f"fine {asked.number}"

    lm = ScriptedLM(script, seconds=0.02, **kwargs)
    run = Run()
    answers = await asyncio.gather(*(run.ask(lm) for _ in range(5)), return_exceptions=True)
    assert len(lm.asked) == 5
    if not failing:
        assert len(set(answers)) == 5


@pytest.mark.usefixtures("fresh_cache")
async def test_rollouts_are_asked_each():
    script = ScriptedLM(lambda asked: f"fine {asked.number}", cache=True, temperature=1.0)
    run = Run()
    rollouts = [script.copy(rollout_id=n) for n in (1, 2, 3)]
    answers = await asyncio.gather(*(run.ask(lm) for lm in rollouts))
    assert sorted(answers) == ["fine 0", "fine 1", "fine 2"]
    again = await asyncio.gather(*(run.ask(lm) for lm in rollouts))
    assert again == answers
    assert len(script.asked) == 3


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize(
    "limits", [{"calls": 1}, {"tokens": 400}, {"dollars": 0.0001}, {"calls": 0}]
)
async def test_no_limit_refuses_what_the_cache_knows(limits):
    lm = ScriptedLM(["fine"], cache=True, max_tokens=50, model="openai/gpt-4o-mini")
    with_limits = {"tokens": 100_000, "dollars": 10}
    paid = Run(Budget(**with_limits))
    await paid.ask(lm)
    assert (paid.account.spend.calls, len(lm.asked)) == (1, 1)
    poor = Run(Budget(**{"tokens": 100_000, **limits}))
    for _ in range(20):
        assert await poor.ask(lm) == "fine"
    spend = poor.account.spend
    assert (spend.calls, spend.tokens, spend.dollars, spend.cache_hits) == (0, 0, 0, 20)
    assert len(lm.asked) == 1


@pytest.mark.usefixtures("fresh_cache")
async def test_hits_need_no_turn():
    lm = ScriptedLM(["fine"], cache=True)
    await Run().ask_all(lm, 3)
    run = Run(requests_per_minute=1)
    assert await asyncio.wait_for(run.ask_all(lm, 3), 5) == ["fine"] * 3
    assert len(lm.asked) == 3


@pytest.mark.usefixtures("fresh_cache")
async def test_hits_are_in_the_history_and_seen_by_callbacks():
    seen = []

    class Watch(dspy.utils.callback.BaseCallback):
        def on_lm_start(self, call_id, instance, inputs):
            seen.append(("start", instance.model, inputs["messages"][-1]["role"]))

        def on_lm_end(self, call_id, outputs, exception=None):
            seen.append(("end", outputs, exception))

    lm = ScriptedLM(["fine"], cache=True)
    await Run().ask(lm)
    with dspy.context(callbacks=[Watch()]):
        await Run().ask(lm)
    assert seen == [("start", "scripted", "user"), ("end", ["fine"], None)]
    assert len(lm.history) == 2


@pytest.mark.usefixtures("fresh_cache")
async def test_an_answer_that_leaves_the_cache_at_the_last_moment_is_paid(monkeypatch):
    lm = ScriptedLM(["fine"], cache=True)
    await Run().ask(lm)
    real = dspy.cache.get
    monkeypatch.setattr(dspy.cache, "get", lambda *a, **k: None)
    poor = Run(Budget(calls=0))
    with pytest.raises(BudgetExceeded):
        await poor.ask(lm)
    monkeypatch.setattr(dspy.cache, "get", real)
    assert len(lm.asked) == 1
