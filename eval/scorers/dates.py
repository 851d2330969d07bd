"""Dates as dateutil reads them, whatever the day.

As for dateutil, the machine's own zone is known by its names: "6 Jan 2023 0h EDT" is aware in New
York, and elsewhere has no zone.
"""

import time
from datetime import datetime, tzinfo

from dateutil import parser, tz

# What a text leaves out comes from a default: a date that differs between these two (another year,
# month, day and weekday; one in a leap year) is one that the official code completes from today.
_DEFAULTS = (datetime(2001, 1, 1), datetime(2008, 5, 16))


class TodayNeeded(ValueError):
    """A text that names only a part of a date."""


def parsed_date(text: str) -> datetime:
    """Reads a date as `dateutil.parser.parse` with its own settings does.

    Args:
        text: The date, and nothing else.

    Returns:
        The date, aware where the text names a zone that dateutil knows.

    Raises:
        TodayNeeded: What it is depends on the day on which it is read.
        ValueError: It is no date.
    """
    first, second = (_parsed(text, default) for default in _DEFAULTS)
    if first != second:
        raise TodayNeeded(text)
    if first is None:
        raise ValueError(text)
    return first


def _parsed(text: str, default: datetime) -> datetime | None:
    try:
        return parser.parse(text, default=default, tzinfos=_zone)
    except (ValueError, OverflowError):
        return None


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """The zone that dateutil takes, without its warning about names that it does not know."""
    if name and name in time.tzname:
        return tz.tzlocal()
    return None if offset is None else tz.tzoffset(name, offset)
