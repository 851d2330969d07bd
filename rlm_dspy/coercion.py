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
from rlm_dspy.prose import bare, is_number, is_whole_number, meant, named, numbers

_NOTHING = {"none", "null", "n/a", "not found", "not mentioned", "unknown", ""}
_TRUE, _FALSE = {"true", "yes", "y", "1"}, {"false", "no", "n", "0"}
_WORDS = ["yes", "no", "true", "false"]  # in prose, "1" and "y" are something else
# How many parts of a value that do not fit are named.
_MISFITS = 3
_TIMES = (datetime.date, datetime.datetime, datetime.time)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


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
    if annotation in _TIMES and is_number(text):  # seconds since 1970, to pydantic
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
    if isinstance(value, str) and any(map(_is_text, _union(annotation) or ())):
        return _as_it_is(value, annotation)  # to dspy "true" is a bool of `bool | str`
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
    return _as_it_is(value, annotation)


def _as_it_is(value: Any, annotation: Any) -> Any:
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise _misfit(error, value) from error


def _misfit(error: ValidationError, value: Any) -> ValueError:
    found = error.errors()
    told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}".removeprefix(": ") for e in found]
    more = f"; and {len(told) - _MISFITS} more" if len(told) > _MISFITS else ""
    return ValueError(f"{'; '.join(told[:_MISFITS])}{more}, got {_short(value)}")


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
    for said in (text, bare(text)):
        if (option := meant(said, options)) is not None:
            return option
    if prose and (option := named(text, options)) is not None:
        return option
    raise ValueError(f"expected exactly one of {', '.join(options)}, got {_short(text)}")


def _yes_or_no(text: str, *, prose: bool) -> bool:
    said = bare(text).lower()
    if said not in _TRUE | _FALSE and prose:
        said = named(text, _WORDS)
    if said not in _TRUE | _FALSE:
        raise ValueError(f"expected yes or no, got {_short(text)}")
    return said in _TRUE


def _number(text: str, kind: type, *, prose: bool) -> str:
    asked = prose or is_whole_number(bare(text))
    found = numbers(text) if asked else []
    if found is None:
        raise ValueError(f"expected a number in plain digits, got {_short(text)}")
    whole = [number for number in found if kind is float or float(number).is_integer()]
    distinct = {float(number) for number in whole}
    if len(distinct) != 1:
        raise ValueError(f"expected one {kind.__name__}, got {_short(text)}")
    if kind is float or whole[0].lstrip("+-").isdigit():
        return whole[0]
    return str(int(float(whole[0])))


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
