"""`rlm demo`: asks a model about a made-up text and says how it did.

Promised: real calls of the model (dspy's cache is off); each answer is checked against what the
generator hid; what was wrong is said as plainly as what was right. Not promised: any score.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from rlm_dspy.asking import answered, limits, recipe_of, rlm_of
from rlm_dspy.choosing import Models, models_of
from rlm_dspy.demo import Fact, Haystack, haystack, right
from rlm_dspy.outcome import INTERRUPTED, ExitCode, money, spent
from rlm_dspy.view.terminal import TerminalView
from rlm_dspy.view.text import clock, counted, printable

if TYPE_CHECKING:
    from rlm_dspy.context import Context
    from rlm_dspy.rlm import RLM
    from rlm_dspy.run import Run

SIGNATURE = "context, query -> answer: str"
STEPS = 8


@dataclass
class Tally:
    """What came of the questions so far."""

    runs: list["Run"] = field(default_factory=list)
    right: int = 0
    wrong: list[tuple[Fact, object]] = field(default_factory=list)


def shown(console: Console, model: str, seed: int, tokens: int, questions: int) -> int:
    """Runs the demo.

    Args:
        console: Where to show it.
        model: The model's name.
        seed: Which text is made.
        tokens: How long it is, about.
        questions: How many questions are asked.

    Returns:
        The exit code: 0 when all questions were asked, whatever came of them.

    Raises:
        RLMError: The model or the machinery does not work.
    """
    from rlm_dspy.context import Context

    models = models_of(model, None, cache=False)
    hay = haystack(seed, tokens, questions)
    recipe = recipe_of(None, None, models, len(hay.text))
    rlm = rlm_of(SIGNATURE, models, limits(steps=STEPS), recipe, None)
    _introduce(console, hay, models, tokens, seed)
    context = Context.from_text(hay.text, title="a made-up chronicle")
    tally = Tally()
    for number, fact in enumerate(hay.asked, 1):
        console.print(Text(f"\nQuestion {number} of {len(hay.asked)}: {fact.question}", "bold"))
        if not _asked(console, rlm, models, context, fact, tally):
            break
    _sum_up(console, tally, len(hay.asked))
    complete = len(tally.runs) == len(hay.asked) and tally.runs[-1].reason != INTERRUPTED
    return ExitCode.COMPLETED if complete else ExitCode.INTERRUPTED


def _introduce(console: Console, hay: Haystack, models: Models, tokens: int, seed: int) -> None:
    how = "plans for itself."
    if not models.plans:
        how = (
            "cannot plan: the recipe `general` does. Where a passage does not bear the model's "
            "answer out, the recipe quotes the passage instead."
        )
    console.print(
        Text(
            f"A made-up text of {len(hay.text):,} characters (about {tokens:,} tokens; "
            f"seed {seed}) with {counted(len(hay.facts), 'fact')} at random places.\n"
            f"{models.main.model} {how} Every call below is real; nothing is cached."
        )
    )


def _asked(
    console: Console, rlm: "RLM", models: Models, context: "Context", fact: Fact, tally: Tally
) -> bool:
    """Asks one question and shows what came of it; False where the user wants no more."""
    view = TerminalView(console, steps=True)
    with view.live():
        result = answered(rlm, models, context, fact.question, listen=view.listen, note=view.note)
    if result is None:
        return False
    run, answer = result.run, result.answer
    tally.runs.append(run)
    correct = right(answer, fact.value)
    tally.right += correct
    if not correct:
        tally.wrong.append((fact, answer))
    ended = "" if run.status == "completed" else f" ({run.status}: {run.reason})"
    console.print(Text.assemble(("  answer  ", "cyan"), f"{_short(answer)}{ended}"))
    verdict = ("  right   ", "bold green") if correct else ("  WRONG   ", "bold red")
    told = f'at character {fact.position:,} the text says: "{fact.sentence}"'
    console.print(Text.assemble(verdict, told))
    console.print(Text(f"  spent   {' · '.join(spent(run))}", "dim"))
    return run.reason != INTERRUPTED


def _short(answer: object, limit: int = 200) -> str:
    text = " ".join(printable(str(answer)).split()) if answer not in (None, "") else "(none)"
    return text if len(text) <= limit else f"{text[:limit]}…"


def _sum_up(console: Console, tally: Tally, questions: int) -> None:
    runs = tally.runs
    if not runs:
        return
    spends = [run.spend for run in runs]
    parts = [
        counted(sum(spend.calls for spend in spends), "call"),
        counted(sum(spend.tokens for spend in spends), "token"),
        money(sum(spend.dollars for spend in spends), runs[0]),
        clock(sum(spend.seconds for spend in spends)),
    ]
    asked = f"{len(runs)} asked" if len(runs) == questions else f"{len(runs)} asked of {questions}"
    console.print(Text(f"\nRight: {tally.right} of {asked}. Spent: {', '.join(parts)}.", "bold"))
    for fact, answer in tally.wrong:
        console.print(Text(f"Wrong: {fact.question} {fact.value}, not {_short(answer, 80)!r}."))
