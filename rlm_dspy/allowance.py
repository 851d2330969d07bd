"""What a session may spend in all, beside what each of its questions may."""

from dataclasses import replace

from rlm_dspy.budget import Budget
from rlm_dspy.errors import BudgetExceeded
from rlm_dspy.events import Charged, Event, Planned

LIMITS = ("dollars", "tokens", "calls", "seconds", "steps")


class Allowance:
    """Counts what the questions of a session spend.

    Args:
        budget: The limits of all questions together.
    """

    def __init__(self, budget: Budget):
        self.budget = budget
        self.spent: dict[str, float] = dict.fromkeys(LIMITS, 0)
        self._at = 0.0

    def begin(self) -> None:
        """Another question begins."""
        self._at = 0.0

    def listen(self, event: Event) -> None:
        """Takes an event of the question that is under way."""
        spent = self.spent
        spent["seconds"] += max(event.at - self._at, 0)
        self._at = max(event.at, self._at)
        if isinstance(event, Planned) and not event.run:
            spent["steps"] += 1
        if isinstance(event, Charged) and not event.cache_hit:
            spent["calls"] += 1
            spent["tokens"] += event.prompt_tokens + event.completion_tokens
            spent["dollars"] += event.dollars

    def share(self, budget: Budget) -> Budget:
        """The limits of the next question: its own, and no more than is left.

        Args:
            budget: Its own.

        Raises:
            BudgetExceeded: Nothing is left of one.
        """
        left: dict[str, float] = {}
        for name in LIMITS:
            total, own = getattr(self.budget, name), getattr(budget, name)
            if total is None:
                continue
            rest = total - self.spent[name]
            if rest <= 0:
                raise BudgetExceeded(
                    f"The session's limit of {total:g} {name} is used up: open a new session, or "
                    "this one again with a higher limit.",
                    limit=name,
                    asked=1,
                    left=0,
                )
            left[name] = rest if own is None else min(own, rest)
        return replace(budget, **left)
