"""`rlm runs`, `show`, `view`, `resume`, `replay`, `fork`, `rate`, `diff`, `delete`: what ran."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_dspy.commands.arguments import MODEL_HELP, commands
from rlm_dspy.commands.ask import _report
from rlm_dspy.commands.output import console, for_stdout, quiet_libraries, to_stderr, to_stdout
from rlm_dspy.outcome import Outcome, UsageError
from rlm_dspy.plain_json import json_of
from rlm_dspy.view.text import clock, counted

if TYPE_CHECKING:
    from rlm_dspy.runs.record import Mode
    from rlm_dspy.runs.row import Row
    from rlm_dspy.runs.stored import Stored

app = commands()

WIDTH = 60

RunId = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run's id, the beginning of it, or its file. Default: the newest."
    ),
]
Last = Annotated[bool, typer.Option("--last", help="The newest run.")]
AsObject = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")]


class Verdict(StrEnum):
    """How good an answer is."""

    good = "good"
    bad = "bad"


@app.command()
def runs(
    search: Annotated[
        str | None, typer.Option(help="Only runs in whose question, answer or events this stands.")
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="At most so many.")] = 20,
    as_object: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """List recorded runs, the newest first."""
    store = _store()
    rated = store.ratings()
    rows = store.runs(search, limit)
    for row in rows:
        verdict = rated.get(row.id, {}).get("verdict", "")
        line = (
            json_of(_as_object(row, verdict)) if as_object else for_stdout(_as_line(row, verdict))
        )
        to_stdout(line)
    if not rows and not as_object:
        to_stderr("No runs" + (f" with {search!r}" if search else "") + f" in {store.path}.")


@app.command()
def show(run: RunId = None, as_object: AsObject = False) -> None:
    """Show a recorded run: its steps, what it answered and what it cost."""
    stored = _load(run)
    if as_object:
        to_stdout(json_of(_whole(stored)))
        return
    row = stored.row
    lines = [
        f"run       {row.id}" + (f", forked from {row.parent}" if row.parent else ""),
        f"question  {row.question}",
        f"state     {_state(row)}",
        f"models    {row.model}" + (f" with {row.sub_model}" if row.sub_model else ""),
        f"when      {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(row.created))}",
        f"cost      {_cost(stored)}",
    ]
    for number, step in enumerate(stored.run.trajectory, 1):
        lines += [f"\n── step {number} " + "─" * 50]
        lines += [part.rstrip() for part in (step["reasoning"], step["code"]) if part.strip()]
        lines += ["── output", str(step["output"]).rstrip()]
    lines += ["", *(f"{name}: {value}" for name, value in stored.answer.items())]
    to_stdout(for_stdout("\n".join(lines)))


@app.command()
def view(
    run: RunId = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Where to; default: RUN.html here."),
    ] = None,
) -> None:
    """Write a recorded run as one HTML page; without a run, a page that lists them."""
    from rlm_dspy.view.html import render
    from rlm_dspy.view.index import index

    if run is None:
        page = index(_store().runs(limit=1_000), _store().ratings())
        path = out or Path("runs.html")
    else:
        stored = _load(run)
        page = render(stored.run, title=stored.row.question, exchanges=_exchanges(stored, run))
        path = out or Path(f"{stored.row.id}.html")
    try:
        path.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"--out {str(path)!r} cannot be written: {error}") from error
    to_stdout(str(path))


@app.command()
def resume(
    run: RunId = None,
    last: Last = False,
    budget_dollars: Annotated[float | None, typer.Option(help="Most dollars, in all.")] = None,
    budget_calls: Annotated[int | None, typer.Option(help="Most calls of models, in all.")] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Most seconds, in all.")] = None,
    as_object: AsObject = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a run that died or ended early; nothing is paid twice."""
    if run is None and not last:
        raise UsageError("Which run? `rlm runs` lists them; --last is the newest.")
    limits = {"dollars": budget_dollars, "calls": budget_calls, "seconds": budget_seconds}
    return _again(run, "resume", as_object=as_object, quiet=quiet, limits=limits)


@app.command()
def replay(run: RunId = None, as_object: AsObject = False, quiet: Quiet = False) -> int:
    """Run a recorded run again without any model, and check that all happens as it did."""
    return _again(run, "replay", as_object=as_object, quiet=quiet)


@app.command()
def fork(
    run: RunId = None,
    at: Annotated[
        int | None, typer.Option(min=1, help="The step from which on the planner is asked anew.")
    ] = None,
    model: Annotated[str | None, typer.Option(help=f"Another model. {MODEL_HELP}")] = None,
    sub_model: Annotated[str | None, typer.Option(help="Another model for sub-queries.")] = None,
    as_object: AsObject = False,
    quiet: Quiet = False,
) -> int:
    """A new run that takes from a recorded one what it asks as well."""
    return _again(
        run, "fork", as_object=as_object, quiet=quiet, at=at, model=model, sub_model=sub_model
    )


