"""One session's variables, and the running of one step in them.

Promises: `run` returns a result whatever the code does, short of ending the process; variables
persist from step to step; what the host gave (variables, tools, SUBMIT, `print`) is back in its
place after each step; the first SUBMIT of a step ends it and cannot be caught or replaced. Does not
promise: limits of time and memory, which the operating system keeps from outside.
"""

import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_dspy.repl import environment, facades, faults, names, output, policy, scope
from rlm_dspy.repl.names import PolicyError
from rlm_dspy.repl.shows import shown_variables


class ToolFailed(Exception):
    """What `call_tool` raises when a tool failed.

    Args:
        message: The host's message.
        error_type: The class name of the host's error.
    """

    def __init__(self, message: str, error_type: str = "RuntimeError"):
        super().__init__(message)
        self.message = message
        self.error_type = error_type


class ToolError(RuntimeError):
    """A tool's failure, as model code sees and may catch it."""


class _Submitted(BaseException):
    """Ends a step; no handler of model code keeps it."""


@dataclass
class StepResult:
    """What one step came to.

    Attributes:
        kind: "ok", "submit", "error" (the code failed), "policy" (it is refused) or "syntax".
        output: What was printed and the value of a last expression, cut and escaped.
        submitted: For "submit": the fields that SUBMIT got, as live objects.
        error_type: The exception's class name, "PolicyViolation" or "SyntaxError".
        message: What to tell the model: the error, its lines, what to write instead; for "ok", a
            note about a variable that was put back.
        line: The line of the step that failed, from 1.
    """

    kind: str
    output: str = ""
    submitted: Any = None
    error_type: str = ""
    message: str = ""
    line: int | None = None


