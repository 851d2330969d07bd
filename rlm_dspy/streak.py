"""Whether a run only fails: what went wrong in a row, with nothing between that went well."""

from rlm_dspy.events import Event, Executed, SubQueryAnswered, SubQueryFailed


class Streak:
    """Counts failed steps and failed sub-queries in a row.

    What a limit of the budget refuses does not count: that ends by itself.

    Args:
        most: How many are too many; None for any number.
    """

    def __init__(self, most: int | None):
        self._most = most
        self._failed = 0

    def is_too_long(self, event: Event) -> bool:
        """Takes note of an event; whether it is one failure too many."""
        if isinstance(event, SubQueryFailed):
            self._failed += event.error != "BudgetExceeded"
        elif isinstance(event, Executed) and event.outcome == "error":
            self._failed += 1
        elif isinstance(event, (SubQueryAnswered, Executed)):
            self._failed = 0
        return self._most is not None and self._failed >= self._most
