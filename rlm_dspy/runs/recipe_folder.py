"""The user's own recipes: one TOML file each, by name, in one folder."""

import re
from pathlib import Path

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.settings import recipes_dir

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def file_of(name: str) -> Path:
    """The file of a recipe; whether there is one is not said.

    Raises:
        ConfigurationError: No recipe may have such a name.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"{name!r} is no name of a recipe: write letters, digits, _ and -, at most 64.",
            name=name,
        )
    return recipes_dir() / f"{name}.toml"


def names() -> list[str]:
    """The names of the recipes in the folder, in order."""
    files = recipes_dir().glob("*.toml")
    return sorted(file.stem for file in files if _NAME.fullmatch(file.stem))
