"""A run in a terminal."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from rlm_dspy.events import Charged, Executed, Planned, RunStarted, SubQueryFailed, SubQueryStarted
from rlm_dspy.view.terminal import TerminalView, shortened
from rlm_dspy.view.text import clock, counted, printable

CODE = "# look\nhits = context.search(query)\nfound = ask_each(query, hits)\nprint(found)"
STARTED = RunStarted(signature="", inputs={}, model="m", sub_model="m", planned_by="model")
PLANNED = Planned(reasoning="", code=CODE, step=2)
ASKED = [
    SubQueryStarted(query=n, operator="ask_each", question="q", characters=9, step=2)
    for n in (1, 2, 3)
]
CHARGED = Charged(role="plan", model="m", prompt_tokens=900, completion_tokens=100, dollars=0.5)


def terminal(width=100):
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


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
    for part in ("step 2", "0 of 1 sub-query", "1,000 tokens", "› found = ask_each(query, hits)"):
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


def test_a_step_says_what_it_thought_and_asked():
    console = Console(file=io.StringIO(), width=80)
    view = TerminalView(console, steps=True)
    view.listen(PLANNED.model_copy(update={"reasoning": "Look.\nThen ask.\nThen answer."}))
    for event in ASKED:
        view.listen(event)
    view.listen(SubQueryFailed(query=2, error="E", reason="r"))
    view.listen(Executed(output="a", seconds=2.0, step=2))
    view.listen(Executed(output="of a sub-run", run="1"))
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert lines[:4] == ["step 2  Look.", "Then ask.", "… 1 more line", "# look"]
    assert lines[-2:] == ["a", "3 sub-queries · 1 failed · 2.0 s"]


def test_code_is_coloured_in_a_terminal_only():
    coloured = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    plain = Console(file=io.StringIO())
    for console in (coloured, plain):
        TerminalView(console, steps=True).listen(PLANNED)
    assert "\x1b[" not in plain.file.getvalue()
    shown = coloured.file.getvalue()
    assert "\x1b[" in shown
    assert "".join(Text.from_ansi(shown).plain.split()) == "".join(plain.file.getvalue().split())


def test_of_long_code_the_first_lines_stay():
    console, long = terminal(), "\n".join(f"x = {n}" for n in range(30))
    TerminalView(console).listen(Planned(reasoning="", code=long, step=1))
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert lines[0] == "step 1  x = 0"
    assert lines[-2:] == ["x = 19", "… 10 more lines"]


def test_a_question_is_asked_where_nothing_moves_and_stays():
    console = terminal()
    view = TerminalView(console)
    with view.live():
        view._live.refresh()
        with view.paused():
            assert not view._live.is_started
            console.print("Go on?")
        view._live.refresh()
        drawn = console.file.getvalue().split("Go on?")[1]
        assert "loading" in drawn
        assert "\x1b[1A" not in drawn.partition("loading")[0]  # no line above is drawn over


@pytest.mark.parametrize(
    "view", [TerminalView(terminal(), enabled=False), TerminalView(Console(file=io.StringIO()))]
)
def test_it_is_silent_where_it_should_be(view):
    with view.live():
        view.listen(STARTED)
        view.listen(PLANNED)
    assert view._console.file.getvalue() == ""
