"""What the live view makes of a run's events."""

import io

import pytest
from rich.console import Console

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
from rlm_dspy.view.terminal import Progress, TerminalView, first_line, line_with, shortened
from rlm_dspy.view.text import clock, counted, printable

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


def terminal(width=100):
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


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
    assert "step 2 · running · 2/3 sub-queries" in progress.summary()
    progress.take(PLANNED.model_copy(update={"step": 3}))
    assert "sub-queries" not in progress.summary()


def test_what_was_spent_adds_up_and_the_cache_is_free():
    hit = Charged(role="plan", model="m", cache_hit=True)
    progress = progress_after(CHARGED, CHARGED, hit)
    assert progress.calls == 2
    assert "2,000 tokens · $1.0000" in progress.summary()


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


def test_an_output_is_shortened():
    assert shortened("a\n\nb") == ["a", "b"]
    assert shortened("\n".join("abcdef"), lines=4) == ["a", "b", "c", "d", "… 2 more lines"]
    assert shortened("x" * 50, width=10) == ["x" * 9 + "…"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0 s"), (8.44, "8.4 s"), (125, "2:05"), (3725, "1:02:05")]
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_counted():
    assert [counted(n, "sub-query") for n in (0, 1, 1200)] == [
        "0 sub-queries",
        "1 sub-query",
        "1,200 sub-queries",
    ]


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202e", "\x9b31m", "\x07", "\ud800"])
def test_what_a_terminal_would_obey_is_replaced(text):
    shown = printable(f"é\n{text}\t🙂")
    assert "\ufffd" in shown
    assert not set(shown) & set("\x1b\r\u202e\x9b\x07\ud800")
    assert shown.startswith("é\n")
    assert shown.endswith("\t🙂")


def test_it_draws_in_a_terminal_and_clears_what_it_drew():
    console = terminal()
    view = TerminalView(console)
    with view.live():
        for event in (STARTED, PLANNED, ASKED[0], CHARGED):
            view.listen(event)
        view.note("wait")
    drawn = console.file.getvalue()
    for part in ("step 2", "0/1 sub-query", "1,000 tokens", "› found = ask_each(query, hits)"):
        assert part in drawn
    assert "wait" in drawn
    assert drawn.rstrip("\n").endswith("\x1b[2K")  # the last line is erased


def test_code_cannot_command_the_terminal():
    console = terminal()
    view = TerminalView(console, steps=True)
    view.listen(Planned(reasoning="", code="x = '\x1b]0;owned\x07'", step=1))
    view.listen(Executed(output="\x1b[31m[bold]red", outcome="error", step=1))
    shown = console.file.getvalue()
    assert "\x1b]0;" not in shown
    assert "\x1b[31m" not in shown
    assert "[bold]red" in shown  # no markup either


def test_steps_stay_where_nothing_moves():
    console = Console(file=io.StringIO(), width=80)
    view = TerminalView(console, steps=True)
    with view.live():
        view.listen(PLANNED)
        view.listen(Executed(output="found it", step=2))
        view.listen(Executed(output="", outcome="submit", submitted={}, step=3))
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "  step 2  # look"
    assert lines[-2:] == ["          found it", "          submitted"]


@pytest.mark.parametrize(
    "view", [TerminalView(terminal(), enabled=False), TerminalView(Console(file=io.StringIO()))]
)
def test_it_is_silent_where_it_should_be(view):
    with view.live():
        view.listen(STARTED)
        view.listen(PLANNED)
    assert view._console.file.getvalue() == ""
