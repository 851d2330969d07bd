"""Markdown tables."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped.

    Args:
        head: The names of the columns.
        rows: The cells, as many a row as there are columns.
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def seconds(value: float) -> str:
    """A time with two or three significant figures: `1.53 ms`, `0.35 s`, `12.3 s`."""
    if value < 0.1:
        return f"{_figures(value * 1000)} ms"
    return f"{_figures(value)} s"


def megabytes(value: float) -> str:
    """A size in MB (10^6 bytes)."""
    return f"{value / 1e6:,.0f} MB"


def _figures(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
