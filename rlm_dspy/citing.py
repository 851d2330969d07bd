"""The citations of an answer, verified against the run's own inputs.

Promised: whatever code or a model claims of a citation but its quote and its source is dropped; a
place is given only where the host's own text bears the quote out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rlm_dspy.citations import Citation, citations_in, with_citations
from rlm_dspy.context import Context
from rlm_dspy.context.quotes import Place, found_quote

# What the planner is told of a quote that was not found begins so.
UNVERIFIED = "[Citation Error]"
_TOLD, _SHOWN_CHARS = 5, 300
_ORDER = ("exact", "normalised", "fuzzy", "unverified")
# How a hit is printed, "title:line: text", and how a place is written, "title:line".
_AS_HIT = re.compile(r"(?P<source>[^\n]{1,300}?):(?P<line>\d+): ")
_WITH_LINE = re.compile(r"(?P<source>.*?):(?P<line>\d+)", re.DOTALL)

Sources = Mapping[str, Context]


def verified(outputs: Mapping[str, Any], sources: Sources) -> tuple[dict[str, Any], list[str]]:
    """Outputs with each citation verified.

    Args:
        outputs: The typed outputs by field.
        sources: The texts that may be quoted, by the input's name.

    Returns:
        The outputs, and for each quote that was not found what is wrong with it, with the nearest
        passage.
    """
    wrong: list[str] = []

    def check(citation: Citation) -> Citation:
        checked, problem = _checked(citation, sources)
        wrong.extend([problem] if problem else [])
        return checked

    return {name: with_citations(value, check) for name, value in outputs.items()}, wrong


def has_citations(outputs: Mapping[str, Any]) -> bool:
    """Whether outputs hold any citation."""
    return next(citations_in(outputs), None) is not None


def told(wrong: list[str]) -> str:
    """What the planner is told of quotes that were not found."""
    more = f"\n… and {len(wrong) - _TOLD:,} more" if len(wrong) > _TOLD else ""
    listed = "\n".join(wrong[:_TOLD])
    return (
        f"{UNVERIFIED} These quotes are not in the input:\n{listed}{more}\n"
        "Copy each quote from the input exactly, or submit a hit or a slice of it; leave out what "
        "has no source. Then SUBMIT again."
    )


def _checked(given: Citation, sources: Sources) -> tuple[Citation, str]:
    bare = Citation(quote=given.quote, source=given.source)
    for name, context in sources.items():
        if (place := _claimed(given, context)) is not None:
            return _placed(bare, name, context, place), ""
    found = list(_found(bare, sources))
    name, place, quote = min(found, key=_rank, default=("", None, ""))
    if place is None:
        return bare, f"- {_short(given.quote)}: nothing like it was found"
    if place.how == "unverified":
        near = sources[name][place.start : place.end]
        at = f"{near.title}:{near.line}"
        return bare, f"- {_short(given.quote)}: nearest is {at}: {_short(str(near))}"
    return _placed(bare.model_copy(update={"quote": quote}), name, sources[name], place), ""


def _claimed(given: Citation, context: Context) -> Place | None:
    """The range that code gave, where the host's text there is the quote."""
    start, end = given.start, given.end
    if start is None or end is None or not 0 <= start < end <= len(context):
        return None
    same = end - start == len(given.quote) and str(context[start:end]) == given.quote
    return Place(start, end, 1.0, "exact") if same else None


def _found(citation: Citation, sources: Sources) -> Iterator[tuple[str, Place, str]]:
    """The best place of a quote in each text: in the source that it names, else anywhere."""
    for name, context in sources.items():
        for quote, source, line in _readings(citation):
            places = [_within(piece, quote, line) for piece in _named(context, source)]
            if not any(place and place.how in _ORDER[:2] for place in places):
                places.append(found_quote(context, quote))
            yield from ((name, place, quote) for place in places if place is not None)


def _readings(citation: Citation) -> Iterator[tuple[str, str | None, int]]:
    """What a citation may mean: its quote as it stands, and one that was copied from a hit."""
    source, line = citation.source, 0
    if source and (both := _WITH_LINE.fullmatch(source)):
        source, line = both["source"], int(both["line"])
    yield citation.quote, source, line
    if hit := _AS_HIT.match(citation.quote):
        yield citation.quote[hit.end() :], hit["source"], int(hit["line"])


def _within(piece: Any, quote: str, line: int) -> Place | None:
    lines = piece.lines(line, line) if line else []
    return found_quote(piece, quote, lines[0].start - piece.start if lines else 0)


def _named(context: Context, source: str | None) -> list[Any]:
    """The documents that a source names by title, by path, or by the end of one."""
    if not source:
        return []
    wanted = source.strip().casefold()
    named = [d for d in context.documents if wanted in (d.title.casefold(), _path(d))]
    return named or [d for d in context.documents if _path(d).endswith(f"/{wanted}")][:_TOLD]


def _path(document: Any) -> str:
    return (document.path or "").casefold()


def _rank(found: tuple[str, Place, str]) -> tuple[int, float]:
    return _ORDER.index(found[1].how), -found[1].ratio


def _placed(bare: Citation, name: str, context: Context, place: Place) -> Citation:
    span = context[place.start : place.end]
    return bare.model_copy(
        update={
            "how": place.how,
            "ratio": place.ratio,
            "variable": name,
            "document": str(span.title),
            "path": span.path,
            "start": place.start,
            "end": place.end,
            "offset": span.start - span.document.start,
            "line": span.line,
            "text": str(span),
        }
    )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _SHOWN_CHARS else f"{flat[:_SHOWN_CHARS]}…")
