"""What recorded runs cost: by model, program and day, of runs that died and were taken up too."""

import json
from datetime import UTC, datetime

import dspy
import pytest

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.cli import run as rlm
from rlm_dspy.events import Charged, Planned, RunEnded, RunResumed, as_json
from rlm_dspy.recording import store_of
from rlm_dspy.runs.row import Row
from rlm_dspy.runs.spending import charges, spent
from rlm_dspy.runs.store import Store
from rlm_dspy.testing import ScriptedLM, code

BEGAN = datetime(2026, 11, 20, 23, 0, tzinfo=UTC).timestamp()
HOUR = 3_600.0
TEXT = "The grass grows. " * 300


def made(run="run", events=(), *, updated=BEGAN, state="completed"):
    store = Store(":memory:")
    row = Row(run, BEGAN, updated, state, "", "q", "", "a -> b", "m", "s", "RLM", "", "",
              1, "full", 0, "")  # fmt: skip
    store.begin(row, {})
    store.append(run, [(n, e.kind, as_json(e), None) for n, e in enumerate(events)])
    return store


def charge(at, dollars=1.0, **values):
    return Charged(role="plan", model="m", prompt_tokens=10, completion_tokens=2,
                   at=at, dollars=dollars, **values)  # fmt: skip


def hours(store):
    return [(charge.when - BEGAN) / HOUR for charge in charges(store)]


def test_each_charge_has_its_time():
    assert hours(made(events=[charge(0), charge(2 * HOUR)])) == [0, 2]


@pytest.mark.parametrize(("state", "updated"), [("running", 100), ("completed", 101)])
def test_what_was_paid_after_a_run_was_taken_up_is_of_then(state, updated):
    events = [
        charge(HOUR),
        RunResumed(at=HOUR),
        charge(1.5 * HOUR),
        RunEnded(status="completed", reason="", spend={}, at=2 * HOUR),
    ]
    store = made(events=events, updated=BEGAN + updated * HOUR, state=state)
    assert hours(store) == [1, 100.5]


def test_the_clock_of_a_step_is_better_known_than_the_runs():
    clock = BEGAN + 50 * HOUR
    events = [charge(0), RunResumed(at=HOUR), Planned(reasoning="", code="", clock=clock, at=HOUR),
              charge(2 * HOUR), RunResumed(at=3 * HOUR)]  # fmt: skip
    assert hours(made(events=events, updated=BEGAN + 60 * HOUR, state="running")) == [0, 51]


def test_sums_by_day_and_since():
    events = [charge(0), charge(0.5 * HOUR, cache_hit=True, dollars=0), charge(2 * HOUR, 0.5)]
    store = made(events=events, updated=BEGAN + 3 * HOUR)
    days = spent(charges(store), "day")
    assert [(d.name, d.dollars, d.calls, d.cache_hits, d.tokens) for d in days] == [
        ("2026-11-20", 1.0, 1, 1, 12),
        ("2026-11-21", 0.5, 1, 0, 12),
    ]
    [row] = spent(charges(store, since=BEGAN + HOUR), "program")
    assert (row.name, row.dollars, row.calls) == ("RLM", 0.5, 1)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A store with a run that ended, and one that died."""
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    options = RLMOptions(prices={"planner": (1.0, 4.0)}, record="metadata")
    planner = ScriptedLM([code("print(ask('Which?', 'x'))"), code("SUBMIT(answer='a')")] * 2,
                         model="planner")  # fmt: skip
    with dspy.context(lm=planner):
        module = RLM(sub_lm=ScriptedLM(["fine"], model="sub"), options=options)
        results = [module(context=TEXT, query="Which?") for _ in range(2)]
    store_of().update(results[0].run.id, state="running", spend="")
    return [result.run.spend for result in results]


def test_the_command(recorded, capsys, monkeypatch):
    assert rlm(["spend", "--json", "--since", "1d"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["rows"]] == ["planner", "sub"]
    total = said["total"]
    assert total["tokens"] == sum(spend.tokens for spend in recorded)
    assert total["calls"] == 6
    assert total["dollars"] == pytest.approx(sum(s.dollars for s in recorded), abs=1e-5) != 0
    assert "month" not in said

    monkeypatch.setenv("RLM_MONTHLY_DOLLARS", "5")
    assert rlm(["spend", "--by", "model"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["model", "dollars", "tokens", "calls", "cached"]
    assert lines[2].split()[:2] == ["sub", "-"]
    assert f"${total['dollars']:.4f} of $5.00" in captured.err
    assert rlm(["spend", "--json", "--since", "2030-01-01"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == []
    assert said["month"] == {"dollars": total["dollars"], "limit": 5.0}
