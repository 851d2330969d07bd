"""The interpreter of one run, seen from the flow: code in, an event out.

An interpreter is driven from one thread of its own, ours and foreign ones alike, since dspy's check
which thread calls them. What code calls on the host is bridged from there to the run's event loop.
Promised: a run that ends while its thread is still in a step does not wait for the step, and each
interpreter that was made is shut down, by another thread where its own is stuck.
"""

import asyncio
import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.utils.exceptions import format_error_for_lm

from rlm_dspy.bridges import Bridge
from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.errors import RLMError
from rlm_dspy.events import Executed
from rlm_dspy.interpreters import (
    as_json,
    assignment,
    crossing,
    equip,
    instructions_of,
    is_ours,
    made_by,
)
from rlm_dspy.loop import OwnThread, shielded
from rlm_dspy.placed import Origin

logger = logging.getLogger(__name__)

NO_OUTPUT = "(no output - did you forget to print?)"
# How long an interpreter may take to shut down before its thread is left behind, seconds.
SHUTDOWN_SECONDS = 5.0
# How long a cancelled run waits for the step that it ends, seconds.
BREAK_OFF_SECONDS = 1.0


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
        self._bridge = Bridge()
        self._variables: dict[str, Any] = {}
        self._interpreter: Any = None
        self._started = False
        self._closed = False
        self._once = threading.Lock()  # held by the one that shuts the interpreter down
        self.isolation: dict[str, Any] = {}

    @property
    def instructions(self) -> str:
        """What a foreign interpreter says of itself, for the planner."""
        said = instructions_of(self._factory)
        return said or str(getattr(self._interpreter, "execution_instructions", None) or "")

    @property
    def found(self) -> tuple[Origin, ...]:
        """What searches of the last step found in contexts, as the interpreter says it."""
        return getattr(self._interpreter, "found", ())

    async def start(self, variables: Mapping[str, Any]) -> None:
        """Makes and starts the interpreter, and hands it the variables.

        Raises:
            ConfigurationError: The factory made something else.
            InterpreterError: It cannot be started, or a variable cannot be made in it.
        """
        await self._run(self._start, dict(variables))

    async def execute(self, code: str, clock: float) -> Executed:
        """Runs one step's code.

        Args:
            code: Python.
            clock: What the interpreter's clocks show when it begins, where it takes that.

        Returns:
            The event: the output, or the error as the planner is told it, or what was submitted.

        Raises:
            InterpreterError: The interpreter broke.
        """
        started = time.monotonic()
        rolled_back = False
        if hasattr(self._interpreter, "step_time"):
            self._interpreter.step_time = clock
        try:
            result = await self._run(self._interpreter.execute, code, self._variables)
        except (CodeExecutionError, SyntaxError) as error:
            output, outcome, submitted = self._failed(error), "error", None
            rolled_back = bool(getattr(error, "rolled_back", False))
        else:
            output, outcome, submitted = self._shown(result)
        seconds = round(time.monotonic() - started, 6)
        return Executed(
            output=output,
            outcome=outcome,
            submitted=submitted,
            seconds=seconds,
            rolled_back=rolled_back,
        )

    async def close(self) -> None:
        """Ends the interpreter; never raises, and never waits for long."""
        self._closed = True
        self._bridge.close()
        # Shielded: a shutdown that waits for a tool is still done when the tool returns.
        done = shielded(self._thread.submit(self._shut_down))
        try:
            await asyncio.wait_for(done, SHUTDOWN_SECONDS)
        except TimeoutError:
            logger.warning("The interpreter's thread is stuck: it is shut down from another one")
            self._loop.run_in_executor(None, self._shut_down)
        self._thread.close()

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Runs in the session's thread; when cancelled, ends the step there too."""
        future = self._thread.submit(fn, *args)
        try:
            return await shielded(future)
        except asyncio.CancelledError:
            self._closed = True
            self._bridge.close()
            ended = self._loop.run_in_executor(None, self._break_off)
            await asyncio.wait({ended}, timeout=BREAK_OFF_SECONDS)
            raise
        except (CodeExecutionError, RLMError, SyntaxError):
            raise
        except CodeInterpreterError as error:
            raise InterpreterError(f"The interpreter failed: {error}") from error
        except Exception as error:
            said = f"The interpreter failed: {type(error).__name__}: {error}"
            raise InterpreterError(said) from error

    def _start(self, variables: dict[str, Any]) -> None:
        self._interpreter = interpreter = made_by(self._factory)
        tools = {name: self._bridged(tool) for name, tool in self._tools.items()}
        equip(interpreter, tools, self._outer)
        if self._closed:
            return
        interpreter.start()
        self._started = True
        self.isolation = dict(getattr(interpreter, "isolation_report", None) or {})
        for name, value in variables.items():
            if isinstance(value, SandboxSerializable):
                self._make(name, value)
            else:
                self._variables[name] = value

    def _make(self, name: str, value: SandboxSerializable) -> None:
        try:
            self._interpreter.execute(*assignment(name, value))
        except (CodeExecutionError, SyntaxError) as error:
            raise InterpreterError(
                f"The input {name!r} ({type(value).__name__}) cannot be made in this interpreter: "
                f"{error}\nGive it as plain data, or choose another interpreter_factory."
            ) from error

    def _break_off(self) -> None:
        """Ends the step that runs, from another thread than the one that it runs in.

        An interpreter without `interrupt` is shut down for it. That of dspy's Deno interpreter
        waits for the step: its process is killed.
        """
        interpreter = self._interpreter
        try:
            if callable(interrupt := getattr(interpreter, "interrupt", None)):
                interrupt()
            elif (process := getattr(interpreter, "deno_process", None)) is not None:
                process.kill()
            elif self._started:
                self._shut_down()
        except Exception as error:  # noqa: BLE001 - the run ends whatever comes of it
            logger.warning("The interpreter's step could not be ended: %r", error)

    def _shut_down(self) -> None:
        if self._interpreter is None or not self._once.acquire(blocking=False):
            return
        try:
            self._interpreter.shutdown()
        except Exception as error:  # noqa: BLE001 - the run has its answer; nothing may lose it
            logger.warning("The interpreter did not shut down cleanly: %r", error)

    def _bridged(self, tool: Callable[..., Any]) -> Callable[..., Any]:
        waits, crosses = inspect.iscoroutinefunction(tool), is_ours(self._factory)

        @functools.wraps(tool)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = tool(*args, **kwargs)
            result = self._bridge.call(result) if waits else result
            return result if crosses else as_json(result)

        call.__dict__["__signature__"] = crossing(tool)
        return call

    def _failed(self, error: Exception) -> str:
        printed = getattr(error, "output", None)
        said = f"[Error] {format_error_for_lm(error)}"
        if isinstance(printed, str) and printed.strip():
            said = f"{printed.rstrip()}\n{said}"
        return self._cut(said)

    def _shown(self, result: Any) -> tuple[str, Any, dict[str, Any] | None]:
        if isinstance(result, FinalOutput):
            output = result.output
            return "", "submit", output if isinstance(output, dict) else {"": output}
        if isinstance(result, list) and result:  # lines of output
            result = "\n".join(map(str, result))
        text = "" if result is None else str(result)
        return self._cut(text) if text.strip() else NO_OUTPUT, "ok", None

    def _cut(self, text: str) -> str:
        if len(text) <= self._limit:
            return text
        half = self._limit // 2
        omitted = len(text) - 2 * half
        tail = text[len(text) - half :]
        return f"{text[:half]}\n… ({omitted:,} characters left out) …\n{tail}"
