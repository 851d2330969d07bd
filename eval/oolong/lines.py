"""A line of an OOLONG context: written and read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

_LINE = re.compile(
    r"^Date: (\w{3} \d{2}, \d{4}) \|\| User: (\d+) \|\| Instance: (.*?)"
    r"(?: \|\| Label: ([^|\n]*))?$",
    re.MULTILINE,
)
# Not `%b` and `%B`: what they make depends on the locale.
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SHORT_MONTHS = [name[:3] for name in MONTHS]


@dataclass(frozen=True)
class Line:
    """One labelled text.

    Args:
        date: When.
        user: Whose, a number of five digits.
        text: The text, without newlines.
        label: Its label; "" where it is not known.
    """

    date: date
    user: int
    text: str
    label: str = ""

    def written(self, labelled: bool) -> str:
        """The line as a context has it, without its newline."""
        label = f" || Label: {self.label}" if labelled else ""
        return f"Date: {short_date(self.date)} || User: {self.user} || Instance: {self.text}{label}"


def short_date(day: date) -> str:
    """A date as a line has it: "Sep 06, 2023"."""
    return f"{_SHORT_MONTHS[day.month - 1]} {day.day:02}, {day.year}"


def parsed_lines(context: str) -> list[Line]:
    """The lines of a context, in order; labels where it has them."""
    return [
        Line(_date(day), int(user), text, (label or "").strip())
        for day, user, text, label in _LINE.findall(context)
    ]


def labels_of(lines: Iterable[Line]) -> list[str]:
    """The labels that occur, in the order of their first line."""
    return list(dict.fromkeys(line.label for line in lines))


def _date(text: str) -> date:
    month, day, year = text.replace(",", "").split()
    return date(int(year), _SHORT_MONTHS.index(month) + 1, int(day))
