"""`Missing`: what stands in place of an answer that could not be had.

Free of dependencies: the REPL's worker loads it, and it crosses that border as itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """An item without an answer: false in a condition, printed with its reason.

    Args:
        reason: Why there is none.

    Example:
        >>> answers = ["tulip", Missing("the model did not answer")]
        >>> [answer for answer in answers if answer]
        ['tulip']
    """

    reason: str

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"Missing({self.reason!r})"

    __repr__ = __str__
