"""Recipes as files: TOML, read and written, and Python, which is read and never run."""

import ast
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from rlm_dspy.errors import ConfigurationError

_CELL = re.compile(r"^# ?%%.*$", re.MULTILINE)
_KEYS = ("name", "description", "signature", "template", "parameters", "choices", "steps")
# What a TOML text in three single quotes cannot hold as it is.
_NOT_AS_IT_IS = re.compile(r"'''|[\x00-\x08\x0b-\x1f\x7f]|'\Z")


def from_toml(name: str, text: str) -> dict[str, Any]:
    """What a TOML file says of a recipe, by the names of `Recipe`'s arguments.

    Raises:
        ConfigurationError: It is no TOML, or no recipe.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The recipe {name!r} is not TOML: {error}.") from error
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise ConfigurationError(
            f"The recipe {name!r} has unknown keys {unknown}: write {', '.join(_KEYS)}."
        )
    told = {"name": name, **table, "steps": _codes(table.get("steps"))}
    for key in ("name", "description", "signature", "template"):
        if key in told:
            told[key] = str(told[key])
    return told


def _codes(steps: Any) -> Any:
    """The code of each step; what is no list of steps is left for `Recipe` to refuse."""
    if not isinstance(steps, list):
        return steps
    return [step.get("code") if isinstance(step, dict) else step for step in steps]


def from_python(name: str, text: str) -> dict[str, Any]:
    """What a Python file says of a recipe, by the names of `Recipe`'s arguments.

    Raises:
        ConfigurationError: It is no Python, or what stands before its steps is no literal.
    """
    head, *steps = _CELL.split(text)
    try:
        module = ast.parse(head)
        for step in steps:
            ast.parse(step)
    except SyntaxError as error:
        raise ConfigurationError(f"The recipe {name!r} is not Python: {error}.") from error
    values: dict[str, Any] = {}
    for node in module.body[ast.get_docstring(module) is not None :]:
        target, value = _assigned(node)
        try:
            values[target] = ast.literal_eval(value)
        except ValueError as error:
            raise ConfigurationError(
                f"Line {node.lineno} of the recipe {name!r} does not give a variable a literal: "
                "what stands before the first `# %%` is read as parameters, never run."
            ) from error
    return {
        "name": str(values.pop("name", name)),
        "steps": tuple(step.strip("\n") for step in steps if step.strip()),
        "parameters": values,
        "description": ast.get_docstring(module) or "",
    }


def _assigned(node: ast.stmt) -> tuple[str, Any]:
    """The name and the value of an assignment to one name; neither for another statement."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    value = getattr(node, "value", None)
    assigns = isinstance(node, (ast.Assign, ast.AnnAssign)) and value is not None
    if assigns and len(targets) == 1 and isinstance(targets[0], ast.Name):
        return targets[0].id, value
    return "", node


def to_toml(about: Mapping[str, Any]) -> str:
    """A recipe as TOML that `from_toml` reads back.

    Args:
        about: The recipe, by the names of `Recipe`'s arguments; what is empty is left out.

    Raises:
        ConfigurationError: A parameter is no text, number, boolean, or list or table of these.
    """
    texts = ("name", "description", "signature", "template")
    lines = [f"{key} = {_written(about[key])}" for key in texts if about.get(key)]
    for table in ("parameters", "choices"):
        if about.get(table):
            values = [f"{_key(name)} = {_written(value)}" for name, value in about[table].items()]
            lines += ["", f"[{table}]", *values]
    for code in about["steps"]:
        lines += ["", "[[steps]]", f"code = {_code(code)}"]
    return "\n".join([*lines, ""])


def _key(name: Any) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else _text(str(name))


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(n)} = {_written(v)}' for n, v in value.items())}}}"
    raise ConfigurationError(
        f"{value!r} cannot be written to a recipe file, which holds texts, numbers, booleans, and "
        "lists and tables of these."
    )


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for one control character and halves of surrogate pairs.
    said = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return re.sub("[\ud800-\udfff]", "\\\\ufffd", said)


def _code(code: str) -> str:
    if _NOT_AS_IT_IS.search(code) or re.search("[\ud800-\udfff]", code):
        return _text(code)
    return f"'''\n{code}'''"
