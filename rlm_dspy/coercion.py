"""A model's text as a typed value, leniently.

dspy's own parsing is strict: "Yes." is not "yes" and "1,234" is not 1234, and each such miss costs
a second call. What a reader would accept without a second thought is accepted here; what is
ambiguous (two options named, no number) is refused.
"""

import enum
import json
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dspy.adapters.utils import annotation_allows_none, parse_value
from pydantic import TypeAdapter, ValidationError

from rlm_dspy.missing import Missing

_NUMBER = re.compile(r"[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_NOTHING = {"none", "null", "n/a", "not found", "not mentioned", "unknown", ""}
_TRUE, _FALSE = {"true", "yes", "y", "1"}, {"false", "no", "n", "0"}
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_QUOTES = "\"'“”‘’`"


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
    text = _unfenced(text.strip())
    if annotation in (str, Any):
        return text
    if get_origin(annotation) is Annotated:
        return limited(coerce_text(text, get_args(annotation)[0]), annotation)
    if (members := _union(annotation)) is not None:
        return _coerce_union(text, annotation, members)
    options = _options(annotation)
    if options is not None:
        return options[_choice(text, list(options))]
    if annotation is bool:
        return _choice(text, [*_TRUE, *_FALSE]) in _TRUE
    if annotation in (int, float):
        return annotation(_number(text, annotation))
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
            return json.dumps(value, ensure_ascii=False, default=str)
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


def _coerce_union(text: str, annotation: Any, members: tuple[Any, ...]) -> Any:
    if type(None) in members and text.lower().strip(" .") in _NOTHING:
        return None
    errors = []
    for member in sorted(members, key=lambda m: m is str):
        if member is type(None):
            continue
        try:
            return coerce_text(text, member)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError(f"not a {type_name(annotation)}: {'; '.join(errors)}")


def _options(annotation: Any) -> dict[str, Any] | None:
    if get_origin(annotation) is Literal:
        return {str(option): option for option in get_args(annotation)}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {str(member.value): member for member in annotation}
    return None


def _choice(text: str, options: list[str]) -> str:
    """The one option that the text names: alone, at its start, or as its only option."""
    folded = {option.lower(): option for option in options}
    bare = text.lower().strip(f" .!,:;*{_QUOTES}\n")
    if bare in folded:
        return folded[bare]
    found = {
        option
        for key, option in folded.items()
        if re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text.lower())
    }
    found -= {small for small in found for big in found if small != big and small in big}
    if len(found) == 1:
        return found.pop()
    first = [option for key, option in folded.items() if re.match(rf"{re.escape(key)}(?!\w)", bare)]
    if len(first) == 1:
        return first[0]
    raise ValueError(f"expected exactly one of {', '.join(options)}, got {_short(text)}")


def _number(text: str, kind: type) -> str:
    found = [match.replace(",", "").replace("_", "") for match in _NUMBER.findall(text)]
    whole = [number for number in found if kind is float or float(number).is_integer()]
    distinct = {float(number) for number in whole}
    if len(distinct) != 1:
        raise ValueError(f"expected one {kind.__name__}, got {_short(text)}")
    if kind is float or whole[0].lstrip("+-").isdigit():
        return whole[0]
    return str(int(float(whole[0])))


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
