"""Requests that a record answers, in place of models."""

import asyncio
import builtins
import json
from collections.abc import Callable
from typing import Any

import dspy.utils.exceptions as dspy_exceptions
from dspy.utils.exceptions import LMError

from rlm_dspy.account import SUB_QUERY, Account, SubAccount
from rlm_dspy.budget import Usage
from rlm_dspy.errors import BudgetExceeded, ConfigurationError, ReplayMismatch
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import ANSWERING, CallFailed, Charged, Event
from rlm_dspy.models.meter import Attempt, Reply

# What of an error is kept beside its message.
_DATA = (
    "model",
    "limit",
    "asked",
    "left",
    "status",
    "code",
    "provider",
    "provider_code",
    "retry_after",
)


class Recorded:
    """Answers the requests of one run from its record.

    Args:
        account: Is charged what was paid then.
        log: The run's events; it knows the record.
    """

    def __init__(self, account: Account | SubAccount, log: EventLog):
        self._account = account
        self._log = log

    async def reply(self, attempt: Attempt) -> Reply | None:
        """What was replied to a request; None: it is to be asked.

        Raises:
            LMError: It failed then.
            BudgetExceeded: A limit refused it then.
            ReplayMismatch: It was not asked then, and had to be.
        """
        record = self._log.record
        if record is None:
            return None
        run, step = self._log.run, self._log.step
        found = record.answer(run, attempt.request, attempt.role)
        if found is None:
            if record.end_early(run) and attempt.role != "extract":
                await asyncio.Event().wait()  # the run is ended as it was then
            self._log.check(attempt.role)
            if record.mode != "fork":  # what its parent paid is on the parent's account
                self._charge(record.charges())
            return None
        events, outputs = found
        last = events[-1]
        if record.mode == "fork":
            self._reuse(last, attempt, outputs)
        else:
            self.again(events)
        if isinstance(last, CallFailed):
            raise error_of(last)
        if outputs is None:
            raise self._log.fail(
                ReplayMismatch(
                    f"What {last.model} said in step {step} of the run {record.run} is not in its "
                    "record: it was recorded without texts, or is no plain data.",
                    run_id=record.run,
                    step=step,
                    event=last.kind,
                )
            )
        return Reply(json.loads(outputs), cache_hit=last.cache_hit)

    def again(self, events: list[Event]) -> None:
        """Has recorded events happen again: what was paid is charged, once."""
        for event in events:
            if isinstance(event, Charged) and self._log.record.adopts(event):
                self._charge([event])
            self._log.again(event)

    def _reuse(self, event: Event, attempt: Attempt, outputs: str | None) -> None:
        """An answer of the run that this one was forked from: it was paid there."""
        self._account.hit(attempt.role)
        number = ANSWERING.get() if attempt.role == SUB_QUERY else 0
        exchange = attempt.exchange._replace(outputs=outputs) if attempt.exchange else None
        told = {"query": number, "cache_hit": True, **_FREE}
        self._log.append(event.model_copy(update=told), exchange)

    def _charge(self, events: list[Charged]) -> None:
        for event in events:
            usage = Usage(
                event.prompt_tokens,
                event.completion_tokens,
                reasoning_tokens=event.reasoning_tokens,
                cached_tokens=event.cached_tokens,
                dollars=event.dollars,
                estimated=event.estimated,
            )
            depth = event.run.count(".") + 1 if event.run else 0
            self._account.adopt(event.role, usage, cache_hit=event.cache_hit, depth=depth)


_FREE = {
    name: 0 for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")
} | {"dollars": 0.0}


def failed(attempt: Attempt, error: Exception) -> CallFailed:
    """The event of a request that was given up."""
    found = {name: getattr(error, name, None) for name in _DATA}
    plain = (str, int, float, bool)
    return CallFailed(
        role=attempt.role,
        model=str(attempt.lm.model),
        query=ANSWERING.get() if attempt.role == SUB_QUERY else 0,
        request=attempt.request,
        error=type(error).__name__,
        reason=str(getattr(error, "message", None) or error),
        data={name: value for name, value in found.items() if isinstance(value, plain)},
    )


def error_of(event: CallFailed) -> Exception:
    """The error that a recorded failure was."""
    if event.error == "BudgetExceeded":
        told = {name: event.data.get(name, 0) for name in ("limit", "asked", "left")}
        return BudgetExceeded(event.reason, **told)
    if event.error == "ConfigurationError":
        return ConfigurationError(event.reason)
    known: Any = getattr(dspy_exceptions, event.error, None)
    kind: Callable[..., Exception] = LMError
    if isinstance(known, type) and issubclass(known, LMError):
        kind = known
    elif isinstance(known := getattr(builtins, event.error, None), type):
        return known(event.reason)
    told = ("model", "status", "code", "provider", "provider_code", "retry_after")
    data = {name: event.data[name] for name in told if name in event.data}
    if kind is dspy_exceptions.ContextWindowExceededError:  # it takes its message by name only
        return kind(message=event.reason, **data)
    return kind(event.reason, **data)
