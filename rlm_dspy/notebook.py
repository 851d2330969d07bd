"""What a notebook shows of a run (how it ended, what it cost, the answer, and its steps to unfold),
of a context and of a coverage.

Promised: every text is escaped, so that nothing a model or a document wrote is ever markup; nothing
is loaded or run.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

LONGEST = 4_000  # of a text, in characters
_ANSWERS = ("submitted", "extracted", "answered", "looked_up")
_PRE = '<pre style="margin:4px 0 8px 16px;white-space:pre-wrap">'


def outputs_of(events: Iterable[Any]) -> dict[str, Any]:
    """What a run answered, by output field; empty where it did not."""
    answers = [
        event.outputs
        for event in events
        if event.kind in _ANSWERS and not event.run and event.outputs
    ]
    return dict(answers[-1]) if answers else {}


def as_html(
    facts: Mapping[str, str], outputs: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]
) -> str:
    """The run as a piece of HTML.

    Args:
        facts: What to say in the first line, by name.
        outputs: The answer, by output field.
        steps: The steps, each with reasoning, code and output.
    """
    said = " · ".join(f"{escape(name)} {escape(value)}" for name, value in facts.items())
    answers = "".join(
        f"<tr><td><b>{escape(name)}</b></td>"
        f'<td style="text-align:left;white-space:pre-wrap">{_text(value)}</td></tr>'
        for name, value in outputs.items()
    )
    unfolded = "".join(_step(number, step) for number, step in enumerate(steps, 1))
    return f"<div><div>{said}</div><table>{answers}</table>{unfolded}</div>"


def table(said: str, rows: Iterable[Sequence[Any]], more: str = "", text: str = "") -> str:
    """A line, a table and a text as a piece of HTML.

    Args:
        said: The line.
        rows: The rows, each with its cells; in the first a bar of characters may stand.
        more: What stands below the table.
        text: A longer text, to unfold.
    """
    cells = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left"><code>{_text(c)}</code></td>' for c in row)
        + "</tr>"
        for row in rows
    )
    below = f"<div>{escape(more)}</div>" if more else ""
    if text:
        below += f"<details><summary>Text</summary>{_PRE}{_text(text)}</pre></details>"
    return f"<div><div>{escape(said)}</div><table>{cells}</table>{below}</div>"


def _step(number: int, step: Mapping[str, Any]) -> str:
    code = str(step["code"])
    first = next((line.strip() for line in code.splitlines() if line.strip()), "")
    told = "".join(
        f"{_PRE}{_text(step[part])}</pre>" for part in ("reasoning", "code", "output") if step[part]
    )
    summary = f"<summary>Step {number} <code>{_text(first[:100])}</code></summary>"
    return f"<details>{summary}{told}</details>"


def _text(value: Any) -> str:
    text = str(value)
    more = f"… ({len(text) - LONGEST:,} more characters)" if len(text) > LONGEST else ""
    return escape(text[:LONGEST]) + more
