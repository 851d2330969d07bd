"""Scripted models, for this library's tests and its users'.

A `ScriptedLM` is a `dspy.LM` with an engine of its own: what it is asked goes through dspy's real
machinery (adapters, cache, usage, history, callbacks), and only the provider is made up. Numbers
that come from it say nothing of any model.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from rlm_dspy.adapters import fenced

Script = Sequence[Any] | Callable[["Asked"], Any]


@dataclass(frozen=True)
class Asked:
    """One request as a scripted model sees it.

    Args:
        system: The system text.
        turns: The chat turns as (role, text), oldest first.
        number: Which request it is, from 0.
    """

    system: str
    turns: tuple[tuple[str, str], ...]
    number: int

    @property
    def last(self) -> str:
        """The newest turn's text."""
        return self.turns[-1][1] if self.turns else ""

    @property
    def text(self) -> str:
        """The whole prompt as one text: what a provider's prompt cache compares."""
        parts = [f"system\n{self.system}", *(f"{role}\n{text}" for role, text in self.turns)]
        return "\n\n".join(parts)


def code(source: str, reasoning: str = "") -> str:
    """A planner's reply: optional reasoning and one block of code."""
    return f"{reasoning}\n\n{fenced(source)}".strip()


@dataclass
class ScriptedEngine:
    """Answers from a script; counts what is in flight.

    Args:
        script: The replies in order, or a function of `Asked`. A reply is text, or an exception to
            raise. Past its end the last reply is repeated. A token counts as four characters, and
            the request's `max_tokens` cuts a reply, as a provider would.
        seconds: How long each reply takes, seconds.
    """

    script: Script
    seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    most_in_flight: int = 0
    _in_flight: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def complete(self, request: Request) -> Response:
        """One reply, blocking."""
        asked = self._begin(request)
        try:
            time.sleep(self.seconds)
            return self._reply(request, asked)
        finally:
            self._end()

    def _begin(self, request: Request) -> Asked:
        system = request.system or ""
        parts = [system] if isinstance(system, str) else [getattr(p, "text", "") for p in system]
        turns = tuple((message.role, message.text or "") for message in request.messages)
        with self._lock:
            asked = Asked("".join(parts), turns, len(self.asked))
            self.asked.append(asked)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        return asked

    def _end(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def _reply(self, request: Request, asked: Asked) -> Response:
        if callable(self.script):
            said: Any = self.script(asked)
        else:
            said = self.script[min(asked.number, len(self.script) - 1)]
        if isinstance(said, BaseException):
            raise said
        most = request.config.max_tokens
        cut = said if most is None else said[: most * 4 - 1]
        prompt, reply = len(asked.text) // 4 + 1, len(cut) // 4 + 1
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(cut),
            finish_reason="stop" if cut == said else "length",
            usage=Usage(input_tokens=prompt, output_tokens=reply, total_tokens=prompt + reply),
        )


@dataclass
class _AsyncEngine:
    engine: ScriptedEngine

    async def complete(self, request: Request) -> Response:
        asked = self.engine._begin(request)
        try:
            await asyncio.sleep(self.engine.seconds)
            return self.engine._reply(request, asked)
        finally:
            self.engine._end()


class ScriptedLM(dspy.LM):
    """A `dspy.LM` that answers from a script.

    Args:
        script: See `ScriptedEngine`.
        model: Its name.
        seconds: How long each reply takes, seconds.
        cache: Whether dspy's cache is used.
        **kwargs: As for `dspy.LM`.

    Example:
        >>> lm = ScriptedLM([code("SUBMIT(answer='Ulm')")])
        >>> with dspy.context(lm=lm):
        ...     RLM()(context="The city is Ulm.", query="Which city?").answer
        'Ulm'
    """

    def __init__(
        self,
        script: Script,
        *,
        model: str = "scripted",
        seconds: float = 0.0,
        cache: bool = False,
        **kwargs: Any,
    ):
        self.script = ScriptedEngine(script, seconds)
        super().__init__(
            model, engine=self.script, async_engine=_AsyncEngine(self.script), cache=cache, **kwargs
        )

    @property
    def asked(self) -> list[Asked]:
        """The requests so far."""
        return self.script.asked