class Namespace:
    """A session.

    Args:
        call_tool: Calls a host function by name, with positional and named arguments; gives plain
            data or raises `ToolFailed`.
        tools: The names of the host functions.
        output_fields: What SUBMIT takes: dicts with "name" and maybe "type"; None: one value.
        max_output_chars: The length of a step's output at most.
    """

    def __init__(
        self,
        call_tool: Callable[[str, list, dict], Any],
        *,
        tools: Sequence[str] = (),
        output_fields: Sequence[dict] | None = None,
        max_output_chars: int = 10_000,
    ):
        self._call_tool = call_tool
        self._max_output = max_output_chars
        self._sources = faults.Sources()
        self._configured: tuple[list[str], Any] | None = None
        self._own: dict[str, Any] = {}
        self._bound: dict[str, Any] = {}
        self._submitted: dict[str, Any] | None = None
        self._variables: dict[str, Any] = {"__name__": "__main__", names.SANDBOX_MARK: True}
        self._builtins = self._make_builtins()
        self._variables["__builtins__"] = self._builtins
        self.configure(tools, output_fields)

    def _make_builtins(self) -> dict[str, Any]:
        view = scope.GlobalsView(self._variables, lambda: self.protected)
        return {
            **environment.base_builtins(),
            **scope.scope_functions(view),
            "__import__": facades.import_module,
            names.SUBMITTED: self._check_ended,
            names.MARK: lambda: output.written(),
            names.ECHO: self._echo,
        }

    def configure(
        self, tools: Sequence[str] = (), output_fields: Sequence[dict] | None = None
    ) -> None:
        """Sets the tools and what SUBMIT takes, in place of those before.

        Args:
            tools: The names of the host functions.
            output_fields: As for the constructor.

        Raises:
            ValueError: A name that is not a free Python identifier.
        """
        wanted = (list(tools), output_fields)
        if wanted == self._configured:
            return
        self._configured = wanted
        for name in self._own:
            self._variables.pop(name, None)
        fields = [_checked(field["name"]) for field in output_fields or ()]
        self._own = {name: self._tool(_checked(name)) for name in tools}
        self._own |= {
            "print": self._print,
            "SUBMIT": self._submit_function(fields),
            "show_vars": self._show_vars,
        }
        self._restore()

    @property
    def protected(self) -> frozenset[str]:
        """The names that code may not assign to."""
        return frozenset(self._own)

    def bind(self, name: str, value: Any) -> None:
        """Gives the session a variable; code may reassign it for the rest of a step only.

        Raises:
            ValueError: The name is not a free Python identifier.
        """
        if name in self._own:
            raise ValueError(f"the variable {name!r} has the name of a function of the REPL")
        self._bound[_checked(name)] = value
        self._variables[name] = value

    def run(self, code: str) -> StepResult:
        """Runs one step.

        Args:
            code: Python source.

        Returns:
            What it came to; nothing that the code raises comes out of here.
        """
        self._submitted = None
        capture = output.Capture(self._max_output)
        output.begin(capture)
        filename = self._sources.add(code)
        try:
            result = self._execute(code, filename)
        except BaseException as error:  # noqa: BLE001 (the boundary: model code raises anything)
            result = self._failed(error, filename)
        if self._submitted is not None:
            result, self._submitted = StepResult("submit", submitted=self._submitted), None
        output.begin(capture)
        result.output = capture.text()
        result.message = "\n".join(filter(None, [output.escaped(result.message), *self._restore()]))
        return result

    def _execute(self, code: str, filename: str) -> StepResult:
        compiled = policy.compile_step(code, filename, self.protected)
        exec(compiled, self._variables)
        return StepResult("ok")

    def _restore(self) -> list[str]:
        """Puts back what the host gave; says which variables that changes."""
        notes = []
        for name, value in self._bound.items():
            if self._variables.get(name, None) is not value:
                self._variables[name] = value
                notes.append(f"note: `{name}` is the input again; keep changes under another name")
        self._variables.update(self._own)
        self._variables["__builtins__"] = self._builtins
        self._variables["__name__"] = "__main__"
        return notes

    # What the code can call

    def _check_ended(self) -> None:
        if self._submitted is not None:
            raise _Submitted

    def _echo(self, before: int, value: Any) -> None:
        # An expression that printed has said what it had to say: `main()` needs no echo.
        if value is not None and output.written() == before:
            output.emit_value(value, repr)
            output.emit("\n")

    @property
    def _print(self) -> Callable[..., None]:
        check = self._check_ended

        def print_(*values: Any, **options: Any) -> None:
            check()
            environment.print_(*values, **options)

        return _named(print_, "print")

    @property
    def _show_vars(self) -> Callable[[], None]:
        def show_vars() -> None:
            """Prints what is defined, with types and sizes."""
            hidden = self._own.keys()
            environment.print_(shown_variables(self._variables, hidden))

        return _named(show_vars, "show_vars")

    def _tool(self, name: str) -> Callable[..., Any]:
        def tool(*args: Any, **kwargs: Any) -> Any:
            self._check_ended()
            try:
                return self._call_tool(name, list(args), kwargs)
            except ToolFailed as failure:
                error = ToolError(failure.message)
            raise error

        return _named(tool, name)

    def _submit_function(self, fields: list[str]) -> Callable[..., None]:
        def submit(*args: Any, **kwargs: Any) -> None:
            self._check_ended()
            self._submitted = _fields(fields, args, kwargs)
            raise _Submitted

        return _named(submit, "SUBMIT")

    # Failures

    def _failed(self, error: BaseException, filename: str) -> StepResult:
        if isinstance(error, SyntaxError) and error.__traceback__ and not self._is_running(error):
            return self._syntax(error, filename)
        if isinstance(error, policy.Refused):
            text = self._sources.line(filename, error.line)
            where = f"line {error.line}: {text}" if error.line else ""
            message = "\n".join(filter(None, [f"PolicyViolation: {error}", where]))
            return StepResult("policy", "", None, "PolicyViolation", message, error.line)
        refused = isinstance(error, PolicyError)
        kind = "PolicyViolation" if refused else faults.type_name(error)
        line, lines = faults.trace(error.__traceback__, self._sources, filename)
        text = faults.text_of(error)
        head = f"{kind}: {text}" if text else kind
        message = "\n".join([head, *faults.notes_of(error), *lines])
        return StepResult("policy" if refused else "error", "", None, kind, message, line)

    def _is_running(self, error: BaseException) -> bool:
        """Whether the error came from code that ran, and not from compiling it."""
        _, lines = faults.trace(error.__traceback__, self._sources, "")
        return bool(lines)

    def _syntax(self, error: SyntaxError, filename: str) -> StepResult:
        line = error.lineno
        where = f"line {line}: {self._sources.line(filename, line)}" if line else ""
        message = "\n".join(filter(None, [f"{faults.type_name(error)}: {error.msg}", where]))
        return StepResult("syntax", "", None, faults.type_name(error), message, line)


def _checked(name: str) -> str:
    free = name.isidentifier() and not keyword.iskeyword(name) and not names.is_reserved(name)
    if not free or name in ("print", "SUBMIT", "show_vars"):
        raise ValueError(f"{name!r} cannot be a name in the REPL: give a free Python identifier")
    return name


def _named(function: Any, name: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    return function


def _fields(fields: list[str], args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The submitted values by field name, as if SUBMIT were `def SUBMIT(a, b)`.

    Raises:
        TypeError: They do not fit the fields; the message says how to call SUBMIT.
    """
    wanted = fields or ["output"]
    usage = f"write SUBMIT({', '.join(f'{name}=...' for name in wanted)})"
    if len(args) > len(wanted):
        raise TypeError(
            f"SUBMIT() takes {len(wanted)} positional arguments but {len(args)} were given: {usage}"
        )
    values = dict(zip(wanted, args, strict=False))
    for name, value in kwargs.items():
        if name in values:
            raise TypeError(f"SUBMIT() got multiple values for argument {name!r}: {usage}")
        if name not in wanted:
            raise TypeError(f"SUBMIT() got an unexpected keyword argument {name!r}: {usage}")
        values[name] = value
    missing = [repr(name) for name in wanted if name not in values]
    if missing:
        count = f"{len(missing)} required positional argument{'s' if len(missing) > 1 else ''}"
        raise TypeError(f"SUBMIT() missing {count}: {', '.join(missing)}: {usage}")
    return {name: values[name] for name in wanted}
