"""Groups of commands, and the arguments that several commands have."""

from typing import Annotated

import typer

MODEL_HELP = 'A LiteLLM name, "local" or "local/NAME".'
PATTERN_HELP = "as in .gitignore; may be repeated."

ModelName = Annotated[
    str | None,
    typer.Option(
        help=f"The model that plans; with commas, who stands in. {MODEL_HELP} Default: RLM_MODEL."
    ),
]
Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH]...", help="Files and folders; none or - reads stdin."),
]
LocalOnly = Annotated[
    bool,
    typer.Option(
        "--local-only",
        envvar="RLM_LOCAL_ONLY",
        help="Refuse whatever would leave this machine.",
    ),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Pay for every answer, even one that is known.")
]


def commands(name: str | None = None, about: str | None = None) -> typer.Typer:
    """An empty group of commands.

    Args:
        name: What stands before them, as in `rlm models list`; None: nothing, as in `rlm ask`.
        about: What `rlm --help` says of the group; only with a name.
    """
    # Help in boxes, which a markup mode brings, takes 0.2 s of imports.
    return typer.Typer(name=name, help=about, no_args_is_help=True, rich_markup_mode=None)
