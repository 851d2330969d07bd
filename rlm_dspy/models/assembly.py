"""A request on its way through an engine, and its streamed answer put back together."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

Reply = dict[str, Any]


class Stopped(Exception):
    """The request was cancelled, or its engine is closed."""


@dataclass(eq=False)
class Job:
    """One request.

    Args:
        request: An OpenAI chat completion request as a dict, with llama.cpp's extensions.
        on_text: Called on the engine's thread with each piece of the answer's text.
    """

    request: dict[str, Any]
    on_text: Callable[[str], None] | None = None
    reply: "Future[Reply]" = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Give it up: never start it, or end it at the next batch or token."""
        self.stop.set()
        self.reply.cancel()


class Assembly:
    """What has come of a job's answer.

    Args:
        job: Its `on_text` is told each piece; once its `stop` is set, the answer ends.
    """

    def __init__(self, job: Job):
        self.job = job
        self.last: Reply = {}
        self.error: dict[str, Any] | None = None
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.logprobs: list[Any] = []
        self.finish: str | None = None

    def take(self, chunk: Reply) -> bool:
        """Take one chunk; True tells llama.cpp to end the request."""
        if "error" in chunk:
            self.error = chunk["error"]
            return True
        for choice in chunk.get("choices", ()):
            self._take_choice(choice)
        self.last = chunk
        return self.job.stop.is_set()

    def _take_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        text = delta.get("content") or ""
        self.content.append(text)
        self.reasoning.append(delta.get("reasoning_content") or "")
        self.logprobs += (choice.get("logprobs") or {}).get("content") or ()
        self.finish = choice.get("finish_reason") or self.finish
        if text and self.job.on_text is not None:
            self.job.on_text(text)

    def reply(self) -> Reply:
        """The whole answer in the form of an unstreamed one, or `{"error": …}`.

        Raises:
            Stopped: The job was cancelled before its end.
        """
        if self.error is not None:
            return {"error": self.error}
        if self.finish is None:
            raise Stopped("the request was cancelled")
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.content)}
        if reasoning := "".join(self.reasoning):
            message["reasoning_content"] = reasoning
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.finish, "message": message}
        if self.logprobs:
            choice["logprobs"] = {"content": self.logprobs}
        return {**self.last, "choices": [choice], "object": "chat.completion"}
