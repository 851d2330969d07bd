"""A context as bytes and plain data, for a record that outlives the process."""

from typing import Any

from rlm_dspy.context.context import Context
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.sources import Entry
from rlm_dspy.plain_json import as_plain_json, from_plain_json


def as_kept(context: Context, most: int) -> tuple[bytes, dict[str, Any]] | None:
    """A context's text, and what is known of it.

    Args:
        context: The context.
        most: The most bytes that are worth keeping.

    Returns:
        The text as UTF-8 and the rest as JSON takes it; None for one that is longer, or whose
        documents hold what is no plain data.
    """
    buffer = context._buffer
    if buffer.size > most:
        return None
    try:
        documents = as_plain_json([list(document._entry) for document in context.documents])
    except TypeError:
        return None
    skipped = [list(pair) for pair in context.skipped]
    about = {"documents": documents, "skipped": skipped, "ascii": buffer.ascii}
    return bytes(buffer.read(0, buffer.size)), about


def from_kept(text: bytes, about: dict[str, Any]) -> Context:
    """The context that `as_kept` made this of."""
    documents = from_plain_json(about["documents"])
    entries = [Entry(*entry) for entry in documents]
    buffer = TextBuffer(text, ascii=about["ascii"])
    return Context(buffer, entries, [(path, why) for path, why in about["skipped"]])
