"""No interleaving of batches, retries, sub-runs, cancellations and failures exceeds a limit.

The provider of this test bills at its own discretion: in full for what succeeds, and as well for
what is cancelled, cut off or unreadable. What it bills is compared with the limits at every turn.
"""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from dspy.utils.exceptions import LMError, LMRateLimitError, LMServerError, LMTransportError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from virtual import VirtualLoop

from rlm_dspy.account import Account
from rlm_dspy.budget import Budget, Usage
from rlm_dspy.errors import BudgetExceeded
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Charged
from rlm_dspy.models.meter import Attempt, Reply
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.attempts import Attempts
from rlm_dspy.queries.traffic import traffic

PRICES = (1.0, 8.0)  # dollars a million tokens
LM = SimpleNamespace(model="made-up/model", kwargs={"max_tokens": 60}, num_retries=2)
FATES = ["fine", "fine", "fine", "silent", "limited", "refused", "cut", "hangs"]


@dataclass(frozen=True)
class Fate:
    """What the provider makes of a request."""

    kinds: tuple[str, ...]  # of the first attempt, the second, ...
    seconds: float
    prompt: float  # the share of its worst case that is used
    reply: float


fates = st.builds(
    Fate,
    st.tuples(*[st.sampled_from(FATES)] * 3),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.floats(0, 1),
    st.floats(0, 1),
)
limits = st.fixed_dictionaries(
    {"concurrency": st.integers(1, 6)},
    optional={
        "calls": st.integers(0, 30),
        "tokens": st.integers(0, 6_000),
        "dollars": st.floats(0, 0.02),
    },
)
roles = st.sampled_from(["plan", "sub_query", "sub_query", "sub_query", "extract", "direct"])


class Provider(RuleBasedStateMachine):
    """Batches of attempts on one account, on a clock that jumps."""

    schedules = 0

    def __init__(self):
        super().__init__()
        self.tasks = []
        self.asked, self.hits, self.tokens, self.dollars = 0, 0, 0, 0.0

    @initialize(given=limits)
    def begin(self, given):
        self.loop = VirtualLoop()
        self.budget = Budget(**given)
        self.account, self.log = Account(self.budget), EventLog()
        options = RLMOptions(prices={LM.model: PRICES})
        root = Attempts(self.account, self.log, options)
        child, grandchild = self.account.child(), self.account.child().child()
        self.runs = [root, root.child(child, self.log), root.child(grandchild, self.log)]

    @rule(
        run=st.integers(0, 2),
        asked=st.lists(st.tuples(roles, st.integers(1, 400), fates), min_size=1, max_size=8),
        seconds=st.sampled_from([0.0, 0.2, 1.0, 10.0]),
    )
    def batch(self, run, asked, seconds):
        type(self).schedules += 1
        self.tasks += [
            self.loop.create_task(self.attempt(self.runs[run], role, "x" * length, fate))
            for role, length, fate in asked
        ]
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @precondition(lambda self: self.tasks)
    @rule(which=st.lists(st.integers(0, 100), min_size=1, max_size=5))
    def cancel(self, which):
        for number in which:
            self.tasks[number % len(self.tasks)].cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([0.1, 2.0, 60.0]))
    def wait(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule()
    def hit(self):
        before = self.account.spend
        self.account.hit("sub_query")
        self.hits += 1
        assert self.account.spend.calls == before.calls

    async def attempt(self, run, role, prompt, fate):
        number = iter(range(10))

        async def perform(more, tally):
            return await self.provide(fate, fate.kinds[next(number)], prompt, more, tally)

        messages = [{"role": "user", "content": prompt}]
        try:
            await run.gate(Attempt(LM, role, messages, {}, perform, lambda more: None))
        except (BudgetExceeded, LMError):
            return

    async def provide(self, fate, kind, prompt, more, tally):
        reply = more.get("max_tokens", 60)
        used = Usage(int(len(prompt) * fate.prompt), int(reply * fate.reply))
        self.bill(1, used)
        await asyncio.sleep(1e9 if kind == "hangs" else fate.seconds)
        if kind in ("limited", "refused"):
            self.bill(0, used, -1)
            if kind == "limited":
                raise LMRateLimitError("slow down", status=429, retry_after=fate.seconds)
            raise LMServerError("broken", status=500, retry_after=fate.seconds)
        if kind == "cut":
            raise LMTransportError("cut off")
        tally.usage = None if kind == "silent" else used
        return Reply(["x" * used.completion_tokens], cache_hit=False)

    def bill(self, calls, used, sign=1):
        prompt, reply = (dollars / 1e6 for dollars in PRICES)
        self.asked += calls
        self.tokens += sign * used.tokens
        self.dollars += sign * (used.prompt_tokens * prompt + used.completion_tokens * reply)

    @invariant()
    def what_is_billed_is_within_the_limits(self):
        spend, slack = self.account.spend, 1e-9
        assert self.asked <= spend.calls
        for limit, billed in (("calls", spend.calls), ("tokens", self.tokens)):
            most = getattr(self.budget, limit)
            assert most is None or billed <= most
        assert self.budget.dollars is None or self.dollars <= self.budget.dollars + slack
        assert self.budget.tokens is None or spend.tokens <= self.budget.tokens
        for limit in ("calls", "tokens", "dollars"):
            assert self.account.left(limit, "extract") >= -slack

    @invariant()
    def the_parts_are_the_whole(self):
        spend = self.account.spend
        for name in ("calls", "tokens", "reasoning_tokens", "dollars", "cache_hits"):
            total = getattr(spend, name)
            assert sum(row[name] for row in spend.by_role.values()) == pytest.approx(total)
            assert sum(row[name] for row in spend.by_depth.values()) == pytest.approx(total)
        charged = self.log.of(Charged)
        assert sum(e.prompt_tokens + e.completion_tokens for e in charged) == spend.tokens

    def teardown(self):
        if not hasattr(self, "loop"):
            return
        try:
            self.loop.run_until_complete(self.end())
        finally:
            self.loop.close()

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.what_is_billed_is_within_the_limits()
        self.the_parts_are_the_whole()
        spend, tree = self.account.spend, self.runs[0].tree
        assert spend.tokens >= self.tokens  # what was billed is accounted for, or more
        assert spend.dollars >= self.dollars - 1e-9
        assert len(self.log.of(Charged)) == spend.calls + spend.cache_hits - self.hits
        assert spend.calls == self.asked
        assert self.account._reserved == pytest.approx({"tokens": 0, "dollars": 0}, abs=1e-9)
        assert tree.running == tree.reserved == 0
        assert all(lane.running == 0 for lane in traffic()._lanes.values())


def run(examples, steps):
    run_state_machine_as_test(
        Provider,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_schedule_exceeds_a_limit():
    run(30, 12)


@pytest.mark.slow
def test_ten_thousand_schedules_exceed_no_limit():
    before = Provider.schedules
    for _ in range(100):
        if Provider.schedules - before >= 10_000:
            break
        run(400, 40)
    assert Provider.schedules - before >= 10_000
