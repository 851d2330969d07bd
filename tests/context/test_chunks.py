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
STRUCTURED = ["headings", "code", "content"]
COUNTED = ["lines", "sentences", "paragraphs", "records"]
UNITS = st.sampled_from(["chars", "tokens", *COUNTED, *STRUCTURED])


@given(TEXTS, SIZES, UNITS)
def test_chunks_without_overlap_are_the_text(text, size, by):
    chunks = tiny(text).chunks(size, by=by)
    assert "".join(chunks) == text
    assert all(chunks)


def test_a_chunk_that_would_only_repeat_is_left_out():
    chunks = Context.from_text("a" * 54 + "\x85\u0301").chunks(2, 1, by="tokens")
    assert [(chunk.start, chunk.end) for chunk in chunks][-2:] == [(48, 54), (53, 56)]


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
    if by in ("chars", *STRUCTURED):
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


@pytest.mark.slow
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


def test_tokens_are_estimated_or_counted():
    text = "word and word " * 50 + "漢字" * 100
    context = Context.from_text(text)
    assert all(len(chunk.encode()) <= 60 for chunk in context.chunks(20, by="tokens"))
    words = context.chunks(20, 5, by="tokens", count=lambda piece: len(piece.split()))
    assert all(len(chunk.split()) <= 20 for chunk in words)
    assert words[1].start < words[0].end


@given(TEXTS, st.integers(1, 9), st.integers(1, 5))
def test_no_chunk_has_more_tokens_than_asked(text, size, letters):
    def count(piece: str) -> int:
        return -(-len(piece) // letters)

    chunks = tiny(text).chunks(size, by="tokens", count=count)
    assert "".join(chunks) == text
    assert all(count(chunk) <= size for chunk in chunks)


@pytest.mark.parametrize("by", ["chars", "headings", "content", "tokens"])
def test_no_chunk_begins_within_a_character(by):
    text = "e\u0301\u0308👨\u200d👩\u200d👧🇩🇪🇫🇷\r\n" * 30
    for size, overlap in ((12, 0), (15, 6), (15, 9), (40, 13)):
        chunks = Context.from_text(text).chunks(size, overlap, by)
        assert not any(chunk[0] in "\u0301\u0308\u200d\n" for chunk in chunks)
        flags = [chunk for chunk in chunks if chunk[0] == "🇪" or chunk[0] == "🇷"]
        assert flags == []


def test_the_chunks_of_a_long_text_are_cut_when_asked_for():
    line = "a line of the text that goes on\n"
    context = Context.from_text(line * 600_000)
    shown = repr(context.chunks(1, by="lines"))
    assert shown == f"[{', '.join([repr(line)] * 3)}, …]"
    chunks = context.chunks(100, by="lines")
    assert chunks
    assert chunks[3] == line * 100
    assert [chunk.line for chunk in chunks[1:3]] == [101, 201]
    assert next(iter(chunks)).start == 0
    assert len(chunks) == 6000
    assert chunks[-1].end == len(context)
    assert chunks[-2:] == [chunks[5998], chunks[5999]]
    assert chunks[::3000] == [chunks[0], chunks[3000]]
    assert sum(1 for _ in chunks) == 6000
    assert chunks == context.chunks(100, by="lines")
    assert chunks[:1] + chunks[-1:] == [chunks[0], chunks[5999]]
    assert len(chunks + chunks[:2]) == 6002
    with pytest.raises(IndexError):
        chunks[6000]
    with pytest.raises(ContextError, match="size=0"):
        context.chunks(0)
