"""The user's tools as code in the REPL calls them: each call is an event of the run."""

import asyncio
import builtins
import functools
import inspect
import json
import time
from collections.abc import Callable
from typing import Any

from rlm_dspy.errors import ReplayMismatch
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import ToolCalled
from rlm_dspy.exchange import digest
from rlm_dspy.plain_json import as_plain_json, from_plain_json
from rlm_dspy.queries.questions import Effect


def noted(name: str, call: Callable[..., Any], log: EventLog, effect: Effect) -> Callable[..., Any]:
    """A tool whose calls are events, and which a record answers where it can.

    Args:
        name: The tool's name.
        call: What it does, blocking or not.
        log: The run's events.
        effect: The flow's seam.
    """

    @functools.wraps(call)
    async def noting(*args: Any, **kwargs: Any) -> Any:
        request = _request(name, args, kwargs)
        if (known := await _known(name, request, log)) is not None:
            return _recorded(known, log)
        outcome: list[Any] = []

        async def perform() -> ToolCalled:
            started = time.monotonic()
            told: dict[str, Any] = {"tool": name, "request": request}
            try:
                if inspect.iscoroutinefunction(call):
                    value = await call(*args, **kwargs)
                else:
                    value = await asyncio.to_thread(call, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, code in the REPL is told
                outcome.extend([None, error])
                told |= {"error": type(error).__name__, "reason": str(error)}
            else:
                outcome.extend([value, None])
                told |= _kept(value)
            return ToolCalled(**told, seconds=round(time.monotonic() - started, 6))

        await effect(perform)
        await log.settled()
        value, error = outcome
        if error is not None:
            raise error
        return value

    return noting


async def _known(name: str, request: str, log: EventLog) -> ToolCalled | None:
    """What the record says of a call; None where it is to be made."""
    record = log.record
    if record is None:
        return None
    known = record.tool(log.run, request)
    if known is not None:
        return log.append(known) if record.mode == "fork" else log.again(known)
    if record.end_early(log.run):
        await asyncio.Event().wait()  # the run is ended as it was then
    log.check(f"{name}()")
    return None


def _request(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    try:
        said = json.dumps(as_plain_json([name, list(args), kwargs]), sort_keys=True)
    except TypeError:
        said = repr((name, args, sorted(kwargs.items())))
    return digest(said)


def _kept(value: Any) -> dict[str, Any]:
    try:
        return {"value": as_plain_json(value)}
    except TypeError:
        return {"recorded": False}


def _recorded(event: ToolCalled, log: EventLog) -> Any:
    if event.error:
        known = getattr(builtins, event.error, None)
        is_error = isinstance(known, type) and issubclass(known, Exception)
        kind: Any = known if is_error else type(event.error, (Exception,), {})
        raise kind(event.reason)
    if not event.recorded:
        raise log.fail(
            ReplayMismatch(
                f"What {event.tool}() returned in step {event.step} of the run {log.id} is not in "
                "its record, since it is no plain data: give plain data back to replay runs.",
                run_id=log.id,
                step=event.step,
                event=event.kind,
            )
        )
    return from_plain_json(event.value)
