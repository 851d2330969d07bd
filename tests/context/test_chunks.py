"""Chunks cover the text, in order, within their size."""

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS, tiny

from rlm_dspy.context.context import Context
from rlm_dspy.errors import ContextError

SIZES = st.integers(1, 12)
UNITS = st.sampled_from(["chars", "lines", "paragraphs", "content"])


@given(TEXTS, SIZES, UNITS)
def test_chunks_without_overlap_are_the_text(text, size, by):
    chunks = tiny(text).chunks(size, by=by)
    assert "".join(chunks) == text
    assert all(chunks)


@given(TEXTS, SIZES, st.data(), UNITS)
def test_chunks_with_overlap_cover_the_text(text, size, data, by):
    overlap = data.draw(st.integers(0, size - 1))
    chunks = tiny(text).chunks(size, overlap, by)
    covered = 0
    for chunk in chunks:
        assert chunk.start <= covered < chunk.end
        covered = chunk.end
        assert text[chunk.start : chunk.end] == chunk
    assert covered == len(text)
    if by in ("chars", "content"):
        assert all(len(chunk) <= size for chunk in chunks)
        pairs = zip(chunks, chunks[1:], strict=False)
        assert all(one.end - two.start <= overlap for one, two in pairs)


@given(TEXTS, st.integers(1, 4), st.data())
def test_lines_are_never_cut(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    chunks = tiny(text).chunks(size, overlap, by="lines")
    assert all(chunk.endswith("\n") for chunk in chunks[:-1])
    assert all(chunk.count("\n") == size for chunk in chunks[:-1])
    assert all(chunk.count("\n") <= size for chunk in chunks)


def test_paragraphs_keep_their_blank_lines():
    context = Context.from_text("a\nb\n\n \nc\n\n  d\n\ne")
    assert context.chunks(1, by="paragraphs") == ["a\nb\n\n \n", "c\n\n", "  d\n\n", "e"]
    assert context.chunks(3, 1, by="paragraphs") == ["a\nb\n\n \nc\n\n  d\n\n", "  d\n\ne"]


def test_a_chunk_ends_behind_a_newline_or_a_space():
    text = "word " * 30 + "\n" + "longer " * 30
    chunks = Context.from_text(text).chunks(100)
    assert all(chunk[-1] in " \n" for chunk in chunks)
    assert len(chunks) == 4
    assert Context.from_text("x" * 95 + "\nabc " + "y" * 40).chunks(100)[0].endswith("x\n")


def test_a_mark_stays_with_its_letter_and_a_line_end_is_whole():
    text = "e\u0301\u0308" * 100
    chunks = Context.from_text(text).chunks(20)
    assert not any(unicodedata.combining(chunk[0]) for chunk in chunks)
    ends = tiny("\r\n" * 50).chunks(5)
    assert all(chunk.startswith("\r\n") and chunk.endswith("\r\n") for chunk in ends)


def numbered_lines(count, seed):
    draw = random.Random(seed)
    return [f"{n}: {draw.random()} {'x' * draw.randrange(60)}\n" for n in range(count)]


@given(
    st.lists(
        st.tuples(st.integers(0, 1_999), st.sampled_from(["change", "insert", "delete"])),
        max_size=5,
    ),
    st.integers(0, 99),
)
def test_a_change_moves_the_chunks_near_it_alone(changes, seed):
    lines = numbered_lines(2_000, seed)
    before = set(Context.from_text("".join(lines)).chunks(1_000, by="content"))
    for at, kind in changes:
        lines[at % len(lines) : at % len(lines) + (kind != "insert")] = (
            [] if kind == "delete" else [f"new {at}\n"]
        )
    after = Context.from_text("".join(lines)).chunks(1_000, by="content")
    assert sum(chunk not in before for chunk in after) <= 4 * len(changes)
    assert sum(map(len, after)) / len(after) > 500


def test_a_document_is_chunked_by_itself():
    context = Context.from_documents([("a", "x" * 30), ("b", "y" * 25)])
    chunks = context.documents[1].chunks(10)
    assert list(map(len, chunks)) == [10, 10, 5]
    assert {chunk.title for chunk in chunks} == {"b"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0,), "size=0"),
        ((-5,), "size=-5"),
        (("9",), "size='9'"),
        ((10, -1), "overlap=-1"),
        ((10, 10), "overlap=10"),
        ((10, 0, "pages"), "by='pages'"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ContextError, match=named):
        Context.from_text("abc").chunks(*arguments)
