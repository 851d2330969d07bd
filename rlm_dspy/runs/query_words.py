"""What a query says: its words, where values stand in it, and its form."""

import re
from typing import Any

from rlm_dspy.runs.templates import BETWEEN, escaped

_WORD = re.compile(r"\w+")
# A word that stands out: with a capital, a digit or a sign within.
_SPECIFIC = re.compile(r"[A-Z\d]|\w[-_@./:]\w|\w\s+\w")
_FUNCTION_WORDS = (
    "a an and are as at be by did do does each for from had has have how in is it its many of on "
    "one or out that the their there these they this those to was were what when where which who "
    "why will with"
)
_COMMON = frozenset(_FUNCTION_WORDS.split())
# What a name, a number or a quotation looks like in a query.
_NAMED = re.compile(r"(?<=['\"“‘])[^'\"“”‘’]+(?=['\"”’])|\w[\w./:@-]*\w|\w")
_QUOTES = "'\"“”‘’`"
Place = tuple[int, int]


def words_of(value: Any) -> set[str]:
    """The words that carry a meaning of their own."""
    text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return {word for word in map(str.lower, _WORD.findall(text)) if word not in _COMMON}


def spans_of(value: Any, query: str) -> list[Place]:
    """Where a value stands in the query, as words of its own."""
    if isinstance(value, list):
        text = rf"(?:{BETWEEN})".join(re.escape(str(item)) for item in value)
    else:
        text = re.escape(str(value))
        if str(value) != str(value).strip() or not _WORD.search(str(value)):
            return []
    number = isinstance(value[0] if isinstance(value, list) else value, int)
    inside = r"[\w.,:/-]" if number else r"[\w-]"
    after = r"(?!\w|[.,:/-]\d)" if number else r"(?![\w-])"
    return [found.span() for found in re.finditer(rf"(?<!{inside}){text}{after}", query)]


def is_quoted(span: Place, query: str) -> bool:
    """Whether quotation marks stand around a part of the query."""
    start, end = span
    return start > 0 and query[start - 1] in _QUOTES and query[end : end + 1] in _QUOTES


def stands_out(text: str) -> bool:
    """Whether a text looks like a name, a number or a phrase."""
    return text.lower() not in _COMMON and bool(_SPECIFIC.search(text))


def template_of(query: str, places: dict[str, Any], said: set[str] | None) -> str:
    """The query with a place for each value, and open ones for names that the code does not say.

    Args:
        query: The query.
        places: The values by their parameters' names.
        said: The words of the literals that stay; None where the code does not ask the query.
    """
    spans = sorted(
        (span, name) for name, value in places.items() for span in spans_of(value, query)
    )
    parts, end = [], 0
    for (start, stop), name in spans:
        parts += [_opened(query, end, start, said), f"{{{name}}}"]
        end = stop
    parts.append(_opened(query, end, len(query), said))
    return re.sub(r"\{\}(?: \{\})+", "{}", "".join(parts))


def _opened(query: str, start: int, stop: int, said: set[str] | None) -> str:
    """A part of the query as a template, with open places."""
    parts, end = [], start
    if said is None:
        return escaped(query[start:stop])
    for found in _NAMED.finditer(query, start, stop):
        named = found.start() > 0 and (is_quoted(found.span(), query) or stands_out(found[0]))
        if named and not words_of(found[0]) & said:
            parts += [escaped(query[end : found.start()]), "{}"]
            end = found.end()
    return "".join([*parts, escaped(query[end:stop])])
