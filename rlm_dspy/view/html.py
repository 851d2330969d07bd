"""A run as one HTML file that needs nothing else: to read, to search, to hand on.

Promised: the file refers to nothing outside itself, and its policy (a meta tag) forbids it to. What
models and documents wrote is data in it, as JSON in which no character has a meaning to HTML, and
the page's own script only ever makes text of it: the rest of the file is the same for every run.
Not promised: secrecy. The file holds what it was given: code, outputs, questions and answers, and
prompts and replies where `exchanges` has them.
"""

import base64
import functools
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, NotRequired, TypedDict

from rlm_dspy.run import Run
from rlm_dspy.view.exchanges import Exchanges, packed

_SCRIPTS = (
    *("text", "code", "run", "exchanges", "coverage", "quotes", "tree", "timeline", "tables"),
    *("detail", "main"),
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
# To HTML, a script or a decoder these are more than text. Surrogates cannot be written as UTF-8.
_ESCAPED = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_LARGEST_EXACT = 2**53 - 1  # JavaScript's numbers are doubles
_DEEPEST = 100


class Covered(TypedDict):
    """What of one document was read. A range is (start, end), in characters.

    Args:
        title: The document's title.
        characters: Its length.
        sent: What sub-queries were sent.
        printed: What the planner was shown.
        matched: What a search found, and nobody was shown.
        text: The document's text, to be shown with what was read marked in it.
    """

    title: str
    characters: int
    sent: NotRequired[Sequence[tuple[int, int]]]
    printed: NotRequired[Sequence[tuple[int, int]]]
    matched: NotRequired[Sequence[tuple[int, int]]]
    text: NotRequired[str]


def render(
    run: Run,
    *,
    title: str = "",
    coverage: Iterable[Covered] | None = None,
    exchanges: Exchanges | None = None,
) -> str:
    """A run as an HTML page.

    Args:
        run: The run.
        title: What to call it, such as the question; empty for its signature.
        coverage: What of each document was read; None: what the run's events say.
        exchanges: The prompts and the replies of its attempts at models, by whom each was made for.

    Returns:
        The whole file.

    Example:
        >>> result = rlm(context=text, query="Which ship?")
        >>> Path("run.html").write_text(render(result.run, title="Which ship?"), encoding="utf-8")
    """
    covered = covered_by(run) if coverage is None else coverage
    return page(run.events, title=title, coverage=covered, exchanges=exchanges)


def covered_by(run: Run) -> list[Covered]:
    """What of each document a run has read, as `page` takes it."""
    return [
        Covered(
            title=document.title,
            characters=document.characters,
            sent=document.sent,
            printed=document.printed,
            matched=document.only_matched,
        )
        for document in run.coverage.documents
    ]


def page(
    events: Sequence[Any],
    *,
    title: str = "",
    coverage: Iterable[Covered] = (),
    exchanges: Exchanges | None = None,
) -> str:
    """Events as an HTML page.

    Args:
        events: The events in order, as they are or as dicts (docs/events.md).
        title: What to call the run; empty for its signature.
        coverage: What of each document was read.
        exchanges: The prompts and the replies of attempts at models, by whom each was made for.

    Returns:
        The whole file.
    """
    said = packed(exchanges or {})
    record = plain(
        {"title": title, "events": events, "coverage": list(coverage), "exchanges": said}
    )
    template, style, script = _parts()
    told = {
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "record": _as_data(record),
    }
    return _PLACE.sub(lambda place: told[place[1]], template)


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON that JavaScript reads without loss, and can always be written.

    Args:
        value: Anything.
        depth: How deep in another value it lies.

    Returns:
        The same, of dicts, lists, texts, numbers, booleans and None; what is none of these, and
        what a JavaScript number cannot hold, as text.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    if depth == _DEEPEST:
        return "(nested too deeply)"
    if fields := getattr(type(value), "model_fields", None):
        value = {name: getattr(value, name) for name in fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    return str(value)


def _as_data(record: Any) -> str:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@functools.cache
def _parts() -> tuple[str, str, str]:
    """The template, its style and its script."""
    folder = files("rlm_dspy.view") / "page"
    template, style = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css")
    )
    sources = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return template, style, "\n".join(['(() => {\n"use strict";', *sources, "})();"])


def _policy(style: str, script: str) -> str:
    """What the page may do: run this script, take this style, and nothing else."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
