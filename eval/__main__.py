"""`python -m eval`: measure programs on tasks.

A command is a function below with `@app.command()`; it imports what it needs itself.
"""

from pathlib import Path
from typing import Annotated

import typer

from rlm_dspy import RLMError

app = typer.Typer(
    name="python -m eval",
    help="Measure programs on tasks.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Task = Annotated[str, typer.Argument(metavar="TASK", help="NAME or NAME:PART; see `tasks`.")]
Program = Annotated[str, typer.Option(help="A name of `programs`, or MODULE:CLASS of your own.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="The model that plans and answers: a LiteLLM name, local/NAME, or oracle:RATE for the "
        "simulated one that errs in that share. Default: RLM_MODEL."
    ),
]
SubModel = Annotated[
    str | None, typer.Option(help="The model for sub-queries. Default: the same as --lm.")
]
Lengths = Annotated[
    str | None, typer.Option(help="Lengths in tokens, such as 8k,32k. Default: the task's.")
]
Seed = Annotated[int, typer.Option(help="Which examples.")]
Generated = Annotated[bool, typer.Option("--generated", help="Make the data, download nothing.")]
Group = Annotated[str | None, typer.Option(help="Only the examples of a group, or GROUP/KIND.")]
Planned = Annotated[
    bool | None,
    typer.Option(
        "--plan/--recipe", help="A model plans, or a recipe does. Default: the program's."
    ),
]
Dollars = Annotated[float | None, typer.Option(help="What all of it may cost, reserved ahead.")]
Seconds = Annotated[float, typer.Option(help="How long an example may take.")]
Workers = Annotated[int, typer.Option(min=1, help="How many examples are under way at once.")]
Price = Annotated[
    list[str] | None,
    typer.Option(help="MODEL=IN,OUT in dollars a million tokens, where LiteLLM knows no price."),
]


@app.callback()
def _commands() -> None:
    """Measure programs on tasks."""


@app.command()
def tasks() -> None:
    """List the tasks: what each asks, what its data needs, its parts and its metrics."""
    from eval.listing import listed_tasks

    typer.echo(listed_tasks())


@app.command()
def run(  # noqa: PLR0913 - a command's options are its arguments
    task: Task,
    out: Annotated[
        Path,
        typer.Option(file_okay=False, help="The run's folder; one that is there is gone on with."),
    ],
    program: Program = "rlm",
    lm: Model = None,
    sub_lm: SubModel = None,
    n: Annotated[
        int, typer.Option(help="How many examples of each length, of which --group chooses.")
    ] = 50,
    lengths: Lengths = None,
    seed: Seed = 1,
    generated: Generated = False,
    group: Group = None,
    planned: Planned = None,
    load: Annotated[Path | None, typer.Option(help="Prompts that `optimize` saved.")] = None,
    same_as: Annotated[
        Path | None, typer.Option(help="Take the examples of this run instead of choosing some.")
    ] = None,
    budget_dollars: Dollars = None,
    budget_seconds: Seconds = 120.0,
    price: Price = None,
    workers: Workers = 8,
    cache: Annotated[bool, typer.Option(help="Let dspy's cache answer.")] = False,
) -> None:
    """Run a program over a task's examples, and print its table."""
    from bench.header import command_line
    from eval.contenders import Contender
    from eval.options import dollars_of, lengths_of, prices_of, quiet, seconds_of
    from eval.report import run_report
    from eval.runs import Data, Means, measure

    quiet()
    data = Data(task, n, lengths_of(lengths), seed, generated, group)
    contender = Contender(program, lm, sub_lm, planned, load, seconds_of(budget_seconds), cache)
    means = Means(dollars_of(budget_dollars), prices_of(price, lm, sub_lm), workers)
    start, records = measure(
        data,
        contender,
        out,
        command=command_line("eval"),
        means=means,
        same_as=same_as,
    )
    typer.echo(run_report(start, records))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    png: Annotated[
        Path | None, typer.Option(help="The picture's file. Default: compared.png in the first.")
    ] = None,
) -> None:
    """Compare runs over the same examples, every one with the first: tables and a picture."""
    from eval.compare import comparison, read_runs
    from eval.plot import draw

    found = read_runs(runs)
    typer.echo(comparison(found))
    picture = draw(found, png or runs[0] / "compared.png")
    typer.echo(f"\n{picture}")


@app.command()
def optimize(  # noqa: PLR0913 - a command's options are its arguments
    task: Task,
    out: Annotated[Path, typer.Option(help="Where the winner is saved: a new .json file.")],
    train: Annotated[int, typer.Option(min=1, help="Examples to learn from.")],
    val: Annotated[int, typer.Option(min=1, help="Examples to choose by.")],
    test: Annotated[int, typer.Option(min=1, help="Examples to judge by.")],
    optimizer: Annotated[str, typer.Option(help="bootstrap, gepa, mipro or simba.")] = "bootstrap",
    program: Program = "aggregate",
    lm: Model = None,
    sub_lm: SubModel = None,
    teacher: Annotated[str | None, typer.Option(help="The model that makes the demos.")] = None,
    reflection_lm: Annotated[
        str | None, typer.Option(help="The model that rewrites instructions. Default: --lm.")
    ] = None,
    lengths: Lengths = None,
    seed: Seed = 1,
    generated: Generated = False,
    group: Group = None,
    planned: Planned = None,
    load: Annotated[Path | None, typer.Option(help="Prompts to begin with.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of the search.")] = 6,
    demos: Annotated[int, typer.Option(min=0, help="The most demos a predictor gets.")] = 4,
    gate: Annotated[bool, typer.Option(help="Save only what is better for sure.")] = True,
    budget_dollars: Dollars = None,
    budget_seconds: Seconds = 120.0,
    tuning_seconds: Annotated[
        float | None, typer.Option(help="When the search begins no further call.")
    ] = None,
    price: Price = None,
    workers: Workers = 8,
) -> None:
    """Tune a program's prompts; save them if they are better on a test split."""
    from bench.header import command_line
    from eval.contenders import Contender
    from eval.optimize import optimize as tune
    from eval.options import dollars_of, lengths_of, prices_of, quiet, seconds_of
    from eval.runs import Data, Means
    from eval.tuned import Plan
    from eval.tuning_report import tuning_report

    quiet()
    if tuning_seconds is not None:
        seconds_of(tuning_seconds, "--tuning-seconds")
    prices = prices_of(price, lm, sub_lm, teacher, reflection_lm)
    tuned = tune(
        Data(task, 0, lengths_of(lengths), seed, generated, group),
        Contender(program, lm, sub_lm, planned, load, seconds_of(budget_seconds), cache=True),
        Plan(
            optimizer, train, val, test, teacher, reflection_lm, rounds, demos, tuning_seconds, gate
        ),
        out,
        command=command_line("eval"),
        means=Means(dollars_of(budget_dollars), prices, workers),
    )
    report = tuning_report(tuned, out)
    out.with_suffix(".md").write_text(report, encoding="utf-8")
    typer.echo(report)
    if not tuned.saved:
        raise typer.Exit(1)


def main() -> None:
    """Runs the command line and exits; what a user gets wrong is one line and the code 2."""
    try:
        app()
    except RLMError as error:
        typer.echo(f"eval: error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
