"""`TextBuffer` finds every character and line of any UTF-8 text."""

import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS, texts_and_parts

from rlm_dspy.context.blocks import BlockIndex
from rlm_dspy.context.offsets import TextBuffer

WRAPPERS = st.sampled_from([bytes, memoryview, bytearray])


@given(TEXTS, WRAPPERS, st.integers(1, 9))
def test_offsets_are_those_of_the_encoded_text(text, wrap, block):
    buffer = TextBuffer(wrap(text.encode()), block=block, window=8)
    bytes_before = [len(text[:at].encode()) for at in range(len(text) + 1)]
    assert buffer.chars == len(text)
    assert [buffer.byte_of(at) for at in range(len(text) + 1)] == bytes_before
    assert [buffer.char_of(byte) for byte in bytes_before] == list(range(len(text) + 1))


@given(TEXTS, WRAPPERS, st.data())
def test_text_and_windows_are_the_slice(text, wrap, data):
    buffer = TextBuffer(wrap(text.encode()), block=5, window=8)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(0, len(text)))
    assert buffer.text(start, end) == text[start:end]
    assert "".join(buffer.windows(start, end)) == text[start:end]


@given(texts_and_parts(), WRAPPERS, st.data())
def test_literal_search_agrees_with_str(pair, wrap, data):
    text, needle = pair
    buffer = TextBuffer(wrap(text.encode()), block=5, window=8)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert buffer.find(needle, start, end) == text.find(needle, start, end)
    assert buffer.rfind(needle, start, end) == text.rfind(needle, start, end)
    assert buffer.count(needle, start, end) == text.count(needle, start, end)


@pytest.mark.parametrize("text", ["a" * 50, "ab" * 30, "aab" * 20])
@pytest.mark.parametrize("needle", ["aa", "aaa", "aba", "aabaa", "abababababab"])
def test_overlapping_matches_are_counted_as_str_counts_them(text, needle):
    assert TextBuffer(memoryview(text.encode()), window=8).count(
        needle, 1, len(text)
    ) == text.count(needle, 1)


@given(TEXTS, WRAPPERS)
def test_newlines_are_found_by_number(text, wrap):
    buffer = TextBuffer(wrap(text.encode()), block=5, window=8)
    places = [at for at, character in enumerate(text) if character == "\n"]
    assert [buffer.newline(number + 1) for number in range(len(places))] == places
    assert buffer.newline(len(places) + 1) == len(text)
    before = [buffer.newlines_before(at) for at in range(len(text) + 1)]
    assert before == [text[:at].count("\n") for at in range(len(text) + 1)]


def test_lone_surrogates_are_nowhere():
    buffer = TextBuffer("a😀".encode())
    assert (buffer.find("\ud83d", 0, 2), buffer.rfind("\ud83d", 0, 2)) == (-1, -1)
    assert buffer.count("\ud83d", 0, 2) == 0


@given(TEXTS)
def test_an_index_made_elsewhere_serves_the_same_bytes(text):
    data = text.encode()
    first = TextBuffer(data)
    second = TextBuffer(memoryview(data), index=BlockIndex.unpacked(first.index.packed()))
    assert second.chars == len(text)
    assert [second.text(at, at + 1) for at in range(len(text))] == list(text)


def test_a_mapped_file_is_a_buffer(tmp_path: Path):
    text = "zwölf Boxkämpfer\n" * 10_000
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        buffer = TextBuffer(mapped)
        assert buffer.chars == len(text)
        assert buffer.text(100_000, 100_050) == text[100_000:100_050]
        assert buffer.rfind("zwölf", 0, len(text)) == text.rfind("zwölf")
        del buffer
