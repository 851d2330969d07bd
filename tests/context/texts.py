"""Texts that break naive offset arithmetic, and contexts whose buffers have tiny blocks."""

from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.sources import Entry

# Line ends of every kind, a combining mark, and characters of 1, 2, 3 and 4 bytes.
TRICKY = "ab \n\r\t,éß\u0301漢😀\u2028\x85\x0c"
SHORT = st.text(alphabet=TRICKY, max_size=3)
TEXTS = st.one_of(
    st.text(alphabet=TRICKY, max_size=60), st.text(alphabet="ab \n", max_size=60), st.text()
)


def tiny(text: str) -> Context:
    """A context over a view of the text, in blocks so small that every operation crosses some."""
    buffer = TextBuffer(memoryview(text.encode()), block=5, window=8)
    return Context(buffer, [Entry(0, None, None, 0, 0, len(text), {})])
