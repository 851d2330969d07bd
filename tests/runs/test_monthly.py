"""The monthly cap: never exceeded by any number of runs, threads and processes that share it."""

import multiprocessing
import tempfile
import threading
import time
from datetime import UTC, datetime

import dspy
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rlm_dspy import RLM, Budget, BudgetExceeded, ConfigurationError, RLMOptions
from rlm_dspy.account import Account
from rlm_dspy.budget import Usage
from rlm_dspy.events import Charged, as_json
from rlm_dspy.recording import store_of
from rlm_dspy.rerunning import load
from rlm_dspy.runs.monthly import MonthlyCap, month_of, monthly_cap
from rlm_dspy.runs.row import Row
from rlm_dspy.runs.store import Store
from rlm_dspy.testing import ScriptedLM, code

CAP = 1.0
TEXT = "The grass grows. " * 400
NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
DAY = 86_400.0


def charged(store, run, dollars, *, at=1.0, began=NOVEMBER, state="completed"):
    """Enters a run that was made without the cap."""
    row = Row(run, began, began + at, state, "", "q", "", "a -> b", "m", "s", "RLM", "", "",
              1, "full", 0, "")  # fmt: skip
    store.begin(row, {})
    event = Charged(role="plan", model="m", dollars=dollars, at=at)
    store.append(run, [(0, "charged", as_json(event), None)])


class ManyRuns(RuleBasedStateMachine):
    """Runs of two processes that reserve, settle, are killed, and of some without the cap."""

    def __init__(self):
        super().__init__()
        self.now = NOVEMBER
        self.folder = tempfile.TemporaryDirectory()
        path = f"{self.folder.name}/runs.sqlite"
        self.stores = [Store(path), Store(path)]
        self.accounts, self.open = [], []
        self.billed, self.without = {}, {}  # dollars by month
        self.runs = 0
        self.begin(0)

    @rule(process=st.integers(0, 1))
    def begin(self, process):
        self.runs += 1
        run = f"run{self.runs}"
        cap = MonthlyCap(self.stores[process], run, CAP, lambda: self.now)
        self.accounts.append(Account(Budget(), cap=cap))

    @rule(
        which=st.integers(0, 9),
        role=st.sampled_from(["plan", "sub_query", "direct", "extract"]),
        dollars=st.floats(0, 0.4),
    )
    def reserve(self, which, role, dollars):
        account = self.accounts[which % len(self.accounts)]
        left = max(account.left("dollars", role), 0)
        if dollars > left + 1e-12:
            with pytest.raises(BudgetExceeded) as caught:
                account.reserve(role, tokens=0, dollars=dollars)
            assert caught.value.limit == "monthly_dollars"
            return
        held = account.reserve(role, tokens=0, dollars=dollars)
        self.open.append((account, held, month_of(self.now)))
        self.bill(month_of(self.now), dollars)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99), share=st.floats(0, 1))
    def settle(self, which, share):
        account, held, month = self.open.pop(which % len(self.open))
        used = held.dollars * share
        account.settle(held, Usage(dollars=used))
        account.settle(held, Usage(dollars=used))  # never twice
        self.bill(month, used - held.dollars)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99), counts=st.booleans())
    def release(self, which, counts):
        account, held, month = self.open.pop(which % len(self.open))
        account.release(held, counts=counts)
        self.bill(month, -held.dollars)

    @precondition(lambda self: len(self.accounts) > 1)
    @rule(which=st.integers(0, 9))
    def kill(self, which):
        """Its process is gone: what was in flight may be billed, and stays reserved."""
        account = self.accounts.pop(which % len(self.accounts))
        self.open = [one for one in self.open if one[0] is not account]

    @rule(process=st.integers(0, 1), dollars=st.floats(0, 0.3))
    def spend_without(self, process, dollars):
        """A run without the cap is counted when the next run with it begins."""
        self.runs += 1
        charged(self.stores[process], f"run{self.runs}", dollars, began=self.now)
        self.begin(process)
        month = month_of(self.now + 1)
        self.without[month] = self.without.get(month, 0) + dollars

    @rule(days=st.sampled_from([1, 9, 31]))
    def pass_time(self, days):
        self.now += days * DAY

    def bill(self, month, dollars):
        self.billed[month] = self.billed.get(month, 0.0) + dollars

    @invariant()
    def no_month_is_over(self):
        for dollars in self.billed.values():
            assert dollars <= CAP + 1e-9
        month = month_of(self.now)
        spent = self.billed.get(month, 0.0) + self.without.get(month, 0.0)
        assert self.accounts[-1].cap.left() == pytest.approx(CAP - spent, abs=1e-9)

    def teardown(self):
        for store in self.stores:
            store.close()
        self.folder.cleanup()


