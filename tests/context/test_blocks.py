"""Counts of parts add up to the index of the whole."""

from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context.blocks import BLOCK_BYTES, BlockIndex, Counts, IndexBuilder
from rlm_dspy.context.offsets import TextBuffer

# Short and long, so that blocks are filled, shared and cut within a character.
PARTS = st.lists(
    st.tuples(TEXTS, st.sampled_from([1, 1, 300, 2000]), st.booleans()), min_size=1, max_size=6
)


@given(PARTS, st.data())
def test_the_index_of_parts_is_that_of_the_text(parts, data):
    builder, text = IndexBuilder(), ""
    for piece, times, counted in parts:
        part = (piece * times).encode()
        text += piece * times
        if counted:
            pieces = (part[at : at + BLOCK_BYTES] for at in range(0, len(part), BLOCK_BYTES))
            builder.add(len(part), Counts.of(pieces))
        else:
            builder.add_bytes(part)
    index = BlockIndex.unpacked(builder.finish().packed())
    plain = text.encode()
    assert (index.chars is None) == plain.isascii()
    buffer = TextBuffer(plain, index=index, ascii=plain.isascii())
    assert buffer.chars == len(text)
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=20))
    for at in (0, len(text), *places):
        byte = len(text[:at].encode())
        assert (buffer.byte_of(at), buffer.char_of(byte)) == (byte, at)
        assert buffer.newlines_before(at) == text.count("\n", 0, at)
        assert buffer.text(at, at + 5) == text[at : at + 5]
    newlines = [at for at, character in enumerate(text) if character == "\n"]
    for number in {1, len(newlines), len(newlines) // 2 + 1}:
        expected = newlines[number - 1] if 0 < number <= len(newlines) else len(text)
        assert number == 0 or buffer.newline(number) == expected


def test_small_parts_share_a_block():
    builder = IndexBuilder()
    for _ in range(10_000):
        builder.add_bytes(b"0123456789")
    places = builder.finish().places
    assert places is not None
    assert len(places) < 30
