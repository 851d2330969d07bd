"""`rlm export`: recorded runs as training data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rlm_dspy.commands.arguments import commands
from rlm_dspy.commands.output import quiet_libraries, to_stderr, to_stdout
from rlm_dspy.commands.runs import Verdict
from rlm_dspy.commands.since import Since, moment
from rlm_dspy.outcome import ExitCode
from rlm_dspy.view.text import counted

app = commands()


class Kind(StrEnum):
    """What rows are for."""

    sft = "sft"
    preference = "preference"


class Role(StrEnum):
    """Whose replies."""

    plan = "plan"
    sub_query = "sub_query"
    extract = "extract"
    direct = "direct"


class Status(StrEnum):
    """How a run ended."""

    completed = "completed"
    partial = "partial"
    failed = "failed"


@app.command()
def export(  # noqa: PLR0913 - an option each
    file: Annotated[
        Path, typer.Argument(metavar="FILE", dir_okay=False, help="A .jsonl or .parquet file.")
    ],
    kind: Annotated[
        Kind, typer.Option(help="Chat rows with the reply last, or pairs of a better and a worse.")
    ] = Kind.sft,
    role: Annotated[
        list[Role] | None, typer.Option(help="For sft: whose replies. Default: plan. Repeatable.")
    ] = None,
    rating: Annotated[Verdict | None, typer.Option(help="Only runs rated so.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only runs that ended so. Repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only what this model said.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only runs in whose question, answer or events this stands.")
    ] = None,
    since: Since = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Replies that failed are targets as well.")
    ] = False,
    about: Annotated[
        bool, typer.Option("--about", help="Say in each row of which run, step and model it is.")
    ] = False,
) -> int:
    """Write recorded runs as training data."""
    from rlm_dspy.runs.export import TrainingData
    from rlm_dspy.runs.filters import RunFilter

    data = TrainingData(
        kind=kind.value,
        roles=tuple(one.value for one in role or [Role.plan]),
        runs=RunFilter(
            rating=None if rating is None else rating.value,
            status=tuple(one.value for one in status or ()),
            model=model,
            search=search,
            since=moment(since),
        ),
        failed=failed,
        about=about,
    )
    with quiet_libraries():
        rows = data.save(file)
    for reason, number in sorted(data.skipped.items()):
        to_stderr(f"rlm: left out: {number:,} {reason}")
    if not rows:
        to_stderr("rlm: error: no row is left, and nothing was written")
        return ExitCode.NO_ANSWER
    to_stdout(str(file))
    to_stderr(counted(rows, "row"))
    return ExitCode.COMPLETED
