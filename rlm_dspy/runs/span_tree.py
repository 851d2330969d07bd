"""A run's events as a tree of spans, for any tracer.

A span a run, a step, a sub-query, an attempt at a model, a call of a tool, and a sub-run under the
sub-query that it answers. Promised: every span is closed when the run ends, or, of a run that was
cancelled, once nothing holds it any more; no text of prompts, documents, code or answers is in a
span unless texts were asked for. The names of attributes are OpenTelemetry's for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/); what those lack begins with "rlm.".
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlm_dspy.events import (
    Charged,
    Event,
    Executed,
    Planned,
    RunEnded,
    RunResumed,
    RunStarted,
    Submitted,
    SubQueryAnswered,
    SubQueryFailed,
    SubQueryStarted,
    ToolCalled,
)
from rlm_dspy.runs.tracing import Close, Kind, Tracer, model_attributes


@dataclass
class _Open:
    """A span that is open.

    Args:
        span: The tracer's.
        attributes: What is known so far.
        texts: The same of texts.
        last: When something last happened in it, nanoseconds since 1970.
    """

    span: Any
    last: int
    attributes: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    reason: str = ""


Key = tuple[str, Kind, int]


class SpanTree:
    """Makes the spans of one run, as one of its listeners.

    Args:
        tracer: Makes them.
        texts: Whether texts are in them: questions, answers, code and output.
    """

    def __init__(self, tracer: Tracer, *, texts: bool = False):
        self._tracer = tracer
        self._texts = texts
        self._open: dict[Key, _Open] = {}
        self._recorded_until = -1.0

    def __call__(self, event: Event) -> None:
        """Takes the next event."""
        now = time.time_ns()
        match event:
            case RunStarted():
                self._start_run(event, now)
            case RunResumed():
                self._recorded_until = event.at
            case RunEnded():
                self._end_run(event, now)
            case SubQueryStarted():
                self._start_query(event, now)
            case SubQueryAnswered() | SubQueryFailed():
                self._end_query(event, now)
            case Charged():
                self._charge(event, now)
            case ToolCalled():
                self._call_tool(event, now)
            case Planned() | Executed() | Submitted():
                self._go_on(event, now)

    def __del__(self):
        for key in reversed(list(self._open)):
            self._open[key].error = "CancelledError"
            self._close(key, self._open[key].last)

    def _start_run(self, event: RunStarted, now: int) -> None:
        agent = "rlm_dspy"
        self._start(
            (event.run, "run", 0),
            f"invoke_agent {agent}",
            self._parent_of_run(event),
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent,
                **model_attributes(event.model),
                "rlm.signature": event.signature,
                "rlm.planned_by": event.planned_by,
                "rlm.sub_run": event.run,
            },
            now,
        )

    def _parent_of_run(self, event: RunStarted) -> Any:
        """The sub-query that a sub-run answers; None for the run itself."""
        if not event.run:
            return None
        above = event.run.rpartition(".")[0]
        return self._span((above, "sub_query", event.query), (above, "run", 0))

    def _end_run(self, event: RunEnded, now: int) -> None:
        for key in [k for k in self._open if k[0] == event.run and k[1] != "run"]:
            self._close(key, self._open[key].last)
        run = self._open.get((event.run, "run", 0))
        if run is None:
            return
        run.attributes |= {"rlm.status": event.status, "rlm.reason": _first_line(event.reason)}
        spend = event.spend
        if not event.run:  # a sub-run's account is its parent's
            run.attributes |= {
                "gen_ai.usage.input_tokens": spend.get("prompt_tokens", 0),
                "gen_ai.usage.output_tokens": spend.get("completion_tokens", 0),
                "rlm.calls": spend.get("calls", 0),
                "rlm.dollars": spend.get("dollars", 0.0),
            }
        if event.status == "failed":
            run.error, run.reason = event.reason.partition(":")[0], event.reason
        self._close((event.run, "run", 0), now)

    def _step(self, event: Event, now: int, seconds: float) -> _Open | None:
        """The step that an event belongs to, begun with it if it is the first of its step."""
        key: Key = (event.run, "step", event.step)
        if not event.step:
            return None
        if key not in self._open:
            for other in [k for k in self._open if k[:2] == key[:2]]:
                self._close(other, self._open[other].last)
            begun, run = now - int(seconds * 1e9), self._span((event.run, "run", 0))
            self._start(key, f"step {event.step}", run, {"rlm.step": event.step}, begun)
        self._open[key].last = now
        return self._open[key]

    def _go_on(self, event: Planned | Executed | Submitted, now: int) -> None:
        step = self._step(event, now, getattr(event, "seconds", 0.0))
        if step is None:
            return
        match event:
            case Planned():
                step.attributes["rlm.plan_seconds"] = event.seconds
                step.texts |= {"reasoning": event.reasoning, "code": event.code}
            case Executed():
                step.attributes |= {
                    "rlm.execute_seconds": event.seconds,
                    "rlm.outcome": event.outcome,
                }
                step.texts["output"] = event.output
                if event.outcome == "error":
                    step.error, step.reason = "CodeFailed", event.output
            case Submitted():
                step.attributes["rlm.accepted"] = event.accepted
                step.texts["outputs"] = event.outputs

    def _start_query(self, event: SubQueryStarted, now: int) -> None:
        step = self._step(event, now, 0.0)
        self._start(
            (event.run, "sub_query", event.query),
            event.operator,
            step.span if step else self._span((event.run, "run", 0)),
            {
                "rlm.operator": event.operator,
                "rlm.items": event.items,
                "rlm.characters": event.characters,
            },
            now,
        ).texts["question"] = event.question

    def _end_query(self, event: SubQueryAnswered | SubQueryFailed, now: int) -> None:
        key: Key = (event.run, "sub_query", event.query)
        query = self._open.get(key)
        if query is None:
            return
        if isinstance(event, SubQueryFailed):
            query.error, query.reason = event.error, event.reason
        else:
            query.attributes["rlm.missing"] = len(event.missing)
            query.texts["answer"] = event.value
        self._close(key, now)

    def _charge(self, event: Charged, now: int) -> None:
        if event.at < self._recorded_until:  # another process made this attempt
            return
        step = self._step(event, now, event.seconds)
        parent = self._span((event.run, "sub_query", event.query)) if event.query else None
        known = {"gen_ai.operation.name": "chat", **model_attributes(event.model)}
        if event.answered_by:
            known["gen_ai.response.model"] = event.answered_by
        used = {
            "gen_ai.usage.input_tokens": event.prompt_tokens,
            "gen_ai.usage.output_tokens": event.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": event.reasoning_tokens,
            "rlm.role": event.role,
            "rlm.dollars": event.dollars,
            "rlm.cache_hit": event.cache_hit,
            "rlm.estimated": event.estimated,
        }
        name = f"chat {known['gen_ai.request.model']}"
        parent = parent or (step.span if step else self._span((event.run, "run", 0)))
        begun = now - int(event.seconds * 1e9)
        span = self._tracer.open("attempt", name, parent, {**known, **used}, begun)
        self._tracer.close(span, Close({}, {}, event.error, "", now))
        if not event.cache_hit:
            self._tracer.charge(known, event)

    def _call_tool(self, event: ToolCalled, now: int) -> None:
        step = self._step(event, now, event.seconds)
        parent = step.span if step else self._span((event.run, "run", 0))
        known = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": event.tool}
        begun = now - int(event.seconds * 1e9)
        span = self._tracer.open("tool", f"execute_tool {event.tool}", parent, known, begun)
        texts = {"result": event.value} if self._texts and not event.error else {}
        reason = event.reason if self._texts else ""
        self._tracer.close(span, Close({}, texts, event.error, reason, now))

    def _start(
        self, key: Key, name: str, parent: Any, attributes: Mapping[str, Any], at: int
    ) -> _Open:
        span = self._tracer.open(key[1], name, parent, attributes, at)
        self._open[key] = _Open(span, at)
        return self._open[key]

    def _span(self, *keys: Key) -> Any:
        """The first of these spans that is open, else None."""
        return next((self._open[key].span for key in keys if key in self._open), None)

    def _close(self, key: Key, at: int) -> None:
        done = self._open.pop(key)
        texts = done.texts if self._texts else {}
        reason = done.reason if self._texts else ""
        self._tracer.close(done.span, Close(done.attributes, texts, done.error, reason, at))


def _first_line(reason: str) -> str:
    """Why a run ended, without what code printed."""
    return reason.partition(":")[0]
