"""What a large job may cost at worst, said and asked before anything is paid for.

Promised: a figure is a bound that the run keeps, never a guess of what it will cost; a model that
costs nothing, or whose price is unknown, is never asked about.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_dspy.choosing import Models
from rlm_dspy.view.text import counted

if TYPE_CHECKING:
    from rlm_dspy.budget import Budget
    from rlm_dspy.context import Context
    from rlm_dspy.models.prices import Price


@dataclass(frozen=True)
class Foreseen:
    """What a job reads, and what it costs at worst.

    Args:
        files: How many documents.
        tokens: How long they are, about.
        dollars: The worst case, in US dollars.
        bound: What bounds it.
    """

    files: int
    tokens: int
    dollars: float
    bound: str

    def __str__(self) -> str:
        read = f"{counted(self.files, 'file')}, about {counted(self.tokens, 'token')}"
        dollars = "any number of dollars" if math.isinf(self.dollars) else f"${self.dollars:,.2f}"
        return f"{read}: at most {dollars} ({self.bound})"


def foreseen(context: "Context", models: Models, budget: "Budget") -> Foreseen | None:
    """What a job may cost.

    Args:
        context: What it reads.
        models: Which models it asks.
        budget: Its limits.

    Returns:
        The job; None for one that costs nothing that is known, or that is small: so short that
        one call can read it whole.

    Raises:
        ConfigurationError: `RLM_MONTHLY_DOLLARS` is no amount of dollars.
        StoreError: The store that the monthly cap is kept in cannot be used.
    """
    from rlm_dspy.options import CHARS_PER_TOKEN, RLMOptions

    options = RLMOptions()
    if options.fits_directly(len(context)):
        return None
    bounds = _bounds(models, budget, options.max_tokens)
    if not bounds:
        return None
    # Of equal ones a limit of dollars is said: a user knows that one.
    dollars, bound = min(_limits(budget) + bounds, key=lambda each: each[0])
    return Foreseen(len(context.documents), len(context) // CHARS_PER_TOKEN, dollars, bound)


def threshold() -> float:
    """From how many dollars on a user is asked: `RLM_CONFIRM_DOLLARS`."""
    from rlm_dspy.settings import settings

    return settings().rlm_confirm_dollars


def _limits(budget: "Budget") -> list[tuple[float, str]]:
    """The limits in dollars, each with its name."""
    from rlm_dspy.runs.monthly import monthly_cap

    found = []
    if budget.dollars is not None:
        found.append((budget.dollars, "the limit of --budget-dollars"))
    if (cap := monthly_cap("rlm ask")) is not None:
        found.append((max(cap.left(), 0.0), f"what is left of {cap}"))
    return found


def _bounds(models: Models, budget: "Budget", reply: int) -> list[tuple[float, str]]:
    """What limits the cost, in dollars, each with its reason; empty where nothing has a price."""
    from rlm_dspy.models import price_of
    from rlm_dspy.models.capabilities import prompt_limit
    from rlm_dspy.models.several import each_lm

    calls, tokens = [], []
    for lm in (*each_lm(models.main), *each_lm(models.sub or models.main)):
        price, window = price_of(lm.model), prompt_limit(lm.model)
        if price is None or (dearest := _dearest(price)) == 0:
            continue
        longest = int(
            lm.kwargs.get("max_completion_tokens") or lm.kwargs.get("max_tokens") or reply
        )
        calls.append(price.most(window, longest) if window else math.inf)
        tokens.append(dearest)
    found = []
    if calls and budget.calls is not None:
        each, number = max(calls), counted(budget.calls, "call")
        found.append((budget.calls * each, f"{number} of at most ${each:,.4f} each"))
    if tokens and budget.tokens is not None:
        found.append((budget.tokens * max(tokens), f"the limit of {budget.tokens:,} tokens"))
    return found


def _dearest(price: "Price") -> float:
    """Dollars for the dearest token."""
    dearest = max(price.prompt, price.written, price.completion)
    return dearest if price.above is None else max(dearest, _dearest(price.above))
