"""A model's text as a typed value, leniently.

dspy's own parsing is strict: "Yes." is not "yes" and "1,234" is not 1234, and each such miss costs
a second call. What a reader would accept without a second thought is accepted here; what is
ambiguous (two options named, one that is denied, no number, "1,5", "2 million") is refused.
"""

import contextlib
import datetime
import enum
import json
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dspy.adapters.utils import annotation_allows_none, parse_value
from pydantic import TypeAdapter, ValidationError

from rlm_dspy.missing import Missing
from rlm_dspy.plain_json import with_text_keys

_NOTHING = {"none", "null", "n/a", "not found", "not mentioned", "unknown", ""}
_TRUE, _FALSE = {"true", "yes", "y", "1"}, {"false", "no", "n", "0"}
_WORDS = ["yes", "no", "true", "false"]  # in prose, "1" and "y" are something else
_TIMES = (datetime.date, datetime.datetime, datetime.time)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
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


def coerce_text(text: str, annotation: Any) -> Any:
    """Reads a model's reply as a value of a type.

    Args:
        text: The reply.
        annotation: The type: str, int, float, bool, `Literal`, an enum, a union with None, a list,
            or anything that pydantic validates from JSON.

    Returns:
        The value.

    Raises:
        ValueError: The text does not say one such value.
    """
    return _coerced(_unfenced(text.strip()), annotation, prose=True)


def coerce_whole(text: str, annotation: Any) -> Any:
    """Reads a text that as a whole is a value of a type: not prose that names one.

    Args:
        text: The text; quotes, markup and end punctuation around the value may be there.
        annotation: The type, as for `coerce_text`.

    Returns:
        The value.

    Raises:
        ValueError: The text is not one such value, or has more in it.
    """
    return _coerced(_unfenced(text.strip()), annotation, prose=False)


def exact(value: Any, annotation: Any) -> Any:
    """A value of JSON that is of a type as it stands: "5" is a str and no int.

    Raises:
        ValueError: It is not.
    """
    try:
        return TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise _misfit(error, value) from error


def _coerced(text: str, annotation: Any, *, prose: bool) -> Any:
    if annotation in (str, Any):
        return text
    if get_origin(annotation) is Annotated:
        return limited(_coerced(text, get_args(annotation)[0], prose=prose), annotation)
    if (members := _union(annotation)) is not None:
        return _coerce_union(text, annotation, members, prose=prose)
    options = _options(annotation)
    if options is not None:
        return options[_choice(text, list(options), prose=prose)]
    if annotation is bool:
        return _yes_or_no(text, prose=prose)
    if annotation in (int, float):
        return annotation(_number(text, annotation, prose=prose))
    if annotation in _TIMES and _NUMBER.fullmatch(text):  # seconds since 1970, to pydantic
        raise ValueError(f"expected a {type_name(annotation)}, got {_short(text)}")
    if not prose:
        return _exact_text(text, annotation)
    if get_origin(annotation) is list or annotation is list:
        return _list(text, (get_args(annotation) or (Any,))[0])
    return validated(text, annotation)


def validated(value: Any, annotation: Any) -> Any:
    """A value through dspy's own parsing, its many errors as one.

    Raises:
        ValueError: The value does not fit the type.
    """
    try:
        return parse_value(value, annotation)
    except ValidationError as error:
        raise _misfit(error, value) from error
    except (TypeError, SyntaxError) as error:
        raise ValueError(f"{error}, got {_short(value)}") from error


def submitted(value: Any, annotation: Any) -> Any:
    """A value that code submitted, as an output of its type.

    Raises:
        ValueError: The value does not fit the type; None, and `Missing`, which counts as None, fit
            only where the type says so.
    """
    if value is None or isinstance(value, Missing):
        if not annotation_allows_none(annotation) and annotation is not Any:
            raise ValueError(f"got {value}")
        return None
    value = _without_missing(value)
    if annotation is str and not isinstance(value, str):
        if isinstance(value, (list, dict)):
            return json.dumps(with_text_keys(value), ensure_ascii=False, default=str)
        return str(value)
    return validated(value, annotation)


def _without_missing(value: Any) -> Any:
    if isinstance(value, Missing):
        return None
    if isinstance(value, dict):
        return {key: _without_missing(item) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(_without_missing, value))
    return value


