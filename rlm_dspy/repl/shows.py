"""`show_vars()`: one line a variable, with its type and size."""

from collections.abc import Collection
from typing import Any

from rlm_dspy.repl import names
from rlm_dspy.repl.modules import Facade

_SIZED = {
    str: "characters",
    bytes: "bytes",
    list: "items",
    tuple: "items",
    dict: "keys",
    set: "items",
}
_MAX_SHOWN = 200


def _line(name: str, value: Any) -> str:
    kind = type(value).__name__
    unit = _SIZED.get(type(value))
    if hasattr(type(value), "__rlm_text__"):
        unit = "characters"
    if unit is not None:
        return f"{name}: {kind}, {len(value):,} {unit}"
    if type(value) in (int, float, bool, type(None)):
        return f"{name}: {kind} = {repr(value)[:60]}"
    return f"{name}: {kind}"


def shown_variables(variables: dict[str, Any], hidden: Collection[str]) -> str:
    """What is defined.

    Args:
        variables: The session's variables.
        hidden: Names that are not shown: the REPL's own functions.
    """
    lines = [
        _line(name, value)
        for name, value in variables.items()
        if name not in hidden
        and name.isidentifier()
        and not names.is_reserved(name)
        and not isinstance(value, Facade)
    ]
    if len(lines) > _MAX_SHOWN:
        lines = [*lines[:_MAX_SHOWN], f"... and {len(lines) - _MAX_SHOWN} more"]
    return "\n".join(lines) or "(nothing is defined yet)"
