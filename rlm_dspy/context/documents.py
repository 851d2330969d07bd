"""The pieces of a context: `Span`, a text that knows where it came from, and `Document`.

A `Span` is a real `str`, so that every library takes it (`join`, `json`, `re`, pydantic), with the
range it was cut from. It promises that its text is the context's text at that range, through any
chain of slicing, splitting and stripping; what makes a new text (`lower`, `+`, …) is a plain `str`.
Pieces too long to copy are `View`s instead, with the same operations.
"""

from typing import Any, Self

from rlm_dspy.context.located import Home, Located
from rlm_dspy.context.sources import Entry
from rlm_dspy.context.view import View


class Span(Located, str):
    """A piece of a context, as a `str` that knows its range.

    Args:
        context: What it is a piece of.
        start: Where it starts there, in characters.
        end: Where it ends there.
        text: The text of that range where it is known already.
    """

    __slots__ = ("_context", "_end", "_start")

    def __new__(cls, context: Home, start: int, end: int, text: str | None = None) -> Self:
        """Cut a piece out of a context."""
        span = super().__new__(cls, context._buffer.text(start, end) if text is None else text)
        span._context, span._start, span._end = context, start, end
        return span

    def _no_format(self) -> Any:
        raise AttributeError("a span has no format: use an f-string, or str(span).format(...)")

    # A format string reaches into the attributes of its arguments, past the sandbox's policy.
    format = property(_no_format)
    format_map = property(_no_format)

    def _whole(self) -> str:
        return str.__str__(self)

    def _character(self, index: int) -> str:
        return str.__getitem__(self, index)

    def _piece(self, start: int, end: int, text: str | None = None) -> Any:
        if text is None:
            text = str.__getitem__(self, slice(start, end))
        return Span(self._context, self._start + start, self._start + end, text)

    def __copy__(self) -> "Span":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Span":
        # Nothing in it ever changes.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.__getnewargs__()

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._context, self._start, self._end


class Document(View):
    """One document of a context: its text, with a title, a path and metadata."""

    __slots__ = ("_entry", "_number")

    def __init__(self, context: Home, number: int, entry: Entry):
        super().__init__(context, entry.start, entry.end)
        self._number = number
        self._entry = entry

    @property
    def id(self) -> Any:
        """The identifier that it was given, else its number from 0."""
        return self._entry.id

    @property
    def title(self) -> str:
        """Its title; "document 3" for the third one where it has none."""
        return self._entry.title or f"document {self._number + 1}"

    @property
    def path(self) -> str | None:
        """The file that it came from, if any."""
        return self._entry.path

    @property
    def metadata(self) -> dict[str, Any]:
        """What else is known of it; a copy."""
        return dict(self._entry.metadata)

    @property
    def document(self) -> "Document":
        """Itself."""
        return self

    def __repr__(self) -> str:
        return f"<Document {self.title!r}, {len(self):,} characters>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Document):
            # Two documents with the same text are still two.
            return self._number == other._number and self._context == other._context
        return super().__eq__(other)

    __hash__ = View.__hash__
