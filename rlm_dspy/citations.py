"""`Citation`: an output that quotes the input, and says where the quote stands.

Code submits a quote and where it has it from; the rest is worked out on the host, from the run's
own inputs, whatever was submitted for it. A citation that is marked "unverified" is a quote that
was not found: treat it as made up.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

_SHOWN_CHARS = 300
_AS_MARKDOWN = (".html", ".xhtml", ".htm", ".docx")
# The title of a file that belongs to an entry of a bibliography begins with the entry's key.
_KEY = re.compile(r"\[@[^\]\s]+\] ")

How = Literal["exact", "normalised", "fuzzy", "unverified"]


class Citation(BaseModel):
    """A quote from an input, and where it stands there.

    Args:
        quote: What is quoted, as it was submitted.
        source: Where it is said to be from: a document's title or path, or None.
        how: "exact"; "normalised" (but for white space, case and the form of quotation marks);
            "fuzzy" (nearly, with the same numbers); or "unverified": it was not found.
        ratio: How much the quote and `text` are alike, from 0 to 1; 0 where it was not found.
        variable: The input that it was found in.
        document: The title of the document that it was found in.
        path: The path of that document, where it came from a file.
        start: Where it starts in the whole input, in characters.
        end: Where it ends there.
        offset: Where it starts in that document, in characters.
        line: The line of its document where it starts, from 1.
        text: What the document says at that place.

    Example:
        >>> Citation(quote="Sales fell.", source="q3.md").how
        'unverified'
    """

    model_config = ConfigDict(frozen=True)

    quote: str = Field(description="Words of a document, copied exactly.")
    source: str | None = Field(default=None, description="The title or path of that document.")
    # What the host finds out is no part of what a model is asked for.
    how: SkipJsonSchema[How] = "unverified"
    ratio: SkipJsonSchema[float] = 0.0
    variable: SkipJsonSchema[str | None] = None
    document: SkipJsonSchema[str | None] = None
    path: SkipJsonSchema[str | None] = None
    start: SkipJsonSchema[int | None] = None
    end: SkipJsonSchema[int | None] = None
    offset: SkipJsonSchema[int | None] = None
    line: SkipJsonSchema[int | None] = None
    text: SkipJsonSchema[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_quote(cls, value: Any) -> Any:
        return {"quote": value} if isinstance(value, str) else value

    @property
    def verified(self) -> bool:
        """Whether the quote was found."""
        return self.how != "unverified"

    @property
    def place(self) -> str:
        """Where it stands, so that an editor opens it: "notes.md:12", "report.pdf#page=3".

        Where it was not found, the source that was given. A file that is read as Markdown has no
        line: its own are others.
        """
        if not self.verified:
            return self.source or ""
        title = self.document or ""
        if self.path is None:
            return f"{title}:{self.line}"
        place = place_in(self.path, title)
        in_part = "#" in place.removeprefix(self.path)
        return place if in_part or place.lower().endswith(_AS_MARKDOWN) else f"{place}:{self.line}"

    def __str__(self) -> str:
        quote = " ".join(self.quote.split())
        if len(quote) > _SHOWN_CHARS:
            quote = f"{quote[:_SHOWN_CHARS]}…"
        key = _KEY.match(self.document or "")
        place = f"{key[0] if key else ''}{self.place} " if self.place else ""
        sure = {"fuzzy": f" (fuzzy, {self.ratio:.2f})", "unverified": " (unverified)"}
        return f'{place}"{quote}"{sure.get(self.how, "")}'


def place_in(path: str, title: str) -> str:
    """The part of a file that a document is: "report.pdf#page=3", "old.zip/a.txt", or the file.

    Args:
        path: The file.
        title: The document's title, which ends with the file's name and the part.
    """
    name, part = title.rpartition(PurePath(path).name)[1:]
    return path + part if name and part.startswith(("#", "/")) else path


def citations_in(value: Any) -> Iterator[Citation]:
    """The citations in a value, however deep, in order."""
    found: list[Citation] = []

    def note(citation: Citation) -> Citation:
        found.append(citation)
        return citation

    with_citations(value, note)
    yield from found


def with_citations(value: Any, change: Callable[[Citation], Citation]) -> Any:
    """A value with each citation in it, however deep, replaced; what holds none stays as it is."""
    if isinstance(value, Citation):
        return change(value)
    if type(value) in (list, tuple, set, frozenset):
        items = [with_citations(item, change) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    model = isinstance(value, BaseModel)
    if not model and not isinstance(value, Mapping):
        return value
    fields = {n: getattr(value, n) for n in type(value).model_fields} if model else dict(value)
    changed = {name: with_citations(item, change) for name, item in fields.items()}
    if all(changed[name] is item for name, item in fields.items()):
        return value
    return value.model_copy(update=changed) if model else changed


def only_citations(annotation: Any) -> bool:
    """Whether values of a type are citations and nothing else: one, several, or none."""
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    return annotation is Citation or (bool(arguments) and all(map(only_citations, arguments)))


def holds_citations(annotation: Any, _within: frozenset[type] = frozenset()) -> bool:
    """Whether values of a type are citations, or hold some: in lists, dicts, models."""
    if annotation is Citation:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in _within:
            return False
        within = _within | {annotation}
        fields = annotation.model_fields.values()
        return any(holds_citations(field.annotation, within) for field in fields)
    return any(holds_citations(argument, _within) for argument in get_args(annotation))
