"""What of a good run is a recipe: the steps that its answer depends on, with parameters.

An answer that was read off the output and typed in is asked for instead (`read_off`). Refused,
since it would answer over another text with what this one said: an answer that was typed in from
nowhere, a passage copied into the code, a place in this text.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Executed, Planned, RunStarted, Submitted
from rlm_dspy.runs.lifting import Lifted, lifted
from rlm_dspy.runs.read_off import with_reading
from rlm_dspy.runs.slicing import Ran, calls_submit, closed, needed, sources_of, statements

if TYPE_CHECKING:
    from rlm_dspy.run import Run

# A text this long that was printed before it was written was copied.
_COPIED_CHARS = 24
_PLACE_DIGITS = 3


def compiled(run: "Run", query: str) -> Lifted:
    """The code of a good run, with parameters for what the query says.

    Args:
        run: A completed run.
        query: What it was asked; empty to lift nothing.

    Raises:
        ConfigurationError: Its answer did not come of code that would answer it elsewhere.
    """
    steps, last = _ran(run)
    inputs = _inputs(run)
    # What an error shows is the code itself.
    printed = [step.output.partition("[Error]")[0] for step in steps]
    kept = needed(steps, last, inputs)
    if typed := _typed(kept, printed, inputs, query):
        places = [n for n, text in enumerate(printed) if any(_said(v, text) for v in typed)]
        if not places:
            raise ConfigurationError(
                f"The answer {typed} was typed into the code, and nothing that was printed says "
                "it: over another text it would be the same. Let the run submit what it found."
            )
        # The last one that says it is the one that it was read off.
        steps, last = with_reading(steps, places[-1:], last)
        kept = needed(steps, last, inputs)
    _refuse_copies(kept, "\n".join(printed), query)
    return lifted(kept, query)


def _inputs(run: "Run") -> list[str]:
    started = next((e for e in run.events if isinstance(e, RunStarted) and not e.run), None)
    return [*(started.inputs if started else ()), "context", "query", "outputs", "P"]


def _ran(run: "Run") -> tuple[list[Ran], Ran]:
    """The steps before the one that submitted the answer, and that one."""
    own = [event for event in run.events if not event.run]
    codes = {event.step: event.code for event in own if isinstance(event, Planned)}
    accepted = {event.step for event in own if isinstance(event, Submitted) and event.accepted}
    steps: list[Ran] = []
    for event in own:
        if not isinstance(event, Executed) or event.step not in codes:
            continue
        code = codes[event.step]
        if event.step in accepted and run.status == "completed":
            return steps, Ran(event.step, code)
        undone = getattr(event, "rolled_back", False)
        steps.append(Ran(event.step, code, event.output, event.outcome == "ok", undone))
    raise ConfigurationError(
        f"The run {run.id} is {run.status} ({run.reason or run.planned_by}), or no code submitted "
        "its answer: a recipe is made of a completed run that was planned step by step."
    )


def _typed(
    codes: Sequence[str], printed: Sequence[str], inputs: Sequence[str], query: str
) -> list[Any]:
    """What of the answer was typed into the code instead of worked out; empty where nothing was."""
    ends = [one for one in statements(codes[-1]) if calls_submit(one.node)]
    sources = sources_of(codes, ())
    read = closed({name for one in ends for name in one.loads}, sources)
    literals = list(_submitted(ends))
    if not read & set(inputs) - {"query", "question", "outputs"}:
        return literals or _literals_of(codes[-1])
    text = "\n".join(printed)
    return [value for value in literals if _said(value, text) and not _said(value, query)]


def _literals_of(code: str) -> list[Any]:
    """The texts and numbers in the step that submitted, such as those that it gave names to."""
    return [
        node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float))
    ]


def _refuse_copies(codes: Sequence[str], printed: str, query: str) -> None:
    for value in (found for code in codes for found in _copied(code)):
        if _said(value, printed) and not _said(value, query):
            raise ConfigurationError(
                f"The code holds {value!r}, which was printed before: what was copied from this "
                "text, and places in it, are not in another one."
            )


def _submitted(last: Sequence[Any]) -> Iterator[Any]:
    """The literals that are submitted as they stand."""
    for one in last:
        for call in ast.walk(one.node):
            if isinstance(call, ast.Call) and calls_submit(call.func):
                given = [*call.args, *(keyword.value for keyword in call.keywords)]
                for node in given:
                    yield from _whole(node)


def _whole(node: ast.expr) -> Iterator[Any]:
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, bool) and isinstance(node.value, (str, int, float)):
            yield node.value
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        for part in node.elts:
            yield from _whole(part)


def _copied(code: str) -> Iterator[Any]:
    """Literals that are long, or that are places in a text."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if len(node.value) >= _COPIED_CHARS:
                yield node.value
        elif isinstance(node, ast.Slice):
            yield from filter(_is_place, _whole_bounds(node))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "lines":
            yield from filter(_is_place, (v for part in node.args for v in _whole(part)))


def _whole_bounds(node: ast.Slice) -> Iterator[Any]:
    for bound in (node.lower, node.upper):
        if bound is not None:
            yield from _whole(bound)


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and len(str(abs(value))) >= _PLACE_DIGITS


def _said(value: Any, text: str) -> bool:
    """Whether a text says a value, as words of its own."""
    wanted = str(value).strip()
    return bool(wanted) and bool(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text))
