"""How recorded runs ended, and which endings a later resumption took back."""

from collections.abc import Sequence

from rlm_dspy.events import (
    CallFailed,
    Charged,
    Event,
    Executed,
    Extracted,
    RunEnded,
    RunResumed,
    Stopped,
    SubQueryFailed,
    ToolCalled,
)

_ENDINGS = (Stopped, Extracted, RunEnded)


def leaves_open(event: Event) -> bool:
    """Whether what happened beside this may not happen again: what it ended was under way."""
    refused = isinstance(event, CallFailed) and event.error == "BudgetExceeded"
    return refused or isinstance(event, (Stopped, RunResumed))


def dead(events: Sequence[Event]) -> set[int]:
    """The places of what a later resumption took back: an early ending, and failures on the way."""
    resumed = [number for number, event in enumerate(events) if isinstance(event, RunResumed)]
    taken: set[int] = set()
    for until in resumed:
        done = {(e.run, e.step) for e in events[:until] if isinstance(e, Executed)}
        ended = end_of(events[:until], taken)
        standing = (e for n, e in enumerate(events[:ended]) if n not in taken)
        over = {e.run for e in standing if isinstance(e, RunEnded)}
        for number, event in enumerate(events[:until]):
            # A sub-run that ended by a failure has ended: it does not go on.
            failed = isinstance(event, (CallFailed, SubQueryFailed)) and event.run not in over
            if failed and (event.run, event.step) not in done:
                taken.add(number)
            # Code that was being ended may still have begun something. What was paid stays paid.
            extracting = getattr(event, "role", "") == "extract" and not event.run
            paid = isinstance(event, (Charged, ToolCalled)) and not extracting
            if number >= ended and not paid:
                taken.add(number)
    return taken


def end_of(events: Sequence[Event], taken_back: set[int]) -> int:
    """Where a run that goes on has to begin anew: at what ended it early."""
    for number, event in enumerate(events):
        if number not in taken_back and not event.run and isinstance(event, _ENDINGS):
            return number
    return len(events)
