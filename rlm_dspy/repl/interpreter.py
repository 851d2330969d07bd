"""`RestrictedInterpreter`: the REPL behind dspy's `CodeInterpreter` protocol.

Plugs into `rlm_dspy.RLM`, `dspy.RLM`, `dspy.ProgramOfThought` and `dspy.CodeAct` as
`interpreter_factory=RestrictedInterpreter`.
"""

import functools
import itertools
import json
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal

from dspy.primitives.code_interpreter import FinalOutput
from dspy.utils.callback import BaseCallback, with_callbacks
from pydantic_core import to_jsonable_python

from rlm_dspy.dspy_errors import CodeFailed, InterpreterError, PolicyViolation
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.placed import Origin, plain
from rlm_dspy.repl import sandbox_facade
from rlm_dspy.repl.answers import Answer
from rlm_dspy.repl.calls import settled
from rlm_dspy.repl.conversation import Step
from rlm_dspy.repl.host import Session
from rlm_dspy.repl.isolation import LAYERS, Report
from rlm_dspy.repl.launch import Default, Launcher
from rlm_dspy.repl.session_settings import Settings

_YEAR_10000 = 253_402_300_800  # seconds since the epoch; a date is of the years before


class Submitted(FinalOutput):
    """dspy's `FinalOutput`, which also knows what its step printed.

    Args:
        output: The submitted fields, by name.
        printed: What the step printed before SUBMIT, cut.
    """

    def __init__(self, output: Any, printed: str = ""):
        super().__init__(output)
        self.printed = printed


