"""How far a run is, from its events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_dspy.coverage import Coverage
from rlm_dspy.events import (
    Charged,
    Executed,
    Extracted,
    Planned,
    RunEnded,
    RunStarted,
    SubQueryAnswered,
    SubQueryFailed,
    SubQueryStarted,
)
from rlm_dspy.view.progress import Progress, bar, first_line, line_with

CODE = "# look\nhits = context.search(query)\nfound = ask_each(query, hits)\nprint(found)"
STARTED = RunStarted(signature="", inputs={}, model="m", sub_model="m", planned_by="model")
PLANNED = Planned(reasoning="", code=CODE, step=2)
ASKED = [
    SubQueryStarted(query=n, operator="ask_each", question="q", characters=9, step=2)
    for n in (1, 2, 3)
]
CHARGED = Charged(role="plan", model="m", prompt_tokens=900, completion_tokens=100, dollars=0.5)


def progress_after(*events):
    progress = Progress()
    for event in events:
        progress.take(event)
    return progress


@pytest.mark.parametrize(
    ("events", "phase"),
    [
        ([], "loading"),
        ([STARTED], "planning"),
        ([STARTED, PLANNED], "running"),
        ([STARTED, PLANNED, Executed(output="")], "planning"),
        ([STARTED, Extracted(outputs={}, reason="calls")], "ending"),
        ([STARTED, RunEnded(status="completed", reason="", spend={})], "done"),
    ],
)
def test_the_phase_follows_the_events(events, phase):
    assert progress_after(*events).phase == phase


def test_a_run_that_plans_nothing_does_not_say_that_it_plans():
    assert progress_after(STARTED.model_copy(update={"planned_by": "direct"})).phase == "answering"


def test_sub_queries_are_counted_by_step():
    answered = SubQueryAnswered(query=1, value="a")
    failed = SubQueryFailed(query=2, error="E", reason="r")
    progress = progress_after(STARTED, PLANNED, *ASKED, answered, failed)
    assert progress.doing() == f"step 2 · running · {bar(2 / 3)} 2 of 3 sub-queries · 1 failed"
    progress.take(PLANNED.model_copy(update={"step": 3}))
    assert progress.doing() == "step 3 · running"


def test_what_was_spent_adds_up_and_the_cache_is_free():
    hit = Charged(role="plan", model="m", cache_hit=True)
    progress = progress_after(CHARGED, CHARGED, hit)
    assert progress.calls == 2
    assert progress.spent().startswith("2 calls · 2,000 tokens · $1.0000 · ")


def test_the_line_is_the_one_that_asks():
    progress = progress_after(STARTED, PLANNED)
    assert progress.line == "hits = context.search(query)"
    progress.take(ASKED[0])
    assert progress.line == "found = ask_each(query, hits)"
    progress.take(Executed(output=""))
    assert progress.line == ""


def test_lines_of_code():
    assert first_line("\n  # x\n\n  y = 1\n") == "y = 1"
    assert first_line("# only") == line_with("x", "ask") == ""


def test_what_is_limited_is_shown_against_its_limit():
    limits = {"calls": 1000, "tokens": 50_000, "dollars": 2, "seconds": 90}
    progress = progress_after(STARTED.model_copy(update={"limits": limits}), CHARGED)
    spent = progress.spent()
    assert spent.startswith("1 of 1,000 calls · 1,000 of 50,000 tokens · $0.5000 of $2.00 · ")
    assert spent.endswith(" s of 1:30")


def test_a_sub_run_only_costs():
    sub = {"run": "1"}
    progress = progress_after(STARTED, PLANNED.model_copy(update=sub))
    progress.take(CHARGED.model_copy(update=sub))
    assert (progress.step, progress.calls) == (0, 1)


RANGES = st.tuples(st.integers(0, 1), st.integers(0, 90), st.integers(0, 10))


@settings(max_examples=50)
@given(st.lists(RANGES, max_size=200))
def test_the_share_that_was_read_is_that_of_the_run(ranges):
    started = STARTED.model_copy(update={"documents": (("a", 100), ("b", 100))})
    sent = [(number, start, start + length) for number, start, length in ranges]
    events = [
        started,
        *(SubQueryAnswered(query=1, value=1, sent=(each,)) for each in sent[::2]),
        *(Executed(output="", printed=(each,), matched=((0, 0, 100),)) for each in sent[1::2]),
    ]
    assert progress_after(*events).spent().endswith(f"{Coverage.of(events).share:.1%} read")


def test_a_bar():
    assert [bar(share).count("━") for share in (0, 0.5, 1)] == [0, 10, 20]
