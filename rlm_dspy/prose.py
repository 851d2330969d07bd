"""What prose names: one of some options, or numbers; nothing where that is in doubt."""

import re

_QUOTES = "\"'“”‘’`"
_MARKUP = f" \n*_{_QUOTES}"
_END = f"{_MARKUP}.!,:;"
# What denies an option behind it, at most two words before ("isn't", "not yet", "cannot be").
_NEGATION = re.compile(
    rf"(?:(?:\b(?:not|never|cannot|neither|nor)|n['’]t)(?:\s+\w+){{0,2}}|\b(?:no|non))"
    rf"[-\s*_{_QUOTES}]+$",
    re.IGNORECASE,
)
_NEGATION_CHARS = 80
_EITHER = re.compile(
    rf"[\s,*_{_QUOTES}]*(?:\b(?:or|and|to)\b|[/&|])[\s*_{_QUOTES}]*", re.IGNORECASE
)

# A word with all that is glued to it ("COVID-19", "2024-03-05", "1,234.5", "10kg", "-5").
_WORD = re.compile(r"(?:[-+]?(?:(?<![\w.])\.)?(?=\d))?\w+(?:(?:(?<=\d)[.,](?=\d)|[-+–−‑])\w+)*")
_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d+(?:_\d+)*)"
_NUMBER = re.compile(rf"[-+]?(?:{_DIGITS}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
# Without what a code or a telephone number begins with: "007", "+49".
_WHOLE_NUMBER = re.compile(rf"-?(?!0\d){_DIGITS}(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SCALE = re.compile(
    r"(?:[kmbt]|\s?(?:bn|mn|mln|mio|mrd|tn))(?!\w)"
    rf"|[-\s*_{_QUOTES}]*(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore)s?(?!\w)",
    re.IGNORECASE,
)
_SCALE_CHARS = 20
_MINUS = re.compile(r"(?<!\w)[−–](?=[$€£¥]?\.?\d)")
_SIGNED_CURRENCY = re.compile(r"(?<=[-+])[$€£¥](?=\.?\d)")


def bare(text: str) -> str:
    """A text without the quotes, the markup and the punctuation around it."""
    return text.strip(_MARKUP).rstrip(_END)


def meant(said: str, options: list[str]) -> str | None:
    """The option that a text is: exactly, or else but for its case."""
    if said in options:
        return said
    same = [option for option in options if option.lower() == said.lower()]
    return same[0] if len(same) == 1 else None


def named(text: str, options: list[str]) -> str | None:
    """The option that prose names; None where that is in doubt."""
    found = list(_pattern(options).finditer(text))
    if not found:
        return None
    said = [meant(match[0], options) for match in found]
    denied = {m for m, match in zip(said, found, strict=True) if _is_denied(text, match.start())}
    if not denied and len(set(said)) == 1:
        return said[0]
    first = found[0]
    either = len(found) > 1 and _EITHER.fullmatch(text, first.end(), found[1].start())
    opens = not text[: first.start()].strip(_END)
    return said[0] if opens and not either and said[0] not in denied else None


def numbers(text: str) -> list[str] | None:
    """The numbers that a text names, as Python writes them; None where one has two readings."""
    text = _SIGNED_CURRENCY.sub("", _MINUS.sub("-", text))
    found = []
    for match in _WORD.finditer(text):
        word = match[0].strip("_")
        number = _NUMBER.match(word)
        if number is None:
            continue
        rest = word[number.end() :]
        behind = rest + text[match.end() : match.end() + _SCALE_CHARS]
        if re.search(r"\d", rest) or _SCALE.match(behind):
            return None
        found.append(number[0].replace(",", "").replace("_", ""))
    return found


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing more."""
    return _NUMBER.fullmatch(text) is not None


def is_whole_number(text: str) -> bool:
    """Whether a text is a number, and neither a code nor a telephone number ("007", "+49")."""
    return _WHOLE_NUMBER.fullmatch(text) is not None


def _pattern(options: list[str]) -> re.Pattern[str]:
    """Any of the options as a word, the longest where one begins with another."""
    longest = sorted(filter(None, options), key=len, reverse=True)
    return re.compile(
        rf"(?<!\w)(?:{'|'.join(map(_escaped, longest)) or '(?!)'})(?!\w)", re.IGNORECASE
    )


def _escaped(option: str) -> str:
    """An option's pattern: 10 is not in "10.5", nor in "-10"."""
    before = r"(?<![-+])(?<!\d[.,])" if option[0].isdigit() else ""
    after = r"(?![.,]\d)" if option[-1].isdigit() else ""
    return before + re.escape(option) + after


def _is_denied(text: str, at: int) -> bool:
    return _NEGATION.search(text, max(0, at - _NEGATION_CHARS), at) is not None
