"""Sub-queries by a provider's batches, through LiteLLM, against a server of this machine."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import dspy
import pytest
from batch_server import BatchServer

from rlm_dspy import RLM
from rlm_dspy.account import Account
from rlm_dspy.budget import Budget
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Charged
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.signatures import LeanPredict, SubQuery
from rlm_dspy.testing import ScriptedLM, code

PREDICTOR = LeanPredict(SubQuery)
# What one answer of the server costs: 70 tokens of prompt and 30 of reply, gpt-4o-mini's prices.
USUAL = (70 * 0.15 + 30 * 0.60) / 1e6
# The longest prompt of these tests is shorter than this, in tokens, whoever counts.
PROMPT = 1_000


@pytest.fixture
def serve():
    servers = []

    def start(reply=lambda body: number_in(body), **kwargs):
        servers.append(BatchServer(reply, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def number_in(body):
    """The number that a question asks for."""
    return re.findall(r"item (\d+)\b", body["messages"][-1]["content"])[-1]


def lm_at(server, **kwargs):
    told = {"cache": False, "max_tokens": 100, "num_retries": 0, **kwargs}
    return dspy.LM("openai/gpt-4o-mini", api_key="k", api_base=server.url, **told)


class Run:
    """A scheduler that may use batches, with its account and log."""

    def __init__(self, budget=None, **options):
        self.account = Account(budget or Budget(dollars=1.0))
        self.log = EventLog()
        told = {"batch_api": "auto", "batch_above": 10, **options}
        self.scheduler = Scheduler(self.account, self.log, RLMOptions(**told))

    async def ask(self, lm, number):
        found = await self.scheduler.call(
            PREDICTOR, "sub_query", lm, question=f"item {number}", text=None
        )
        return found.response

    async def ask_all(self, lm, count):
        jobs = [self.ask(lm, number) for number in range(count)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    def all_of(self, lm, count):
        return asyncio.run(self._and_nothing_left(self.ask_all(lm, count)))

    async def _and_nothing_left(self, work):
        found = await work
        left = [t for t in asyncio.all_tasks() if t.get_coro().__qualname__.startswith("Gathering")]
        assert left == []
        return found

    @property
    def charged(self):
        return self.log.of(Charged)

    @property
    def errors(self):
        return [event.error for event in self.charged if event.error]


def texts(count):
    return [str(number) for number in range(count)]


def test_a_model_without_batches_is_asked_at_once_and_as_ever():
    lm = ScriptedLM(lambda asked: "fine")
    run = Run(Budget())
    assert run.all_of(lm, 12) == ["fine"] * 12
    assert len(lm.asked) == len(run.charged) == 12


@pytest.mark.slow
def test_a_large_job_is_one_batch_answered_in_order_at_half_the_price(serve, tmp_path):
    server = serve(seconds=1)
    source = (
        "answers = ask_each('Which number?', [f'item {n}' for n in range(500)], int, pack=1)\n"
        "SUBMIT(answer=str(answers == list(range(500))))"
    )
    store = str(tmp_path / "runs.sqlite")
    options = RLMOptions(batch_api="auto", batch_above=50, prices={"scripted": (0, 0)}, store=store)
    rlm = RLM(sub_lm=lm_at(server), options=options, budget=Budget(dollars=1.0))
    with dspy.context(lm=ScriptedLM([code(source)])):
        result = rlm(context="x", query="q")
    assert result.answer == "True"
    assert len(server.batches) == 1
    assert len(server.batched) == 500
    assert server.chats == []
    assert set(server.deleted) == set(server.files)
    assert len(server.read) == 1
    assert result.run.spend.dollars == pytest.approx(500 * USUAL / 2)
    assert result.run.spend.by_role["sub_query"]["calls"] == 500
    # What came back is recorded: the run again asks nothing.
    with dspy.context(lm=ScriptedLM([])):
        again = rlm.replay(result.run.id)
    assert again.answer == "True"
    assert len(server.batches) == 1


@pytest.mark.slow
def test_few_are_asked_the_usual_way(serve):
    server = serve()
    run = Run()
    assert run.all_of(lm_at(server), 9) == texts(9)
    assert server.batches == []
    assert run.account.spend.dollars == pytest.approx(9 * USUAL)


@pytest.mark.slow
def test_a_batch_is_cached_as_single_replies_are(serve):
    server = serve()
    lm = lm_at(server, cache=True, temperature=0.31)
    assert Run().all_of(lm, 20) == texts(20)
    again = Run(batch_api="off")
    assert again.all_of(lm, 20) == texts(20)
    assert again.account.spend.cache_hits == 20
    assert len(server.batched) == 20


@pytest.mark.slow
def test_the_same_question_many_times_is_as_many_requests(serve):
    server = serve()
    lm, run = lm_at(server), Run()

    async def work():
        return await asyncio.gather(*(run.ask(lm, 7) for _ in range(30)))

    assert asyncio.run(work()) == ["7"] * 30
    assert len(server.batched) == 30
    assert len(run.charged) == 30


@pytest.mark.slow
def test_items_that_fail(serve):
    seen = set()

    def reply(body):
        number = int(number_in(body))
        first = number not in seen
        seen.add(number)
        if number == 3:
            return 400  # wrong in itself
        if number == 4 and first:
            return 500
        if number == 5 and first:
            return None  # in no file
        return str(number)

    server = serve(reply)
    run = Run()
    found = run.all_of(lm_at(server), 20)
    assert isinstance(found[3], ProviderError)
    assert [found[n] for n in range(20) if n != 3] == [str(n) for n in range(20) if n != 3]
    assert sorted(int(number_in(body)) for body in server.chats) == [4, 5]
    assert sorted(run.errors) == ["LMInvalidRequestError", "LMServerError", "LMTransportError"]
    spent = {e.error: e for e in run.charged if e.error}
    assert spent["LMServerError"].dollars == spent["LMInvalidRequestError"].dollars == 0
    assert spent["LMTransportError"].estimated  # it may have been executed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "executed"),
    [
        ({"ends": "expired", "takes": 8}, 8),
        ({"ends": "cancelled", "takes": 8}, 8),
        ({"ends": "failed"}, 0),
        ({"refuses": {"/v1/files": 400}}, 0),
        ({"refuses": {"/v1/batches": 400}}, 0),
    ],
)
def test_a_batch_that_fails_leaves_the_rest_to_the_usual_way(serve, server, executed):
    server = serve(**server)
    run = Run()
    assert run.all_of(lm_at(server), 20) == texts(20)
    assert len(server.chats) == 20 - executed
    assert run.errors == ["NotExecuted"] * (20 - executed)
    price = executed * USUAL / 2 + (20 - executed) * USUAL
    assert run.account.spend.dollars == pytest.approx(price)


@pytest.mark.slow
def test_answers_that_cannot_be_had_may_have_been_paid(serve):
    server = serve(refuses={"/content": 404})
    run = Run()
    assert run.all_of(lm_at(server), 12) == texts(12)
    failed = [event for event in run.charged if event.error]
    assert [event.error for event in failed] == ["LMTransportError"] * 12
    assert all(event.estimated and event.dollars > 0 for event in failed)


@pytest.mark.slow
def test_a_batch_that_takes_too_long_is_cancelled_and_what_it_has_is_used(serve):
    server = serve(seconds=60, takes=6)
    run = Run(batch_seconds=1.0)
    assert run.all_of(lm_at(server), 20) == texts(20)
    assert [batch["status"] for batch in server.batches] == ["cancelled"]
    assert len(server.chats) == 14


@pytest.mark.slow
def test_a_cancelled_run_cancels_its_batch_and_is_charged_the_worst(serve):
    server = serve(seconds=60)
    run = Run()

    async def work():
        job = asyncio.ensure_future(run.ask_all(lm_at(server), 20))
        while not server.batches:
            await asyncio.sleep(0.05)
        began = time.monotonic()
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        while server.batches[0]["status"] != "cancelled" and time.monotonic() < began + 10:
            await asyncio.sleep(0.05)

    asyncio.run(run._and_nothing_left(work()))
    assert server.batches[0]["status"] == "cancelled"
    assert server.chats == []
    assert run.errors == ["CancelledError"] * 20
    assert all(event.estimated for event in run.charged)
    assert 20 * USUAL / 2 < run.account.spend.dollars < 1.0


@pytest.mark.slow
def test_one_who_leaves_does_not_end_the_batch_of_the_others(serve):
    server = serve(seconds=2)
    run = Run()

    async def work():
        jobs = [asyncio.ensure_future(run.ask(lm_at(server), n)) for n in range(20)]
        while not server.batches:
            await asyncio.sleep(0.05)
        jobs[4].cancel()
        return await asyncio.gather(*jobs, return_exceptions=True)

    found = asyncio.run(work())
    assert isinstance(found.pop(4), asyncio.CancelledError)
    assert found == [text for text in texts(20) if text != "4"]


@pytest.mark.slow
def test_a_deadline_cancels_the_batch(serve):
    server = serve(seconds=600)
    run = Run(Budget(seconds=8))
    began = time.monotonic()
    found = run.all_of(lm_at(server), 20)
    assert all(isinstance(error, BudgetExceeded) for error in found)
    assert time.monotonic() - began < 20
    assert [batch["status"] for batch in server.batches] == ["cancelled"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "budget",
    [
        Budget(calls=40),
        Budget(tokens=40 * (PROMPT + 100)),
        Budget(dollars=40 * USUAL),
        Budget(dollars=400 * USUAL),
    ],
)
def test_no_limit_is_exceeded_and_nobody_waits_for_ever(serve, budget):
    server = serve(seconds=1)
    run = Run(budget)
    found = run.all_of(lm_at(server), 100)
    spend = run.account.spend
    assert spend.calls <= (budget.calls or 1_000)
    assert spend.prompt_tokens + spend.completion_tokens <= (budget.tokens or 1 << 40)
    assert spend.dollars <= (budget.dollars or 1.0)
    answered = [n for n, said in enumerate(found) if said == str(n)]
    refused = [said for said in found if isinstance(said, BudgetExceeded)]
    assert len(answered) + len(refused) == 100
    assert len(server.batched) + len(server.chats) == len(answered)
    assert len(server.batched) >= 10


@pytest.mark.slow
def test_a_process_that_ends_cancels_its_batch(serve):
    server = serve(seconds=600)
    script = Path(__file__).parent / "deserted_batch.py"
    process = subprocess.Popen([sys.executable, script, server.url], stdin=subprocess.PIPE)
    try:
        while not server.batches and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)
        process.communicate(b"\n", timeout=30)
    finally:
        process.kill()
    assert [batch["status"] for batch in server.batches] == ["cancelled"]