@app.command()
def rate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")],
    verdict: Annotated[Verdict, typer.Argument(help="How good its answer is.")],
    gold: Annotated[str, typer.Option(help="The right answer.")] = "",
    note: Annotated[str, typer.Option(help="Anything else.")] = "",
) -> None:
    """Say how good a run's answer is, for later exports."""
    store = _store()
    row = store.find(run)
    store.rate(row.id, verdict.value, gold, note)
    to_stderr(f"{row.id} is {verdict.value}.")


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN_A", help="A run's id.")],
    second: Annotated[str, typer.Argument(metavar="RUN_B", help="Another run's id.")],
) -> int:
    """Show in what two runs differ: code, output, answers and cost. Exits as diff."""
    from rlm_dspy.runs.comparing import differences

    lines = differences(_load(first), _load(second))
    for line in lines:
        to_stdout(for_stdout(line))
    return 1 if lines else 0


@app.command()
def delete(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="The ids of runs.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="All that are older.")
    ] = None,
) -> None:
    """Forget recorded runs."""
    store = _store()
    if not ids and older_than is None:
        raise UsageError("Which runs? Give their ids, or --older-than DAYS.")
    found = [store.find(run).id for run in ids or ()]
    deleted = store.delete(found)
    if older_than is not None:
        deleted += store.prune(days=older_than)
    to_stderr(f"{counted(deleted, 'run')} deleted")
    if older_than is not None and (left := _under_way(store.runs(), older_than)):
        to_stderr(
            f"Left out, since they are under way: {', '.join(left)}. Wait for them, or end them."
        )


def _under_way(rows: "list[Row]", days: float) -> list[str]:
    """The ids of runs that are older than that and do not end yet."""
    until = time.time() - days * 86_400
    return [row.id for row in rows if row.is_alive and row.updated < until]


def _store() -> Any:
    from rlm_dspy.recording import store_of

    return store_of()


def _named(run: str | None) -> str | Path | None:
    """A run's file, where it looks like one."""
    return Path(run) if run is not None and run.endswith((".json", ".json.gz")) else run


def _load(run: str | None) -> "Stored":
    from rlm_dspy.rerunning import load

    return load(_named(run))


def _exchanges(stored: "Stored", run: str) -> Any:
    from rlm_dspy.view.exchanges import recorded

    if isinstance(_named(run), Path):
        return None
    return recorded(stored.events, _store().exchanges(stored.row.id))


def _again(run: str | None, mode: "Mode", *, as_object: bool, quiet: bool, **given: Any) -> int:
    from rlm_dspy.resuming import again
    from rlm_dspy.view.terminal import TerminalView

    shown = TerminalView(console(stderr=True), enabled=not quiet)
    with quiet_libraries():
        with shown.live():
            outcome: Outcome = again(_named(run), mode, shown.listen, shown.note, **given)
        code = _report(outcome, as_object=as_object, quiet=quiet)
        _say_redacted(outcome, run)
        return code


def _say_redacted(outcome: Outcome, run: str | None) -> None:
    """Says that a key is missing, where that made the answer or the failure of a run again."""
    from rlm_dspy.errors import ReplayMismatch
    from rlm_dspy.runs.redaction import HIDDEN, lacks_secret

    if HIDDEN in json.dumps(outcome.outputs, default=str):
        to_stderr(f"rlm: the answer held a key, which is never recorded: {HIDDEN} stands for it")
    elif isinstance(outcome.failure, ReplayMismatch) and lacks_secret(_load(run)):
        to_stderr(
            f"rlm: the run held a key, which is never recorded: where {HIDDEN} stands for it, what "
            "happens again may differ though nothing has changed"
        )


def _state(row: "Row") -> str:
    state = row.state
    if state == "running" and not row.is_alive:
        state = f"died (rlm resume {row.id})"
    return f"{state}: {row.reason}" if row.reason else state


def _as_line(row: "Row", verdict: str) -> str:
    when = time.strftime("%m-%d %H:%M", time.localtime(row.created))
    question = " ".join(row.question.split())
    question = question if len(question) <= WIDTH else f"{question[:WIDTH]}…"
    state = row.state if row.state != "running" or row.is_alive else "died"
    return f"{row.id}  {when}  {state:<9}  {verdict:<4}  {row.model:<24}  {question}"


def _as_object(row: "Row", verdict: str) -> dict[str, Any]:
    said = row._asdict() | {"verdict": verdict, "alive": row.is_alive}
    said["spend"] = json.loads(row.spend or "{}")
    said["answer"] = json.loads(row.answer or "null")
    return said | {"host": row.machine}


def _whole(stored: "Stored") -> dict[str, Any]:
    from rlm_dspy.events import as_json

    run = stored.run
    return {
        **_as_object(stored.row, ""),
        "status": run.status,
        "outputs": stored.answer,
        "trajectory": list(run.trajectory),
        "coverage": run.coverage.as_dict(),
        "events": [json.loads(as_json(event)) for event in stored.events],
    }


def _cost(stored: "Stored") -> str:
    spend = stored.run.spend
    parts: list[str] = [counted(spend.steps, "step"), counted(spend.calls, "call")]
    parts += [counted(spend.tokens, "token"), f"${spend.dollars:.4f}", clock(spend.seconds)]
    return " · ".join(parts)
