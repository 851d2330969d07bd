"""`rlm grep`: the lines that mean what is looked for."""

from typing import Annotated

import typer

from rlm_dspy.asking import CALLS
from rlm_dspy.commands.arguments import MODEL_HELP, LocalOnly, NoCache, Paths, commands
from rlm_dspy.commands.output import (
    console,
    for_stdout,
    print_left_out,
    quiet_libraries,
    refused,
    to_stderr,
    to_stdout,
)
from rlm_dspy.errors import RLMError

app = commands()


@app.command()
def grep(  # noqa: PLR0913 - a command's options are its arguments
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What lines are to mean.")],
    paths: Paths = None,
    model: Annotated[
        str | None, typer.Option(help=f"The model that judges. {MODEL_HELP} Default: RLM_MODEL.")
    ] = None,
    after: Annotated[int, typer.Option("-A", min=0, help="Lines shown after each.")] = 0,
    before: Annotated[int, typer.Option("-B", min=0, help="Lines shown before each.")] = 0,
    around: Annotated[int, typer.Option("-C", min=0, help="Lines shown on both sides.")] = 0,
    most: Annotated[int | None, typer.Option("-m", min=1, help="At most so many lines.")] = None,
    globs: Annotated[
        list[str] | None,
        typer.Option("-g", "--glob", help="Read what matches; with ! before it, what does not."),
    ] = None,
    judged: Annotated[int, typer.Option(min=1, help="Most lines that the model judges.")] = 200,
    budget_calls: Annotated[int, typer.Option(help="Most calls of models.")] = CALLS,
    local_only: LocalOnly = False,
    no_cache: NoCache = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the lines alone.")] = False,
) -> int:
    """Find the lines that mean what is looked for. Exits as grep: 0 found, 1 not found, 2 error."""
    from rlm_dspy import grepping
    from rlm_dspy.view.terminal import TerminalView

    globs = globs or []
    sought = grepping.Sought(
        query=query,
        paths=tuple(paths or ()),
        model=model,
        judged=judged,
        most=most,
        before=before or around,
        after=after or around,
        limits={"calls": budget_calls},
        reading={
            "include": [glob for glob in globs if not glob.startswith("!")],
            "exclude": [glob[1:] for glob in globs if glob.startswith("!")],
        },
        cache=not no_cache,
        local_only=local_only,
    )
    view = TerminalView(console(stderr=True), enabled=not quiet)
    try:
        with quiet_libraries(), view.live():
            found = grepping.grep(sought, view.listen, view.note)
    except RLMError as error:
        return refused(str(error), grepping.FAILED)
    for text in found.as_json() if as_object else found.as_lines():
        to_stdout(for_stdout(text))
    if not quiet:
        print_left_out(found.skipped)
        to_stderr(f"Judged {found.judged:,} lines, {found.left:,} not.")
    if found.problem:
        return refused(found.problem, grepping.FAILED)
    return found.exit_code
