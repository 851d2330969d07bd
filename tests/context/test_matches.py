"""`grep`: what `re` matches is found, line by line, whichever engine looks."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from texts import TEXTS, tiny

from rlm_dspy.context.context import Context
from rlm_dspy.context.linear import linear
from rlm_dspy.context.matches import Backtracking, Literal, matcher
from rlm_dspy.errors import ContextError

# Letters with odd cases, digits and spaces that are not ASCII, a mark, and line ends of all kinds.
LETTERS = "ab _-1kKſsSßẞıİiIéÉ漢😀\u0301\u0660ªǅǆΣσς\t .\u212a\u2028\x85\x1f"
ATOMS = r"a b k s i ß é 漢 😀 Σ \. . \w \W \d \D \s \S [ab] [^ab] [a-z] [^\W\d] [À-ÿ] [^é] [\s_] _"
ATOMS += r" - 1 [k-s] [Σ-ω] ı \n \r [\w-] \u212a [^\s\S]"
PLACES = r"^ $ \b \B \A \Z"
FLAGS = st.sampled_from([0, 0, re.I, re.A, re.I | re.A, re.M, re.S])


def extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Patterns made of patterns."""
    counts = st.sampled_from(["*", "+", "?", "*?", "??", "{2}", "{0,2}", "{1,}"])
    scopes = st.sampled_from(["i", "-i", "s", "m", "i-s"])
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("|".join).map("(?:{})".format)
        | inner.map("({})".format)
        | st.builds("(?{}:{})".format, scopes, inner)
        | st.builds("(?:{}){}".format, inner, counts)
    )


PATTERNS = st.recursive(
    st.sampled_from(ATOMS.split(" ")) | st.sampled_from(PLACES.split(" ")), extended, max_leaves=8
)
LINES = st.text(alphabet=LETTERS, max_size=8) | st.text(alphabet="ab _1.-", max_size=8)


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """Some lines with the line ends of one system or of several."""
    ends = draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n", "\r", "\r\r\n"]]))
    lines = draw(st.lists(LINES, max_size=6))
    text = "".join(line + draw(st.sampled_from(ends)) for line in lines)
    return text + draw(LINES)


def expected(text: str, pattern: "re.Pattern[str]") -> list[tuple[int, int]]:
    """Where the lines that `re` matches begin and end, in bytes."""
    rows = text.split("\n")
    if not rows[-1]:
        rows.pop()
    found, at = [], 0
    for row in rows:
        line = row.removesuffix("\r")
        if pattern.search(line):
            found.append((at, at + len(line.encode())))
        at += len(row.encode()) + 1
    return found


def compiled(pattern: str, flags: int) -> "re.Pattern[str]":
    """A pattern of `re`; hypothesis draws another where it is none."""
    try:
        return re.compile(pattern, flags)
    except re.error:
        assume(False)
        raise


@given(PATTERNS, FLAGS, blocks())
@settings(max_examples=200)
@example(r"\bé", 0, "é aé")
@example(r"\B", re.A, "éa")
@example(r"\B", 0, "\n\n")
@example(r"_\b|\b_", 0, "é_ _")
@example(r"a$", 0, "a\r\n\r\n\r\na\r")
@example(r"(?i:k)", 0, "\u212a")
@example(r"(?:^|\b)é\Z", re.M, "x\né\r\n")
def test_every_pattern_finds_what_re_finds(pattern, flags, text):
    real = compiled(pattern, flags)
    block = text.encode()
    assert linear(real).ranges(block, len(block)) == expected(text, real)
    assert Backtracking(real).ranges(block, len(block)) == expected(text, real)


@given(st.text(alphabet="ab\r\n é", max_size=3), blocks())
@example("", "\n\n")
@example("a\r", "a\r\na\rb")
@example("\ud800", "a")
def test_a_text_without_operators_finds_what_re_finds(sought, text):
    real = re.compile(re.escape(sought))
    for engine in (Literal(sought), linear(real)):
        block = text.encode()
        assert engine.ranges(block, len(block)) == expected(text, real)


