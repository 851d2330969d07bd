"""One llama.cpp a weights file in this process, shared by all callers, with its own queue.

Promised: one `Engine` per (file, window, use) in the process, loaded by the first request; requests
are served first come first served on `SLOTS` slots; a cancelled request ends within one batch of
its prompt or one token of its answer; the engine is gone before the interpreter is; a child made by
`fork` loads engines of its own. Not promised: fairness between callers.

Each slot keeps the attention state of its last prompt, so a prompt that extends the one before
evaluates only what is new. A prompt that resembles no slot's takes the slot that rested longest,
whose state is first put aside in memory (at most `ASIDE_MIB`) and comes back when it fits better:
so a planner's growing prompt survives a burst of sub-queries.
"""

import atexit
import ctypes
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from rlm_dspy.models.assembly import Assembly, Job, Reply, Stopped
from rlm_dspy.models.llama import SLOT_TOKENS, SLOTS, load
from rlm_dspy.models.loopback import Loopback

DEFAULT_MAX_TOKENS = 512
_CLOSE_SECONDS = 5.0


class Engine:
    """A model with its slots and its queue.

    Args:
        path: The GGUF file.
        slot_tokens: The window of each slot in tokens; llama.cpp caps it at what the model was
            trained for.
        embeds: Whether it embeds texts, and writes none.
    """

    def __init__(self, path: Path, slot_tokens: int = SLOT_TOKENS, *, embeds: bool = False):
        self.path = path
        self.embeds = embeds
        self.slot_tokens = slot_tokens
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._active: set[Job] = set()
        self._lock = threading.RLock()
        self._server: Any = None
        self._loopback: Loopback | None = None
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._server is not None

    @property
    def n_ctx(self) -> int:
        """The window of one slot in tokens: prompt and answer together."""
        return self._loopback.n_ctx if self._loopback is not None else self.slot_tokens

    def start(self) -> Loopback:
        """Load the weights, unless they are loaded.

        Returns:
            The client of the engine's own server.

        Raises:
            ConfigurationError: The extra `local` is not installed, or the file does not load.
            Stopped: The engine is closed.
        """
        with self._lock:
            if self._closed:
                raise Stopped(f"the engine of {self.path.name} is closed")
            if self._loopback is None:
                self._server, self._loopback = load(self.path, self.slot_tokens, embeds=self.embeds)
                for slot in range(SLOTS):
                    name = f"{self.path.stem}-{slot}"
                    thread = threading.Thread(target=self._serve, name=name, daemon=True)
                    self._threads.append(thread)
                    thread.start()
            return self._loopback

    def submit(self, job: Job) -> Job:
        """Queue a request; its answer or error arrives in `job.reply`."""
        with self._lock:
            self.start()
            self._jobs.put(job)
        return job

    def count(self, messages: list[dict[str, Any]]) -> int:
        """How many tokens these chat messages are as a prompt, template included."""
        return self.start().count(messages)

    def close(self) -> None:
        """End what runs and free the memory; the engine cannot be used again."""
        with self._lock:
            self._closed = True
            for job in list(self._active):
                job.stop.set()
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads:
            thread.join(_CLOSE_SECONDS)
        if _forked:
            self.forget()
        with self._lock:
            self._server = self._loopback = None

    def forget(self) -> None:
        """Abandon the server unended, in a process that was forked from one that had a server."""
        self._closed = True
        if self._server is not None:
            # Its destructor would wait for threads of llama.cpp that a fork leaves behind.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.reply.set_running_or_notify_cancel():
                continue
            self._active.add(job)
            try:
                job.reply.set_result(self._answer(job))
            except BaseException as error:  # noqa: BLE001 - goes to the caller
                job.reply.set_exception(error)
            finally:
                self._active.discard(job)
            del job  # or it would live until the next one comes

    def _answer(self, job: Job) -> Reply:
        if self._closed or job.stop.is_set():
            raise Stopped("the request was cancelled")
        if self.embeds:
            return self._server.handle_embeddings(job.request)
        if job.request.get("tools") or (job.request.get("n") or 1) > 1:
            return self._server.handle_chat_completions(job.request)
        assembly = Assembly(job)
        # Streamed even where nobody reads the stream: only a stream can be ended early.
        usage = {"stream_options": {"include_usage": True}}
        request = {**job.request, **usage, "stream": True, "return_progress": True}
        self._server.handle_chat_completions(request, assembly.take)
        return assembly.reply()


_engines: dict[tuple[Path, int, bool], Engine] = {}
_engines_lock = threading.Lock()
_forked = False  # from a process that had an engine: llama.cpp can run here, but not be torn down


def engine_for(path: Path, slot_tokens: int = SLOT_TOKENS, *, embeds: bool = False) -> Engine:
    """The process's engine for this file, made by the first call, loaded by the first request."""
    with _engines_lock:
        key = (path, slot_tokens, embeds)
        return _engines.setdefault(key, Engine(path, slot_tokens, embeds=embeds))


def loaded_engine(path: Path) -> Engine | None:
    """An engine that has this file in memory and writes, or None."""
    with _engines_lock:
        engines = [e for (file, _, embeds), e in _engines.items() if file == path and not embeds]
    return next((engine for engine in engines if engine.loaded), None)


def close_engines() -> None:
    """End every engine of this process and free the memory; a later request loads new ones."""
    with _engines_lock:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.close()


def _forget_engines() -> None:
    global _engines_lock, _forked
    _engines_lock = threading.Lock()  # a thread that does not exist here may hold the parent's
    for engine in _engines.values():
        engine.forget()
    _engines.clear()
    if "xllamacpp" in sys.modules and not _forked:
        _forked = True
        _end_without_destructors()


def _end_without_destructors() -> None:
    # llama.cpp's static objects wait at exit for threads that a fork leaves behind. So a child ends
    # as `multiprocessing` ends its own: by _exit, here after Python's part of the exit is done.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)


atexit.register(close_engines)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_engines)
