"""The plans written ahead that the programs follow, one TOML file each."""

from pathlib import Path

from rlm_dspy import Recipe

_FOLDER = Path(__file__).parent


def joined(*names: str) -> Recipe:
    """One recipe of the steps and parameters of several, in order.

    Args:
        *names: The files' names without their ending; the last one names the recipe.
    """
    parts = [Recipe.from_file(_FOLDER / f"{name}.toml") for name in names]
    return Recipe(
        name=parts[-1].name,
        steps=tuple(step for part in parts for step in part.steps),
        parameters={name: value for part in parts for name, value in part.parameters.items()},
        description=parts[-1].description,
    )
