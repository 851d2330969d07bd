"""The interpreter of one run, seen from the flow: code in, an event out.

An interpreter is driven from one thread of its own, ours and foreign ones alike, since dspy's check
which thread calls them. What code calls on the host is bridged from there to the run's event loop.
"""

import asyncio
import base64
import concurrent.futures
import functools
import inspect
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import dspy
from dspy.primitives.code_interpreter import (
    SIMPLE_TYPES,
    CodeExecutionError,
    CodeInterpreterError,
    FinalOutput,
)
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.utils.exceptions import format_error_for_lm

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Executed
from rlm_dspy.loop import OwnThread, shielded

logger = logging.getLogger(__name__)

NO_OUTPUT = "(no output - did you forget to print?)"
# How long a foreign interpreter may take to shut down before its thread is left behind, seconds.
SHUTDOWN_SECONDS = 5.0


class CodeSession:
    """One interpreter, from its start to its shutdown.

    Args:
        factory: Makes the interpreter.
        tools: Host functions by the name that code calls them by; coroutine functions too.
        outer: The user's signature: the interpreter is told its outputs.
        max_output_chars: How much of a step's output is kept, cut in the middle.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        tools: Mapping[str, Callable[..., Any]],
        outer: type[dspy.Signature],
        max_output_chars: int,
    ):
        self._factory = factory
        self._tools = tools
        self._outer = outer
        self._limit = max_output_chars
        self._thread = OwnThread("rlm-repl")
        self._loop = asyncio.get_running_loop()
        self._calls: set[concurrent.futures.Future] = set()
        self._variables: dict[str, Any] = {}
        self.interpreter: Any = None
        self.isolation: dict[str, Any] = {}

    async def start(self, variables: Mapping[str, Any]) -> None:
        """Makes and starts the interpreter, and hands it the variables.

        Raises:
            ConfigurationError: The factory made something else.
            InterpreterError: It cannot be started.
        """
        await self._run(self._start, dict(variables))

    async def execute(self, code: str) -> Executed:
        """Runs one step's code.

        Returns:
            The event: the output, or the error as the planner is told it, or what was submitted.

        Raises:
            InterpreterError: The interpreter broke.
        """
        started = time.monotonic()
        try:
            result = await self._run(self.interpreter.execute, code, self._variables)
        except (CodeExecutionError, SyntaxError) as error:
            output, outcome, submitted = self._failed(error), "error", None
        else:
            output, outcome, submitted = self._shown(result)
        seconds = round(time.monotonic() - started, 6)
        return Executed(output=output, outcome=outcome, submitted=submitted, seconds=seconds)

    async def close(self) -> None:
        """Ends the interpreter; never raises, and never waits for long."""
        for call in list(self._calls):
            call.cancel()
        if self.interpreter is not None:
            # Shielded: a shutdown that waits for a tool is still done when the tool returns.
            done = shielded(self._thread.submit(self.interpreter.shutdown))
            try:
                await asyncio.wait_for(done, SHUTDOWN_SECONDS)
            except Exception as error:  # noqa: BLE001 - the run has its answer; nothing may lose it
                logger.warning("The interpreter did not shut down cleanly: %r", error)
        self._thread.close()

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Runs in the session's thread; when cancelled, ends the step there too."""
        future = self._thread.submit(fn, *args)
        try:
            return await shielded(future)
        except asyncio.CancelledError:
            for call in list(self._calls):
                call.cancel()
            if callable(interrupt := getattr(self.interpreter, "interrupt", None)):
                await asyncio.to_thread(interrupt)
            raise
        except (CodeExecutionError, InterpreterError):
            raise
        except CodeInterpreterError as error:
            raise InterpreterError(f"The interpreter failed: {error}") from error

    def _start(self, variables: dict[str, Any]) -> None:
        interpreter = self._factory()
        if not all(callable(getattr(interpreter, n, None)) for n in ("execute", "shutdown")):
            raise ConfigurationError(
                "interpreter_factory must return a CodeInterpreter, "
                f"not {type(interpreter).__name__}."
            )
        self.interpreter = interpreter
        interpreter.tools.update({n: self._bridge(n, tool) for n, tool in self._tools.items()})
        if hasattr(interpreter, "output_fields"):
            interpreter.output_fields = output_fields(self._outer)
        if hasattr(interpreter, "_tools_registered"):  # dspy's: register the fresh tools
            interpreter._tools_registered = False
        interpreter.start()
        self.isolation = dict(getattr(interpreter, "isolation_report", None) or {})
        for name, value in variables.items():
            if isinstance(value, SandboxSerializable):
                interpreter.execute(*assignment(name, value))
            else:
                self._variables[name] = value

    def _bridge(self, name: str, tool: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(tool):
            return tool

        @functools.wraps(tool)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._await(tool(*args, **kwargs))

        call.__name__ = name
        return call

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        self._calls.add(future)
        try:
            return future.result()
        finally:
            self._calls.discard(future)

    def _failed(self, error: Exception) -> str:
        printed = getattr(error, "output", "") or ""
        said = f"[Error] {format_error_for_lm(error)}"
        return self._cut(f"{printed.rstrip()}\n{said}" if printed.strip() else said)

    def _shown(self, result: Any) -> tuple[str, Any, dict[str, Any] | None]:
        if isinstance(result, FinalOutput):
            output = result.output
            return "", "submit", output if isinstance(output, dict) else {"": output}
        if isinstance(result, list):
            result = "\n".join(map(str, result))
        text = str(result) if result else ""
        return self._cut(text) if text.strip() else NO_OUTPUT, "ok", None

    def _cut(self, text: str) -> str:
        if len(text) <= self._limit:
            return text
        half = self._limit // 2
        omitted = len(text) - 2 * half
        tail = text[len(text) - half :]
        return f"{text[:half]}\n… ({omitted:,} characters left out) …\n{tail}"


def output_fields(outer: type[dspy.Signature]) -> list[dict[str, str]]:
    """The outputs as dspy's interpreters take them: simple types are named, others left out."""
    fields = []
    for name, field in outer.output_fields.items():
        kind: Any = field.annotation
        named = {"type": kind.__name__} if kind in SIMPLE_TYPES else {}
        fields.append({"name": name, **named})
    return fields


def assignment(name: str, value: SandboxSerializable) -> tuple[str, dict[str, Any]]:
    """Code that makes a serializable value in the interpreter, and the variables that it reads."""
    raw, payload, lines = f"_raw_{name}", value.to_sandbox(), []
    given = {raw: payload if isinstance(payload, str) else ""}
    if isinstance(payload, bytes):
        try:
            given[raw] = payload.decode("utf-8")
        except UnicodeDecodeError:
            given = {f"{raw}_base64": base64.b64encode(payload).decode("ascii")}
            lines = ["import base64", f"{raw} = base64.b64decode({raw}_base64)"]
    lines += [value.sandbox_setup(), value.sandbox_assignment(name, raw)]
    return "\n".join(line for line in lines if line), given
