"""Texts and numbers as a person at a terminal reads them; imports nothing heavy."""

import unicodedata

_UNSAFE = {"Cc", "Cf", "Cs", "Co"}
_KEPT = frozenset("\n\t\u200c\u200d")  # lines, and the joiners that scripts and emoji need


def printable(text: str) -> str:
    """The text without what a terminal would obey: control and format characters, newlines kept."""
    return "".join(
        char if char in _KEPT or unicodedata.category(char) not in _UNSAFE else "\ufffd"
        for char in text
    )


def clock(seconds: float) -> str:
    """Seconds as a person reads them: "8.4 s", "2:05", "1:02:05"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 call", "1,200 calls"."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
