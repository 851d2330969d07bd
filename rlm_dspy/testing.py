"""Scripted models, for this library's tests and its users'.

A `ScriptedLM` is a `dspy.LM` with an engine of its own: what it is asked goes through dspy's real
machinery (adapters, cache, usage, history, callbacks), and only the provider is made up. Numbers
that come from it say nothing of any model.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage, response_to_events

from rlm_dspy.adapters import fenced
from rlm_dspy.rebuilding import rebuilt
from rlm_dspy.rerunning import load
from rlm_dspy.rlm import RLM

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

    def stream(self, request: Request) -> Iterator[Any]:
        """One reply as the events of a stream."""
        return response_to_events(self.complete(request))

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

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        for event in response_to_events(await self.complete(request)):
            yield event


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


def replay(run: str | Path, rlm: RLM | None = None, **inputs: Any) -> dspy.Prediction:
    """Replays a recorded run without any model, and checks that all happens as it did.

    For tests of programs: record a run once, `save_run` it beside the tests, replay it in CI.

    Args:
        run: A run's id, or the `Path` of a file that `save_run` wrote.
        rlm: The module to replay it on; None: one that is made from the record, without tools.
        **inputs: Inputs that are not in the record.

    Returns:
        What the run returned.

    Raises:
        StoreError: There is no such run.
        ReplayMismatch: Something happens otherwise than it did.

    Example:
        >>> result = replay(Path("tests/runs/q2.json.gz"), rlm=MyProgram().rlm)
        >>> assert result.answer == "4.1 million"
    """
    stored = load(run)
    module = rebuilt(stored) if rlm is None else rlm
    return module.start_again(stored, "replay", inputs).result()


def save_run(run: str | None, path: str | Path) -> Path:
    """Writes a recorded run to a file of its own.

    Args:
        run: Its id, or the beginning of it; None: the newest.
        path: The file: `.json`, or `.json.gz`.

    Returns:
        The file.

    Raises:
        StoreError: There is no such run, or it cannot be written.
    """
    load(run).save(path)
    return Path(path)
