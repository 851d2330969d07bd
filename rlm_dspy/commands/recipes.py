"""`rlm recipe`: plans that were made of good runs, kept by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_dspy.asking import SIGNATURE
from rlm_dspy.commands.arguments import ModelName, NoCache, Paths, commands
from rlm_dspy.commands.ask import ask
from rlm_dspy.commands.output import for_stdout, to_stderr, to_stdout

if TYPE_CHECKING:
    from rlm_dspy.runs.recipes import Recipe

app = commands("recipe", "Plans that were made of good runs, kept by name.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The recipe's name.")]


@app.command()
def save(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the beginning of it.")],
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Replace one of that name.")] = False,
) -> None:
    """Make a recipe of a recorded run."""
    from rlm_dspy.errors import ConfigurationError
    from rlm_dspy.rerunning import load
    from rlm_dspy.runs import recipe_folder
    from rlm_dspy.runs.recipes import BUILTIN, Recipe

    file = recipe_folder.file_of(name)
    if name == BUILTIN or (file.exists() and not force):
        said = "is built in: choose another name" if name == BUILTIN else "is there: --force it"
        raise ConfigurationError(f"The recipe {name!r} {said}.", name=name)
    stored = load(run)
    if stored.row.record != "full":
        raise ConfigurationError(f"The run {stored.row.id} was recorded without its code.")
    signature = _signature(stored.about.get("signature") or {})
    recipe = Recipe.from_run(stored.run, stored.row.question, name=name, signature=signature)
    file.parent.mkdir(parents=True, exist_ok=True)
    recipe.save(file)
    to_stdout(str(file))
    to_stderr(_answers(recipe))


@app.command("list")
def list_recipes() -> None:
    """List the recipes."""
    from rlm_dspy.errors import ConfigurationError
    from rlm_dspy.runs import recipe_folder
    from rlm_dspy.runs.recipes import BUILTIN, Recipe
    from rlm_dspy.settings import recipes_dir

    for name in [BUILTIN, *recipe_folder.names()]:
        try:
            recipe = Recipe.named(name)
            said = f"{len(recipe.steps):>2} steps  {_answers(recipe)}"
        except ConfigurationError as error:
            said = f"cannot be read: {error}"
        to_stdout(for_stdout(f"{name:<20} {said}"))
    to_stderr(f"Recipes folder: {recipes_dir()}")


@app.command()
def show(name: Name) -> None:
    """Print a recipe as the TOML file that it is."""
    from rlm_dspy.runs.recipes import Recipe

    to_stdout(for_stdout(Recipe.named(name).as_toml().rstrip()))


@app.command("run")
def run_recipe(
    name: Name,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    paths: Paths = None,
    model: ModelName = None,
    sub_model: Annotated[
        str | None, typer.Option(help="The model for sub-queries. Default: RLM_SUB_MODEL.")
    ] = None,
    no_cache: NoCache = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")] = False,
) -> int:
    """Answer a question of a recipe's form over other files, without a planner."""
    from rlm_dspy.runs.recipes import Recipe

    recipe = Recipe.named(name)
    recipe.asked(query)  # refuses a query of another form before anything is read
    return ask(
        query,
        paths,
        model=model,
        sub_model=sub_model,
        signature=recipe.signature or SIGNATURE,
        recipe=name,
        no_cache=no_cache,
        as_object=as_object,
        quiet=quiet,
    )


def _answers(recipe: "Recipe") -> str:
    return f"answers: {recipe.template}" if recipe.template else "answers any question"


def _signature(said: Mapping[str, Any]) -> str:
    """A recorded signature as a string with its outputs' types."""
    if not said:
        return ""
    outputs = (f"{name}: {field['type']}" for name, field in said["outputs"].items())
    return f"{', '.join(said['inputs'])} -> {', '.join(outputs)}"
