"""Texts that are one date or one number, as values: all of a text, or none.

What could be read in two ways is refused: "03/04/2024" is March in one country and April in
another.
"""

import datetime
import re

_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9}
_SCALES |= {"bn": 1e9, "b": 1e9, "trillion": 1e12, "tn": 1e12}
# "m" is also a metre, "b" a bit and "k" a kelvin: these scale only behind a currency.
_LETTERS = ("k", "m", "b")
_CURRENCY = r"(?:US\$|[$€£¥₹]|\b(?:USD|EUR|GBP|CHF|JPY|INR)\b)"
_QUANTITY = re.compile(
    rf"(?P<money>{_CURRENCY})?\s*(?P<number>[-+−]?\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|[-+−]?\d+(?:\.\d+)?)"
    rf"\s*(?P<unit>%|{_CURRENCY}|[^\W\d_]+(?:[ /][^\W\d_]+){{0,2}}|[^\W\d_]*[²³°]\w?)?\.?",
)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august")
_MONTHS += ("september", "october", "november", "december")
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"
_DATES = tuple(
    re.compile(form)
    for form in (
        r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})",
        r"(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})",
        r"(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})",
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTH},?\s+(?P<y>\d{{4}})",
        rf"{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})",
    )
)
_SLASHED = re.compile(r"(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4})")


def number_of(text: str) -> float:
    """The number of a text such as "1,234 kg", "$4.2 million", "12 %"; its unit is left out.

    Raises:
        ValueError: The text is not one such number.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not one number")
    number = float(match["number"].replace(",", "").replace("−", "-"))
    first = (match["unit"] or "").split()[:1]
    scale = first[0].lower() if first else ""
    if scale in _LETTERS and not match["money"]:
        return number
    return round(number * _SCALES.get(scale, 1.0), 6)


def date_of(text: str) -> datetime.date:
    """The date of a text such as "2024-03-12", "12 March 2024", "March 12, 2024", "12.3.2024".

    Raises:
        ValueError: The text is not one date, or could be two.
    """
    text = text.strip()
    for form in _DATES:
        if match := form.fullmatch(text):
            said = match.groupdict()
            month = int(said["m"]) if said.get("m") else _month(said["name"])
            return datetime.date(int(said["y"]), month, int(said["d"]))
    if match := _SLASHED.fullmatch(text):
        first, second = int(match["a"]), int(match["b"])
        if first > 12 or second > 12 or first == second:
            day, month = max(first, second), min(first, second)
            return datetime.date(int(match["y"]), month, day)
    raise ValueError(f"{text!r} is not one date")


def _month(name: str) -> int:
    short = name.lower()
    for number, month in enumerate(_MONTHS, 1):
        if short in (month, month[:3]) or (month == "september" and short == "sept"):
            return number
    raise ValueError(f"{name!r} is not a month")
