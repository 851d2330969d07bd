"""`rlm spend`: what recorded runs cost."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rlm_dspy.commands.arguments import commands
from rlm_dspy.commands.output import for_stdout, to_stderr, to_stdout
from rlm_dspy.commands.since import Since, moment

if TYPE_CHECKING:
    from rlm_dspy.runs.spending import Spent

app = commands()

# In place of dollars.
FREE_OR_UNKNOWN = "-"


class By(StrEnum):
    """What is summed."""

    model = "model"
    program = "program"
    day = "day"


@app.command()
def spend(
    since: Since = None,
    by: Annotated[By, typer.Option(help="What is summed; days are those of UTC.")] = By.model,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Sum up what recorded runs cost, those that died included."""
    from rlm_dspy.recording import store_of
    from rlm_dspy.runs.monthly import monthly_cap
    from rlm_dspy.runs.spending import Spent, charges, spent

    store, cap = store_of(), monthly_cap("rlm spend")
    found = list(charges(store, moment(since)))
    rows, total = spent(found, by.value), Spent("total")
    for charge in found:
        total.add(charge)
    if as_object:
        said = {"by": by.value, "rows": list(map(_numbers, rows)), "total": _numbers(total)}
        if cap is not None:
            said["month"] = {"dollars": round(cap.dollars - cap.left(), 6), "limit": cap.dollars}
        to_stdout(json.dumps(said, ensure_ascii=False))
        return
    wide = max((len(row.name) for row in [*rows, total]), default=0)
    to_stdout(f"{by.value:<{wide}}  {'dollars':>12} {'tokens':>14} {'calls':>9} {'cached':>9}")
    for row in [*rows, total]:
        dollars = f"{row.dollars:,.4f}" if row.dollars or not row.tokens else FREE_OR_UNKNOWN
        line = f"{dollars:>12} {row.tokens:>14,} {row.calls:>9,} {row.cache_hits:>9,}"
        to_stdout(for_stdout(f"{row.name:<{wide}}  {line}"))
    if any(row.tokens and not row.dollars for row in rows):
        to_stderr(f"{FREE_OR_UNKNOWN}: costs nothing, or what it costs was not known")
    if cap is not None:
        used = cap.dollars - cap.left()
        to_stderr(f"This month: ${used:,.4f} of ${cap.dollars:,.2f} spent or reserved")


def _numbers(row: "Spent") -> dict[str, object]:
    return asdict(row) | {"tokens": row.tokens, "dollars": round(row.dollars, 6)}