@given(TEXTS, st.sampled_from(["a", "b$", "^a", "é|漢", r"\s", "", "[^a]b", "A"]), st.booleans())
def test_hits_are_lines_and_are_counted(text, pattern, ignore_case):
    context = tiny(text)
    hits = context.grep(pattern, ignore_case=ignore_case)
    real = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    assert [len(text[: hit.start].encode()) for hit in hits] == [
        low for low, _ in expected(text, real)
    ]
    assert all(text[hit.start : hit.end] == hit.text for hit in hits)
    assert context.grep(pattern, ignore_case=ignore_case, count=True) == len(hits)


def test_a_piece_is_searched_by_itself():
    context = Context.from_text("one\ntwo\nthree\n")
    assert [hit.text for hit in context[1:11].grep("^.+$")] == ["ne", "two", "thr"]
    assert context[1:11].grep("e$", count=True) == 1
    assert context.grep("e$", max_hits=1)[0].line == 1


@pytest.mark.slow
def test_very_many_hits_are_read_when_they_are_asked_for():
    context = Context.from_documents([("a", "one é\ntwo\n" * 20_000)])
    hits = context.grep("o", context_lines=1)
    assert repr(hits) == "['a:1: one é', 'a:2: two', 'a:3: one é', …]"
    assert (hits[30_000].line, hits[30_000].before, hits[30_000].after) == (
        30_001,
        ["two"],
        ["two"],
    )
    assert len(hits) == 40_000
    assert hits[-1].end == len(context) - 1
    assert context.grep("o", max_hits=9_999) == hits[:9_999]
    assert context.grep("two") == hits[1::2]
    assert context.grep("one", max_hits=1) + hits == [hits[0], *hits]


def test_a_number_of_hits_is_none_below_zero():
    with pytest.raises(ContextError, match=r"max_hits=-1 must be 0 or more"):
        Context.from_text("one").grep("o", max_hits=-1)


def test_what_stands_for_a_pattern_is_one():
    context = Context.from_text("one\nTwo")
    stands: Any = SimpleNamespace(pattern="t", flags=re.IGNORECASE.value)
    assert [hit.text for hit in context.grep(stands)] == ["Two"]
    assert [hit.text for hit in context.grep(context[:2])] == ["one"]


def test_a_large_text_is_searched_by_several_threads():
    line = "nothing of the kind is here, and this line goes on for a while\n"
    count = (40 << 20) // len(line)
    context = Context.from_text((line * (count // 2) + "a zebra é\n") * 2 + line)
    hits = context.grep(r"\bZEBRA\b.*é$", ignore_case=True)
    assert [hit.line for hit in hits] == [count // 2 + 1, 2 * (count // 2) + 2]
    assert context.grep("zebra", max_hits=1) == hits[:1]
    assert context.grep("zebra", count=True) == 2


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)x"])
def test_no_pattern_takes_more_than_linear_time(pattern):
    # `re` would need longer than the age of the universe for the first.
    assert Context.from_text("a" * 5000 + "!").grep(pattern) == []


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        ("a(?=b)", "lookahead"),
        ("(?<=a)b", "lookbehind"),
        ("a(?!b)", "negative lookahead"),
        ("x(?:y(?<!a)b)*", "negative lookahead or lookbehind"),
        (r"(a)\1", "backreference"),
        ("(?P<x>a)(?P=x)", "backreference"),
        ("(a)?(?(1)b|c)", "condition"),
        ("(?>a+)b", "atomic group"),
        ("a++b", "possessive"),
    ],
)
def test_what_has_no_linear_time_is_refused_by_name(pattern, construct):
    with pytest.raises(ContextError, match=f"has .*{construct}.* linear time. Instead, ") as caught:
        Context.from_text("abc").grep(pattern)
    assert construct in caught.value.data["construct"]
    assert caught.value.data["pattern"] == pattern


@pytest.mark.parametrize("pattern", ["a{1001}", "(?:a{100}){100}"])
def test_what_is_too_large_is_refused(pattern):
    with pytest.raises(ContextError, match="is too large"):
        Context.from_text("abc é").grep(pattern)


def test_two_kinds_of_words_are_refused():
    with pytest.raises(ContextError, match="with and without the flag ASCII"):
        matcher(r"(?a:\b)x\b")