def type_name(annotation: Any) -> str:
    """A type as code would write it: "str", "list[str]", "Literal['a', 'b']"."""
    if annotation is None or annotation is type(None):
        return "None"
    if get_origin(annotation) is Annotated:
        return type_name(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return f"Literal[{', '.join(repr(option) for option in get_args(annotation))}]"
    if (members := _union(annotation)) is not None:
        return " | ".join(type_name(member) for member in members)
    if get_origin(annotation) is not None:
        origin = getattr(get_origin(annotation), "__name__", str(get_origin(annotation)))
        return f"{origin}[{', '.join(type_name(arg) for arg in get_args(annotation))}]"
    return getattr(annotation, "__name__", str(annotation))


def limited(value: Any, annotation: Any) -> Any:
    """A value of a type's bare form, where the limits of the type allow it.

    Raises:
        ValueError: They do not.
    """
    if get_origin(annotation) is not Annotated:
        return value
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise _misfit(error, value) from error


def _misfit(error: ValidationError, value: Any) -> ValueError:
    return ValueError(f"{error.errors()[0]['msg']}, got {_short(value)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _union(annotation: Any) -> tuple[Any, ...] | None:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return None


def _coerce_union(text: str, annotation: Any, members: tuple[Any, ...], *, prose: bool) -> Any:
    for options in filter(None, map(_options, members)):
        with contextlib.suppress(ValueError):  # before "unknown" is taken for nothing
            return options[_choice(text, list(options), prose=False)]
    if type(None) in members and text.lower().strip(" .") in _NOTHING:
        return None
    # Where the text itself is a value, another member takes all of it or nothing.
    prose = prose and not any(map(_is_text, members))
    errors = []
    for member in sorted(members, key=_is_text):
        if member is type(None):
            continue
        try:
            return _coerced(text, member, prose=prose)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError(f"not a {type_name(annotation)}: {'; '.join(errors)}")


def _is_text(annotation: Any) -> bool:
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return bare in (str, Any)


def _options(annotation: Any) -> dict[str, Any] | None:
    if get_origin(annotation) is Literal:
        return {str(option): option for option in get_args(annotation)}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {str(member.value): member for member in annotation}
    return None


def _choice(text: str, options: list[str], *, prose: bool) -> str:
    """The one option that the text is or, in prose, names: at its start, or as its only option."""
    for said in (text, _bare(text)):
        if (option := _meant(said, options)) is not None:
            return option
    if prose and (option := _named(text, options)) is not None:
        return option
    raise ValueError(f"expected exactly one of {', '.join(options)}, got {_short(text)}")


def _yes_or_no(text: str, *, prose: bool) -> bool:
    said = _bare(text).lower()
    if said not in _TRUE | _FALSE and prose:
        said = _named(text, _WORDS)
    if said not in _TRUE | _FALSE:
        raise ValueError(f"expected yes or no, got {_short(text)}")
    return said in _TRUE


def _bare(text: str) -> str:
    """A text without the quotes, the markup and the punctuation around it."""
    return text.strip(_MARKUP).rstrip(_END)


def _meant(said: str, options: list[str]) -> str | None:
    """The option that a text is: exactly, or else but for its case."""
    if said in options:
        return said
    same = [option for option in options if option.lower() == said.lower()]
    return same[0] if len(same) == 1 else None


def _named(text: str, options: list[str]) -> str | None:
    """The option that prose names; None where that is in doubt."""
    found = list(_pattern(options).finditer(text))
    if not found:
        return None
    meant = [_meant(match[0], options) for match in found]
    denied = {m for m, match in zip(meant, found, strict=True) if _is_denied(text, match.start())}
    if not denied and len(set(meant)) == 1:
        return meant[0]
    first = found[0]
    either = len(found) > 1 and _EITHER.fullmatch(text, first.end(), found[1].start())
    opens = not text[: first.start()].strip(_END)
    return meant[0] if opens and not either and meant[0] not in denied else None


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


def _number(text: str, kind: type, *, prose: bool) -> str:
    asked = prose or _WHOLE_NUMBER.fullmatch(_bare(text))
    found = _numbers(text) if asked else []
    whole = [number for number in found if kind is float or float(number).is_integer()]
    distinct = {float(number) for number in whole}
    if len(distinct) != 1:
        raise ValueError(f"expected one {kind.__name__}, got {_short(text)}")
    if kind is float or whole[0].lstrip("+-").isdigit():
        return whole[0]
    return str(int(float(whole[0])))


def _numbers(text: str) -> list[str]:
    """The numbers that a text names, as Python writes them.

    Raises:
        ValueError: One can be read in more than one way.
    """
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
            raise ValueError(f"expected a number in plain digits, got {_short(text)}")
        found.append(number[0].replace(",", "").replace("_", ""))
    return found


def _exact_text(text: str, annotation: Any) -> Any:
    """A text that is JSON of a type, or what JSON would write as this text."""
    with contextlib.suppress(ValidationError):
        return TypeAdapter(annotation).validate_json(text, strict=True)
    return exact(text, annotation)


def _list(text: str, member: Any) -> list[Any]:
    start, end = text.find("["), text.rfind("]")
    if start != -1 and end > start:
        return validated(text[start : end + 1], list[member])
    if text.lower().strip(" .") in _NOTHING:
        return []
    lines = [_BULLET.sub("", line).strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and "," in lines[0]:
        lines = [part.strip() for part in lines[0].split(",")]
    return [coerce_text(line, member) for line in lines if line]


def _unfenced(text: str) -> str:
    match = re.fullmatch(r"```\w*\n(.*?)\n?```", text, re.DOTALL)
    return match[1].strip() if match else text
