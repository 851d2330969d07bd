"""A page that lists recorded runs: one file, no script, no network."""

import html
import time
from collections.abc import Mapping, Sequence
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #8884;
  vertical-align: top; overflow-wrap: anywhere; }
th { position: sticky; top: 0; background: Canvas; }
code { font-size: .9em; }
.completed { color: light-dark(#176d2d, #6fd38a); }
.partial { color: light-dark(#8a5a00, #e2b04a); }
.failed { color: light-dark(#a3201d, #ff8a80); }
@media (max-width: 40rem) { thead { display: none; } td { display: block; border: 0;
  padding: 0 .2rem; } tr { display: block; border-bottom: 1px solid #8884; padding: .6rem 0; } }
"""
_HEAD = ("Run", "When", "State", "Question", "Answer", "Model", "Rated")


def index(rows: Sequence[Any], ratings: Mapping[str, Mapping[str, str]]) -> str:
    """Recorded runs as an HTML page.

    Args:
        rows: The runs, as the store has them, in order.
        ratings: The ratings by run.

    Returns:
        The whole file.
    """
    body = "\n".join(_row(row, ratings.get(row.id, {}).get("verdict", "")) for row in rows)
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Recorded runs</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{len(rows):,} recorded runs</h1>\n"
        "<p>One of them as a page: <code>rlm view RUN</code></p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></body></html>\n"
    )


def _row(row: Any, verdict: str) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created))
    state = f"{row.state}: {row.reason}" if row.reason else row.state
    known = row.state if row.state in ("completed", "partial", "failed") else ""
    cells = (
        f"<code>{html.escape(row.id)}</code>",
        when,
        f'<span class="{known}">{_short(state)}</span>',
        _short(row.question),
        _short(row.answer),
        _short(row.model),
        html.escape(verdict),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _short(text: str, most: int = 300) -> str:
    return html.escape(text if len(text) <= most else f"{text[:most]}…")