def machine(examples, steps):
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(ManyRuns, settings=options)


def test_no_order_exceeds_the_cap():
    machine(8, 15)


@pytest.mark.slow
def test_no_order_of_many_exceeds_the_cap():
    machine(300, 50)


def hammer(path, name, spent):
    """Reserves and settles in four threads until nothing is left."""

    def work(number):
        cap = MonthlyCap(Store(path), f"{name}-{number}", CAP)
        account = Account(Budget(), cap=cap)
        for turn in range(400):
            try:
                held = account.reserve("direct", tokens=0, dollars=0.013)
            except BudgetExceeded:
                return
            used = 0.013 if turn % 3 else 0.001
            with spent.get_lock():
                spent.value += used
            account.settle(held, Usage(dollars=used))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_processes_and_threads_share_it(tmp_path):
    path = str(tmp_path / "runs.sqlite")
    context = multiprocessing.get_context("spawn")
    spent = context.Value("d", 0.0)
    processes = [context.Process(target=hammer, args=(path, n, spent)) for n in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert CAP - 0.013 <= spent.value <= CAP + 1e-9
    left = MonthlyCap(Store(path), "later", CAP).left()
    assert left == pytest.approx(CAP - spent.value, abs=1e-9)


def test_what_was_spent_before_counts(tmp_path):
    store = Store(tmp_path / "runs.sqlite")
    charged(store, "this month", 0.3)
    charged(store, "last month", 0.4, began=NOVEMBER - 25 * DAY)
    charged(store, "over the turn", 0.2, began=NOVEMBER - 20 * DAY, at=2 * DAY)
    charged(store, "died", 0.1, state="running")
    assert MonthlyCap(store, "new", CAP, lambda: NOVEMBER).left() == pytest.approx(0.4)
    charged(store, "later", 0.1)
    store.delete(["this month"])  # what is spent is spent
    assert MonthlyCap(store, "newer", CAP, lambda: NOVEMBER).left() == pytest.approx(0.3)


@pytest.fixture
def capped(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.setenv("RLM_RECORD", "full")
    monkeypatch.setenv("RLM_MONTHLY_DOLLARS", "0.05")


PRICED = RLMOptions(prices={"planner": (10.0, 40.0), "sub": (10.0, 40.0)}, max_tokens=60)


def asked(steps=None, options=PRICED, **made):
    ask = code("for n in range(40):\n    print(n, ask(f'Which {n}?', 'x' * 200))")
    planner = ScriptedLM(steps or [ask, "the best so far"], model="planner")
    with dspy.context(lm=planner):
        rlm = RLM(sub_lm=ScriptedLM(["fine"], model="sub"), options=options, **made)
        return rlm(context=TEXT, query="Which?"), planner


def spent():
    sql = "SELECT sum(json_extract(data, '$.dollars')) FROM events WHERE kind = 'charged'"
    return store_of().select(sql)[0][0]


@pytest.mark.usefixtures("capped")
def test_a_run_at_the_cap_ends_with_its_best_answer():
    result, _ = asked()
    assert (result.run.status, result.run.reason) == ("partial", "monthly_dollars")
    assert result.answer == "the best so far"
    assert 0.03 < spent() <= 0.05
    again, _ = asked()
    assert (again.run.status, again.run.reason) == ("partial", "monthly_dollars")
    assert spent() <= 0.05
    assert monthly_cap("next").left() == pytest.approx(0.05 - spent())
    failed = [event for event in result.run.events if event.kind == "call_failed"]
    assert "RLM_MONTHLY_DOLLARS" in failed[0].reason


@pytest.mark.usefixtures("capped")
def test_such_a_run_can_be_replayed_and_gone_on_with(monkeypatch):
    result, _ = asked()
    assert RLM().replay(result.run.id).answer == "the best so far"
    before = spent()
    monkeypatch.setenv("RLM_MONTHLY_DOLLARS", "1")
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='all')")], model="planner")):
        rlm = RLM(sub_lm=ScriptedLM(["fine"], model="sub"), options=PRICED)
        resumed = rlm.resume(result.run.id)
    assert (resumed.answer, resumed.run.status) == ("all", "completed")
    assert spent() > before
    assert monthly_cap("next").left() == pytest.approx(1 - spent())


@pytest.mark.usefixtures("capped")
def test_an_unknown_price_is_refused_before_anything_is_spent():
    planner = ScriptedLM([code("SUBMIT(answer='a')")], model="planner")
    with (
        dspy.context(lm=planner),
        pytest.raises(ConfigurationError, match=r"0\.05 dollars a month \(RLM_MONTHLY_DOLLARS\)"),
    ):
        RLM()(context=TEXT, query="Which?")
    assert planner.asked == []


@pytest.mark.usefixtures("capped")
def test_runs_of_other_stores_and_unrecorded_ones_count_too():
    done = [code("SUBMIT(answer='a')")]
    asked(done, PRICED.model_copy(update={"record": "off"}))
    first = monthly_cap("next").left()
    assert first < 0.05
    asked(done, PRICED.model_copy(update={"store": ":memory:"}))
    assert monthly_cap("next").left() < first


def test_nothing_is_done_without_the_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    asked([code("SUBMIT(answer='a')")], RLMOptions())
    assert monthly_cap("run") is None
    tables = store_of().select("SELECT name FROM sqlite_master WHERE name = 'months'")
    assert tables == []


@pytest.mark.parametrize("value", ["-1", "nan"])
def test_a_wrong_setting_is_named(value, monkeypatch):
    monkeypatch.setenv("RLM_MONTHLY_DOLLARS", value)
    with pytest.raises(ConfigurationError, match="RLM_MONTHLY_DOLLARS="):
        monthly_cap("run")


@pytest.mark.usefixtures("capped")
def test_a_run_that_reached_no_limit_is_whole():
    result, _ = asked([code("print(ask('Which?', 'x'))"), code("SUBMIT(answer='a')")])
    assert (result.run.status, result.run.reason) == ("completed", "")
    stored = load(result.run.id)
    assert sum(e.dollars for e in stored.events if e.kind == "charged") == pytest.approx(
        0.05 - monthly_cap("next").left()
    )
    assert time.time() - stored.row.created < 60


@pytest.mark.usefixtures("capped")
def test_runs_in_threads_share_it():
    ask = code("for n in range(9):\n    print(n, ask(f'{query} {n}?', 'x' * 200))")
    planner = ScriptedLM(
        lambda asked: ask if len(asked.turns) < 4 else code("SUBMIT(answer=query)"), model="planner"
    )
    rlm = RLM(sub_lm=ScriptedLM(["fine"], model="sub", seconds=0.005), options=PRICED)
    examples = [
        dspy.Example(context=TEXT, query=f"Q{n}").with_inputs("context", "query") for n in range(16)
    ]
    with dspy.context(lm=planner):
        parallel = dspy.Parallel(num_threads=8, disable_progress_bar=True)
        results = parallel([(rlm, example) for example in examples])
    reasons = [result.run.reason for result in results]
    assert set(reasons) == {"monthly_dollars"}
    # What the others had reserved when a run found nothing left is left over.
    assert 0.025 < spent() <= 0.05
    assert monthly_cap("next").left() == pytest.approx(0.05 - spent())