class RestrictedInterpreter:
    r"""A Python REPL in a locked-down process of its own.

    One session: names that code defines stay until `shutdown`. A step that runs too long, fills its
    memory or crashes is rolled back, and `CodeFailed` says to what state. One thread at a time
    may call `execute`; many interpreters may be used at once.

    Args:
        tools: Host functions that code may call by name. Arguments and results cross as plain data.
        output_fields: What SUBMIT takes: dicts with "name" and, where known, "type".
        step_seconds: How long the code of one step may run, tools apart, seconds; None: without
            limit.
        memory_mb: Private memory of the worker, MiB; contexts that are shared with it come on top.
        max_output_chars: Where a step's output is cut, characters.
        isolation: "require" refuses to start where a layer of isolation is missing; see
            `isolation_report`.
        snapshots: Keep a frozen copy of the worker to roll back to. Without, or where the platform
            cannot, a lost step costs the names that code had defined.
        seed: What everything random in the session follows from, so that two sessions with one seed
            draw the same; None: the system's randomness. With one, no secret that code makes is
            secret.
        callbacks: dspy callbacks of this interpreter alone.

    Attributes:
        tools: May be changed; read at each `execute`.
        output_fields: The same.
        step_time: The same: where all clocks of code stand when the step begins, seconds since the
            epoch; they advance by what the code does alone. None: they are the real ones.
        found: What the last step's searches found in contexts, as the worker says it.

    Raises:
        ConfigurationError: An argument out of its range.

    Example:
        >>> with RestrictedInterpreter() as repl:
        ...     repl.execute("print(6 * 7)")
        '42\n'
    """

    execution_instructions = (
        "Code runs as restricted Python in a persistent REPL without files, network or processes. "
        "The common modules of the standard library for text, numbers, dates and data are there; "
        "names that begin with two underscores are not. The value of a last expression is shown."
    )

    def __init__(  # noqa: PLR0913 - what a session is started with, and two for dspy
        self,
        tools: dict[str, Callable[..., Any]] | None = None,
        output_fields: list[dict[str, Any]] | None = None,
        *,
        step_seconds: float | None = 30,
        memory_mb: int = 2048,
        max_output_chars: int = 10_000,
        isolation: Literal["auto", "require"] = "auto",
        snapshots: bool = True,
        seed: int | None = None,
        callbacks: list[BaseCallback] | None = None,
        _layers: tuple[str, ...] = LAYERS,
        _launcher: Launcher | None = None,
    ):
        if isolation not in ("auto", "require"):
            raise ConfigurationError(f'isolation={isolation!r} must be "auto" or "require"')
        self.tools: dict[str, Callable[..., Any]] = dict(tools or {})
        self.output_fields = output_fields
        self.step_time: float | None = None
        self.found: tuple[Origin, ...] = ()
        self.callbacks = list(callbacks or [])
        self._handles = itertools.count(1)
        settings = Settings(
            step_seconds=step_seconds,
            memory_mb=memory_mb,
            max_output_chars=max_output_chars,
            require=isolation == "require",
            snapshots=snapshots,
            layers=_layers,
            seed=seed,
        )
        launcher = _launcher or Default(namespaces="namespaces" in _layers)
        self._adopt(Session(launcher, settings))

    def _adopt(self, session: Session) -> None:
        self._session = session
        self._finalizer = weakref.finalize(self, session.close)

    @property
    def isolation_report(self) -> Report:
        """For each layer of isolation True, or why it is missing; starts the session at need."""
        if not self._session.report:
            self.start()
        return dict(self._session.report)

    @with_callbacks
    def start(self) -> None:
        """Start the worker; more than once is fine.

        Raises:
            InterpreterError: It cannot be started, or the session is over.
        """
        self._session.start()

    @with_callbacks
    def execute(
        self, code: str, variables: dict[str, Any] | None = None
    ) -> FinalOutput | str | None:
        """Run one step.

        Args:
            code: Python.
            variables: Values to bind before it; what was given before and has not changed costs
                nothing.

        Returns:
            `Submitted` (a FinalOutput) with a dict of fields where the code called SUBMIT, else
            what it printed, or None where it printed nothing. Where no `output_fields` are
            declared, what was submitted is the field "output", and JSON can hold it.

        Raises:
            PolicyViolation: The policy refuses the code.
            CodeFailed: The code failed, ran too long, filled its memory or crashed.
            SyntaxError: It is not Python.
            InterpreterError: The session is over, or a variable cannot enter it.
            ConfigurationError: `step_time` is no time of the years 1970 to 9999.
        """
        if not isinstance(code, str):
            raise InterpreterError(f"code must be a str, not {type(code).__name__}")
        if not isinstance(variables or {}, Mapping):
            raise InterpreterError(f"variables must be a dict, not {type(variables).__name__}")
        _check_time(self.step_time)
        if not self._session.report:
            self.start()  # so that callbacks see a lazy start as well
        tools = {name: functools.partial(self._call, name) for name in self.tools}
        tools = sandbox_facade.served(tools, self._handles)
        if sandbox_facade.is_shim(code, self.tools):
            return None
        self.found = ()
        step = Step(code, tools, self.output_fields, self.step_time)
        answer = self._session.run(step, variables or {})
        self.found = answer.found
        if answer.kind == "submit":
            declared = self.output_fields is not None
            output = answer.submitted if declared else _jsonable(answer.submitted)
            return Submitted(output, answer.output)
        if answer.kind == "ok":
            return "\n".join(filter(None, [answer.output, answer.message])) or None
        raise _error_of(answer)

    def _call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        if not getattr(self.tools.get(name), "takes_origins", False):
            args, kwargs = plain(args), plain(kwargs)
        return self.invoke_tool(name, list(args), kwargs)

    @with_callbacks
    def invoke_tool(self, tool_name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call one of the tools, as model code does; asynchronous ones are waited for.

        Raises:
            InterpreterError: There is none of that name.
        """
        if tool_name not in self.tools:
            raise InterpreterError(f"Unknown tool: {tool_name}")
        return settled(self.tools[tool_name](*args, **kwargs))

    def __call__(
        self, code: str, variables: dict[str, Any] | None = None
    ) -> FinalOutput | str | None:
        """The same as `execute`."""
        return self.execute(code, variables)

    def interrupt(self) -> None:
        """End the step that runs now, from another thread, as a timeout would."""
        self._session.interrupt()

    def branch(self) -> "RestrictedInterpreter":
        """An independent copy of the session in its present state, with the same tools.

        Raises:
            InterpreterError: There are no snapshots here.
        """
        twin = object.__new__(type(self))
        twin.tools = dict(self.tools)
        twin.output_fields = self.output_fields
        twin.step_time = self.step_time
        twin.found = ()
        twin.callbacks = list(self.callbacks)
        twin._handles = itertools.count(1)
        twin._adopt(self._session.branch())
        return twin

    @with_callbacks
    def shutdown(self) -> None:
        """End the session and its processes; more than once is fine."""
        self._finalizer()

    def __enter__(self) -> "RestrictedInterpreter":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def _check_time(step_time: float | None) -> None:
    is_number = isinstance(step_time, int | float)
    if step_time is not None and not (is_number and 0 <= step_time < _YEAR_10000):
        raise ConfigurationError(
            f"step_time={step_time!r} must be None, or seconds since 1970 and before the year 10000"
        )


def _jsonable(value: Any) -> Any:
    """Plain data as JSON can hold it: what takes a value without declaring it dumps it as JSON."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        try:
            return to_jsonable_python(value, bytes_mode="base64")
        except UnicodeEncodeError:  # lone surrogates, which pydantic does not take
            return to_jsonable_python(_escaped(value), bytes_mode="base64")
    return value


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(map(_escaped, value))
    return value


def _error_of(answer: Answer) -> Exception:
    if answer.kind == "syntax":
        kinds = {kind.__name__: kind for kind in (IndentationError, TabError)}
        error = kinds.get(answer.error_type, SyntaxError)(answer.message)
        vars(error)["output"] = answer.output  # as the other errors of a step have it
        return error
    if answer.kind == "policy":
        return PolicyViolation(answer.message, output=answer.output, line=answer.line)
    return CodeFailed(
        answer.message, output=answer.output, error_type=answer.error_type, line=answer.line
    )
