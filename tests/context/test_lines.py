"""Lines by number, and `grep`."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS, tiny

from rlm_dspy import RestrictedInterpreter
from rlm_dspy.context.context import Context
from rlm_dspy.context.documents import Span
from rlm_dspy.errors import ContextError


def lines_of(text: str) -> list[str]:
    """The lines of a text, by the rule: newline ends one, a carriage return before it goes too."""
    rows = text.split("\n")
    return [row.removesuffix("\r") for row in (rows if rows[-1] else rows[:-1])]


@given(TEXTS, st.integers(-2, 70), st.none() | st.integers(-2, 70))
def test_lines_are_numbered_from_one(text, first, last):
    context = tiny(text)
    lines = lines_of(text)
    assert list(context.lines()) == lines
    assert len(context.lines()) == len(lines)
    assert context.lines(first, last) == lines[max(first, 1) - 1 : last and max(last, 0)]
    assert all(text[line.start : line.end] == line for line in context.lines())
    assert [line.line for line in context.lines()] == list(range(1, len(lines) + 1))


@given(TEXTS, st.data())
def test_a_span_counts_its_own_lines(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    span = tiny(text)[start:end]
    lines = lines_of(text[start:end])
    assert list(span.lines()) == lines
    assert [span.lines(at + 1, at + 1) for at in range(len(lines))] == [[line] for line in lines]
    assert span.lines(1, 2) == lines[:2]


def test_lines_are_a_list_that_is_read_lazily():
    text = "\n".join(f"línea {number}" for number in range(5000))
    lines = Context.from_text(text).lines()
    assert lines[0] == lines[-5000] == "línea 0"
    assert lines[-1] == "línea 4999"
    assert lines[10:12] == ["línea 10", "línea 11"]
    assert lines[4998::-2][:2] == ["línea 4998", "línea 4996"]
    assert [str(line) for line in lines] == text.split("\n")
    assert "línea 77" in lines
    assert repr(lines) == "<5,000 lines>"
    with pytest.raises(IndexError):
        lines[5000]


@given(TEXTS, st.sampled_from(["a", "b$", "^a", "é|漢", r"\s", "", "[^a]b", "A"]), st.booleans())
def test_grep_matches_each_line(text, pattern, ignore_case):
    hits = tiny(text).grep(pattern, ignore_case=ignore_case)
    flags = re.IGNORECASE if ignore_case else 0
    numbers = [n for n, line in enumerate(lines_of(text), 1) if re.search(pattern, line, flags)]
    assert [hit.line for hit in hits] == numbers
    assert all(text[hit.start : hit.end] == hit.text for hit in hits)


def test_a_hit_shows_where_it_is():
    context = Context.from_documents([("a.txt", "one\ntwo\nthree"), ("b.txt", "zwei\ntwo")])
    first, second = context.grep("tw")
    assert (str(first), f"{second}", repr(first)) == (
        "a.txt:2: two",
        "b.txt:2: two",
        "'a.txt:2: two'",
    )
    assert (first.text, first, first.title, first.document.title) == (
        "two",
        "two",
        "a.txt",
        "a.txt",
    )
    assert (first.before, first.after) == ([], [])
    assert type(first[1:]) is Span
    assert "|".join([first, second]) == "two|two"


def test_context_lines_stay_in_the_document():
    context = Context.from_documents([("a", "1\n2\n3\n4\n5"), ("b", "6\n7")])
    (hit,) = context.grep("3", context_lines=1)
    assert (hit.before, hit.after) == (["2"], ["4"])
    (hit,) = context.grep("5", context_lines=9)
    assert (hit.before, hit.after) == (["1", "2", "3", "4"], [])
    (hit,) = context.grep("6", context_lines=9)
    assert (hit.before, hit.after) == ([], ["7"])


def test_hits_are_counted_and_the_case_ignored():
    context = Context.from_text("Key a\nkey b\nKEY c\nkez")
    assert len(context.grep("key")) == 1
    assert len(context.grep("key", ignore_case=True)) == 3
    assert [hit.line for hit in context.grep("ke", max_hits=1)] == [2]
    assert [hit.text for hit in context.grep(re.compile("^KEY", re.IGNORECASE))] == list(
        map(str, context.lines(1, 3))
    )


def test_a_title_line_is_found():
    (hit,) = Context.from_documents([("Alpha", "x"), ("Beta", "y")]).grep("Beta")
    assert (hit.line, hit.document.title, hit.before, hit.after) == (0, "Beta", [], [])


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<x>a)(?P<x>b)", 3, b"a", None])
def test_a_wrong_pattern_is_named(pattern: Any):
    with pytest.raises(ContextError, match="is not a regular expression") as caught:
        Context.from_text("abc").grep(pattern)
    assert caught.value.data["pattern"] == pattern


def test_lines_leave_the_repl_as_a_list():
    got: list[Any] = []
    context = Context.from_text("one\ntwo\nthree")
    with RestrictedInterpreter(tools={"keep_it": got.append}) as repl:
        repl.execute("keep_it(c.lines())", {"c": context})
    assert got == [["one", "two", "three"]]
