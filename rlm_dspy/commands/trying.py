"""`rlm doctor` and `rlm demo`: whether it works here, and how well."""

from typing import Annotated

import typer

from rlm_dspy.commands.arguments import MODEL_HELP, commands
from rlm_dspy.commands.output import console, quiet_libraries
from rlm_dspy.outcome import ExitCode

app = commands()


@app.command()
def doctor() -> int:
    """Say what is there, what is missing and what to do about it."""
    from rlm_dspy.doctor import examined

    with quiet_libraries():
        report = examined()
    report.print_to(console())
    return ExitCode.COMPLETED if report.ready else ExitCode.CONFIGURATION


@app.command()
def demo(
    model: Annotated[str, typer.Option(help=f"The model. {MODEL_HELP}")] = "local",
    seed: Annotated[int, typer.Option(help="Which text and facts are made up.")] = 0,
    tokens: Annotated[
        int, typer.Option(min=2_000, help="How long the text is, about.")
    ] = 1_000_000,
    questions: Annotated[int, typer.Option(min=1, max=24, help="How many to ask.")] = 4,
) -> int:
    """Hide facts in a long text, ask a model for them, and check what it says."""
    from rlm_dspy.showing import shown

    with quiet_libraries():
        return shown(console(), model, seed, tokens, questions)
