"""How a failed step is told to the model: a short traceback of the model's own lines.

Promises: never raises, never runs more of the user's code than the exception's own `__str__`, and
gives texts of bounded length, however long a name, a line, a message or its notes are.
"""

import linecache  # noqa: F401  (loaded before lockdown: the traceback machinery imports it)
import re
from types import TracebackType

from rlm_dspy.repl.names import exact
from rlm_dspy.repl.output import escaped

# Where the parser ends a line; `splitlines` does at form feeds and U+2028 as well.
_NEWLINE = re.compile(r"\r\n|\r|\n")
_MAX_MESSAGE = 2_000
_MAX_NOTES = 3
_MAX_NAME = 100
_MAX_LINE = 300
_MAX_LINES = 6


class Sources:
    """The source of every step, so that a line that fails later can still be shown.

    Args:
        keep: How many steps are kept.
    """

    def __init__(self, keep: int = 200):
        self._keep = keep
        self._texts: dict[str, list[str]] = {}
        self._count = 0

    def add(self, code: str) -> str:
        """Keeps a step's source; returns the file name to compile it under."""
        self._count += 1
        name = f"<step {self._count}>"
        self._texts[name] = _NEWLINE.split(code)
        if len(self._texts) > self._keep:
            del self._texts[next(iter(self._texts))]
        return name

    def line(self, filename: str, number: int | None) -> str:
        """One line of a step, stripped and cut; empty where it is not known."""
        lines = self._texts.get(filename, [])
        return (
            cut(lines[number - 1].strip(), _MAX_LINE) if number and 0 < number <= len(lines) else ""
        )

    def __contains__(self, filename: str) -> bool:
        return filename in self._texts


def cut(text: str, limit: int = _MAX_MESSAGE) -> str:
    """A text's two ends, where it is longer than a limit."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} ... [{len(text) - 2 * half:,} characters cut] ... {text[-half:]}"


def type_name(error: BaseException) -> str:
    """The name of an exception's class, which code may have set to anything."""
    return escaped(cut(exact(type(error).__name__), _MAX_NAME))


def text_of(error: BaseException) -> str:
    """An exception's message, cut; what its `__str__` raises is caught."""
    try:
        return cut(exact(str(error)))
    except BaseException:  # noqa: BLE001 (the user's own __str__ may raise anything)
        return "(its message cannot be shown)"


def notes_of(error: BaseException) -> list[str]:
    """The first notes that were added to an exception, cut."""
    notes = getattr(error, "__notes__", None)
    if type(notes) is not list:
        return []
    return [cut(exact(note)) for note in notes[:_MAX_NOTES] if isinstance(note, str)]


def trace(
    traceback: TracebackType | None, sources: Sources, current: str
) -> tuple[int | None, list[str]]:
    """The model's own lines that led to an error.

    Args:
        traceback: The exception's traceback.
        sources: The steps' sources.
        current: The file name of the step that ran.

    Returns:
        The line of the step where it failed (outermost), and one text a line, outermost first.
    """
    found: list[tuple[str, str, int | None]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename in sources:
            found.append((code.co_filename, code.co_name, traceback.tb_lineno))
        traceback = traceback.tb_next
    first = next((number for name, _, number in found if name == current), None)
    if len(found) > _MAX_LINES:
        found = [*found[:2], ("", "...", None), *found[-(_MAX_LINES - 3) :]]
    return first, [_place(entry, sources, current) for entry in found]


def _place(entry: tuple[str, str, int | None], sources: Sources, current: str) -> str:
    filename, function, number = entry
    if not filename:
        return function
    place = f"line {number}"
    if filename != current:
        place = f"{filename.strip('<>')}, {place}"
    if not function.startswith("<"):
        place += f", in {cut(function, _MAX_NAME)}"
    return f"{place}: {sources.line(filename, number)}"
