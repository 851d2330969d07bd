"""Recipes: plans written ahead, run in the same REPL with the same budgets, events and trace.

A recipe is a small TOML file (name, description, parameters, steps) or a Python file that is read,
never run, on the host: its docstring is the description, literal assignments before the first
`# %%` are the parameters, and each `# %%` begins a step. Steps see the run's variables, the
parameters, and `context`, `query` and `outputs` whatever the signature calls its inputs.
"""

import ast
import keyword
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.signatures import RESERVED_NAMES

_CELL = re.compile(r"^# ?%%.*$", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """A plan written ahead.

    Args:
        name: Its name.
        steps: Python code, one string a step.
        parameters: Values that the steps see as variables of these names.
        description: What it does, for a reader.
    """

    name: str
    steps: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self):
        steps = self.steps
        if not isinstance(steps, (list, tuple)) or not steps or not all(map(_is_step, steps)):
            raise ConfigurationError(
                f"The recipe {self.name!r} has no steps, or one that is no code: "
                "write at least one, each a string of Python."
            )
        object.__setattr__(self, "steps", tuple(steps))
        if not isinstance(self.parameters, dict):
            raise ConfigurationError(f"The parameters of the recipe {self.name!r} are not a table.")
        bad = [name for name in self.parameters if not _is_variable(name)]
        if bad:
            raise ConfigurationError(
                f"{bad} in the recipe {self.name!r} are not names that a variable may have."
            )

    @classmethod
    def from_file(cls, path: str | Path) -> "Recipe":
        """Reads a `.toml` or `.py` recipe.

        Raises:
            ConfigurationError: There is no such file, or it is not a recipe.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"The recipe {path} cannot be read: {error}.") from error
        if path.suffix == ".py":
            return _from_python(path.stem, text)
        return _from_toml(path.stem, text)

    @classmethod
    def builtin(cls, name: str = "general") -> "Recipe":
        """A recipe that comes with the library: "general" answers a question by search.

        Raises:
            ConfigurationError: There is none of that name.
        """
        file = resources.files("rlm_dspy.runs") / f"{name}.toml"
        if not file.is_file():
            raise ConfigurationError(f"There is no built-in recipe {name!r}; there is 'general'.")
        return _from_toml(name, file.read_text(encoding="utf-8"))

    @classmethod
    def of(cls, recipe: "str | Path | Recipe | None") -> "Recipe | None":
        """What `recipe=` was given as: a recipe, a built-in's name, or a file.

        Raises:
            ConfigurationError: It is none of these.
        """
        if recipe is None or isinstance(recipe, Recipe):
            return recipe
        if not isinstance(recipe, (str, Path)):
            raise ConfigurationError(f"recipe={recipe!r} is not a recipe, a name or a path.")
        if Path(recipe).suffix in (".toml", ".py"):
            return cls.from_file(recipe)
        return cls.builtin(str(recipe))

    def with_parameters(self, **values: Any) -> "Recipe":
        """The recipe with other values for some of its parameters.

        Raises:
            ConfigurationError: It has no such parameter.
        """
        unknown = sorted(set(values) - set(self.parameters))
        if unknown:
            raise ConfigurationError(
                f"The recipe {self.name!r} has no parameters {unknown}; "
                f"it has {sorted(self.parameters)}."
            )
        return replace(self, parameters={**self.parameters, **values})

    def variables(self, outer: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What its steps see beside the run's own variables.

        Args:
            outer: The user's signature.
            inputs: The run's inputs.

        Returns:
            The parameters, `outputs` (a JSON schema by output field), and `context` and `query`
            where no input has these names: the longest text, and all short ones as one.
        """
        schemas = {
            n: TypeAdapter(f.annotation).json_schema() for n, f in outer.output_fields.items()
        }
        texts = {n: v for n, v in inputs.items() if hasattr(v, "describe")}
        short = {n: v for n, v in inputs.items() if n not in texts}
        given: dict[str, Any] = {"outputs": schemas, "query": _query(short)}
        if texts:
            given["context"] = max(texts.values(), key=len)
        return {n: v for n, v in {**given, **self.parameters}.items() if n not in inputs}


def _is_step(step: Any) -> bool:
    return isinstance(step, str) and bool(step.strip())


def _is_variable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED_NAMES


def _query(short: Mapping[str, Any]) -> str:
    if len(short) == 1:
        return str(next(iter(short.values())))
    return "\n".join(f"{name}: {value}" for name, value in short.items())


def _from_toml(name: str, text: str) -> Recipe:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The recipe {name!r} is not TOML: {error}.") from error
    unknown = sorted(set(table) - {"name", "description", "parameters", "steps"})
    if unknown:
        raise ConfigurationError(
            f"The recipe {name!r} has unknown keys {unknown}: "
            "write name, description, parameters and steps."
        )
    return Recipe(
        name=str(table.get("name", name)),
        steps=_codes(table.get("steps")),
        parameters=table.get("parameters", {}),
        description=table.get("description", ""),
    )


def _codes(steps: Any) -> Any:
    """The code of each step; what is no list of steps is left for `Recipe` to refuse."""
    if not isinstance(steps, list):
        return steps
    return [step.get("code") if isinstance(step, dict) else step for step in steps]


def _from_python(name: str, text: str) -> Recipe:
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
    return Recipe(
        name=str(values.pop("name", name)),
        steps=tuple(step.strip("\n") for step in steps if step.strip()),
        parameters=values,
        description=ast.get_docstring(module) or "",
    )


def _assigned(node: ast.stmt) -> tuple[str, Any]:
    """The name and the value of an assignment to one name; neither for another statement."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    value = getattr(node, "value", None)
    assigns = isinstance(node, (ast.Assign, ast.AnnAssign)) and value is not None
    if assigns and len(targets) == 1 and isinstance(targets[0], ast.Name):
        return targets[0].id, value
    return "", node
