"""`rlm grep`: the lines of files that mean what is looked for, whatever words they use.

A model judges lines: all of them where they are few, else those that keyword searches rank first,
for the words of the query and for others that the model names. What is printed are lines of the
files themselves, never a model's words.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rlm_dspy.asking import answered, limits, question_of, rlm_of
from rlm_dspy.choosing import models_of, refuse_far
from rlm_dspy.citations import place_in
from rlm_dspy.given import context_of
from rlm_dspy.outcome import INTERRUPTED

if TYPE_CHECKING:
    from rlm_dspy.context import Context
    from rlm_dspy.events import Event
    from rlm_dspy.runs.recipes import Recipe

JUDGED = 200
FOUND, NOT_FOUND, FAILED = 0, 1, 2
_SIGNATURE = "context, query -> places: list[int], judged: int, left: int"
_STEPS = (
    """
total = sum(len(document.lines()) for document in context.documents)
if total <= judged_most:
    found = [line for document in context.documents for line in document.lines()]
else:
    try:
        others = " ".join(ask("Which ten other words do texts about this use?", query, list[str]))
    except Exception:
        others = ""
    ranked = [context.search(words, k=judged_most) for words in (query, others)]
    parts = [hits[n].excerpt for n in range(judged_most) for hits in ranked if n < len(hits)]
    found = [line for part in parts for line in part.document.lines(part.line, part.end_line)]
lines = list({line.start: line for line in found if line.strip()}.values())[:judged_most]
print(f"{len(lines):,} of {total:,} lines are judged")
""",
    """
verdicts = ask_each(f"Does this line match the search {query!r}?", lines, returns=bool)
places = [line.start for line, verdict in zip(lines, verdicts) if verdict is True]
judged = sum(isinstance(verdict, bool) for verdict in verdicts)
SUBMIT(places=sorted(places), judged=judged, left=total - judged)
""",
)


@dataclass(frozen=True)
class Sought:
    """What the command line looks for.

    Args:
        query: What lines are to mean.
        paths: The files and folders; none or "-" is standard input.
        model: The model that judges; None: the one that the environment names.
        judged: The most lines that it judges.
        most: The most lines that are given; None: all.
        before: How many lines before each are shown.
        after: How many behind it.
        limits: What `asking.limits` takes.
        reading: What of the paths is read: `ReadOptions`'s own names.
        cache: Whether answers may come from dspy's cache.
        local_only: Whether nothing may leave this machine.
    """

    query: str
    paths: tuple[str, ...] = ()
    model: str | None = None
    judged: int = JUDGED
    most: int | None = None
    before: int = 0
    after: int = 0
    limits: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    cache: bool = True
    local_only: bool = False


@dataclass(frozen=True)
class Match:
    """A line that was found.

    Args:
        path: The file or the part of it, such as a page; else the document's title.
        line: Its number, from 1.
        text: The line.
        start: Where it starts in all that was read, in characters.
        before: The lines just before it.
        after: The lines just behind it.
    """

    path: str
    line: int
    text: str
    start: int
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def as_json(self) -> str:
        """It as a JSON object."""
        return json.dumps(
            {
                "path": self.path,
                "line": self.line,
                "text": self.text,
                "start": self.start,
                "before": list(self.before),
                "after": list(self.after),
            },
            ensure_ascii=False,
        )


@dataclass(frozen=True)
class Grepped:
    """What was found.

    Args:
        matches: The lines, in the order of the files.
        judged: How many lines a model judged.
        left: How many it did not judge, empty ones included.
        problem: Why lines may be missing; empty where all went well.
        skipped: Files that were left out, as (path, reason).
    """

    matches: tuple[Match, ...]
    judged: int
    left: int
    problem: str
    skipped: tuple[tuple[str, str], ...]

    def as_lines(self) -> Iterator[str]:
        """As `grep` prints it: `path:line:text`, with `-` for the lines around, `--` for gaps."""
        files: dict[str, dict[int, str]] = {}
        for match in self.matches:
            lines = files.setdefault(match.path, {})
            for number, text in enumerate(match.before, match.line - len(match.before)):
                lines.setdefault(number, f"-{number}-{text}")
            lines[match.line] = f":{match.line}:{match.text}"
            for number, text in enumerate(match.after, match.line + 1):
                lines.setdefault(number, f"-{number}-{text}")
        gaps = any(match.before or match.after for match in self.matches)
        last = None
        for path, lines in files.items():
            for number in sorted(lines):
                if gaps and last not in (None, (path, number - 1)):
                    yield "--"
                last = path, number
                yield path + lines[number]

    def as_json(self) -> Iterator[str]:
        """A JSON object a line."""
        yield from (match.as_json() for match in self.matches)

    @property
    def exit_code(self) -> int:
        """As that of `grep`: 0 found, 1 not found, 2 where something went wrong."""
        if self.problem:
            return FAILED
        return FOUND if self.matches else NOT_FOUND


def grep(sought: Sought, listen: "Callable[[Event], None]", note: Callable[[str], None]) -> Grepped:
    """Finds lines.

    Args:
        sought: What is looked for, and where.
        listen: Gets each event of the run.
        note: Gets what the user should know at once.

    Raises:
        UsageError: It cannot be meant.
        RLMError: It cannot be done.
    """
    query = question_of(sought.query)
    budget = limits(**sought.limits)
    if sought.local_only:
        refuse_far((sought.model, None, None), paths=sought.paths)
    context = context_of(list(sought.paths), sought.reading, None, budget, note)
    models = models_of(sought.model, None, cache=sought.cache)
    rlm = rlm_of(_SIGNATURE, models, budget, _recipe(sought.judged), None)
    result = answered(rlm, models, context, query, listen=listen, note=note)
    if result is None or result.run.status != "completed":
        reason = INTERRUPTED if result is None else result.run.reason
        places, judged, left = [], 0, 0
        problem = f"the search came to no end ({reason})"
    else:
        places, judged, left = result.places, result.judged, result.left
        problem = ""
    matches = [_match(context, place, sought) for place in places if 0 <= place < len(context)]
    return Grepped(tuple(matches[: sought.most]), judged, left, problem, tuple(context.skipped))


def _recipe(judged: int) -> "Recipe":
    from rlm_dspy.runs.recipes import Recipe

    return Recipe("grep", _STEPS, {"judged_most": judged})


def _match(context: "Context", place: int, sought: Sought) -> Match:
    """The line that holds a character."""
    at = context[place : place + 1]
    document, number = at.document, at.line
    (line,) = document.lines(number, number)
    return Match(
        path=place_in(document.path, document.title) if document.path else document.title,
        line=number,
        text=str(line),
        start=line.start,
        before=_plain(document.lines(number - sought.before, number - 1)),
        after=_plain(document.lines(number + 1, number + sought.after)),
    )


def _plain(lines: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(str, lines))
