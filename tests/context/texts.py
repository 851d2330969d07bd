"""Texts that break naive offset arithmetic, and contexts whose buffers have tiny blocks."""

from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.sources import Entry

# Line ends of every kind, a combining mark, and characters of 1, 2, 3 and 4 bytes.
TRICKY = "ab \n\r\t,éß\u0301漢😀\u2028\x85\x0c"
FEW = "ab \n"
# Often found in the texts, which are often of these characters.
SHORT = st.text(alphabet=FEW, max_size=3) | st.text(alphabet=TRICKY, max_size=2)


def _of_length(length: int) -> st.SearchStrategy[str]:
    """Left to itself, hypothesis makes texts too short to cross a block."""
    return st.sampled_from([FEW, "ab", TRICKY, TRICKY]).flatmap(
        lambda alphabet: st.text(alphabet=alphabet, min_size=length, max_size=length)
    )


TEXTS = st.integers(0, 60).flatmap(_of_length) | st.text()


@st.composite
def texts_and_parts(draw: st.DrawFn) -> tuple[str, str]:
    """A text and something to look for in it: mostly a piece of it."""
    text = draw(TEXTS)
    start = draw(st.integers(0, len(text)))
    piece = text[start : start + draw(st.integers(0, 4))]
    return text, draw(st.sampled_from([piece, piece, piece + "a"]) | SHORT)


def tiny(text: str) -> Context:
    """A context over a view of the text, in blocks so small that every operation crosses some."""
    buffer = TextBuffer(memoryview(text.encode()), block=5, window=8)
    return Context(buffer, [Entry(0, None, None, 0, 0, len(text), {})])
