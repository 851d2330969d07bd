"""Recipes: plans written ahead, run in the same REPL with the same budgets, events and trace.

A recipe is a small TOML file (name, description, parameters, steps) or a Python file that is read,
never run, on the host: its docstring is the description, literal assignments before the first
`# %%` are the parameters, and each `# %%` begins a step. Steps see the run's variables, the
parameters, and `context`, `query` and `outputs` whatever the signature calls its inputs.

One that was made of a run has a template, the query with places: each new query must fit it, and
what stands at the places are the parameters.
"""

import dataclasses
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.runs import recipe_folder
from rlm_dspy.runs.compiling import compiled
from rlm_dspy.runs.recipe_files import from_python, from_toml, to_toml
from rlm_dspy.runs.templates import places_of, values_of
from rlm_dspy.signatures import RESERVED_NAMES

if TYPE_CHECKING:
    from rlm_dspy.run import Run

BUILTIN = "general"


@dataclass(frozen=True)
class Recipe:
    """A plan written ahead.

    Args:
        name: Its name.
        steps: Python code, one string a step.
        parameters: Values that the steps see as variables of these names.
        description: What it does, for a reader.
        signature: The inputs and outputs that it was made for; empty for any.
        template: The form of the queries that it answers, with a place `{name}` for each parameter
            that a query gives; empty for any query.
        choices: The only values that a query may give a parameter, where they are few.
    """

    name: str
    steps: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    signature: str = ""
    template: str = ""
    choices: dict[str, list[Any]] = field(default_factory=dict)

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
        if not isinstance(self.choices, dict) or not set(self.choices) <= set(self.parameters):
            raise ConfigurationError(
                f"The choices of the recipe {self.name!r} are not a table by its parameters, "
                f"{sorted(self.parameters)}."
            )
        if missing := set(places_of(self.template)) - set(self.parameters):
            raise ConfigurationError(
                f"The template of the recipe {self.name!r} has places {sorted(missing)} that are "
                "no parameters: give each a value to begin with."
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
        read = from_python if path.suffix == ".py" else from_toml
        return cls(**read(path.stem, text))

    @classmethod
    def from_run(
        cls, run: "Run", query: str = "", *, name: str = "", signature: str = ""
    ) -> "Recipe":
        """A good run's code as a recipe that answers over other inputs, with no planner.

        Steps that failed, and those that the answer does not depend on, are left out. Literals of
        the code that the query says become parameters, which a new query gives; it must have the
        same form.

        Args:
            run: A completed run, planned step by step.
            query: What it was asked. Empty: the recipe has no parameters, and takes any query.
            name: What to call the recipe; empty for the run's id.
            signature: The inputs and outputs with their types; empty for what the run says.

        Returns:
            The recipe.

        Raises:
            ConfigurationError: The run is not completed, or its code would not answer elsewhere.

        Example:
            >>> result = RLM()(context=text, query="Which ship does Branwick command?")
            >>> recipe = Recipe.from_run(result.run, "Which ship does Branwick command?")
            >>> RLM(recipe=recipe)(context=other, query="Which ship does Marvey command?").answer
        """
        made = compiled(run, query)
        started = next(event for event in run.events if event.kind == "run_started")
        return cls(
            name=name or run.id,
            steps=made.steps,
            parameters=made.parameters,
            description=f"Made of the run {run.id}" + (f": {query}" if query else ""),
            signature=signature or getattr(started, "signature", ""),
            template=made.template,
            choices=made.choices,
        )

    def save(self, path: str | Path) -> None:
        """Writes it as TOML, which `of` and `from_file` read.

        Args:
            path: The file, whose name ends in ".toml".

        Raises:
            ConfigurationError: It cannot be written, or a parameter has no form in TOML.
        """
        path = Path(path)
        if path.suffix != ".toml":
            raise ConfigurationError(f"A recipe is saved as NAME.toml, not as {path.name!r}.")
        text = self.as_toml()
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"The recipe {path} cannot be written: {error}.") from error

    def as_toml(self) -> str:
        """What `save` writes.

        Raises:
            ConfigurationError: A parameter has no form in TOML.
        """
        return to_toml({f.name: getattr(self, f.name) for f in dataclasses.fields(self)})

    @classmethod
    def builtin(cls, name: str = BUILTIN) -> "Recipe":
        """A recipe that comes with the library: "general" answers a question by search.

        Raises:
            ConfigurationError: There is none of that name.
        """
        file = resources.files("rlm_dspy.runs") / f"{name}.toml"
        if not file.is_file():
            raise ConfigurationError(f"There is no built-in recipe {name!r}; there is 'general'.")
        return cls(**from_toml(name, file.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, recipe: "str | Path | Recipe | None") -> "Recipe | None":
        """What `recipe=` was given as: a recipe, a file, or the name of a kept or built-in one.

        Raises:
            ConfigurationError: It is none of these.
        """
        if recipe is None or isinstance(recipe, Recipe):
            return recipe
        if not isinstance(recipe, (str, Path)):
            raise ConfigurationError(f"recipe={recipe!r} is not a recipe, a name or a path.")
        if Path(recipe).suffix in (".toml", ".py"):
            return cls.from_file(recipe)
        return cls.named(str(recipe))

    @classmethod
    def named(cls, name: str) -> "Recipe":
        """A built-in recipe, or one that the user keeps.

        Raises:
            ConfigurationError: There is none of that name.
        """
        if name == BUILTIN:
            return cls.builtin()
        if not (file := recipe_folder.file_of(name)).is_file():
            raise ConfigurationError(
                f"There is no recipe {name!r}: there are {BUILTIN!r}, those that `rlm recipe list` "
                "shows, and files (.toml, .py).",
                recipe=name,
            )
        return cls.from_file(file)

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

        Raises:
            ConfigurationError: The query does not fit the template.
        """
        schemas = {
            n: TypeAdapter(f.annotation).json_schema() for n, f in outer.output_fields.items()
        }
        texts = {n: v for n, v in inputs.items() if hasattr(v, "describe")}
        short = {n: v for n, v in inputs.items() if n not in texts}
        query = str(inputs["query"]) if "query" in inputs else _query(short)
        given: dict[str, Any] = {"outputs": schemas, "query": query}
        if texts:
            given["context"] = max(texts.values(), key=len)
        asked = self.parameters | self.asked(query)
        return {n: v for n, v in {**given, **asked}.items() if n not in inputs}

    def asked(self, query: str) -> dict[str, Any]:
        """The values that a query gives to parameters.

        Args:
            query: The query.

        Raises:
            ConfigurationError: It does not fit the template.
        """
        if not self.template:
            return {}
        return values_of(self.template, query, self.parameters, self.choices)


def _is_step(step: Any) -> bool:
    return isinstance(step, str) and bool(step.strip())


def _is_variable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED_NAMES


def _query(short: Mapping[str, Any]) -> str:
    if len(short) == 1:
        return str(next(iter(short.values())))
    return "\n".join(f"{name}: {value}" for name, value in short.items())
