"""Queries of one form: a text with places, `{name}`, and the values that stand there in another.

What stands at an open place, `{}`, may be anything.
"""

import re
from collections.abc import Mapping
from typing import Any

from rlm_dspy.errors import ConfigurationError

_PLACE = re.compile(r"\{\{|\}\}|\{(\w*)\}")
_NUMBER = r"[-+]?\d+"
# What stands between the members of a list in a sentence.
BETWEEN = r",? (?:and|or) |, "


def escaped(text: str) -> str:
    """A text as a template that only it fits."""
    return text.replace("{", "{{").replace("}", "}}")


def places_of(template: str) -> list[str]:
    """The names of a template's places."""
    return list(dict.fromkeys(place[1] for place in _PLACE.finditer(template) if place[1]))


def values_of(
    template: str, query: str, like: Mapping[str, Any], choices: Mapping[str, list[Any]]
) -> dict[str, Any]:
    """What stands in a query at the places of a template.

    White space counts as one space, and the letters' case counts only at the places.

    Args:
        template: The text with its places; "{{" and "}}" are braces.
        query: The query.
        like: A value for each place, of the type that it takes: a text, a whole number, or a list
            of either.
        choices: The only values that a place takes.

    Returns:
        A value for each place that has a name.

    Raises:
        ConfigurationError: The query does not fit, or it does in more ways than one.
    """
    wanted = " ".join(query.split())
    found = [
        match.groupdict()
        for lazy in ("?", "")
        if (match := _pattern(template, like, lazy).fullmatch(wanted))
    ]
    if not found:
        raise ConfigurationError(
            f"The query {query!r} does not fit the recipe, which answers queries of this form: "
            f"{template!r}. Ask in that form, or plan this one anew.",
            query=query,
        )
    if found[0] != found[-1]:
        raise ConfigurationError(
            f"The query {query!r} fits the recipe's form {template!r} in more ways than one: "
            f"{found[0]} or {found[-1]}. Put it otherwise, or plan it anew.",
            query=query,
        )
    values = {name: _as(like[name], text) for name, text in found[0].items()}
    for name, allowed in choices.items():
        given = values[name] if isinstance(values[name], list) else [values[name]]
        if wrong := [value for value in given if value not in allowed]:
            raise ConfigurationError(
                f"The query {query!r} does not fit the recipe, which knows {allowed} and not "
                f"{wrong}: plan this one anew.",
                query=query,
            )
    return values


def _pattern(template: str, like: Mapping[str, Any], lazy: str) -> re.Pattern[str]:
    parts, end, seen = [], 0, set()
    flat = " ".join(template.split())
    for place in _PLACE.finditer(flat):
        parts.append(_fixed(flat[end : place.start()]))
        end = place.end()
        name = place[1]
        if name is None:
            parts.append(_fixed(place[0][0]))
        elif not name:
            parts.append(f"(?:{_form('', lazy)})")
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            seen.add(name)
            parts.append(f"(?P<{name}>{_form(like[name], lazy)})")
    return re.compile("".join([*parts, _fixed(flat[end:])]))


def _fixed(text: str) -> str:
    return f"(?i:{re.escape(text)})" if text else ""


def _form(value: Any, lazy: str) -> str:
    if isinstance(value, list):
        item = _form(value[0], lazy)
        return f"{item}(?:(?:{BETWEEN}){item})*{lazy}"
    return _NUMBER if isinstance(value, int) else rf"\S(?:.*{lazy}\S)?{lazy}"


def _as(like: Any, text: str) -> Any:
    if isinstance(like, list):
        return [_as(like[0], item) for item in re.split(BETWEEN, text)]
    return int(text) if isinstance(like, int) else text
